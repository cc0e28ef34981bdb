"""Counting how far tiers can be trusted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.demo.trust import (
    SEEN_AT_LEAST,
    Judged,
    count_verdicts,
    lowest_threshold,
    read_trust,
)
from understudy_protocols.errors import CodecError

ANSWERS = st.lists(
    st.builds(
        Judged,
        confidence=st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]),
        right=st.booleans(),
        weight=st.sampled_from([1.0, 3.0]),
    )
)


@given(answers=ANSWERS, asked=st.sampled_from([0.5, 0.75, 0.9, 1.0]))
def test_the_threshold_is_the_lowest_that_keeps_the_share(
    answers: list[Judged], asked: float
) -> None:
    def is_kept(threshold: float) -> bool:
        taken = [each for each in answers if each.confidence >= threshold]
        right = sum(each.weight for each in taken if each.right)
        return right >= asked * sum(each.weight for each in taken)

    candidates = sorted({each.confidence for each in answers})
    good = [each for each in candidates if is_kept(each)]
    assert lowest_threshold(answers, asked) == (good[0] if good else 1.01)


def test_rare_verdicts_are_left_out_and_sure_ones_are_not_quite_sure() -> None:
    answers = [("often/low", True, 1.0)] * SEEN_AT_LEAST
    answers += [("rare/low", True, 9.0)] * (SEEN_AT_LEAST - 1)
    assert count_verdicts(answers) == {"often/low": pytest.approx(6 / 7, abs=1e-3)}


def test_weights_count_in_a_verdict() -> None:
    answers = [("a", True, 3.0), *[("a", False, 1.0)] * 4]
    assert count_verdicts(answers) == {"a": pytest.approx(4 / 9, abs=1e-3)}


def test_a_damaged_trust_file_is_named() -> None:
    with pytest.raises(CodecError, match=r"t\.json does not hold"):
        read_trust(b'{"verdicts": 3}', "t.json")
