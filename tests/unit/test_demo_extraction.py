"""Clauses, quotes, sentiment, and the rules' verdicts."""

from __future__ import annotations

import pytest

from understudy.demo.extraction import (
    MAX_CLAUSES,
    QUOTE_LENGTH,
    Sentiment,
    clause_at,
    clauses,
    quote,
)
from understudy.demo.labels import Category, Urgency
from understudy.demo.rules import LONGEST, RULES, verdict
from understudy.demo.sentiment import BAD, GOOD, sentiment


def test_clauses_end_at_marks_and_at_some_words_but_not_inside_numbers() -> None:
    text = "I paid 9.56$ at 7:30, but the card failed! Why? Call me"
    assert clauses(text) == (
        *("I paid 9.56$ at 7:30", "but the card failed", "Why", "Call me"),
    )
    assert clause_at(text, text.index("card")) == "but the card failed"


def test_a_text_without_clauses_is_its_own() -> None:
    assert clauses("") == ("",)
    assert clauses(" ?! ") == ("?!",)
    assert clause_at("a. b", 1) == "a. b"


def test_the_clauses_of_a_text_are_bounded() -> None:
    assert len(clauses("go. " * 10 * MAX_CLAUSES)) == MAX_CLAUSES


def test_a_long_quote_is_cut_at_a_word_and_marked() -> None:
    assert quote("short") == "short"
    cut = quote("word " * 40)
    assert cut.endswith("word\u2026")
    assert len(cut) <= QUOTE_LENGTH
    assert len(quote("x" * 500)) == QUOTE_LENGTH


@pytest.mark.parametrize(
    ("text", "tone"),
    [
        ("Thanks a lot, the staff was great!", Sentiment.POSITIVE),
        ("This is not good", Sentiment.NEGATIVE),
        ("No problem at all", Sentiment.POSITIVE),
        ("I'm worried, my card was stolen", Sentiment.NEGATIVE),
        ("Where is the pool?", Sentiment.NEUTRAL),
        ("thanks, but it is broken", Sentiment.NEUTRAL),
        ("", Sentiment.NEUTRAL),
    ],
)
def test_the_tone_is_praise_less_complaint(text: str, tone: Sentiment) -> None:
    assert sentiment(text) is tone


def test_no_word_is_praise_and_complaint() -> None:
    assert not GOOD & BAD


def test_rules_have_names_of_their_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_a_verdict_names_the_rules_and_points_at_the_words() -> None:
    found = verdict("My top-up failed. Is there a fee?")
    assert found is not None
    assert found.name == "top_up+fees/medium"
    assert found.categories == (Category.PAYMENTS, Category.FEES)
    assert found.spans == ((3, 9), (29, 32))
    assert found.urgency is Urgency.MEDIUM


def test_words_of_loss_are_urgent() -> None:
    found = verdict("I\u2019ve lost my card")
    assert found is not None
    assert found.urgency is Urgency.HIGH
    assert Category.SECURITY in found.categories


def test_rules_are_silent_where_no_word_gives_a_subject_away() -> None:
    assert verdict("Just one more thing") is None
    assert verdict("") is None


def test_rules_look_at_the_beginning_of_a_long_text_only() -> None:
    assert verdict("x " * LONGEST + "atm") is None
    hostile = "lost " * 100_000
    assert verdict(hostile) == verdict(hostile[:LONGEST])
