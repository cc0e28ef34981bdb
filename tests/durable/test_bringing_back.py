"""While runs are brought back others have their turns, and none of the runs goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import cast

import pytest
import trio
from images import utcnow
from journal_lives import Flow
from outcome import Error, acapture

from understudy import Context, RunStatus, Runtime, pause, sequence, step
from understudy.engine.admission import PLACES_AT_ONCE
from understudy.journal.memory import AT_ONCE, MemoryStore
from understudy.testing import run_seeded
from understudy_protocols.errors import (
    AdmissionError,
    JournalError,
    JournalStaleError,
    RuntimeFailed,
)
from understudy_protocols.journal import Batch, StoredRun
from understudy_protocols.records import (
    Answered,
    Paused,
    decode_record,
    encode_record,
)

RUNS = 6 * AT_ONCE
LAST = f"run {RUNS - 1}"
SEEDS = pytest.mark.parametrize("seed", range(3))

Host = Callable[[Runtime[object]], Awaitable[None]]


class Left(Exception):
    """The runtime is left before its runs are over."""


def working(begun: list[int], *, takes: float = 100.0) -> Flow:
    async def body(context: Context[int]) -> int:
        begun.append(context.input)
        await trio.sleep(takes)
        return context.input

    return cast("Flow", step(name="works", output=int)(body))


def asking(begun: list[int], timeout: float | None = None) -> Flow:
    ask = pause("ask", output=int)
    if timeout is not None:
        ask = pause("ask", output=int, timeout=timeout, default=0)
    return sequence(ask, working(begun).named("after"), name="asks")


def left(flow: Flow, **terms: Callable[[int], object]) -> MemoryStore:
    """Return the journal of a process that died after a second, with so many runs."""
    store = MemoryStore()
    images: list[MemoryStore] = []

    async def main() -> None:
        async with Runtime(flow, seed=1, journal=store, utcnow=utcnow()) as runtime:
            for number in range(RUNS):
                given = {name: term(number) for name, term in terms.items()}
                await runtime.submit(flow, number, run_id=f"run {number}", **given)  # type: ignore[arg-type]
            await trio.sleep(1)
            images.append(store.copy())
            raise Left

    with pytest.raises(Left):
        run_seeded(main, seed=0)
    return images[0]


def enter(
    flow: Flow,
    store: MemoryStore,
    host: Host,
    body: Host,
    *,
    seed: int = 0,
    **options: object,
) -> None:
    """Let a task of the host run beside a runtime that is entered, and left after *body*."""

    async def body_of(runtime: Runtime[object]) -> None:
        async with runtime:
            await body(runtime)

    async def main() -> None:
        runtime = Runtime[object](
            flow,
            seed=1,
            journal=store,
            utcnow=utcnow(10.0),
            **options,  # type: ignore[arg-type]
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(host, runtime)
            left = await acapture(body_of, runtime)
            nursery.cancel_scope.cancel()
        if isinstance(left, Error) and not isinstance(left.error, Left):
            left.unwrap()

    run_seeded(main, seed=seed)


async def glances(runtime: Runtime[object]) -> None:
    """Stay until all has come to rest, and leave."""
    await trio.sleep(1)
    raise Left


async def idle(runtime: Runtime[object]) -> None:
    """The host has nothing to do."""


@SEEDS
@pytest.mark.parametrize("make", [working, asking])
def test_others_have_a_turn_after_every_few_runs(
    make: Callable[[list[int]], Flow], seed: int
) -> None:
    flow = make([])
    seen: list[tuple[int, int]] = []

    async def host(runtime: Runtime[object]) -> None:
        while True:
            handles = runtime.list()
            begun = sum(one.status is not RunStatus.QUEUED for one in handles)
            seen.append((len(handles), begun))
            await trio.lowlevel.checkpoint()

    async def body(runtime: Runtime[object]) -> None:
        for handle in runtime.list():
            while handle.status is RunStatus.QUEUED:
                await trio.lowlevel.checkpoint()
        for _ in range(2):
            await trio.lowlevel.checkpoint()
        raise Left

    enter(flow, left(flow), host, body, seed=seed)
    del seen[seen.index((RUNS, RUNS)) + 1 :]
    assert len(seen) > RUNS / AT_ONCE
    # Each has one turn in a round, and in which order is left open.
    for before, after in pairwise(seen):
        assert after[0] - before[0] <= 2 * AT_ONCE
        assert after[1] - before[1] <= 2 * AT_ONCE


@SEEDS
@pytest.mark.parametrize("timeout", [None, 5.0])
@pytest.mark.parametrize("max_runs", [1, 2 * RUNS])
@pytest.mark.parametrize("max_paused", [0, 60, 2 * RUNS])
def test_no_step_begins_before_all_runs_are_there(
    timeout: float | None, max_runs: int, max_paused: int, seed: int
) -> None:
    begun: list[int] = []
    flow = working(begun) if timeout is None else asking(begun, timeout)
    store = left(flow)
    begun.clear()
    too_early: list[int] = []

    async def host(runtime: Runtime[object]) -> None:
        clock = cast("trio.testing.MockClock", trio.lowlevel.current_clock())
        while len(runtime.list()) < RUNS:
            clock.jump(1.0)  # what was to wait until now has waited
            await trio.lowlevel.checkpoint()
            if len(runtime.list()) < RUNS:
                too_early.extend(begun)

    options = {"max_runs": max_runs, "max_paused": max_paused}
    enter(flow, store, host, glances, seed=seed, **options)
    assert too_early == []
    assert len(begun) == min(max_runs, RUNS)


@SEEDS
def test_a_paused_run_that_was_answered_goes_on_when_all_runs_are_there(
    seed: int,
) -> None:
    """Its process died before it was known that it was at work again."""
    begun: list[int] = []
    flow = asking(begun)
    store = left(flow)
    for records in store._records.values():
        paused = decode_record(records[-1])
        assert isinstance(paused, Paused)
        records.append(encode_record(Answered(paused.node, "", paused.at, 1)))
    too_early: list[int] = []

    async def host(runtime: Runtime[object]) -> None:
        while len(runtime.list()) < RUNS:
            await trio.lowlevel.checkpoint()
            if len(runtime.list()) < RUNS:
                too_early.extend(begun)

    enter(flow, store, host, glances, seed=seed)
    assert too_early == []
    assert sorted(begun) == list(range(RUNS))


def test_the_first_in_line_is_first_whichever_was_brought_back_first() -> None:
    begun: list[int] = []
    flow = working(begun, takes=2.0)
    store = left(
        flow,
        priority=lambda number: number % 3,
        tenant=lambda number: "a" if number < RUNS / 2 else "b",
    )
    begun.clear()

    async def body(runtime: Runtime[object]) -> None:
        for handle in runtime.list():
            await handle.result()

    enter(flow, store, idle, body, max_runs=1)
    expected: list[int] = []
    for priority in (2, 1, 0):
        one = range(priority, RUNS // 2, 3)
        other = range(RUNS // 2 + priority, RUNS, 3)
        expected += [number for pair in zip(one, other, strict=True) for number in pair]
    assert begun == expected


# --- what can come between ------------------------------------------------------


async def _cancelled(flow: Flow, store: MemoryStore, there: int) -> None:
    """Enter a runtime, and be cancelled when so many runs are there."""
    runtime = Runtime[object](flow, seed=1, journal=store, utcnow=utcnow(10.0))

    async def host() -> None:
        while len(runtime.list()) < there:
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(host)
            async with runtime:
                pytest.fail("it was entered")
        assert scope.cancelled_caught
        assert runtime.list() == ()


def _all_go_on(flow: Flow, store: MemoryStore, begun: Sequence[int]) -> None:
    """See that the next process finds all runs where they were."""
    waiting = [run.status is RunStatus.PAUSED for run in store.unfinished()]
    assert len(waiting) == RUNS

    async def body(runtime: Runtime[object]) -> None:
        for handle in runtime.list(RunStatus.PAUSED):
            runtime.answer(handle.run_id, "ask", 1)
        await glances(runtime)

    enter(flow, store, idle, body)
    assert sorted(begun) == list(range(RUNS))


@SEEDS
@pytest.mark.parametrize("make", [working, asking])
@pytest.mark.parametrize("there", [1, RUNS // 2])
def test_whoever_is_cancelled_meanwhile_leaves_all_runs_where_they_were(
    make: Callable[[list[int]], Flow], there: int, seed: int
) -> None:
    begun: list[int] = []
    flow = make(begun)
    store = left(flow)
    begun.clear()
    before = list(store.unfinished())
    run_seeded(_cancelled, flow, store, there, seed=seed)
    assert list(store.unfinished()) == before
    assert begun == []
    _all_go_on(flow, store, begun)


class Breaking(MemoryStore):
    """A store that cannot be read, or is another's, after a while."""

    reads = writes_until = 10**9

    def left_over(
        self, after: int, damaged: Callable[[str], None] | None = None
    ) -> Sequence[tuple[StoredRun, list[bytes] | None]]:
        self.reads -= 1
        if self.reads < 0:
            raise JournalError("the disk is broken")
        return super().left_over(after, damaged)

    def write(self, batch: Batch) -> None:
        if self.writes_until <= 0:
            raise JournalStaleError("another one has it")
        super().write(batch)


