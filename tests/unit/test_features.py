"""What a text's features are; a change here must raise ``features.VERSION``."""

from __future__ import annotations

from math import isclose, sqrt

import pytest

from understudy.models.features import (
    COUNTS,
    MAX_TOKENS,
    VERSION,
    counts,
    presence,
    presence_value,
    tokens,
)


def test_words_are_lower_case_and_numbers_are_all_alike() -> None:
    assert tokens("I can\u2019t pay 9.56$ at 10:30, Señor!") == [
        *("i", "can't", "pay", "0", "0", "at", "0", "0", "señor")
    ]


def test_features_are_words_beginnings_and_pairs_with_the_two_ends() -> None:
    assert VERSION == 1
    assert presence(["my", "transfer"], pairs=True) == [
        *("my", "transfer", "tran~", "^ my", "my transfer", "transfer $")
    ]
    assert presence(["my", "transfer"], pairs=False) == ["my", "transfer", "tran~"]


def test_a_feature_is_present_once_however_often_it_comes() -> None:
    assert presence(["no", "no", "no"], pairs=True) == ["no", "^ no", "no no", "no $"]


def test_a_text_without_words_has_no_features_but_counts() -> None:
    assert tokens("?! ...") == []
    assert presence([], pairs=True) == []
    assert presence_value(0) == 0.0
    assert counts("?!", [])["#questions"] > 0


def test_all_texts_have_length_one_in_feature_space() -> None:
    for distinct in (1, 7, 400):
        assert isclose(distinct * presence_value(distinct) ** 2, 1.0)


def test_counts_are_squeezed_into_zero_to_one() -> None:
    found = counts("1? 2! a, b." + "!" * 500, ["0", "0", "a", "b"])
    assert tuple(found) == COUNTS
    assert found["#numbers"] == pytest.approx(sqrt(2 / 32))
    assert found["#exclamations"] == 1.0
    assert all(0.0 <= each <= 1.0 for each in found.values())


def test_a_very_long_text_is_read_only_to_a_bound() -> None:
    assert len(tokens("word " * 10 * MAX_TOKENS)) == MAX_TOKENS
    assert len(tokens("x" * 10_000_000)[0]) == 20 * MAX_TOKENS


def test_no_word_can_be_taken_for_a_count() -> None:
    assert not set(COUNTS) & set(presence(tokens("#words #numbers"), pairs=True))
