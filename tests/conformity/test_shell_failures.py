"""A step's failures: attempts that end, workers that break, code that does not stop.

A step's shell makes an outcome of an attempt before any actor sees a failure:
the lines about handlers hold here in their other form.
"""

from __future__ import annotations

import logging
import threading

import pytest
import trio
import trio.testing
from run_probe import (
    let_out_cancelled,
    numbers,
    run_one,
    seeded,
    starts,
    workers,
)

from understudy import (
    Attempt,
    Cause,
    Context,
    RetryConfig,
    RunResult,
    RunStatus,
    Runtime,
    stateful_step,
    step,
)
from understudy.testing import run_seeded

ONCE = RetryConfig(max_attempts=1)


async def shielded() -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(200)


async def swallowing() -> None:
    end = trio.current_time() + 200
    while trio.current_time() < end:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(1.5)


@seeded
def test_s033_an_error_of_the_clean_up_after_a_cut_is_told_within_the_timeout(
    seed: int,
) -> None:
    @step(retry=ONCE)
    async def messy(context: Context[object]) -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clean_up_badly)
            nursery.start_soon(trio.sleep_forever)
        return 1

    async def clean_up_badly() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("spilled")

    result = run_one(messy, seed)
    assert result.failure is not None
    assert result.failure.cause is Cause.TIMEOUT
    assert [cause.error_type for cause in result.failure.causes] == ["ValueError"]
    assert result.duration == 30.0


@seeded
def test_s035_a_cancelled_that_the_step_let_out_is_a_step_error(seed: int) -> None:
    @step
    async def leaks(context: Context[object]) -> int:
        raise await let_out_cancelled()

    result = run_one(leaks, seed)
    assert result.status is RunStatus.FAILED
    assert result.failure is not None
    assert result.failure.cause is Cause.STEP_ERROR
    assert "Cancelled" in result.failure.message


@seeded
def test_s033_a_group_of_one_is_that_one(seed: int) -> None:
    @step(retry=ONCE)
    async def grouped(context: Context[object]) -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
        return 1

    async def fail() -> None:
        raise ConnectionError("gone")

    result = run_one(grouped, seed)
    assert result.failure is not None
    assert result.failure.cause is Cause.TRANSPORT
    assert result.failure.error_type == "ConnectionError"


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
@seeded
def test_s034_what_ends_the_process_leaves_the_runtime_as_itself(
    seed: int, fatal: type[BaseException]
) -> None:
    raised = fatal()
    seen: list[RunStatus] = []

    @step
    async def ends(context: Context[int]) -> int:
        if context.input:
            raise raised
        await trio.sleep_forever()
        return 1

    async def main() -> None:
        async with Runtime(ends) as runtime:
            other = await runtime.submit(ends, 0)
            try:
                await runtime.run(ends, 1)
            finally:
                seen.append(other.status)

    with pytest.raises(fatal) as caught:
        run_seeded(main, seed=seed)
    assert caught.value is raised
    assert seen == [RunStatus.CANCELLED]


@seeded
@pytest.mark.parametrize("way", ["shielded", "swallowing"])
def test_s085_a_stuck_attempt_times_out_on_time_and_the_next_one_is_made(
    seed: int, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    bodies: list[float] = []

    @step(max_concurrent=2)
    async def sticks(context: Context[object]) -> str:
        bodies.append(trio.current_time())
        if len(bodies) == 1:
            await (shielded() if way == "shielded" else swallowing())
        return "done"

    async def main() -> tuple[RunResult[str], float, float]:
        async with Runtime(sticks) as runtime:
            result = await runtime.run(sticks, 0)
            ended = trio.current_time()
            assert len(list(workers(runtime))) == 2
        return result, ended, trio.current_time()

    with caplog.at_level(logging.WARNING, "understudy"):
        result, ended, left = run_seeded(main, seed=seed)
    assert result.value == "done"
    assert result.stuck == ("sticks",)
    assert bodies == [0.0, 32.0]
    assert ended == 32.0
    assert left >= 200.0
    assert "leaving the runtime will wait" in caplog.text
    assert way in caplog.text


@seeded
def test_s085_a_run_is_not_held_up_by_code_that_does_not_end(seed: int) -> None:
    @step(retry=ONCE)
    async def sticks(context: Context[object]) -> str:
        await shielded()
        return "late"

    async def main() -> None:
        async with Runtime(sticks, kill_timeout=0.5) as runtime:
            result = await runtime.run(sticks, 0)
            assert result.failure is not None
            assert result.failure.cause is Cause.TIMEOUT
            assert trio.current_time() == 30.5
            expired = await runtime.run(sticks, 0, deadline=2.0)
            assert expired.status is RunStatus.EXPIRED
            assert expired.duration == 2.0
            assert expired.stuck == ("sticks",)
            assert trio.current_time() == 33.0

    run_seeded(main, seed=seed)


@seeded
def test_s085_a_blocked_thread_is_named_and_its_run_goes_on(seed: int) -> None:
    release = threading.Event()

    @step(thread=True, retry=ONCE)
    def blocks(context: Context[object]) -> str:
        release.wait()
        return "late"

    async def main() -> RunResult[str]:
        results: list[RunResult[str]] = []
        async with Runtime(blocks) as runtime, trio.open_nursery() as nursery:

            async def one() -> None:
                results.append(await runtime.run(blocks, 0))

            nursery.start_soon(one)
            for seconds in (30, 1):
                await trio.testing.wait_all_tasks_blocked()
                clock = trio.lowlevel.current_clock()
                assert isinstance(clock, trio.testing.MockClock)
                clock.jump(seconds)
            await trio.testing.wait_all_tasks_blocked()
            release.set()
        return results[0]

    result = run_seeded(main, seed=seed, autojump=False)
    assert result.failure is not None
    assert result.failure.cause is Cause.TIMEOUT
    assert result.stuck == ("blocks",)


@seeded
def test_s038_a_failure_that_restarts_replaces_the_worker_and_tries_again(
    seed: int,
) -> None:
    lives: list[int] = []

    class Connection:
        def __init__(self) -> None:
            lives.append(len(lives) + 1)

        async def execute(
            self, context: Context[object], attempt: Attempt[object]
        ) -> int:
            if len(lives) < 3:
                raise ConnectionError(f"life {len(lives)}")
            return len(lives)

    made = stateful_step(
        Connection, name="connection", output=int, restart_on=(ConnectionError,)
    )
    result = run_one(made, seed)
    assert result.value == 3
    assert lives == [1, 2, 3]
    assert numbers(result) == [1, 2]
    assert starts(result) == [0.0, 1.0]
