"""What the lines about handlers mean for a step (S38, S82, S110, S130, S146).

A step's shell makes an outcome of what its function raises, gives or does not
give in time: the attempt has failed, and no actor is broken by it, unless the
step says that it is.
"""

from __future__ import annotations

from typing import cast

import pytest
import trio
from run_probe import seeded

from understudy import (
    Attempt,
    Cause,
    Context,
    RetryConfig,
    RunEvent,
    RunResult,
    Runtime,
    Step,
    stateful_step,
    step,
)
from understudy.testing import run_seeded
from understudy_protocols.errors import RestartIntensityError
from understudy_protocols.supervision import ExitKind, Shutdown
from understudy_protocols.supervision_records import LifeState, SupervisionEvent

AT_ONCE = RetryConfig(max_attempts=3, backoff_base=0.0, timeout_seconds=2.0)


class Log:
    """What a step and its runtime did.

    Attributes:
      lines: "setup 1", "execute 1", "teardown 1": which object, counted from 1.
      keys: the idempotency key of each attempt.
      supervision: what the supervision tree said.
      runs: what was said of runs.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.keys: list[str] = []
        self.supervision: list[SupervisionEvent] = []
        self.runs: list[RunEvent] = []
        self.made = 0

    def failures(self) -> list[tuple[str, int, str]]:
        """Return what was told of failed attempts: where, which, what."""
        return [
            (event.path, event.attempt, event.failure.error_type)
            for event in self.runs
            if event.kind == "attempt_failed" and event.failure is not None
        ]

    def broken(self) -> list[SupervisionEvent]:
        """Return what was told of actors that broke."""
        return [e for e in self.supervision if e.state is LifeState.CRASHED]


class Fails:
    """Does in its attempts what it is told to, one after the other."""

    def __init__(self, log: Log, ways: list[str]) -> None:
        log.made += 1
        self._log, self._ways, self._number = log, ways, log.made

    async def setup(self) -> None:
        self._log.lines.append(f"setup {self._number}")

    async def execute(self, context: Context[object], attempt: Attempt[object]) -> int:
        self._log.lines.append(f"execute {self._number}")
        self._log.keys.append(attempt.key)
        match self._ways.pop(0) if self._ways else "well":
            case "raises":
                raise ConnectionError("gone")
            case "breaks":
                raise ConnectionResetError("the object is broken")
            case "hangs":
                try:
                    await trio.sleep_forever()
                finally:
                    with trio.CancelScope(shield=True):
                        await trio.sleep(0.5)
                    self._log.lines.append(f"clean {self._number}")
            case "sticks":
                with trio.CancelScope(shield=True):
                    await trio.sleep(60)
            case "mutable":
                return cast("int", object())
            case _:
                pass
        return self._number

    async def teardown(self) -> None:
        self._log.lines.append(f"teardown {self._number}")


def failing(
    log: Log, *ways: str, replay_safe: bool = True, retry: RetryConfig = AT_ONCE
) -> Step[object, int, object]:
    """Return a step whose attempts go these ways, and then well."""
    todo = list(ways)
    return stateful_step(
        lambda: Fails(log, todo),
        name="it",
        output=int,
        retry=retry,
        replay_safe=replay_safe,
        max_concurrent=1,
        restart_on=(ConnectionResetError,),
    )


def run(made: Step[object, int, object], log: Log, seed: int) -> RunResult[int]:
    """Run the step once; what is told is in the log."""

    async def main() -> RunResult[int]:
        runtime = Runtime(made, on_supervision=log.supervision.append, seed=seed)
        async with runtime, runtime.events() as events:
            result = await runtime.run(made, 0)
            with trio.move_on_after(0.1):
                async for event in events:
                    log.runs.append(event)
            return result

    return run_seeded(main, seed=seed)


@seeded
@pytest.mark.parametrize(
    ("way", "cause", "error"),
    [
        ("raises", Cause.TRANSPORT, "ConnectionError"),
        ("hangs", Cause.TIMEOUT, ""),
        ("mutable", Cause.SETUP, "NotFrozenError"),
    ],
)
def test_s038_s130_a_failed_attempt_is_told_once_and_is_the_askers_affair(
    seed: int, way: str, cause: Cause, error: str
) -> None:
    log = Log()
    once = RetryConfig(max_attempts=1, timeout_seconds=2.0)
    result = run(failing(log, way, retry=once), log, seed)
    assert result.failure is not None
    assert (result.failure.cause, result.failure.error_type) == (cause, error)
    assert log.failures() == [("it", 1, error)]
    (entry,) = result.steps
    assert [(it.number, it.failure) for it in entry.attempts] == [(1, result.failure)]
    assert log.broken() == [], "no actor is broken by it"


@seeded
def test_s038_s130_a_failure_that_breaks_the_worker_is_told_once_too(seed: int) -> None:
    log = Log()
    result = run(failing(log, "breaks"), log, seed)
    assert result.value == 2
    assert log.failures() == [("it", 1, "ConnectionResetError")]
    assert log.broken() == [], "within the step's budget it is the step's affair"


@seeded
def test_s038_s130_one_breakage_too_many_is_told_with_all_that_count(seed: int) -> None:
    log = Log()
    five = RetryConfig(max_attempts=5, backoff_base=0.0)
    result = run(failing(log, *["breaks"] * 5, retry=five), log, seed)
    assert result.failure is not None
    assert result.failure.cause is Cause.DOWN
    assert [number for _, number, _ in log.failures()] == [1, 2, 3, 4]
    (down,) = [event.failure for event in log.runs if event.kind == "down"]
    assert down is not None
    assert {cause.error_type for cause in down.causes} == {"ConnectionResetError"}
    (end,) = [e for e in log.supervision if e.path.endswith("/it/it") and e.kind]
    assert end.kind is ExitKind.SHUTDOWN, "it has ended, and it does not come again"
    assert isinstance(end.cause, Shutdown)
    # Three replacements in five seconds are allowed.
    gave_up = end.cause.__cause__
    assert isinstance(gave_up, RestartIntensityError)
    assert [type(cause) for cause in gave_up.causes] == [ConnectionResetError] * 4


@seeded
def test_s082_attempts_that_fail_leave_the_object_and_its_teardown_alone(
    seed: int,
) -> None:
    log = Log()
    result = run(failing(log, "raises", "hangs"), log, seed)
    assert result.value == 1
    assert log.lines == [
        "setup 1",
        "execute 1",
        "execute 1",
        "clean 1",
        "execute 1",
        "teardown 1",
    ]


@seeded
def test_s082_s108_a_broken_object_is_torn_down_once_before_the_next_is_set_up(
    seed: int,
) -> None:
    log = Log()
    assert run(failing(log, "breaks", "breaks"), log, seed).value == 3
    assert log.lines == [
        f"{what} {number}"
        for number in (1, 2, 3)
        for what in ("setup", "execute", "teardown")
    ]


@seeded
@pytest.mark.parametrize("way", ["breaks", "hangs", "sticks"])
def test_s110_the_message_in_hand_is_tried_again_with_the_same_key(
    seed: int, way: str
) -> None:
    log = Log()
    result = run(failing(log, way), log, seed)
    assert result.ok
    assert len(log.keys) == 2
    assert len(set(log.keys)) == 1
    (entry,) = result.steps
    assert (entry.number, len(entry.attempts)) == (2, 1)


@seeded
@pytest.mark.parametrize("way", ["breaks", "hangs", "sticks"])
def test_s110_it_is_tried_no_oftener_than_declared(seed: int, way: str) -> None:
    log = Log()
    result = run(failing(log, *[way] * 9), log, seed)
    assert result.failure is not None
    assert len(log.keys) == AT_ONCE.max_attempts
    (entry,) = result.steps
    assert [record.number for record in entry.attempts] == [1, 2, 3]


@seeded
@pytest.mark.parametrize("way", ["breaks", "hangs", "sticks"])
def test_s110_what_is_not_safe_to_repeat_is_not_and_nobody_says_it_failed(
    seed: int, way: str
) -> None:
    log = Log()
    result = run(failing(log, way, replay_safe=False), log, seed)
    assert result.failure is not None
    assert result.failure.cause is Cause.UNKNOWN_OUTCOME
    assert len(log.keys) == 1


@seeded
def test_s146_an_attempt_over_its_time_is_cut_and_the_step_goes_on(seed: int) -> None:
    log, times = Log(), list[float]()

    @step(retry=AT_ONCE)
    async def slow(context: Context[object], attempt: Attempt[object]) -> int:
        times.append(trio.current_time())
        try:
            if attempt.number == 1:
                await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.5)
        return attempt.number

    result = run(slow, log, seed)
    assert result.value == 2
    # Two seconds, and half a second of the grace to clean up.
    assert times == [0.0, 2.5]
    assert result.stuck == ()
    (record,) = result.steps[0].attempts
    assert record.failure is not None
    assert record.failure.cause is Cause.TIMEOUT
    assert log.broken() == []
