"""Which exit kind an end has, for what was raised and what was known."""

from __future__ import annotations

import pytest
import trio

from understudy_actors.exits import (
    Circumstances,
    classify,
    leaf,
    mistake,
    named_reason,
)
from understudy_protocols.errors import (
    ChildEscalatedError,
    RestartIntensityError,
    StartFailedError,
)
from understudy_protocols.supervision import Escalate, Exit, ExitKind, Shutdown

RESULT = object()


def of(
    *,
    ready: bool = True,
    asked: bool = False,
    cut: ExitKind | None = None,
    caught: bool = False,
) -> Circumstances:
    return Circumstances("root/a", ready, asked, cut, caught, RESULT)


def cancelled() -> trio.Cancelled:
    """Return a Cancelled, which only trio can make."""
    caught = list[trio.Cancelled]()

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as error:
                caught.append(error)
                raise

    trio.run(main)
    return caught[0]


@pytest.mark.parametrize(
    ("known", "kind"),
    [
        (of(), ExitKind.NORMAL),
        (of(asked=True), ExitKind.SHUTDOWN),
        (of(ready=False), ExitKind.START_FAILED),
        (of(ready=False, asked=True), ExitKind.SHUTDOWN),
        (of(cut=ExitKind.KILLED, caught=True), ExitKind.KILLED),
        (of(cut=ExitKind.KILLED, caught=True, asked=True), ExitKind.KILLED),
        (of(cut=ExitKind.KILLED), ExitKind.NORMAL),
        (of(cut=ExitKind.KILLED, asked=True), ExitKind.SHUTDOWN),
        (of(ready=False, cut=ExitKind.TIMEOUT, caught=True), ExitKind.TIMEOUT),
        (of(ready=False, cut=ExitKind.TIMEOUT), ExitKind.TIMEOUT),
        (of(ready=False, cut=ExitKind.KILLED, asked=True), ExitKind.SHUTDOWN),
    ],
)
def test_code_that_returned(known: Circumstances, kind: ExitKind) -> None:
    end = classify(None, known)
    assert end.kind is kind
    ended_by_itself = kind in (ExitKind.NORMAL, ExitKind.SHUTDOWN)
    assert end.result is (RESULT if ended_by_itself else None)


def test_code_that_was_not_cut_and_returned_nothing_has_no_result() -> None:
    end = classify(None, Circumstances("root/a", ready=True, asked=False))
    assert end == Exit(ExitKind.NORMAL)
    late = Circumstances("root/a", ready=True, asked=False, cut=ExitKind.KILLED)
    assert classify(None, late).kind is ExitKind.NORMAL


BOOM = ValueError("boom")


@pytest.mark.parametrize(
    ("error", "known", "kind"),
    [
        (BOOM, of(), ExitKind.CRASH),
        (BOOM, of(asked=True), ExitKind.CRASH),
        (BOOM, of(ready=False), ExitKind.START_FAILED),
        (BOOM, of(ready=False, asked=True), ExitKind.CRASH),
        (BOOM, of(cut=ExitKind.KILLED), ExitKind.KILLED),
        (BOOM, of(ready=False, cut=ExitKind.TIMEOUT), ExitKind.TIMEOUT),
        (Shutdown(), of(), ExitKind.SHUTDOWN),
        (Shutdown(), of(ready=False), ExitKind.SHUTDOWN),
        (Escalate(), of(), ExitKind.CRASH),
        (TimeoutError(), of(), ExitKind.TIMEOUT),
        (trio.TooSlowError(), of(), ExitKind.TIMEOUT),
        (trio.TooSlowError(), of(ready=False), ExitKind.START_FAILED),
        (RestartIntensityError("a", 3, 5.0), of(), ExitKind.GAVE_UP),
        (RestartIntensityError("a", 3, 5.0), of(ready=False), ExitKind.START_FAILED),
        (ChildEscalatedError("a"), of(), ExitKind.GAVE_UP),
        (KeyboardInterrupt(), of(cut=ExitKind.KILLED), ExitKind.CRASH),
        (SystemExit(), of(ready=False), ExitKind.CRASH),
    ],
)
def test_code_that_raised(
    error: BaseException, known: Circumstances, kind: ExitKind
) -> None:
    end = classify(error, known)
    assert end.kind is kind
    assert end.cause is error
    assert end.fatal is not isinstance(error, Exception)
    assert end.escalates is isinstance(error, Escalate)


def test_an_end_before_ready_says_so() -> None:
    cause = classify(None, of(ready=False)).cause
    assert isinstance(cause, StartFailedError)
    assert cause.child == "root/a"
    assert cause.reason == "it ended without reporting ready"


def test_what_a_shutdown_carries_is_the_result_of_the_life() -> None:
    end = classify(Shutdown(result="left"), of())
    assert end.result == "left"


def test_only_an_end_that_was_asked_for_has_another_name_for_people() -> None:
    assert named_reason(None) == "stopped"
    for kind in ExitKind:
        name = "stopped" if kind is ExitKind.SHUTDOWN else kind.value
        assert named_reason(Exit(kind)) == name


@pytest.mark.parametrize("ready", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_cancelled_from_elsewhere_is_a_mistake(ready: bool, grouped: bool) -> None:
    stray: BaseException = cancelled()
    if grouped:
        stray = BaseExceptionGroup("two", [stray, cancelled()])
    end = classify(stray, of(ready=ready))
    assert end.kind is (ExitKind.CRASH if ready else ExitKind.START_FAILED)
    assert isinstance(end.cause, RuntimeError)
    assert str(end.cause) == "a Cancelled left the scope that it belongs to"
    assert end.cause.__cause__ is stray
    assert not end.fatal


def test_the_leaf_of_nested_groups_is_found() -> None:
    inner = BaseExceptionGroup("inner", [cancelled(), BOOM])
    assert leaf(BaseExceptionGroup("outer", [inner, cancelled()])) is BOOM


def test_several_errors_stay_one_group() -> None:
    group = ExceptionGroup("g", [BOOM, ExceptionGroup("h", [OSError()])])
    assert leaf(group) is group


def test_several_errors_beside_a_cancelled_do_not_end_the_process() -> None:
    inner = ExceptionGroup("h", [OSError()])
    end = classify(BaseExceptionGroup("g", [BOOM, cancelled(), inner]), of())
    assert repr(end.cause) == repr(ExceptionGroup("g", [BOOM, inner]))
    assert not end.fatal


def test_a_cancelled_that_nobody_caught_is_a_mistake() -> None:
    stray = cancelled()
    found = mistake(stray)
    assert isinstance(found, RuntimeError)
    assert found.__cause__ is stray
    assert mistake(BOOM) is BOOM
    assert mistake(BaseExceptionGroup("g", [stray, BOOM])) is BOOM
    stop = SystemExit(1)
    assert mistake(BaseExceptionGroup("g", [stray, stop])) is stop


def test_what_ends_the_process_is_found_among_several() -> None:
    stop = SystemExit(1)
    assert leaf(BaseExceptionGroup("g", [BOOM, stop])) is stop


def test_what_is_no_group_is_its_own_leaf() -> None:
    assert leaf(BOOM) is BOOM
    stray = cancelled()
    assert leaf(stray) is stray


def test_a_group_of_nothing_but_cancelled_stands_for_itself() -> None:
    group = BaseExceptionGroup("g", [cancelled(), cancelled()])
    assert leaf(group) is group
