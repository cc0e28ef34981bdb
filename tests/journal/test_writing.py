"""Batches in the tables: all of one or nothing, and what an end leaves unchanged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from understudy.journal import writing
from understudy.journal.checksums import request_checksum, run_checksum, sealed
from understudy.journal.connection import Connection
from understudy.journal.schema import migrate
from understudy.journal.values import digest_of
from understudy.journal.writing import (
    ask,
    keep_fingerprint,
    raise_epoch,
    write_batch,
)
from understudy_protocols.errors import (
    JournalCorruptError,
    JournalError,
    JournalStaleError,
)
from understudy_protocols.journal import Batch, StoredRun
from understudy_protocols.outcomes import RunStatus


class Tables:
    """The tables of a new journal in memory, which its first owner has."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        migrate(connection)
        self.epoch = raise_epoch(connection)

    def write(self, batch: Batch) -> None:
        write_batch(self.connection, batch, self.epoch)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        return self.connection.execute(f"SELECT {query}").fetchall()

    def contents(self) -> list[object]:
        """Return all that is in them."""
        tables = ("meta", "runs", "records", "blobs", "fingerprints", "requests")
        return [self.rows(f"* FROM {table}") for table in tables]


@pytest.fixture
def tables() -> Iterator[Tables]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with closing(connection):
        yield Tables(connection)


def run(row: int, status: RunStatus = RunStatus.RUNNING) -> StoredRun:
    return StoredRun(row, f"run-{row}", "w", 3, status, 10 + row, 20 + row, row)


def test_each_owner_has_an_epoch_of_its_own(tables: Tables) -> None:
    assert tables.epoch == 1
    assert raise_epoch(tables.connection) == 2
    assert tables.rows("name, value FROM meta WHERE name = 'epoch'") == [("epoch", 2)]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 63, 64, 65, 150])
def test_all_rows_of_a_batch_are_written_however_many_there_are(
    count: int, tables: Tables
) -> None:
    batch = Batch()
    batch.runs = [run(row) for row in range(1, count + 1)]
    batch.records = [(1, number, b"%d" % number) for number in range(count)]
    tables.write(batch)
    assert tables.rows("* FROM runs ORDER BY row") == [
        (
            *(row, f"run-{row}", "w", 3, "running", 10 + row, 20 + row, row),
            run_checksum(run(row)),
        )
        for row in range(1, count + 1)
    ]
    assert tables.rows("* FROM records ORDER BY number") == [
        (1, number, sealed(1, number, b"%d" % number)) for number in range(count)
    ]


def test_many_rows_are_written_by_few_statements(tables: Tables) -> None:
    said: list[str] = []
    batch = Batch()
    batch.records = [(1, number, b"") for number in range(64 + 16 + 4 + 3)]
    tables.connection.set_trace_callback(said.append)
    tables.write(batch)
    assert sum("INSERT" in statement for statement in said) == 6
    said.clear()
    tables.write(Batch())
    # An empty batch only sees whose the journal is.
    assert len(said) == 3


def test_each_change_is_written_also_if_it_comes_alone(tables: Tables) -> None:
    number = ask(tables.connection, "run-1", "cancel", b"{}")
    batch = Batch()
    batch.runs = [run(1)]
    tables.write(batch)
    statuses, recoveries, done = Batch(), Batch(), Batch()
    statuses.statuses[1] = (RunStatus.PAUSED, 77)
    recoveries.recoveries[1] = 9
    done.done[number] = "done"
    changes = "status, recoveries, outcome FROM runs, requests"
    for change, seen in [
        (statuses, ("paused", 1, None)),
        (recoveries, ("paused", 9, None)),
        (done, ("paused", 9, "done")),
    ]:
        tables.write(change)
        assert tables.rows(changes) == [seen]


def test_what_a_run_alone_writes_is_one_statement_each_time(tables: Tables) -> None:
    said: set[str] = set()  # what a trigger does is told under its statement's words
    begins, goes_on, pauses, ends = Batch(), Batch(), Batch(), Batch()
    begins.runs, begins.records = [run(1)], [(1, 0, b"begins")]
    goes_on.records = [(1, 1, b"goes on")]
    pauses.records, pauses.statuses[1] = [(1, 2, b"pauses")], (RunStatus.PAUSED, 76)
    ends.records = [(1, 3, b"last step"), (1, 4, b"ends")]
    ends.statuses[1] = (RunStatus.COMPLETED, 77)
    tables.connection.set_trace_callback(said.add)
    for number, batch in enumerate((begins, goes_on, pauses, ends), 1):
        tables.write(batch)
        assert len(said) == number
    tables.connection.set_trace_callback(None)
    assert tables.rows("* FROM runs") == [
        (*(1, "run-1", "w", 3, "completed", 11, 77, 1), run_checksum(run(1)))
    ]
    assert tables.rows("* FROM records ORDER BY number") == [
        (1, number, sealed(1, number, content))
        for number, content in enumerate(
            (b"begins", b"goes on", b"pauses", b"last step", b"ends")
        )
    ]


