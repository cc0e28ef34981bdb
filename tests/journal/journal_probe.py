"""What the tests of journals share."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from understudy.journal.reader import SqliteReader
from understudy.journal.sqlite import SqliteStore
from understudy.journal.values import digest_of
from understudy_protocols.journal import Batch, Request, Store, StoredRun
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import (
    Accepted,
    Ended,
    Finished,
    Passed,
    Record,
    encode_record,
)

NOW = 1_790_000_000_000_000
"""A moment; microseconds since 1970."""

PYTHON = sys.executable


@contextmanager
def opened(path: Path) -> Generator[SqliteStore]:
    store = SqliteStore(path)
    store.open()
    try:
        yield store
    finally:
        store.close()


def accepts(
    batch: Batch, row: int, inputs: object = "a question", fingerprint: int = 0
) -> None:
    """Put a new run into *batch*."""
    status = RunStatus.RUNNING
    at = NOW + row
    batch.runs.append(StoredRun(row, f"run-{row}", "w", fingerprint, status, at, at))
    adds(batch, row, 0, Accepted(inputs, at))


def adds(batch: Batch, row: int, number: int, record: Record) -> None:
    batch.records.append((row, number, encode_record(record)))


def ends(batch: Batch, row: int, number: int, at: int = NOW) -> None:
    adds(batch, row, number, Ended("completed", 5))
    batch.statuses[row] = (RunStatus.COMPLETED, at)


def keeps(batch: Batch, value: object) -> dict[str, bytes]:
    """Put a large value into *batch*, and return what stands for it in a record."""
    content = msgspec.msgpack.encode(value)
    batch.blobs[digest_of(content)] = content
    return {"$blob": digest_of(content)}


def some_runs(store: SqliteStore, runs: int = 6, steps: int = 4) -> None:
    """Write runs of every kind: ended ones, some with large values, and others."""
    shape = store.fingerprint_id(b"the shape of w")
    nodes = [store.fingerprint_id(b"step %d" % step) for step in range(5)]
    for row in range(store.next_row, store.next_row + runs):
        batch = Batch()
        accepts(batch, row, f"question {row}", shape)
        store.write(batch)
        for step in range(steps):
            batch = Batch()
            value = keeps(batch, "x" * (6000 + row)) if step == 1 else f"answer {step}"
            adds(batch, row, step + 1, Finished(nodes[step], "", 10 * step, 7, value))
            store.write(batch)
        batch = Batch()
        if row % 2:
            ends(batch, row, steps + 1, NOW + row)
        else:
            adds(batch, row, steps + 1, Passed(nodes[0], "3/left", 50))
            batch.recoveries[row] = row % 6
        store.write(batch)


def all_left_over(store: Store) -> list[tuple[StoredRun, list[bytes] | None]]:
    """Return all runs that are not over, with their records."""
    found: list[tuple[StoredRun, list[bytes] | None]] = []
    while page := store.left_over(found[-1][0].row if found else 0):
        found += page
    return found


class View(NamedTuple):
    """All that a store says, but for what has no checksum: nothing hangs on it."""

    unfinished: list[object]
    runs: list[object]
    records: list[list[bytes]]
    blobs: list[bytes]
    requests: list[Request]


def view_of(store: SqliteStore, rows: Iterable[int], digests: Iterable[bytes]) -> View:
    runs = [store.find(f"run-{row}") for row in rows]
    left = all_left_over(store)
    for run, found in left:
        assert found is None or found == store.records(run.row)
    return View(
        [_lasting(run) for run, _ in left],
        [None if run is None else _lasting(run) for run in runs],
        [store.records(run.row) for run in runs if run is not None],
        [store.blob(digest) for digest in digests],
        list(store.requests()),
    )


def _lasting(run: StoredRun) -> object:
    return msgspec.structs.replace(run, changed_at=0, recoveries=0)


def digests_in(path: Path) -> list[bytes]:
    with SqliteReader(path) as reader:
        found = reader._connection.execute("SELECT digest FROM blobs").fetchall()
    return [digest for (digest,) in found]


def copied(path: Path, to: Path) -> Path:
    """Copy a journal as it stands on the disk now, to be opened by itself."""
    for end in ("", "-wal", "-shm"):
        beside = path.with_name(path.name + end)
        to.with_name(to.name + end).unlink(missing_ok=True)
        if beside.exists() and end != "-shm":
            shutil.copy(beside, to.with_name(to.name + end))
    return to


def flip(path: Path, bit: int) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def by_hand(path: Path, *statements: str) -> None:
    """Change a journal behind the back of the code."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()