def _breaking(store: MemoryStore, **when: int) -> Breaking:
    breaking = Breaking()
    vars(breaking).update(vars(store.copy()) | when)
    return breaking


@pytest.mark.parametrize("make", [working, asking])
def test_a_journal_that_cannot_be_read_on_leaves_all_runs_where_they_were(
    make: Callable[[list[int]], Flow],
) -> None:
    begun: list[int] = []
    flow = make(begun)
    store = _breaking(left(flow), reads=3)
    begun.clear()
    before = list(store.unfinished())
    with pytest.raises(JournalError, match="the disk is broken"):
        enter(flow, store, idle, glances)
    assert list(store.unfinished()) == before
    assert begun == []
    store.reads = 10**9
    _all_go_on(flow, store, begun)


def test_a_runtime_whose_journal_is_taken_meanwhile_is_not_entered() -> None:
    begun: list[int] = []
    flow = asking(begun)
    store = _breaking(left(flow), writes_until=0)
    store.ask("run 7", "cancel")
    begun.clear()
    with pytest.raises(RuntimeFailed, match="root/journal"):
        enter(flow, store, idle, glances)
    assert begun == []
    store.writes_until = 1
    assert len(list(store.unfinished())) == RUNS


def test_what_is_asked_by_way_of_the_journal_is_done_when_all_runs_are_there() -> None:
    begun: list[int] = []
    flow = asking(begun)
    store = left(flow)
    answer = store.ask(LAST, "answer", b'{"pause": "ask", "value": 1}')

    async def host(runtime: Runtime[object]) -> None:
        clock = cast("trio.testing.MockClock", trio.lowlevel.current_clock())
        while len(runtime.list()) < RUNS:
            clock.jump(1.0)
            await trio.lowlevel.checkpoint()

    enter(flow, store, host, glances)
    assert store.outcomes[answer] == ""
    assert begun == [RUNS - 1]


