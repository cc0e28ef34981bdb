"""A run's deadline: it is over exactly on time, wherever its message is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trio
from run_probe import run_one, scripted, seeded

from understudy import (
    Attempt,
    ConfigError,
    Context,
    RunResult,
    RunStatus,
    Runtime,
    Workflow,
    best_effort,
    each,
    parallel,
    pause,
    repeat,
    sequence,
    step,
)
from understudy.testing import run_seeded

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@step
async def hangs(context: Context[object]) -> int:
    await trio.sleep_forever()
    return 1


@step
async def fails(context: Context[object]) -> int:
    raise ConnectionError("gone")


@step
async def asks(context: Context[object], attempt: Attempt[object]) -> str:
    return (await attempt.models["m"].complete("?")).value


@step
async def waits(context: Context[object], attempt: Attempt[object]) -> int:
    await attempt.wait(1_000)
    return 1


@step
async def items(context: Context[object]) -> tuple[int, ...]:
    return (1, 2, 3)


PLACES: dict[str, Workflow[object, object, object]] = {
    "in hand": hangs,
    "in the model": asks,
    "in a wait": waits,
    "in backoff": fails,
    "in parallel": parallel(one=hangs, two=hangs.named("other")),
    "in a tolerant fan-out": sequence(
        items, each(hangs, over=items, join=best_effort(), max_concurrent=2)
    ),
    "in a loop": repeat(hangs, until=lambda value: False, max_rounds=3),
    "half paused": parallel(one=hangs, two=pause("ask", output=int)),
}


@pytest.mark.parametrize("place", PLACES)
@seeded
def test_a_run_expires_exactly_on_time(seed: int, place: str) -> None:
    models = {"m": scripted("late", latency=20)}
    result = run_one(PLACES[place], seed, deadline=2.5, models=models)
    assert result.status is RunStatus.EXPIRED
    assert result.duration == 2.5
    assert result.failure is not None


@seeded
def test_a_run_expires_in_the_mailbox(seed: int) -> None:
    begun: list[int] = []

    @step(max_concurrent=1)
    async def one_by_one(context: Context[int]) -> int:
        begun.append(context.input)
        await trio.sleep(10)
        return context.input

    async def main() -> None:
        async with Runtime(one_by_one) as runtime:
            first = await runtime.submit(one_by_one, 1)
            result = await runtime.run(one_by_one, 2, deadline=3)
            assert (result.status, trio.current_time()) == (RunStatus.EXPIRED, 3.0)
            assert (await first.result()).value == 1

    run_seeded(main, seed=seed)
    assert begun == [1]


@seeded
def test_a_run_expires_in_the_waiting_line(seed: int) -> None:
    async def main() -> None:
        async with Runtime(hangs, max_runs=1) as runtime:
            first = await runtime.submit(hangs, 1)
            result = await runtime.run(hangs, 2, deadline=3)
            assert (result.status, trio.current_time()) == (RunStatus.EXPIRED, 3.0)
            assert result.steps == ()
            first.cancel()

    run_seeded(main, seed=seed)


@seeded
def test_the_clock_stands_still_while_all_of_the_run_is_paused(seed: int) -> None:
    @step
    async def before(context: Context[object]) -> int:
        await trio.sleep(2)
        return 1

    @step
    async def after(context: Context[object]) -> int:
        await trio.sleep(context.input)  # type: ignore[arg-type]
        return 2

    flow = sequence(before, pause("ask", output=int), after)

    async def main() -> list[tuple[RunStatus, float]]:
        ends: list[tuple[RunStatus, float]] = []
        async with Runtime(flow) as runtime:
            for sleep in (2.9, 3.1):
                handle = await runtime.submit(flow, sleep, deadline=5.0)
                started = trio.current_time()
                assert await handle.wait(RunStatus.PAUSED) is RunStatus.PAUSED
                await trio.sleep(1_000)
                assert handle.status is RunStatus.PAUSED
                runtime.answer(handle.run_id, "ask", 1)
                result = await handle.result()
                ends.append((result.status, trio.current_time() - started))
        return ends

    (good, took), (late, late_took) = run_seeded(main, seed=seed)
    assert (good, late) == (RunStatus.COMPLETED, RunStatus.EXPIRED)
    assert took == pytest.approx(1_004.9)
    assert late_took == pytest.approx(1_005.0)


@seeded
def test_expires_at_does_not_stand_still(seed: int) -> None:
    flow = sequence(pause("ask", output=int))

    async def main() -> tuple[RunResult[object], float]:
        async with Runtime(flow, utcnow=lambda: EPOCH) as runtime:
            at = EPOCH + timedelta(seconds=50)
            result = await runtime.run(flow, 0, expires_at=at, deadline=5)
            return result, trio.current_time()

    result, ended = run_seeded(main, seed=seed)
    assert (result.status, ended) == (RunStatus.EXPIRED, 50.0)


@seeded
def test_a_deadline_that_cannot_be_meant_is_refused(seed: int) -> None:
    async def main() -> None:
        async with Runtime(hangs) as runtime:
            for bad in (-1.0, float("nan")):
                with pytest.raises(ConfigError):
                    await runtime.run(hangs, 0, deadline=bad)
            assert runtime.list() == ()

    run_seeded(main, seed=seed)


@seeded
def test_an_expiry_without_a_time_zone_is_refused_and_leaves_no_run(seed: int) -> None:
    async def main() -> None:
        async with Runtime(hangs, max_runs=1) as runtime:
            naive = EPOCH.replace(tzinfo=None)
            with pytest.raises(ConfigError, match="time zone"):
                await runtime.run(hangs, 0, expires_at=naive)
            assert runtime.list() == ()

    run_seeded(main, seed=seed)


@seeded
def test_a_result_of_the_last_moment_is_not_lost_to_the_deadline_of_the_attempt(
    seed: int,
) -> None:
    @step
    async def exactly(context: Context[object]) -> str:
        await trio.sleep(30)
        return "in time"

    result = run_one(exactly, seed)
    # Which of the two comes first in that tick is the scheduler's affair; if the
    # result does, it is kept, and else the attempt is made again.
    assert result.ok or result.duration >= 30.0