class Write(NamedTuple):
    """A batch of few things, which need not fit.

    Args:
      late: its writer owns the journal no more.
    """

    runs: list[int]
    records: list[tuple[int, int, bytes]]
    statuses: dict[int, tuple[RunStatus, int]]
    late: bool

    def batch(self) -> Batch:
        batch = Batch()
        batch.runs = [run(row) for row in self.runs]
        batch.records = list(self.records)
        batch.statuses = dict(self.statuses)
        return batch


def writes(runs: int, records: int, statuses: int) -> st.SearchStrategy[Write]:
    """Return writes of so many things at most."""
    row = st.integers(1, 2)
    status = st.tuples(st.sampled_from(RunStatus), st.integers(50, 60))
    return st.builds(
        Write,
        st.lists(row, max_size=runs),
        st.lists(
            st.tuples(row, st.integers(0, 9), st.binary(max_size=3)), max_size=records
        ),
        st.dictionaries(row, status, max_size=statuses),
        st.integers(0, 9).map(lambda drawn: drawn == 9),
    )


def paused(row: int, first: tuple[int, int], second: tuple[int, int]) -> Write:
    """Return the write of two records and of a pause."""
    records = [(*first, b"a"), (*second, b"b")]
    return Write([], records, {row: (RunStatus.PAUSED, 50)}, late=False)


@given(st.lists(writes(1, 1, 0) | writes(0, 3, 1) | writes(2, 3, 2), min_size=4))
@example([Write([1, 2], [], {}, False), paused(1, (1, 0), (2, 1))])
@example([Write([1, 2], [], {}, False), paused(1, (2, 0), (1, 1))])
@example([Write([1], [], {}, False), paused(1, (1, 0), (1, 0))])
@settings(max_examples=200)
def test_what_is_written_in_one_statement_is_what_several_would_write(
    drawn: list[Write],
) -> None:
    def not_at_once(connection: Connection, batch: Batch, epoch: int) -> bool:
        return False

    def outcome(tables: Tables, write: Write) -> str:
        try:
            write_batch(tables.connection, write.batch(), tables.epoch - write.late)
        except (JournalError, sqlite3.IntegrityError) as error:
            return str(error)
        return ""

    with (
        closing(sqlite3.connect(":memory:", isolation_level=None)) as one,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as other,
    ):
        short, long = Tables(one), Tables(other)
        for write in drawn:
            found = outcome(short, write)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(writing, "write_alone", not_at_once)
                assert outcome(long, write) == found
            assert short.contents() == long.contents()


def test_what_comes_with_one_record_is_written_too(tables: Tables) -> None:
    number = ask(tables.connection, "run-1", "cancel", b"{}")
    batch = Batch()
    batch.runs = [run(1)]
    batch.records = [(1, 0, b"0")]
    tables.write(batch)
    statuses, recoveries, blobs, done = Batch(), Batch(), Batch(), Batch()
    statuses.statuses[1] = (RunStatus.PAUSED, 77)
    recoveries.recoveries[1] = 9
    blobs.blobs[b"digest"] = b"content"
    done.done[number] = "done"
    for at, batch in enumerate((statuses, recoveries, blobs, done), 1):
        batch.records = [(1, at, b"%d" % at)]
        tables.write(batch)
    assert tables.rows("row, status, recoveries FROM runs") == [(1, "paused", 9)]
    assert tables.rows("* FROM blobs") == [(b"digest", b"content")]
    assert tables.rows("outcome FROM requests") == [("done",)]
    assert tables.rows("* FROM records ORDER BY number") == [
        (1, at, sealed(1, at, b"%d" % at)) for at in range(5)
    ]


def test_what_changes_of_a_run_or_a_request_is_changed(tables: Tables) -> None:
    number = ask(tables.connection, "run-1", "cancel", b"{}")
    other = ask(tables.connection, "run-2", "cancel", b"{}")
    batch = Batch()
    batch.runs = [run(1), run(2)]
    tables.write(batch)
    batch = Batch()
    batch.statuses[1] = (RunStatus.PAUSED, 77)
    batch.recoveries[1] = 9
    batch.done[number] = "no such pause"
    tables.write(batch)
    assert tables.rows("row, status, changed_at, recoveries FROM runs") == [
        (1, "paused", 77, 9),
        (2, "running", 22, 2),
    ]
    assert tables.rows("id, outcome FROM requests") == [
        (number, "no such pause"),
        (other, None),
    ]


