"""What is written in the same breath holds nobody up for long, and hides nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import cast

import pytest
import trio
from images import RUN, records_of
from journal_lives import Flow, ends, live, noting

from understudy import Context, Runtime, each, pause, sequence, step
from understudy.handle import RunHandle
from understudy.journal.memory import MemoryStore
from understudy_protocols.errors import (
    JournalError,
    JournalStaleError,
    JournalWriteError,
    RunSuspendedError,
    RuntimeFailed,
)
from understudy_protocols.journal import Batch
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import Accepted, Ended


def no_op(name: str) -> Flow:
    async def body(context: Context[object]) -> object:
        return name

    return step(name=name, output=str)(body)


def many(context: Context[object]) -> range:
    return range(100)


def never(context: Context[object]) -> range:
    pytest.fail("it was asked")


class Failing(MemoryStore):
    """A store that cannot write from one moment to another.

    Args:
      again: when it can; seconds.
      error: what it raises until then.
    """

    def __init__(
        self, again: float, error: type[JournalError] = JournalWriteError
    ) -> None:
        super().__init__()
        self.again = again
        self.error = error

    def write(self, batch: Batch) -> None:
        if 1 <= trio.current_time() < self.again:
            raise self.error("the disk is full")
        super().write(batch)


# --- others go on -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_items_one_by_one_are_not_written_in_one_breath(seed: int) -> None:
    store = MemoryStore()
    writes: list[int] = []

    async def watch() -> None:
        while True:
            writes.append(store.writes)
            await trio.lowlevel.checkpoint()

    async def body(runtime: Runtime[object]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await runtime.run(workflow, "input")
            nursery.cancel_scope.cancel()

    workflow = cast("Flow", each(no_op("item"), over=many, max_concurrent=1))
    live(workflow, store, body, seed=seed)
    assert store.writes > 100
    assert max(after - before for before, after in pairwise(writes)) < 5


def test_runs_that_come_into_line_together_are_written_together() -> None:
    store = MemoryStore()
    workflow = noting("a", [])

    async def body(runtime: Runtime[object]) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(runtime.run, workflow, number)
            await trio.sleep(0.5)
            assert len(list(store.unfinished())) == 50
            assert store.writes < 5

    live(workflow, store, body, max_runs=1)


class Together(MemoryStore):
    """A store that notes which requests were dealt with as a run ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[list[int]] = []

    def write(self, batch: Batch) -> None:
        super().write(batch)
        if any(status.terminal for status, _ in batch.statuses.values()):
            self.ends.append([*batch.done])


def test_what_was_asked_is_written_with_what_it_led_to() -> None:
    store = Together()
    workflow = noting("a", [], takes=10)

    async def body(runtime: Runtime[object]) -> None:
        handle = await runtime.submit(workflow, "input", run_id=RUN)
        number = store.ask(RUN, "cancel")
        assert (await handle.result()).status is RunStatus.CANCELLED
        assert store.ends == [[number]]

    live(workflow, store, body)


# --- nothing is seen before it is due -------------------------------------------------


def told(
    workflow: Flow, journal: MemoryStore | None, deadline: float | None = None
) -> list[str]:
    """Return the kinds of the events of a run, its pauses answered after a second."""
    kinds: list[str] = []

    async def body(runtime: Runtime[object]) -> None:
        async with runtime.stream(
            workflow, "input", run_id=RUN, deadline=deadline
        ) as stream:
            async for event in stream:
                kinds.append(event.kind)
                if event.kind == "paused":
                    runtime.answer(RUN, "ok", "yes")

    live(workflow, journal, body)
    return kinds


journaled_or_not = pytest.mark.parametrize("store", [MemoryStore, lambda: None])


@journaled_or_not
def test_that_a_run_is_accepted_is_told_before_what_it_does_first(
    store: Callable[[], MemoryStore | None],
) -> None:
    kinds = told(sequence(pause(name="ok", output=str), no_op("a")), store())
    assert kinds[:3] == ["accepted", "paused", "answered"]


@journaled_or_not
def test_nothing_is_begun_of_a_run_whose_time_is_over_when_it_is_accepted(
    store: Callable[[], MemoryStore | None],
) -> None:
    workflow = cast("Flow", each(no_op("item"), over=never))
    assert told(workflow, store(), deadline=0.0) == ["accepted", "ended"]


def test_who_comes_while_the_end_is_being_written_hears_of_it() -> None:
    workflow = noting("a", [])
    heard: list[tuple[str, float]] = []

    async def body(runtime: Runtime[object]) -> None:
        handle = await runtime.submit(workflow, "input", run_id=RUN)
        await trio.sleep(2)
        assert handle.status is RunStatus.RUNNING
        assert [one.run_id for one in runtime.list(RunStatus.RUNNING)] == [RUN]
        assert not runtime.list(RunStatus.COMPLETED)
        async with runtime.stream(workflow, "input", run_id=RUN) as stream:
            heard.extend([(event.kind, trio.current_time()) async for event in stream])
            assert (await stream.result()).ok

    live(workflow, Failing(5), body)
    assert [kind for kind, _ in heard] == ["ended"]
    assert heard[0][1] >= 5


# --- an end that is not on record is none -----------------------------------------------


@pytest.mark.parametrize("error", [JournalWriteError, JournalStaleError])
def test_a_run_whose_end_could_not_be_written_is_left_for_the_next_runtime(
    error: type[JournalError],
) -> None:
    notes: list[str] = []
    workflow = noting("a", notes)
    store = Failing(1000, error)
    handles: list[RunHandle[object]] = []

    async def body(runtime: Runtime[object]) -> None:
        handles.append(await runtime.submit(workflow, "input", run_id=RUN))
        await trio.sleep(2)
        assert handles[0].status is RunStatus.RUNNING, "its end is not safe"
        raise LookupError("enough")

    with pytest.raises((LookupError, RuntimeFailed)):
        live(workflow, store, body)

    with pytest.raises(RunSuspendedError, match="the next runtime goes on"):
        trio.run(handles[0].result)
    assert not handles[0].status.terminal
    store.again = 0
    assert live(workflow, store, ends(workflow), start=10).ok
    assert len(notes) == 2


def test_a_run_whose_end_is_written_on_the_way_out_is_over() -> None:
    workflow = noting("a", [])
    store = Failing(1000)

    async def body(runtime: Runtime[object]) -> None:
        handles.append(await runtime.submit(workflow, "input", run_id=RUN))
        await trio.sleep(2)
        store.again = 0
        raise LookupError("enough")

    handles: list[RunHandle[object]] = []
    with pytest.raises(LookupError):
        live(workflow, store, body)
    assert trio.run(handles[0].result).value == "a"


# --- Ctrl-C -------------------------------------------------------------------------


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C be heard, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupted(MemoryStore):
    """A store in which somebody presses Ctrl-C just when a batch was written."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def write(self, batch: Batch) -> None:
        super().write(batch)
        if self.writes == self.at:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("at", [1, 2, 3])
def test_what_was_written_when_ctrl_c_came_is_not_written_again(
    at: int, caplog: pytest.LogCaptureFixture
) -> None:
    workflow = sequence(*[no_op(f"s{number}") for number in range(5)])
    store = Interrupted(at)
    with pytest.raises(KeyboardInterrupt):
        live(workflow, store, ends(workflow))
    assert not caplog.records
    records = records_of(store)
    assert isinstance(records[0], Accepted)
    assert not any(isinstance(record, Ended) for record in records)
    assert len(records) <= at + 3
    assert live(workflow, store, ends(workflow), start=1).ok
