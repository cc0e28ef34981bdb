"""How runs, branches and steps end."""

from __future__ import annotations

import pytest

from understudy_protocols.failures import Cause, Failure, StepError
from understudy_protocols.frozen import FrozenMap, freeze
from understudy_protocols.outcomes import Outcome, RunStatus, StepReport, StepStatus

LATE = Failure.of(Cause.TIMEOUT, "late", "extract")


def test_four_statuses_are_terminal_and_five_are_live() -> None:
    assert {one.value for one in RunStatus if one.terminal} == {
        "completed",
        "failed",
        "cancelled",
        "expired",
    }
    assert {one.value for one in RunStatus if not one.terminal} == {
        "queued",
        "running",
        "waiting",
        "paused",
        "held",
    }


def test_an_outcome_gives_its_value() -> None:
    outcome = Outcome(value=3)
    assert outcome.ok
    assert outcome.value == 3
    assert outcome.failure is None
    assert repr(outcome) == "Outcome(value=3)"


def test_nothing_is_a_value_too() -> None:
    outcome = Outcome(value=None)
    assert outcome.ok
    assert outcome.value is None


def test_the_value_of_a_failed_outcome_raises_its_failure() -> None:
    outcome: Outcome[int] = Outcome(failure=LATE)
    assert not outcome.ok
    with pytest.raises(StepError, match="extract: late") as caught:
        _ = outcome.value
    assert caught.value.cause is Cause.TIMEOUT
    assert "Outcome(failure=Failure(" in repr(outcome)


@pytest.mark.parametrize("given", [{}, {"value": 1, "failure": LATE}])
def test_an_outcome_is_one_of_both(given: dict[str, object]) -> None:
    with pytest.raises(AssertionError, match="not both"):
        Outcome(**given)  # type: ignore[arg-type]  # what is tested  # pyright: ignore


def test_outcomes_can_be_outputs_and_are_frozen_inside() -> None:
    frozen = freeze((Outcome(value={"a": [1]}), Outcome[int](failure=LATE)))
    assert frozen == (
        Outcome(value=FrozenMap({"a": (1,)})),
        Outcome[int](failure=LATE),
    )


def test_a_report_says_how_long_its_step_took() -> None:
    report = StepReport("flow.extract", "extract", StepStatus.COMPLETED, 1.0, 3.5)
    assert report.duration == 2.5
