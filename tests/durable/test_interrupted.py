"""Ctrl-C is no word against a run: who waits for it goes, and the run stays."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio
from images import RUN
from journal_lives import ends, live

from understudy import Context, RunStatus, Runtime, sequence, step
from understudy.journal.memory import MemoryStore

done: list[str] = []


@trio.lowlevel.enable_ki_protection
def interrupt() -> None:
    """Do what Ctrl-C does while nothing is being done: the main task hears it."""
    signal.raise_signal(signal.SIGINT)


@step
async def first(context: Context[object]) -> str:
    done.append("first")
    return "first"


@step
async def second(context: Context[object]) -> str:
    done.append("second")
    await trio.sleep(1)
    if done.count("second") == 1:
        interrupt()
    await trio.sleep(1)
    return "second"


WORKFLOW = sequence(first, second, name="interrupted")


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C be heard, also where the tests run in the background."""
    done.clear()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


async def _runs(runtime: Runtime[object]) -> None:
    await runtime.run(WORKFLOW, "input", run_id=RUN)


async def _streams(runtime: Runtime[object]) -> None:
    async with runtime.stream(WORKFLOW, "input", run_id=RUN) as events:
        async for _ in events:
            pass


async def _runs_many(runtime: Runtime[object]) -> None:
    async with runtime.run_many(WORKFLOW, ["input"]) as results:
        async for _ in results:
            pass


async def _waits_with_another(runtime: Runtime[object]) -> None:
    async with (
        runtime.run_many(WORKFLOW, ["input"]) as results,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(anext, results)


@pytest.mark.parametrize("way", [_runs, _streams, _runs_many, _waits_with_another])
def test_a_run_whose_caller_is_interrupted_goes_on_in_the_next_life(
    way: Callable[[Runtime[object]], Awaitable[None]],
) -> None:
    store = MemoryStore()
    with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)):
        live(WORKFLOW, store, way)
    [run] = store.unfinished()
    assert run.status is RunStatus.QUEUED

    async def body(runtime: Runtime[object]) -> object:
        return (await runtime.get(run.run_id).result()).value

    assert live(WORKFLOW, store, body, start=10) == "second"
    assert done == ["first", "second", "second"]


def test_a_run_whose_caller_is_cancelled_is_cancelled_for_good() -> None:
    store = MemoryStore()

    async def body(runtime: Runtime[object]) -> None:
        with trio.move_on_after(0.5):
            await runtime.run(WORKFLOW, "input", run_id=RUN)

    live(WORKFLOW, store, body)
    again = live(WORKFLOW, store, ends(WORKFLOW), start=10)
    assert again.status is RunStatus.CANCELLED
    assert done == ["first", "second"]
