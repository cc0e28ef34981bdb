"""Choosing messages by rule."""

from __future__ import annotations

import random

from understudy.demo.choose import (
    NEAR,
    SHARES,
    choose,
    digest,
    fitting_rows,
    row,
    similarity,
)
from understudy.demo.labels import Dataset

PLAIN = ["card_arrival"]
ROWS = [
    row(Dataset.BANKING77, f"where is card number {word} now please", PLAIN)
    for word in ("one", "two", "six", "ten")
]


def some_rows(number: int) -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    random_letters = random.Random(1)
    return [
        " ".join("".join(random_letters.choices(letters, k=3)) for _ in range(6))
        for _ in range(number)
    ]


def test_the_shares_are_half_and_half_and_two_hundred() -> None:
    assert sum(SHARES.values()) == 200
    assert SHARES[Dataset.BANKING77] == 100


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = [row(Dataset.BANKING77, text, PLAIN) for text in some_rows(150)]
    chosen = choose(rows)
    assert len(chosen) == 100
    assert choose(rows[::-1]) == chosen
    assert list(chosen) == sorted(chosen, key=lambda each: each.rank)


def test_no_two_chosen_and_no_fitted_row_is_a_near_duplicate_of_a_chosen_one() -> None:
    assert similarity(ROWS[0].words, ROWS[1].words) == NEAR
    chosen = choose(ROWS)
    assert len(chosen) == 1
    assert fitting_rows(ROWS, chosen) == ()
    other = row(Dataset.NLUPP_HOTELS, "a table for two", ["booking"])
    assert fitting_rows([*ROWS, other], chosen) == (other,)


def test_short_rows_and_rows_without_intents_are_not_shown() -> None:
    short = row(Dataset.NLUPP_HOTELS, "just one, please", ["affirm"])
    bare = row(Dataset.NLUPP_HOTELS, "from Monday until next Friday", [])
    assert choose([short, bare]) == ()
    assert len(fitting_rows([short, bare], ())) == 2


def test_a_row_is_named_by_its_data_set_and_words_only() -> None:
    one = row(Dataset.NLUPP_BANKING, " Where is MY card? ", PLAIN)
    other = row(Dataset.NLUPP_BANKING, "where is my card", ["card"])
    assert one.text == "Where is MY card?"
    assert one.id == other.id
    assert one.id.startswith("nlupp-banking-")
    assert digest(one.words) == digest(other.words)
    assert row(Dataset.BANKING77, "where is my card", PLAIN).id != one.id


def test_texts_without_words_are_alike() -> None:
    assert similarity([], []) == 1.0
    assert similarity(["a"], []) == 0.0