@pytest.mark.parametrize("status", [one for one in RunStatus if one.terminal])
def test_a_run_that_is_over_stays_as_it_ended(
    status: RunStatus, tables: Tables
) -> None:
    batch = Batch()
    batch.runs = [run(1, status)]
    tables.write(batch)
    before = tables.contents()
    for later in RunStatus:
        batch = Batch()
        batch.records = [(1, 5, b"not to be written")]
        batch.statuses[1] = (later, 99)
        with pytest.raises(JournalCorruptError) as caught:
            tables.write(batch)
        assert str(caught.value) == (
            "a run that was to change is not there or has ended, or a request was "
            "dealt with already; nothing was written"
        )
    assert tables.contents() == before


def unknown_status(batch: Batch) -> None:
    batch.statuses[8] = (RunStatus.PAUSED, 1)


def unknown_recoveries(batch: Batch) -> None:
    batch.recoveries[8] = 1


def unknown_request(batch: Batch) -> None:
    batch.done[8] = ""


def answered_request(batch: Batch) -> None:
    batch.done[1] = "again"


def known_record(batch: Batch) -> None:
    batch.records.append((1, 0, b"another"))


def known_run(batch: Batch) -> None:
    batch.runs.append(run(1))


@pytest.mark.parametrize(
    "spoil",
    [
        unknown_status,
        unknown_recoveries,
        unknown_request,
        answered_request,
        known_record,
        known_run,
    ],
)
def test_nothing_is_written_of_a_batch_that_does_not_fit(
    spoil: Callable[[Batch], None], tables: Tables
) -> None:
    batch = Batch()
    batch.runs = [run(1)]
    batch.records = [(1, 0, b"first")]
    batch.done[ask(tables.connection, "run-1", "cancel", b"{}")] = ""
    tables.write(batch)
    before = tables.contents()
    batch = Batch()
    batch.blobs[b"digest"] = b"content"
    batch.records = [(1, 1, b"second")]
    batch.statuses[1] = (RunStatus.PAUSED, 1)
    spoil(batch)
    with pytest.raises((JournalCorruptError, sqlite3.IntegrityError)):
        tables.write(batch)
    assert tables.contents() == before
    assert not tables.connection.in_transaction


def test_large_values_are_kept_once_each(tables: Tables) -> None:
    for content in (b"first", b"second"):
        batch = Batch()
        batch.blobs = {b"one": content, b"other " + content: content}
        tables.write(batch)
    assert tables.rows("digest, content FROM blobs ORDER BY content, digest") == [
        (b"one", b"first"),
        (b"other first", b"first"),
        (b"other second", b"second"),
    ]


def test_nothing_is_written_by_one_that_owns_the_journal_no_more(
    tables: Tables,
) -> None:
    raise_epoch(tables.connection)
    before = tables.contents()
    batch, alone = Batch(), Batch()
    batch.runs = [run(1)]
    alone.records = [(1, 0, b"record")]
    for write in (
        lambda: tables.write(batch),
        lambda: tables.write(alone),
        lambda: keep_fingerprint(tables.connection, b"shape", tables.epoch),
    ):
        with pytest.raises(JournalStaleError) as caught:
            write()
        assert str(caught.value) == (
            "another process has taken it over; nothing more is written from here"
        )
    assert tables.contents() == before


def test_shapes_are_numbered_from_0_as_they_come_and_kept_once(tables: Tables) -> None:
    def keep(document: bytes) -> int:
        return keep_fingerprint(tables.connection, document, tables.epoch)

    assert [keep(one) for one in (b"a", b"b", b"a", b"c", b"b")] == [0, 1, 0, 2, 1]
    assert tables.rows("* FROM fingerprints ORDER BY id") == [
        (number, digest_of(document), document)
        for number, document in enumerate((b"a", b"b", b"c"))
    ]
    tables.connection.execute("UPDATE fingerprints SET document = x'00' WHERE id = 1")
    with pytest.raises(JournalCorruptError) as caught:
        keep(b"b")
    assert str(caught.value) == "the shape 1 in it is damaged"


def test_whoever_asks_is_told_the_number_of_the_request(tables: Tables) -> None:
    numbers = [
        ask(tables.connection, run_id, "answer", b"7") for run_id in ("run-1", "run-2")
    ]
    assert tables.rows("* FROM requests ORDER BY id") == [
        (number, run_id, "answer", b"7", request_checksum(run_id, "answer", b"7"), None)
        for number, run_id in zip(numbers, ("run-1", "run-2"), strict=True)
    ]
