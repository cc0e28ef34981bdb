"""Runs: how they wait, are called off and end, and what travels with them."""

from __future__ import annotations

import contextvars
from datetime import UTC, datetime, timedelta

import pytest
import trio
from run_probe import failing, nothing_is_left, seeded

from understudy import (
    Attempt,
    Cause,
    Context,
    RunHandle,
    RunStatus,
    Runtime,
    each,
    sequence,
    step,
)
from understudy.models.scripted import ScriptedModel
from understudy.testing import run_seeded

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="none")


class Boom(Exception):
    """What a body raises when it is told to."""


@step
async def items(context: Context[object]) -> tuple[int, ...]:
    return tuple(range(10))


@step
async def hangs(context: Context[object]) -> int:
    await trio.sleep_forever()
    return 1


@step
async def reads(context: Context[object]) -> str:
    before = trace.get()
    await trio.sleep(0.5)
    assert trace.get() == before
    return before


wide = sequence(items, each(hangs, over=items, max_concurrent=4))


@seeded
def test_s152b_another_run_passes_while_one_waits_for_retry_after(seed: int) -> None:
    def answer(request: object) -> object:
        if len(model.requests) == 1:
            return failing(Cause.RATE_LIMIT, 60.0)
        return "yes"

    model = ScriptedModel(answer, latency=1.0)

    @step(max_concurrent=1)
    async def asks(context: Context[int], attempt: Attempt[object]) -> float:
        await attempt.models["m"].complete(str(context.input))
        return trio.current_time()

    async def main() -> list[float]:
        async with Runtime(asks, models={"m": model}) as runtime:
            return [r.value async for r in runtime.run_many(asks, range(3))]

    assert run_seeded(main, seed=seed) == [62.0, 2.0, 3.0]


@seeded
def test_s086_cancelling_a_task_in_run_cancels_the_run_and_waits_for_its_clean_up(
    seed: int,
) -> None:
    cleaned: list[float] = []

    @step
    async def cleans(context: Context[object]) -> int:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.5)
            cleaned.append(trio.current_time())
        return 1

    async def main() -> None:
        async with Runtime(cleans) as runtime:
            with trio.move_on_after(2) as scope:
                await runtime.run(cleans, 0)
            assert scope.cancelled_caught
            assert cleaned == [2.5]
            assert trio.current_time() == 2.5
            assert nothing_is_left(runtime)

    run_seeded(main, seed=seed)


@seeded
@pytest.mark.parametrize("raised", [Boom("x"), KeyboardInterrupt(), SystemExit(3)])
def test_s159_what_the_body_raises_leaves_as_the_same_object_and_runs_are_cancelled(
    seed: int, raised: BaseException
) -> None:
    handles: list[RunHandle[object]] = []

    async def main() -> None:
        async with Runtime(wide) as runtime:
            handles.append(await runtime.submit(wide, 3))
            await trio.sleep(2)
            raise raised

    async def outer() -> float:
        with pytest.raises(type(raised)) as caught:
            await main()
        assert caught.value is raised
        return trio.current_time()

    assert run_seeded(outer, seed=seed) == 2.0
    assert handles[0].status is RunStatus.CANCELLED


@seeded
def test_s162_two_runtimes_share_nothing_though_they_host_the_same_workflow(
    seed: int,
) -> None:
    @step(max_concurrent=1)
    async def one(context: Context[object], attempt: Attempt[object]) -> object:
        await trio.sleep(1)
        return attempt.deps

    async def main() -> None:
        async with Runtime(one, deps="a") as first, Runtime(one, deps="b") as second:
            a = await first.submit(one, 0, run_id="same")
            b = await second.submit(one, 0, run_id="same")
            assert ((await a.result()).value, (await b.result()).value) == ("a", "b")
            assert trio.current_time() == 1.0
            first.cancel("same") if first.list() else None
            assert second.list() == ()

    run_seeded(main, seed=seed)


@seeded
def test_s147_with_no_time_left_nothing_is_begun(seed: int) -> None:
    begun: list[int] = []

    @step
    async def notes(context: Context[int]) -> int:
        begun.append(context.input)
        return 1

    async def main() -> None:
        async with Runtime(notes, utcnow=lambda: EPOCH) as runtime:
            late = await runtime.run(notes, 1, deadline=0)
            past = EPOCH - timedelta(seconds=1)
            later = await runtime.run(notes, 2, expires_at=past)
            assert late.status is later.status is RunStatus.EXPIRED
            assert (await runtime.run(notes, 3, deadline=1)).ok

    run_seeded(main, seed=seed)
    assert begun == [3]


@seeded
def test_s158_what_the_submitter_has_set_is_seen_by_every_step(seed: int) -> None:
    flow = sequence(items, each(reads, over=items).named("many"), reads.named("again"))

    async def main() -> None:
        async with Runtime(flow) as runtime:

            async def one(name: str) -> None:
                trace.set(name)
                result = await runtime.run(flow, 0)
                assert result.outputs["many"] == (name,) * 10
                assert result.value == name

            async with trio.open_nursery() as nursery:
                for number in range(5):
                    nursery.start_soon(one, f"run {number}")
            assert (await runtime.run(flow, 0)).value == "none"

    run_seeded(main, seed=seed)
