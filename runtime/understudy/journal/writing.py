"""One batch into the tables, and who may write it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Final

from understudy.journal.alone import make_views, write_alone
from understudy.journal.checksums import (
    request_checksum,
    run_checksum,
    sealed,
)
from understudy.journal.connection import Column, Connection, transaction
from understudy.journal.schema import UNFINISHED
from understudy.journal.values import digest_of
from understudy_protocols.errors import JournalCorruptError, JournalStaleError
from understudy_protocols.journal import Batch

_SIZES: Final = (64, 16, 4, 1)
"""Rows of one statement; few sizes, so that each is prepared once."""


def raise_epoch(connection: Connection) -> int:
    """Make all who have owned the journal so far stale; return the new epoch."""
    make_views(connection)
    with transaction(connection):
        connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch'")
        return _epoch(connection)


def write_batch(connection: Connection, batch: Batch, epoch: int) -> None:
    """Write a batch in one transaction, if *epoch* is still the journal's.

    Raises:
      JournalStaleError: it is not; nothing is written.
      JournalCorruptError: a run or record of it is there already, or not there, or
        has ended; nothing is written.
    """
    if write_alone(connection, batch, epoch):
        return
    with transaction(connection):
        _check_owner(connection, epoch)
        if batch.blobs:
            connection.executemany(
                "INSERT OR IGNORE INTO blobs (digest, content) VALUES (?, ?)",
                batch.blobs.items(),
            )
        if batch.runs:
            _insert(
                connection,
                "runs",
                [
                    (
                        run.row,
                        run.run_id,
                        run.workflow,
                        run.fingerprint,
                        run.status.value,
                        run.created_at,
                        run.changed_at,
                        run.recoveries,
                        run_checksum(run),
                    )
                    for run in batch.runs
                ],
            )
        if batch.records:
            _insert(
                connection,
                "records",
                [
                    (row, number, sealed(row, number, content))
                    for row, number, content in batch.records
                ],
            )
        if batch.statuses or batch.recoveries or batch.done:
            _change(connection, batch)


def _insert(
    connection: Connection, table: str, rows: Sequence[Sequence[Column]]
) -> None:
    """Insert rows, in few statements: that takes two thirds of the time."""
    first = 0
    for size in _SIZES:
        while len(rows) - first >= size:
            some = rows[first : first + size]
            connection.execute(
                _insertion(table, len(rows[0]), size), [*chain.from_iterable(some)]
            )
            first += size


@cache
def _insertion(table: str, columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"INSERT INTO {table} VALUES {', '.join([row] * rows)}"


def _change(connection: Connection, batch: Batch) -> None:
    before = connection.total_changes
    if batch.statuses:
        # Compared and set: a status that is terminal stays, whoever writes.
        connection.executemany(
            "UPDATE runs SET status = ?, changed_at = ?"
            f" WHERE row = ? AND {UNFINISHED}",
            [(status.value, at, row) for row, (status, at) in batch.statuses.items()],
        )
    if batch.recoveries:
        connection.executemany(
            "UPDATE runs SET recoveries = ? WHERE row = ?",
            [(count, row) for row, count in batch.recoveries.items()],
        )
    if batch.done:
        connection.executemany(
            "UPDATE requests SET outcome = ? WHERE id = ? AND outcome IS NULL",
            [(outcome, number) for number, outcome in batch.done.items()],
        )
    expected = len(batch.statuses) + len(batch.recoveries) + len(batch.done)
    if connection.total_changes - before != expected:
        raise JournalCorruptError(
            "a run that was to change is not there or has ended, or a request was "
            "dealt with already; nothing was written"
        )


def keep_fingerprint(connection: Connection, document: bytes, epoch: int) -> int:
    """Return the id of a workflow's shape, and keep it if it is new."""
    digest = digest_of(document)
    query = "SELECT id, document FROM fingerprints WHERE digest = ?"
    with transaction(connection):
        _check_owner(connection, epoch)
        found = connection.execute(query, (digest,)).fetchall()
        if not found:
            connection.execute(
                "INSERT INTO fingerprints SELECT coalesce(max(id) + 1, 0), ?, ?"
                " FROM fingerprints",
                (digest, document),
            )
            found = connection.execute(query, (digest,)).fetchall()
    [(number, stored)] = found
    if stored != document:
        raise JournalCorruptError(f"the shape {number} in it is damaged")
    return int(number)


def ask(connection: Connection, run_id: str, what: str, body: bytes) -> int:
    """Leave a request for the owner; return its id."""
    with transaction(connection):
        connection.execute(
            "INSERT INTO requests (run_id, what, body, checksum) VALUES (?, ?, ?, ?)",
            (run_id, what, body, request_checksum(run_id, what, body)),
        )
        [(number,)] = connection.execute("SELECT last_insert_rowid()").fetchall()
    return int(number)


def _check_owner(connection: Connection, epoch: int) -> None:
    if _epoch(connection) != epoch:
        raise JournalStaleError(
            "another process has taken it over; nothing more is written from here"
        )


def _epoch(connection: Connection) -> int:
    [(epoch,)] = connection.execute(
        "SELECT value FROM meta WHERE name = 'epoch'"
    ).fetchall()
    return int(epoch)
