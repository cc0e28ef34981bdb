"""What stands in the tables, checked as it is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from understudy.journal.checksums import (
    request_checksum,
    run_checksum,
    unsealed,
)
from understudy.journal.connection import Column, Connection
from understudy.journal.schema import UNFINISHED
from understudy.journal.values import digest_of
from understudy_protocols.errors import JournalCorruptError
from understudy_protocols.journal import MAX_RECOVERIES, Request, StoredRun
from understudy_protocols.outcomes import RunStatus

RUN: Final = (
    "SELECT row, run_id, workflow, fingerprint, status, created_at, changed_at,"
    " recoveries, checksum FROM runs"
)
"""Gives what `stored_run` takes."""
REQUEST: Final = "SELECT id, run_id, what, body, checksum FROM requests"
"""Gives what `request` takes."""

_CENTURY: Final = 100 * 365 * 24 * 3600 * 1_000_000
"""In microseconds."""

_PAGE: Final = 1000
"""Runs read at once: a cursor left open would keep the journal's log growing."""

LEFT_RUNS, LEFT_RECORDS = 50, 300
"""`left_page` reads at most so many runs and records at once; counts."""


def next_row(connection: Connection) -> int:
    """Return the first row that no run has had."""
    [(row,)] = connection.execute(
        "SELECT max(value, (SELECT coalesce(max(row), 0) + 1 FROM runs))"
        " FROM meta WHERE name = 'next_row'"
    ).fetchall()
    return int(row)


def find_run(connection: Connection, run_id: str) -> StoredRun | None:
    """Return the run of that id, if there is one."""
    found = connection.execute(f"{RUN} WHERE run_id = ?", (run_id,)).fetchall()
    return stored_run(found[0]) if found else None


def left_runs(
    connection: Connection, after: int, damaged: Callable[[JournalCorruptError], None]
) -> list[tuple[StoredRun, list[bytes] | None]]:
    """Return the next few runs that are not over, with their records; see `Store`.

    Args:
      damaged: told of each run that is damaged itself, once.
    """
    found: list[tuple[StoredRun, list[bytes] | None]] = []
    while not found and (page := left_page(connection, after)):
        for row, records in page:
            try:
                run = stored_run(row)
            except JournalCorruptError as error:
                if found:
                    break  # it is the first one next time
                damaged(error)
            else:
                found.append((run, records))
        after = page[-1][0][0]
    return found


def left_page(
    connection: Connection, after: int
) -> list[tuple[Sequence[Any], list[bytes] | None]]:
    """Return the next few runs as they stand there, each what `stored_run` takes."""
    page = run_rows(connection, UNFINISHED, (), after, LEFT_RUNS)
    rows = [found[0] for found in page]
    records: list[Any] = []
    # Where the file itself is broken they are read one by one: some may be whole.
    with suppress(sqlite3.DatabaseError):
        records = connection.execute(
            "SELECT run, number, content FROM records"
            f" WHERE run IN ({', '.join('?' * len(rows))})"
            f" ORDER BY run, number LIMIT {LEFT_RECORDS}",
            rows,
        ).fetchall()
    contents = {
        row: _in_order_or_none(row, [one[1:] for one in found])
        for row, found in groupby(records, itemgetter(0))
    }
    if len(records) == LEFT_RECORDS:
        # The last one may have more: it is for later, or is read alone.
        cut = records[-1][0]
        contents[cut] = None
        del page[max(1, rows.index(cut)) :]
    return [(found, contents.get(found[0])) for found in page]


def run_rows(
    connection: Connection,
    where: str,
    parameters: Sequence[Column],
    after: int,
    limit: int | None = None,
) -> list[Sequence[Any]]:
    """Return some runs as they stand there, by row; empty at the end.

    Each is what `stored_run` takes.

    Args:
      after: from behind this row on.
      limit: at most so many; a count.
    """
    return connection.execute(
        f"{RUN} WHERE {where} AND row > ? ORDER BY row LIMIT {limit or _PAGE}",
        (*parameters, after),
    ).fetchall()


def stored_run(found: Sequence[Any]) -> StoredRun:
    """Return a run from its row.

    Raises:
      JournalCorruptError: it is damaged.
    """
    row, run_id, workflow, shape, status, created, changed, recoveries, said = found
    known = _STATUSES.get(status)
    # The sum tells types apart as well, but leaves out what changes: of that only
    # what cannot be is noticed.
    if known is not None and type(changed) is type(recoveries) is int:
        run = StoredRun(
            row, run_id, workflow, shape, known, created, changed, recoveries
        )
        if run_checksum(run) == said and _can_be(run):
            return run
    raise JournalCorruptError(f"the run in row {row!r} is damaged")


