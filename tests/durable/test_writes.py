"""How often a run writes: once for each thing that must be safe before the next."""

from __future__ import annotations

from typing import cast

import pytest
import trio
from images import RUN
from journal_lives import Flow, ends, live, noting

from understudy import Context, RunEvent, Runtime, parallel, route, sequence, step
from understudy.journal.memory import MemoryStore
from understudy.journal.recorder import Durability
from understudy.journal.sqlite import SqliteStore
from understudy_protocols.errors import JournalWriteError
from understudy_protocols.failures import Cause, StepError
from understudy_protocols.journal import Batch
from understudy_protocols.outcomes import RunStatus


def no_op(name: str) -> Flow:
    async def body(context: Context[object]) -> object:
        return name

    return step(name=name, output=str)(body)


def chain(length: int) -> Flow:
    return sequence(*[no_op(f"s{number}") for number in range(length)])


def chosen(context: Context[object]) -> str:
    return "a"


def writes(workflow: Flow, runs: int = 1, durability: Durability = "step") -> int:
    """Return how often a store is written to for runs that are begun together."""
    store = MemoryStore()

    async def body(runtime: Runtime[object]) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(runs):
                nursery.start_soon(runtime.run, workflow, number)

    live(workflow, store, body, durability=durability)
    return store.writes


@pytest.mark.parametrize("length", [1, 2, 10])
def test_a_run_writes_when_it_is_accepted_and_once_for_each_step(length: int) -> None:
    assert writes(chain(length)) == length + 1


def test_a_step_that_fails_for_good_and_the_end_of_its_run_are_written_at_once() -> (
    None
):
    async def body(context: Context[object]) -> object:
        raise StepError("no", cause=Cause.STEP_ERROR)

    fails: Flow = step(name="fails", output=str)(body)
    assert writes(sequence(no_op("a"), fails, no_op("b"))) == 3
    # The one of a branch is not the run's: what becomes of the run is decided by it.
    assert writes(cast("Flow", parallel(fails, no_op("b"), name="both"))) > 2


def test_a_router_that_stands_last_is_on_record_before_what_it_leads_to() -> None:
    async def body(context: Context[object]) -> object:
        assert store.writes == 2, "accepted, decided"
        return "a"

    a: Flow = step(name="a", output=str)(body)
    workflow = cast("Flow", route(chosen, a=a, b=no_op("b")))
    store = MemoryStore()
    assert live(workflow, store, ends(workflow)).ok


def test_runs_side_by_side_are_written_together() -> None:
    assert writes(chain(10), runs=50) < 30


def test_branches_side_by_side_are_written_together() -> None:
    branches = [no_op(f"b{number}") for number in range(50)]
    assert writes(cast("Flow", parallel(*branches, name="all"))) < 10


def test_a_run_that_does_not_wait_for_its_records_is_written_as_they_come() -> None:
    assert writes(chain(10), durability="async") < 8


def test_who_listens_hears_of_a_step_when_it_is_safe() -> None:
    heard: list[tuple[str, int]] = []
    store = MemoryStore()
    workflow = chain(2)

    def hear(event: RunEvent) -> None:
        if event.kind in ("step_finished", "ended"):
            heard.append((event.kind, store.writes))

    async def body(runtime: Runtime[object]) -> None:
        runtime._flow.observers.append(hear)
        await runtime.run(workflow, "input")

    live(workflow, store, body)
    assert heard == [("step_finished", 2), ("step_finished", 3), ("ended", 4)]


class Full(MemoryStore):
    """A store that cannot write for a while."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after
        self.refused = 0

    def write(self, batch: Batch) -> None:
        if self.writes == self.after and trio.current_time() < 5:
            self.refused += 1
            raise JournalWriteError("the disk is full")
        super().write(batch)


@pytest.mark.parametrize("after", range(4))
def test_what_cannot_be_written_at_once_is_written_later_and_in_order(
    after: int, caplog: pytest.LogCaptureFixture
) -> None:
    notes: list[str] = []
    workflow = sequence(*[noting(name, notes) for name in "abc"])
    store = Full(after)
    result = live(workflow, store, ends(workflow))
    assert result.ok
    assert store.refused > 1
    assert [note[0] for note in notes] == ["a", "b", "c"]
    assert len(caplog.records) == 1
    stored = store.find(RUN)
    assert stored is not None
    assert stored.status is RunStatus.COMPLETED


def test_a_file_that_is_written_in_place_has_what_it_would_have_otherwise(
    tmp_path: object,
) -> None:
    contents: list[list[bytes]] = []
    for in_place in (False, True):
        store = SqliteStore(f"{tmp_path}/{in_place}.db", in_place=in_place)
        workflow = chain(3)

        async def main(store: SqliteStore = store, workflow: Flow = workflow) -> None:
            async with Runtime(workflow, journal=store, seed=1) as runtime:
                result = await runtime.run(workflow, "input", run_id=RUN)
                assert result.ok
                stored = store.find(RUN)
                assert stored is not None
                contents.append(store.records(stored.row))

        trio.run(main)  # a thread of its own knows no virtual time
    assert [len(records) for records in contents] == [5, 5]
