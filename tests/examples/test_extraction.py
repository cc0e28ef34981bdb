"""The extraction example: what does not add up is refused, with the reason."""

from __future__ import annotations

import ast
from fractions import Fraction

import extraction as example
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from understudy import Cause, ModelError
from understudy.models import ScriptedModel
from understudy.testing import run_seeded

RIGHT = "6 x 7 = <<6*7=42>>42 eggs.\n#### 42\n"
SLIPPED = "6 x 7 = <<6*7=41>>41 eggs.\n#### 41\n"
BROKEN = "6 x 7 = <<6*7=4"
PROBLEM = example.Problem("How many eggs?", "42")


def solve(*answers: object) -> tuple[example.Extracted, int, float]:
    """Return how it ended, how many calls were made, and how long it took."""
    model = ScriptedModel(answers)

    async def main() -> tuple[example.Extracted, int, float]:
        ended = await example.solve(PROBLEM, model)
        return ended, len(model.requests), trio.current_time()

    return run_seeded(main, seed=2)


@pytest.mark.usefixtures("virtual_time")
def test_main_prints_what_was_refused_and_how_right_the_rest_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    example.main()
    printed = capsys.readouterr().out
    assert "refused: " in printed
    assert "of 30 answers extracted and validated." in printed


@pytest.mark.usefixtures("virtual_time")
def test_most_recorded_answers_are_extracted_in_spite_of_the_faults() -> None:
    ended = trio.run(example.run_all)
    assert len(ended) == 30
    kept = [each for each in ended if each.solution is not None]
    assert len(kept) >= 24
    # Mixtral's record: what it got wrong stays wrong, whatever the plumbing.
    assert 15 <= sum(each.is_right for each in kept) <= 21
    assert all(each.why for each in ended if each.solution is None)


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    ended, calls, _ = solve(BROKEN, RIGHT)
    assert ended.is_right
    assert calls == 2


def test_an_answer_whose_sums_are_wrong_is_asked_for_again() -> None:
    ended, calls, _ = solve(SLIPPED, RIGHT)
    assert ended.is_right
    assert calls == 2


def test_a_rate_limit_waits_as_long_as_the_provider_asks() -> None:
    limit = ModelError("too often", cause=Cause.RATE_LIMIT, retry_after=7.0)
    _, calls, patient = solve(limit, RIGHT)
    _, _, prompt = solve(RIGHT)
    assert calls == 2
    assert patient - prompt == pytest.approx(7.0, abs=0.1)


def test_after_three_attempts_it_is_refused_and_no_fourth_is_made() -> None:
    ended, calls, _ = solve(BROKEN, SLIPPED, BROKEN, RIGHT)
    assert ended.solution is None
    assert "#### number" in ended.why
    assert calls == 3


def test_a_refusal_by_the_provider_is_not_tried_again() -> None:
    ended, calls, _ = solve(ModelError("no key", cause=Cause.AUTH), RIGHT)
    assert (ended.solution, calls) == (None, 1)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("#### 1,200", "1200"), ("so\n#### $5.50\n", "11/2"), ("####-3", "-3")],
)
def test_the_number_is_read_in_every_form_that_the_recordings_have(
    text: str, answer: str
) -> None:
    assert example.extracted(text).answer == Fraction(answer)


@given(st.recursive(st.integers(0, 99).map(str), lambda inner: st.builds(
    "({} {} {})".format, inner, st.sampled_from("+-*"), inner
), max_leaves=8))  # fmt: skip
def test_sums_are_computed_exactly(sum_: str) -> None:
    tree = ast.parse(sum_, mode="eval")
    expected = eval(compile(tree, "sum", "eval"))
    assert example.value(tree.body) == expected


def test_what_is_no_sum_is_not_run() -> None:
    with pytest.raises(ValueError, match="no sum"):
        example.value(ast.parse("print(1)", mode="eval").body)
    with pytest.raises(ValueError, match="no sum"):
        example.value(ast.parse("9**9**9", mode="eval").body)
