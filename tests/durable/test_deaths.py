"""Which run counts as having been under way when its process died."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import msgspec
import pytest
import trio
from images import Filmed
from journal_lives import Flow, image_at, live, noting

from understudy import Context, RunStatus, Runtime, pause, step
from understudy.journal.memory import MemoryStore
from understudy_protocols.errors import RunHeldError

SEEDS = pytest.mark.parametrize("seed", range(6))


def known(store: MemoryStore) -> list[tuple[RunStatus, int]]:
    """Return where each run of a store stands, and how often it has died."""
    return [(run.status, run.recoveries) for run in store.unfinished()]


class Left(Exception):
    """Ends a life in the midst of its runs."""


def left_after(length: float, workflow: Flow, store: MemoryStore, places: int) -> None:
    """Let a process live so long with this journal, and leave its runs for later."""

    async def body(runtime: Runtime[object]) -> None:
        await trio.sleep(length)
        raise Left

    with pytest.raises(Left):
        live(workflow, store, body, max_runs=places)


def begun(workflow: Flow, store: MemoryStore, count: int, places: int) -> None:
    """Let a process begin *count* runs, and leave them after 15 seconds."""

    async def body(runtime: Runtime[object]) -> None:
        for number in range(count):
            await runtime.submit(workflow, number, run_id=str(number))
        await trio.sleep(15)
        raise Left

    with pytest.raises(Left):
        live(workflow, store, body, max_runs=places)


def killing(image_of: Callable[[], MemoryStore], left: list[MemoryStore]) -> Flow:
    """Return a step that kills its process at once, as far as its journal knows."""

    @step
    async def kills(context: Context[object]) -> None:
        left.append(image_of())
        await trio.sleep_forever()

    return cast("Flow", kills)


def test_a_run_that_had_to_wait_in_line_is_known_to_be_under_way() -> None:
    workflow = noting("a", [], takes=10.0)
    store = Filmed()
    begun(workflow, store, 2, places=1)
    assert known(image_at(store, 5.0)) == [
        (RunStatus.RUNNING, 0),
        (RunStatus.QUEUED, 0),
    ]
    assert known(image_at(store, 12.0)) == [(RunStatus.RUNNING, 0)]


def test_a_run_that_was_cancelled_in_line_does_not_begin() -> None:
    notes: list[str] = []
    workflow = noting("a", notes, takes=10.0)
    store = MemoryStore()

    async def body(runtime: Runtime[object]) -> list[RunStatus]:
        first = await runtime.submit(workflow, 1)
        second = await runtime.submit(workflow, 2)
        first.cancel()
        second.cancel()
        return [(await one.result()).status for one in (first, second)]

    assert live(workflow, store, body, max_runs=1) == [RunStatus.CANCELLED] * 2
    assert list(store.unfinished()) == []


@SEEDS
def test_a_run_that_was_left_for_later_and_kills_its_process_at_once_is_held_in_the_end(
    seed: int,
) -> None:
    images: list[MemoryStore] = []
    store = MemoryStore()
    workflow = killing(lambda: store.copy(), images)
    begun(workflow, store, 1, places=1)
    assert known(store) == [(RunStatus.QUEUED, 0)]

    async def stays(runtime: Runtime[object]) -> None:
        await trio.sleep(1)
        raise Left

    for count in range(5):
        with pytest.raises(Left):
            live(workflow, store, stays, seed=seed)
        store = images[-1]
        assert known(store) == [(RunStatus.RUNNING, count)]

    async def asks(runtime: Runtime[object]) -> None:
        await runtime.submit(workflow, 0, run_id="0")

    with pytest.raises(RunHeldError, match="5 processes have died"):
        live(workflow, store, asks)


@SEEDS
def test_a_held_run_is_known_to_be_let_go_before_it_can_kill_its_process(
    seed: int,
) -> None:
    images: list[MemoryStore] = []
    store = MemoryStore()
    workflow = killing(lambda: store.copy(), images)
    begun(workflow, store, 1, places=1)
    store._runs[1] = msgspec.structs.replace(
        store._runs[1], status=RunStatus.RUNNING, recoveries=4
    )
    left_after(1.0, workflow, store, places=1)
    store.ask("0", "retry")
    images.clear()

    async def stays(runtime: Runtime[object]) -> None:
        await trio.sleep(1)
        raise Left

    with pytest.raises(Left):
        live(workflow, store, stays, seed=seed)
    assert known(images[0]) == [(RunStatus.RUNNING, 0)]
    assert list(images[0].requests()) == []


def test_a_run_that_waits_in_line_is_not_to_blame_if_its_process_dies() -> None:
    workflow = noting("a", [], takes=100.0)
    store = Filmed()
    begun(workflow, store, 3, places=3)
    image = image_at(store, 5.0)
    assert known(image) == [(RunStatus.RUNNING, 0)] * 3
    for _ in range(7):
        film = Filmed(image)
        left_after(5.0, workflow, film, places=1)
        image = image_at(film, 2.0)
        image._runs[1] = msgspec.structs.replace(image._runs[1], recoveries=1)
        assert known(image)[1:] == [(RunStatus.RUNNING, 0)] * 2


def test_a_run_that_waits_in_line_counts_one_death_however_often_it_is_left() -> None:
    workflow = noting("a", [], takes=100.0)
    store = Filmed()
    begun(workflow, store, 2, places=2)
    image = image_at(store, 5.0)
    for _ in range(7):
        left_after(5.0, workflow, image, places=1)
    assert known(image) == [(RunStatus.QUEUED, 1), (RunStatus.RUNNING, 0)]
    left_after(5.0, workflow, image, places=2)
    assert known(image) == [(RunStatus.QUEUED, 1)] * 2


def test_a_paused_run_counts_no_death() -> None:
    workflow = cast("Flow", pause("ask", output=int))
    store = Filmed()
    begun(workflow, store, 1, places=1)
    for _ in range(7):
        left_after(5.0, workflow, store, places=1)
    assert known(store) == [(RunStatus.PAUSED, 0)]
