"""The store in a file does what the one in memory does."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from journal_probe import all_left_over

from understudy.journal.memory import MemoryStore
from understudy.journal.reader import SqliteReader
from understudy.journal.sqlite import SqliteStore
from understudy.journal.values import digest_of
from understudy_protocols.errors import JournalBusyError, JournalCorruptError
from understudy_protocols.journal import MAX_RECOVERIES, Batch, StoredRun
from understudy_protocols.outcomes import RunStatus

_OPEN = [status for status in RunStatus if not status.terminal]
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.journal.reading.LEFT_RUNS", 3)
    monkeypatch.setattr("understudy.journal.reading.LEFT_RECORDS", 4)


class _Stores(RuleBasedStateMachine):
    """Both stores get the same, and must say the same."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "runs.db"
        self.memory = MemoryStore()
        self.file = SqliteStore(self._path)
        self.memory.open()
        self.file.open()
        self.reader = SqliteReader(self._path)
        self.rows: dict[int, int] = {}
        self.ended: set[int] = set()
        self.blobs: set[bytes] = set()
        self.batch = Batch()

    def teardown(self) -> None:
        self.reader.close()
        self.file.close()
        self._folder.cleanup()

    def _some_row(self, data: st.DataObject) -> int | None:
        rows = [row for row in self.rows if row not in self.ended]
        return data.draw(st.sampled_from(rows)) if rows else None

    @rule(data=st.data(), contents=st.lists(st.binary(max_size=40), max_size=3))
    def records(self, data: st.DataObject, contents: list[bytes]) -> None:
        row = self._some_row(data)
        if row is not None:
            for content in contents:
                self.batch.records.append((row, self.rows[row], content))
                self.rows[row] += 1

    @rule(name=_TEXTS, status=st.sampled_from(_OPEN), gap=st.integers(0, 2))
    def run(self, name: str, status: RunStatus, gap: int) -> None:
        row = max(self.rows, default=0) + 1 + gap
        run = StoredRun(row, f"{row}/{name}", name, 3, status, 5 + row, 5 + row)
        self.batch.runs.append(run)
        self.rows[row] = 0

    @rule(data=st.data(), status=st.sampled_from(RunStatus), at=st.integers(0, 2**51))
    def status(self, data: st.DataObject, status: RunStatus, at: int) -> None:
        row = self._some_row(data)
        if row is not None:
            self.batch.statuses[row] = (status, at)
            if status.terminal:
                self.ended.add(row)

    @rule(data=st.data(), count=st.integers(0, MAX_RECOVERIES))
    def recoveries(self, data: st.DataObject, count: int) -> None:
        row = self._some_row(data)
        if row is not None:
            self.batch.recoveries[row] = count

    @rule(content=st.binary(max_size=9000))
    def blob(self, content: bytes) -> None:
        self.batch.blobs[digest_of(content)] = content
        self.blobs.add(digest_of(content))

    @rule()
    def write(self) -> None:
        self.memory.write(self.batch)
        self.file.write(self.batch)
        self.batch = Batch()

    @rule(document=st.sampled_from([b"", b"one", b"two", b"three"]))
    def fingerprint(self, document: bytes) -> None:
        number = self.memory.fingerprint_id(document)
        assert self.file.fingerprint_id(document) == number
        assert self.file.fingerprint(number) == document
        assert self.reader.fingerprint(number) == document

    @rule(run_id=_TEXTS, what=_TEXTS, body=st.binary(max_size=20))
    def ask(self, run_id: str, what: str, body: bytes) -> None:
        number = self.memory.ask(run_id, what, body)
        assert self.reader.ask(run_id, what, body) == number
        assert self.reader.outcome(number) is None

    @rule(data=st.data(), outcome=_TEXTS)
    def done(self, data: st.DataObject, outcome: str) -> None:
        waiting = [one.id for one in self.memory.requests()]
        if waiting:
            self.batch.done[data.draw(st.sampled_from(waiting))] = outcome

    @rule()
    def reopen(self) -> None:
        with pytest.raises(JournalBusyError):
            SqliteStore(self._path).open()
        self.memory.close()
        self.file.close()
        self.memory.open()
        self.file.open()

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def what_has_ended_stays(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(sorted(self.ended)))
        bad = Batch()
        bad.blobs[digest_of(b"never")] = b"never"
        bad.records.append((row, self.rows[row], b"more"))
        bad.statuses[row] = (RunStatus.RUNNING, 1)
        self._refused(bad)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def what_is_there_is_not_written_again(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(sorted(self.rows)))
        bad = Batch()
        if self.rows[row] and data.draw(st.booleans()):
            bad.records.append((row, self.rows[row], b"more"))
            bad.records.append((row, self.rows[row] - 1, b"again"))
        else:
            bad.runs.append(StoredRun(row, "again", "w", 0, RunStatus.RUNNING, 1, 1))
        self._refused(bad)

    @precondition(lambda self: self.memory.outcomes)
    @rule(data=st.data())
    def a_request_is_dealt_with_once(self, data: st.DataObject) -> None:
        bad = Batch()
        bad.done[data.draw(st.sampled_from(sorted(self.memory.outcomes)))] = "again"
        self._refused(bad)

    def _refused(self, bad: Batch) -> None:
        self.write()
        with pytest.raises(JournalCorruptError):
            self.file.write(bad)
        with pytest.raises(JournalCorruptError):
            self.file.blob(digest_of(b"never"))

    @precondition(lambda self: not self.batch)
    @invariant()
    def they_say_the_same(self) -> None:
        unfinished = list(self.memory.unfinished())
        left = [(run, self.memory.records(run.row)) for run in unfinished]
        assert all_left_over(self.memory) == left
        assert [
            (run, self.file.records(run.row) if found is None else found)
            for run, found in all_left_over(self.file)
        ] == left
        assert list(self.reader.runs(statuses=_OPEN)) == unfinished
        assert self.file.next_row == self.memory.next_row
        for row in self.rows:
            run = self.memory._runs[row]
            records = self.memory.records(row)
            for one in (self.file, self.reader):
                assert one.find(run.run_id) == run
                assert one.records(row) == records
        for digest in self.blobs:
            assert self.file.blob(digest) == self.reader.blob(digest)
            assert self.file.blob(digest) == self.memory.blob(digest)
        waiting = list(self.memory.requests())
        assert list(self.file.requests()) == list(self.reader.requests()) == waiting
        for number, outcome in self.memory.outcomes.items():
            assert self.reader.outcome(number) == outcome


# Each example makes a file, and each write of it waits for the disk.
_Stores.TestCase.settings = settings(max_examples=30, stateful_step_count=40)
TestStores = _Stores.TestCase
