"""Context variables travel with a run, and go no further."""

from __future__ import annotations

import contextvars
import threading

import pytest
import trio
from run_probe import seeded, workers

from understudy import (
    Attempt,
    Context,
    RetryConfig,
    Runtime,
    sequence,
    step,
)
from understudy.testing import run_seeded

trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="none")


@step
async def items(context: Context[object]) -> tuple[int, ...]:
    return (1, 2, 3)


@step
async def reads(context: Context[object]) -> str:
    before = trace.get()
    await trio.sleep(0.5)
    assert trace.get() == before
    return before


@step(thread=True)
def reads_in_thread(context: Context[object]) -> str:
    return f"{trace.get()} {threading.current_thread() is threading.main_thread()}"


@seeded
def test_steps_in_threads_see_them_too(seed: int) -> None:
    async def main() -> list[str]:
        async with Runtime(reads_in_thread) as runtime:
            plain = await runtime.run(reads_in_thread, 0)
            trace.set("set")
            return [plain.value, (await runtime.run(reads_in_thread, 0)).value]

    # Virtual time may jump while the thread runs, and then nothing is due.
    assert run_seeded(main, seed=seed, autojump=False) == ["none False", "set False"]


@seeded
@pytest.mark.parametrize("driven", [False, True])
@pytest.mark.parametrize("ends", ["well", "badly", "cut", "again"])
def test_what_a_step_sets_is_seen_by_no_other_step_run_or_attempt(
    seed: int, driven: bool, ends: str
) -> None:
    seen: list[str] = []

    @step(
        max_concurrent=1,
        retry=RetryConfig(max_attempts=3, backoff_base=0.0 if ends == "again" else 1.0),
    )
    async def sets(context: Context[object], attempt: Attempt[object]) -> str:
        seen.append(trace.get())
        trace.set("left behind")
        await trio.lowlevel.checkpoint()
        if ends == "cut" and attempt.number == 1:
            await trio.sleep_forever()
        if ends == "badly" or (ends == "again" and attempt.number < 3):
            raise ConnectionError("gone")
        return "done"

    flow = sequence(sets, reads)

    async def main() -> None:
        async with Runtime(flow) as runtime:
            if driven:
                trace.set("mine")
            handles = [await runtime.submit(flow, n) for n in range(3)]
            for handle in handles:
                result = await handle.result()
                if ends != "badly":
                    assert result.value == ("mine" if driven else "none")
            assert trace.get() == ("mine" if driven else "none")

    run_seeded(main, seed=seed)
    assert set(seen) == {"mine" if driven else "none"}


@seeded
def test_a_worker_goes_on_when_the_step_leaves_nothing_behind(seed: int) -> None:
    @step(max_concurrent=1)
    async def tidy(context: Context[object]) -> int:
        token = trace.set("for a while")
        await trio.lowlevel.checkpoint()
        trace.reset(token)
        return 1

    async def main() -> None:
        async with Runtime(tidy) as runtime:
            await runtime.run(tidy, 0)
            (first,) = runtime._system.nursery.child_tasks - _others(runtime)
            for number in range(10):
                await runtime.run(tidy, number)
            (last,) = runtime._system.nursery.child_tasks - _others(runtime)
            assert first is last
            assert len(list(workers(runtime))) == 1

    run_seeded(main, seed=seed)


def _others(runtime: Runtime[object]) -> set[trio.lowlevel.Task]:
    tasks = runtime._system.nursery.child_tasks
    return {task for task in tasks if "_work" not in task.name}


collected: contextvars.ContextVar[list[str]] = contextvars.ContextVar("collected")


@step
async def collects(context: Context[str]) -> str:
    collected.get().append(context.input)
    return context.input


@seeded
def test_an_equal_but_other_value_is_the_submitters_own(seed: int) -> None:
    """Each request has an empty list of its own; so had the program at its start."""

    async def main() -> None:
        at_start: list[str] = []
        collected.set(at_start)
        async with Runtime(collects) as runtime:
            for_request: list[str] = []
            collected.set(for_request)
            await runtime.run(collects, "mine")
            assert (for_request, at_start) == (["mine"], [])

    run_seeded(main, seed=seed)