def _can_be(run: StoredRun) -> bool:
    return (
        0 <= run.recoveries <= MAX_RECOVERIES
        # Either clock may have been wrong, but not by so much.
        and abs(run.changed_at - run.created_at) <= _CENTURY
    )


def records_of(connection: Connection, row: int) -> list[bytes]:
    """Return the records of a run, in order.

    Raises:
      JournalCorruptError: one is damaged or missing, or there is no such run.
    """
    found = connection.execute(
        "SELECT number, content FROM records WHERE run = ? ORDER BY number", (row,)
    ).fetchall()
    if not found and not _has_run(connection, row):
        raise JournalCorruptError(f"there is no run in row {row}")
    return _in_order(row, found)


def _in_order_or_none(row: int, found: Iterable[Sequence[Any]]) -> list[bytes] | None:
    with suppress(JournalCorruptError):
        return _in_order(row, found)
    return None


def _in_order(row: int, found: Iterable[Sequence[Any]]) -> list[bytes]:
    contents: list[bytes] = []
    for number, stored in found:
        if number != len(contents):
            raise JournalCorruptError(
                f"record {len(contents)} of the run in row {row} is missing"
            )
        contents.append(record(row, number, stored))
    return contents


def record(row: int, number: int, stored: object) -> bytes:
    """Return a record from what is stored of it.

    Raises:
      JournalCorruptError: it is damaged.
    """
    content = unsealed(row, number, stored) if isinstance(stored, bytes) else None
    if content is None:
        raise JournalCorruptError(f"record {number} of the run in row {row} is damaged")
    return content


def blob_of(connection: Connection, digest: bytes) -> bytes:
    """Return a large value.

    Raises:
      JournalCorruptError: it is damaged or missing.
    """
    for (content,) in connection.execute(
        "SELECT content FROM blobs WHERE digest = ?", (digest,)
    ).fetchall():
        if isinstance(content, bytes) and digest_of(content) == digest:
            return content
        raise JournalCorruptError(f"the value {digest.hex()} is damaged")
    raise JournalCorruptError(f"the value {digest.hex()} is missing")


def has_shape(connection: Connection, document: bytes) -> bool:
    """Whether the journal knows that shape."""
    query = "SELECT 1 FROM fingerprints WHERE digest = ?"
    return bool(connection.execute(query, (digest_of(document),)).fetchall())


def shape_of(connection: Connection, number: int) -> bytes:
    """Return a workflow's shape.

    Raises:
      JournalCorruptError: it is damaged or missing.
    """
    for digest, document in connection.execute(
        "SELECT digest, document FROM fingerprints WHERE id = ?", (number,)
    ).fetchall():
        if isinstance(document, bytes) and digest_of(document) == digest:
            return document
        raise JournalCorruptError(f"the shape {number} in it is damaged")
    raise JournalCorruptError(f"the shape {number} is missing")


def waiting_requests(connection: Connection) -> list[Request]:
    """Return the requests that nobody has dealt with, in order."""
    return [
        request(found)
        for found in connection.execute(
            f"{REQUEST} WHERE outcome IS NULL ORDER BY id"
        ).fetchall()
    ]


def request(found: Sequence[object]) -> Request:
    """Return a request from its row.

    Raises:
      JournalCorruptError: it is damaged.
    """
    match found:
        case [int(number), str(run_id), str(what), bytes(body), int(checksum)] if (
            request_checksum(run_id, what, body) == checksum
        ):
            return Request(number, run_id, what, body)
        case _:
            raise JournalCorruptError(f"the request {found[0]!r} is damaged")


def outcome_of(connection: Connection, number: int) -> str | None:
    """Return what came of a request, or None while nobody has dealt with it.

    Raises:
      JournalCorruptError: it is no text.
    """
    for (outcome,) in connection.execute(
        "SELECT outcome FROM requests WHERE id = ?", (number,)
    ).fetchall():
        if outcome is None or isinstance(outcome, str):
            return outcome
        raise JournalCorruptError(f"what came of the request {number} is damaged")
    return None


def _has_run(connection: Connection, row: int) -> bool:
    query = "SELECT 1 FROM runs WHERE row = ?"
    return bool(connection.execute(query, (row,)).fetchall())


_STATUSES: Final = {status.value: status for status in RunStatus}
