"""A run that waits for somebody takes no place, and takes one again when answered."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
import trio
import trio.lowlevel
from run_probe import seeded

from understudy import (
    Cause,
    ConfigError,
    Context,
    Outcome,
    RetryConfig,
    RunHandle,
    RunStatus,
    Runtime,
    Workflow,
    parallel,
    pause,
    quorum,
    sequence,
    step,
)
from understudy.testing import run_seeded

ASK = pause("ask", output=int)
UNHURRIED = RetryConfig(timeout_seconds=math.inf)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

Flow = Workflow[object, object, object]
Body = Callable[[Runtime[object]], Awaitable[None]]


@step(retry=UNHURRIED)
async def takes(context: Context[float]) -> float:
    """Take as long as the input says."""
    await trio.sleep(context.input)
    return context.input


@step(retry=UNHURRIED)
async def goes_on(context: Context[float]) -> float:
    await trio.sleep(10)
    return context.input


# The input is how long a run is at work before it asks.
asks = cast("Flow", sequence(takes, ASK, goes_on, name="asks"))


def with_places(
    places: int, body: Body, *, seed: int, paused: int = 100, flow: Flow = asks
) -> None:
    async def main() -> None:
        async with Runtime(
            flow,
            max_runs=places,
            max_paused=paused,
            utcnow=lambda: EPOCH + timedelta(seconds=trio.current_time()),
        ) as runtime:
            await body(runtime)

    run_seeded(main, seed=seed)


async def asked(
    runtime: Runtime[object], name: str, **terms: float
) -> RunHandle[object]:
    """Return a run that waits for somebody, and takes no place."""
    handle = await runtime.submit(asks, 0.0, run_id=name, **terms)  # type: ignore[arg-type]
    assert await handle.wait(RunStatus.PAUSED) is RunStatus.PAUSED
    return handle


async def busy(runtime: Runtime[object], name: str, length: float) -> RunHandle[object]:
    """Return a run that is at work for so long, and then asks."""
    return await runtime.submit(asks, length, run_id=name)


@seeded
def test_more_runs_may_be_paused_than_be_under_way(seed: int) -> None:
    at_work: list[int] = [0]
    most: list[int] = [0]

    @step
    async def counts(context: Context[int]) -> int:
        at_work[0] += 1
        most[0] = max(most[0], at_work[0])
        await trio.sleep(1)
        at_work[0] -= 1
        return context.input

    flow = cast("Flow", sequence(counts, ASK, counts.named("again"), name="flow"))

    async def body(runtime: Runtime[object]) -> None:
        handles = [await runtime.submit(flow, number) for number in range(20)]
        await trio.sleep(11)
        assert [handle.status for handle in handles] == [RunStatus.PAUSED] * 20
        for handle in handles:
            runtime.answer(handle.run_id, "ask", 1)
        await trio.lowlevel.checkpoint()
        statuses = [handle.status for handle in handles]
        assert statuses == [RunStatus.RUNNING] * 2 + [RunStatus.QUEUED] * 18
        for handle in handles:
            assert (await handle.result()).ok
        assert trio.current_time() == 21.0
        assert most == [2]

    with_places(2, body, seed=seed, flow=flow)


@seeded
def test_a_run_that_was_answered_goes_on_before_one_that_has_not_begun(
    seed: int,
) -> None:
    async def body(runtime: Runtime[object]) -> None:
        waits = await asked(runtime, "waits")
        works = await busy(runtime, "works", 5.0)
        new = await busy(runtime, "new", 1.0)
        runtime.answer("waits", "ask", 1)
        queued = runtime.list(RunStatus.QUEUED)
        assert [one.run_id for one in queued] == ["waits", "new"]
        await works.wait(RunStatus.PAUSED)
        assert trio.current_time() == 5.0
        assert (waits.status, new.status) == (RunStatus.RUNNING, RunStatus.QUEUED)
        await waits.result()
        await new.wait(RunStatus.PAUSED)
        assert trio.current_time() == 16.0

    with_places(1, body, seed=seed)


@seeded
def test_those_that_were_answered_go_on_by_priority_and_tenants_take_turns(
    seed: int,
) -> None:
    async def body(runtime: Runtime[object]) -> None:
        waiting = {"a1": "a", "a2": "a", "b1": "b", "urgent": "a"}
        for name, tenant in waiting.items():
            priority = 1 if name == "urgent" else 0
            handle = await runtime.submit(
                asks, 0.0, run_id=name, tenant=tenant, priority=priority
            )
            await handle.wait(RunStatus.PAUSED)
        await busy(runtime, "works", 1.0)
        for name in waiting:
            runtime.answer(name, "ask", 1)
        ends: list[tuple[str, float]] = []
        for name in ("urgent", "a1", "b1", "a2"):
            await runtime.get(name).result()
            ends.append((name, trio.current_time()))
        assert ends == [("urgent", 11), ("a1", 21), ("b1", 31), ("a2", 41)]

    with_places(1, body, seed=seed)


@seeded
def test_the_deadline_stands_still_until_there_is_a_place(seed: int) -> None:
    async def body(runtime: Runtime[object]) -> None:
        waits = await asked(runtime, "waits", deadline=11.0)
        await busy(runtime, "works", 100.0)
        runtime.answer("waits", "ask", 1)
        result = await waits.result()
        assert result.ok
        assert result.duration == 110.0

    with_places(1, body, seed=seed)


@seeded
def test_the_deadline_passes_again_once_there_is_a_place(seed: int) -> None:
    async def body(runtime: Runtime[object]) -> None:
        waits = await asked(runtime, "waits", deadline=9.0)
        await busy(runtime, "works", 100.0)
        runtime.answer("waits", "ask", 1)
        result = await waits.result()
        assert (result.status, result.duration) == (RunStatus.EXPIRED, 109.0)
        assert runtime._door._inside == 0

    with_places(1, body, seed=seed)


@seeded
def test_a_run_that_waits_for_a_place_can_be_cancelled(seed: int) -> None:
    async def body(runtime: Runtime[object]) -> None:
        waits = await asked(runtime, "waits")
        await busy(runtime, "works", 5.0)
        runtime.answer("waits", "ask", 1)
        waits.cancel()
        assert (await waits.result()).status is RunStatus.CANCELLED
        assert trio.current_time() == 0.0
        other = await asked(runtime, "other")
        assert trio.current_time() == 5.0
        assert (runtime._door._inside, len(runtime._door._back)) == (0, 0)
        other.cancel()

    with_places(1, body, seed=seed)


@seeded
def test_a_run_that_waits_for_a_place_is_over_when_it_expires(seed: int) -> None:
    async def body(runtime: Runtime[object]) -> None:
        waits = await runtime.submit(
            asks, 0.0, run_id="waits", expires_at=EPOCH + timedelta(seconds=3)
        )
        await waits.wait(RunStatus.PAUSED)
        await busy(runtime, "works", 5.0)
        runtime.answer("waits", "ask", 1)
        result = await waits.result()
        assert (result.status, result.duration) == (RunStatus.EXPIRED, 3.0)
        assert (runtime._door._inside, len(runtime._door._back)) == (1, 0)

    with_places(1, body, seed=seed)


@seeded
def test_a_pause_whose_time_is_over_waits_for_a_place_too(seed: int) -> None:
    quick = pause("ask", output=int, timeout=2.0, default=7)
    flow = cast("Flow", sequence(takes, quick, goes_on, name="flow"))

    async def body(runtime: Runtime[object]) -> None:
        waits = await runtime.submit(flow, 0.0)
        await waits.wait(RunStatus.PAUSED)
        await runtime.submit(flow, 5.0)
        await trio.sleep(3)
        assert waits.status is RunStatus.QUEUED
        assert waits.pauses == ()
        result = await waits.result()
        assert result.outputs["ask"] == 7
        assert result.duration == 15.0

    with_places(1, body, seed=seed, flow=flow)


@seeded
def test_a_pause_that_nobody_answered_in_time_fails_when_there_is_a_place(
    seed: int,
) -> None:
    flow = cast("Flow", sequence(takes, pause("ask", timeout=2.0), name="flow"))

    async def body(runtime: Runtime[object]) -> None:
        waits = await runtime.submit(flow, 0.0)
        await waits.wait(RunStatus.PAUSED)
        works = await runtime.submit(flow, 5.0)
        result = await waits.result()
        assert result.failure is not None
        assert result.failure.cause is Cause.TIMEOUT
        assert result.duration == 5.0
        works.cancel()

    with_places(1, body, seed=seed, flow=flow)


@seeded
@pytest.mark.parametrize("first", ["a", "b"])
def test_what_was_answered_first_is_followed_first_when_there_is_a_place(
    seed: int, first: str
) -> None:
    race = parallel(
        a=pause("a", output=int),
        b=pause("b", output=int, timeout=4.0),
        join=quorum(1),
        name="race",
    )
    flow = cast("Flow", sequence(takes, race, name="flow"))

    async def body(runtime: Runtime[object]) -> None:
        waits = await runtime.submit(flow, 0.0, run_id="waits")
        await waits.wait(RunStatus.PAUSED)
        await runtime.submit(flow, 9.0, run_id="works")
        # The other one's time is over after this, or was before.
        await trio.sleep(3 if first == "a" else 5)
        runtime.answer("waits", "a", 1)
        assert waits.status is RunStatus.QUEUED
        outcomes = cast("dict[str, Outcome[int]]", (await waits.result()).value)
        assert trio.current_time() == 9.0
        assert outcomes["a"].value == 1
        lost = outcomes["b"].failure
        assert lost is not None
        assert lost.cause is (Cause.CANCELLED if first == "a" else Cause.TIMEOUT)
        runtime.cancel("works")

    with_places(1, body, seed=seed, flow=flow)


@seeded
def test_a_second_pause_can_be_answered_while_the_run_waits_for_a_place(
    seed: int,
) -> None:
    both = parallel(
        a=sequence(pause("a", output=int), goes_on, name="a"),
        b=sequence(pause("b", output=int), goes_on, name="b"),
        name="both",
    )
    flow = cast("Flow", sequence(takes, both, name="flow"))

    async def body(runtime: Runtime[object]) -> None:
        waits = await runtime.submit(flow, 0.0, run_id="waits")
        await waits.wait(RunStatus.PAUSED)
        await runtime.submit(flow, 5.0, run_id="works")
        runtime.answer("waits", "both/a/a", 1)
        await trio.sleep(1)
        assert waits.pauses == ("both/b/b#b",)
        runtime.answer("waits", "both/b/b", 2)
        assert not waits.pauses
        assert waits.status is RunStatus.QUEUED
        result = await waits.result()
        assert result.ok
        assert result.duration == 15.0
        runtime.cancel("works")

    with_places(1, body, seed=seed, flow=flow)


@seeded
def test_when_so_many_stand_aside_a_paused_run_keeps_its_place(seed: int) -> None:
    async def body(runtime: Runtime[object]) -> None:
        handles = [await runtime.submit(asks, 0.0, run_id=str(n)) for n in range(6)]
        await trio.sleep(1)
        # Two aside, two with a place; the others have not begun.
        statuses = [handle.status for handle in handles]
        assert statuses == [RunStatus.PAUSED] * 4 + [RunStatus.QUEUED] * 2
        runtime.answer("0", "ask", 1)
        await trio.lowlevel.checkpoint()
        assert handles[0].status is RunStatus.RUNNING, "another one stood aside for it"
        await trio.sleep(5)
        assert [handle.status for handle in handles[4:]] == [RunStatus.QUEUED] * 2
        await handles[0].result()
        await trio.sleep(1)
        assert handles[4].status is RunStatus.PAUSED
        assert handles[5].status is RunStatus.QUEUED
        # One that kept its place goes on at once.
        (kept,) = [run for run in runtime._door._staying if run.id != "4"]
        runtime.answer(kept.id, "ask", 1)
        assert kept.status is RunStatus.RUNNING

    with_places(2, body, seed=seed, paused=2)


@seeded
def test_without_room_aside_paused_runs_keep_their_places(seed: int) -> None:
    async def body(runtime: Runtime[object]) -> None:
        first = await asked(runtime, "first")
        second = await busy(runtime, "second", 0.0)
        await trio.sleep(100)
        assert second.status is RunStatus.QUEUED
        runtime.answer("first", "ask", 1)
        assert first.status is RunStatus.RUNNING
        await first.result()
        await second.wait(RunStatus.PAUSED)

    with_places(1, body, seed=seed, paused=0)


@seeded
def test_leaving_the_block_lets_those_that_were_answered_come_to_their_end(
    seed: int,
) -> None:
    handles: list[RunHandle[object]] = []

    async def body(runtime: Runtime[object]) -> None:
        handles.extend([await asked(runtime, str(number)) for number in range(5)])
        for handle in handles[:3]:
            runtime.answer(handle.run_id, "ask", 1)

    with_places(1, body, seed=seed)
    statuses = [handle.status for handle in handles]
    assert statuses == [RunStatus.COMPLETED] * 3 + [RunStatus.CANCELLED] * 2


@seeded
def test_a_block_that_raises_cancels_also_those_that_wait_for_a_place(
    seed: int,
) -> None:
    handles: list[RunHandle[object]] = []

    async def body(runtime: Runtime[object]) -> None:
        handles.extend([await asked(runtime, str(number)) for number in range(3)])
        handles.append(await busy(runtime, "new", 1.0))
        handles.append(await busy(runtime, "line", 1.0))
        for handle in handles[:3]:
            runtime.answer(handle.run_id, "ask", 1)
        raise KeyError("the body's own")

    with pytest.raises(KeyError):
        with_places(1, body, seed=seed)
    assert {handle.status for handle in handles} == {RunStatus.CANCELLED}
    assert all(not handle.pauses for handle in handles)


def test_a_whole_line_may_come_in_and_step_aside_in_one_breath() -> None:
    async def main() -> None:
        async with Runtime(goes_on, ASK, max_runs=1) as runtime:
            works = await runtime.submit(goes_on, 0.0)
            waiting = [await runtime.submit(ASK, 0) for _ in range(2_000)]
            assert {one.status for one in waiting} == {RunStatus.QUEUED}
            # The stack must not grow with each of them.
            assert (await works.result()).ok
            assert {one.status for one in waiting} == {RunStatus.PAUSED}

    run_seeded(main, seed=0)


@pytest.mark.parametrize("count", [-1, True])
def test_a_number_of_paused_runs_that_there_cannot_be_is_refused(count: int) -> None:
    with pytest.raises(ConfigError, match="max_paused"):
        Runtime(asks, max_paused=count)