def test_runs_that_are_to_be_cancelled_are_and_do_not_come_back() -> None:
    begun: list[int] = []
    for make in (working, asking):
        flow = make(begun)
        store = left(flow)
        begun.clear()
        for number in range(RUNS):
            store.ask(f"run {number}", "cancel")
        enter(flow, store, idle, glances)
        assert list(store.unfinished()) == []
        assert set(store.outcomes.values()) == {""}
        assert begun == []


def test_the_host_may_cancel_a_run_that_is_not_there_yet_and_submit_none() -> None:
    begun: list[int] = []
    flow = working(begun)
    store = left(flow)
    begun.clear()
    refused: list[str] = []

    async def host(runtime: Runtime[object]) -> None:
        while not runtime.list():
            await trio.lowlevel.checkpoint()
        assert len(runtime.list()) < RUNS
        runtime.cancel(LAST)
        with pytest.raises(AdmissionError) as caught:
            await runtime.submit(flow, 7)
        refused.append(str(caught.value))

    enter(flow, store, host, glances)
    assert "it has not been started" in refused[0]
    found = store.find(LAST)
    assert found is not None
    assert found.status is RunStatus.CANCELLED
    assert sorted(begun) == list(range(RUNS - 1))


def test_leaving_at_once_waits_for_those_that_have_not_begun_too() -> None:
    """Those that began first are paused, and keep their places."""
    begun: list[int] = []
    first = PLACES_AT_ONCE

    async def body(context: Context[int]) -> int:
        begun.append(context.input)
        await trio.sleep(0.0 if context.input < first else 2.0)
        return context.input

    works = step(name="works", output=int)(body)
    flow = cast("Flow", sequence(works, pause("ask", output=int), name="flow"))
    store = left(flow, priority=lambda number: int(number < first))
    begun.clear()

    async def nothing(runtime: Runtime[object]) -> None:
        pass

    enter(flow, store, idle, nothing, max_paused=0, max_runs=2 * RUNS)
    assert sorted(begun) == list(range(first, RUNS))
    assert {run.status for run in store.unfinished()} == {RunStatus.PAUSED}


def test_runs_that_wait_again_where_they_waited_write_nothing() -> None:
    flow = asking([])
    store = left(flow)
    before = store.writes
    enter(flow, store, idle, glances)
    assert store.writes == before
