"""What a fork takes over of a run: all before a step, or before what the run failed by."""

from __future__ import annotations

from typing import Never, cast

import msgspec
import pytest

from understudy import Context, sequence, step
from understudy.engine.forks import admitted, forked
from understudy.workflows.check import check
from understudy.workflows.inputs import InputError
from understudy.workflows.nodes import Workflow
from understudy_protocols.errors import SetupError
from understudy_protocols.records import (
    Accepted,
    Begun,
    Called,
    Decided,
    Ended,
    Failed,
    Finished,
    Held,
    Passed,
    Record,
    Released,
    Reshaped,
)

PATHS = ["a", "both", "both/x", "both/y", "last"]
START = Accepted("input", 5)
A = Finished(0, "", 1, 1, "A")
X_FAILED = Failed(2, "x", 2, 1, "no")
Y = Finished(3, "y", 3, 1, "Y")
Y_CALLED = Called(3, "y", 7, 1, "pay", "a key", "0", "paid", False)
BOTH = Passed(1, "", 4)
LAST = Finished(4, "", 5, 1, "L")
LAST_FAILED = Failed(4, "", 5, 1, "no")
FAILED, CANCELLED = Ended("failed", 6), Ended("cancelled", 6)


def of(
    *records: Record, from_step: str | None = None, **changes: object
) -> list[Record]:
    """Return what a fork of a run with these records begins with."""
    return forked(
        records,
        PATHS.__getitem__,
        from_step,
        changes,
        lambda path, value: f"{path}: {value}",
    )


# --- from a step on ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a", [START]),
        ("last", [START, A, X_FAILED, Y]),
        ("both/y", [START, A, X_FAILED]),
        # By its own name, if it stands inside of another node.
        ("y", [START, A, X_FAILED]),
        # A node is what is in it.
        ("both", [START, A]),
    ],
)
def test_a_fork_has_what_was_before_its_step(name: str, kept: list[Record]) -> None:
    assert of(START, A, X_FAILED, Y, LAST, FAILED, from_step=name) == kept


@pytest.mark.parametrize("name", ["b", "bo", "oth", "ast", "x/", "/a"])
def test_a_step_without_a_record_is_told_with_those_that_have_one(name: str) -> None:
    with pytest.raises(SetupError) as caught:
        of(START, A, X_FAILED, Y, Y, FAILED, from_step=name)
    assert str(caught.value) == (
        f"the run has no record of a step {name!r}; it has: a, both/y"
    )
    with pytest.raises(SetupError, match=r"it has: none$"):
        of(START, X_FAILED, FAILED, from_step="b")


def test_what_was_done_to_the_run_is_not_taken_over() -> None:
    about = (Held("poisoned", ""), Released(), Reshaped(3))
    assert of(START, *about, A, Begun(4, "", 5, 1), FAILED) == [
        START,
        A,
        Begun(4, "", 5, 1),
    ]


# --- from what it failed by -----------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "kept"),
    [
        ([A, X_FAILED, Y, LAST_FAILED, FAILED], [A, X_FAILED, Y]),
        # What came at the same time is done again.
        ([A, X_FAILED, Y, FAILED], [A]),
        # It went on after the one failure, and was then cancelled.
        ([A, X_FAILED, Y, CANCELLED], [A, X_FAILED, Y]),
        # It was cancelled before the other one was on record.
        ([A, X_FAILED, Y, LAST_FAILED, CANCELLED], [A, X_FAILED, Y]),
        ([A, Y, CANCELLED], [A, Y]),
        # What was in hand at the end was told of behind it.
        ([A, X_FAILED, FAILED, Y_CALLED], [A]),
        ([A, X_FAILED, Y_CALLED, CANCELLED], [A, X_FAILED, Y_CALLED]),
        ([A, Y, FAILED], [A, Y]),
        ([], []),
    ],
)
def test_a_retry_has_what_was_before_the_failure_that_counted(
    history: list[Record], kept: list[Record]
) -> None:
    assert of(START, *history) == [START, *kept]


def test_a_retry_asks_again_what_the_run_failed_by() -> None:
    early, late = Decided(1, "", 2, 0, "yes"), Decided(1, "", 3, 1, "failure")
    assert of(START, A, early, late, FAILED) == [START, A, early]
    assert of(START, A, early, late, CANCELLED) == [START, A, early, late]
    # The node has failed of what was said at it.
    at_node = Failed(1, "", 4, 0, "no")
    assert of(START, A, early, late, at_node, FAILED) == [START, A, early]
    elsewhere = [Decided(1, "1", 3, 0, "yes"), Decided(0, "", 3, 0, "yes")]
    kept: list[Record] = [START, A, *elsewhere]
    assert of(*kept, at_node, FAILED) == kept


# --- with other values -----------------------------------------------------------------


def test_other_values_stand_in_place_of_those_that_were() -> None:
    inner = Finished(3, "y/2", 3, 1, "Y", 2)
    found = of(START, A, Y, inner, BOTH, LAST, from_step="last", a="B", y="Z")
    other = "both/y: Z"
    assert found == [
        START,
        msgspec.structs.replace(A, value="a: B"),
        msgspec.structs.replace(Y, value=other),
        msgspec.structs.replace(inner, value=other),
        BOTH,
    ]


def test_a_change_of_what_is_not_taken_over_is_refused() -> None:
    for name in ("last", "x", "c"):
        with pytest.raises(SetupError) as caught:
            of(START, A, X_FAILED, Y, LAST, from_step="last", **{name: 1})
        assert str(caught.value) == (
            f"{name!r} is not among the steps that the fork takes over; these are: "
            "a, both/y"
        )


def test_another_value_has_to_be_what_its_step_declares() -> None:
    async def body(context: Context[object]) -> int:
        return 1

    flow = sequence(step(name="a")(body), step(name="b", output={"type": "null"})(body))
    plan = check(cast("Workflow[Never, object, Never]", flow))
    assert admitted(plan, "a", 7) == 7
    with pytest.raises(InputError, match="the value of a"):
        admitted(plan, "a", "seven")
    # A schema is not looked at, and what is no step declares nothing.
    for path in ("b", plan.root.path, "nowhere"):
        assert admitted(plan, path, {"seven": 7}) == {"seven": 7}
