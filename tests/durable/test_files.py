"""A journal in a file, under a real clock: found again, taken over, out of reach."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
import trio
from images import RUN

from understudy import Context, RunResult, RunStatus, Runtime, pause, sequence, step
from understudy.journal.memory import MemoryStore
from understudy.journal.reader import SqliteReader
from understudy.journal.sqlite import SqliteStore
from understudy.journal.verifying import verify
from understudy.workflows.nodes import Workflow
from understudy_protocols.errors import (
    AdmissionError,
    JournalBusyError,
    JournalCorruptError,
    JournalWriteError,
    RuntimeFailed,
    SetupError,
)
from understudy_protocols.journal import Batch
from understudy_protocols.records import Answered, decode_record

Flow = Workflow[object, object, object]


@step(output=int)
async def one(context: Context[object]) -> int:
    """Give one."""
    return 1


def test_a_run_goes_on_in_the_next_runtime_that_has_the_file(tmp_path: Path) -> None:
    workflow: Flow = sequence(one, pause("ask", output=str))
    path = tmp_path / "runs.db"

    async def begin() -> None:
        async with Runtime(workflow, journal=path) as runtime:
            handle = await runtime.submit(workflow, "input", run_id=RUN)
            await handle.wait(RunStatus.PAUSED)

    async def answer() -> RunResult[object]:
        async with Runtime(workflow, journal=str(path)) as runtime:
            handle = runtime.get(RUN)
            with SqliteReader(path) as reader:
                reader.ask(RUN, "answer", b'{"pause": "ask", "value": "yes"}')
            with trio.fail_after(30):
                return await handle.result()

    trio.run(begin)
    result = trio.run(answer)
    assert result.outputs == {"one": 1, "ask": "yes"}
    with SqliteReader(path) as reader:
        found = reader.find(RUN)
        assert found is not None
        assert found.status is RunStatus.COMPLETED


def test_a_run_whose_very_row_is_damaged_keeps_no_other_from_going_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workflow: Flow = sequence(one, pause("ask", output=str))
    path = tmp_path / "runs.db"

    async def begin() -> None:
        async with Runtime(workflow, journal=path) as runtime:
            for number in range(3):
                run_id = f"run {number}"
                handle = await runtime.submit(workflow, number, run_id=run_id)
                await handle.wait(RunStatus.PAUSED)

    async def look() -> None:
        async with Runtime(workflow, journal=path) as runtime:
            there = [handle.run_id for handle in runtime.list()]
            assert there == ["run 0", "run 2"]
            with pytest.raises(
                JournalCorruptError, match="the run in row 2 is damaged"
            ):
                await runtime.submit(workflow, 1, run_id="run 1")

    trio.run(begin)
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE runs SET created_at = 1 WHERE row = 2")
    trio.run(look)
    assert caplog.messages == [
        f"a run stays where it is: the journal {path}: the run in row 2 is damaged"
    ]


@pytest.mark.parametrize("in_place", [False, True])
def test_a_thread_of_its_own_writes_unless_the_store_is_to_write_in_place(
    in_place: bool, tmp_path: Path
) -> None:
    writers: set[str] = set()

    class Watched(SqliteStore):
        def write(self, batch: Batch) -> None:
            writers.add(threading.current_thread().name)
            super().write(batch)

    store = Watched(tmp_path / "runs.db", in_place=in_place)

    async def main() -> RunResult[object]:
        async with Runtime(one, journal=store) as runtime:
            return await runtime.run(one, "input", run_id=RUN)

    assert trio.run(main).value == 1
    assert writers == {"MainThread" if in_place else "understudy-journal"}
    assert verify(tmp_path / "runs.db").records == 3


def test_a_second_runtime_is_told_who_has_the_journal(tmp_path: Path) -> None:
    workflow: Flow = one

    async def main() -> None:
        async with Runtime(workflow, journal=tmp_path / "runs.db"):
            with pytest.raises(JournalBusyError, match="process"):
                async with Runtime(workflow, journal=tmp_path / "runs.db"):
                    pass

    trio.run(main)


def test_a_runtime_whose_journal_was_taken_over_writes_nothing_more(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    waits = pause("ask", output=str)

    async def main() -> None:
        async with Runtime(waits, journal=path) as runtime:
            await runtime.submit(waits, "input", run_id=RUN)
            with sqlite3.connect(path) as other:
                other.execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch'")
            other.close()
            runtime.answer(RUN, "ask", "yes")
            with trio.fail_after(30):
                await trio.sleep_forever()

    with pytest.raises(RuntimeFailed, match="journal"):
        trio.run(main)
    with SqliteReader(path) as reader:
        found = reader.find(RUN)
        assert found is not None
        assert not found.status.terminal
        records = [decode_record(one) for one in reader.records(found.row)]
        assert not any(isinstance(one, Answered) for one in records)


def test_a_journal_that_cannot_be_read_on_is_refused_and_let_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    waits = pause("ask", output=str)

    async def begin() -> None:
        async with Runtime(waits, journal=path) as runtime:
            await runtime.submit(waits, "input", run_id=RUN)

    async def again() -> None:
        async with Runtime(waits, journal=path):
            pass

    def unreadable(*_: object) -> list[object]:
        raise JournalCorruptError("a page of it is damaged")

    trio.run(begin)
    with monkeypatch.context() as patch:
        patch.setattr("understudy.journal.reading.left_runs", unreadable)
        for _ in range(2):  # what is refused holds nothing: no task, no lock
            with pytest.raises(JournalCorruptError, match="a page of it is damaged"):
                trio.run(again)
    trio.run(again)


def test_a_journal_that_fails_while_it_is_opened_is_let_go_of() -> None:
    class Unkept(MemoryStore):
        """A store that cannot keep shapes."""

        def fingerprint_id(self, document: bytes) -> int:
            raise JournalWriteError("the disk is full")

    store = Unkept()

    async def main() -> None:
        async with Runtime(one, journal=store):
            pass

    for _ in range(2):
        with pytest.raises(JournalWriteError, match="the disk is full"):
            trio.run(main)


def test_a_runtime_and_a_store_are_for_one_block_at_a_time(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")

    async def main() -> None:
        with pytest.raises(AdmissionError, match="it has not been started"):
            await Runtime(one, journal=store).run(one, "input", run_id=RUN)
        runtime = Runtime(one, journal=store)
        async with runtime:
            with pytest.raises(SetupError, match="can be entered only once"):
                await runtime.__aenter__()
            with pytest.raises(
                JournalBusyError, match="another runtime has this store"
            ):
                await Runtime(one, journal=store).__aenter__()
            assert (await runtime.run(one, "input", run_id=RUN)).value == 1
        with pytest.raises(AdmissionError, match="it is stopping"):
            await runtime.run(one, "input", run_id="another")
        with pytest.raises(SetupError, match="can be entered only once"):
            await runtime.__aenter__()
        async with Runtime(one, journal=store) as again:
            assert (await again.run(one, "input", run_id=RUN)).value == 1

    trio.run(main)
