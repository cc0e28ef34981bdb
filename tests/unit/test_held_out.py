"""Judging a classifier by its answers: counted by hand."""

from __future__ import annotations

import pytest

from understudy.models.examples import Example
from understudy.models.held_out import best_sharpness, judge
from understudy.models.linear import Classification


def test_figures_agree_with_counting_by_hand() -> None:
    examples = [
        *(Example("", ("a", "b")), Example("", ("a",))),
        *(Example("", ()), Example("", ("b",))),
    ]
    judged = [
        Classification(("b", "a"), 0.9, ()),
        Classification(("b",), 0.8, ()),
        Classification((), 0.4, ()),
        Classification(("b", "a"), 0.3, ()),
    ]
    found = judge(examples, judged)
    assert found.texts == 4
    assert found.exact == 0.5
    assert found.micro_f1 == pytest.approx(2 * 3 / (4 + 5))
    assert found.confident_half == 0.5
    assert found.mean_confidence == pytest.approx(0.6)


def test_scores_that_are_too_sure_are_taken_back() -> None:
    """Right three times out of four: the honest log-odds are log 3."""
    scored = [(4.0,)] * 4
    wanted = [(True,), (True,), (True,), (False,)]
    assert best_sharpness(scored, wanted) == pytest.approx(1.0986 / 4, abs=1e-3)


def test_scores_that_are_always_right_are_made_surer_up_to_a_bound() -> None:
    assert best_sharpness([(1.0,), (-1.0,)], [(True,), (False,)]) == pytest.approx(4.0)
