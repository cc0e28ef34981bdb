"""What is no longer wanted goes: old runs, and large values that nobody refers to.

The owner may be at work meanwhile.  It is held up for as long as some runs are
deleted, and for as long as the records of runs that have not ended are looked through.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from understudy.journal import reading
from understudy.journal.connection import connect, snapshot, transaction
from understudy.journal.opening import check_tables
from understudy.journal.place import journal_place
from understudy.journal.references import references
from understudy.journal.schema import UNFINISHED
from understudy.journal.troubles import told
from understudy_protocols.errors import JournalError

_AT_ONCE: Final = 200
"""Runs deleted in one transaction, for which the owner waits."""


class Pruned(msgspec.Struct, frozen=True):
    """What was deleted.

    Args:
      runs: a count.
      records: a count.
      blobs: large values that nobody referred to; a count.
    """

    runs: int
    records: int
    blobs: int


def prune(path: str | os.PathLike[str], ended_before: int) -> Pruned:
    """Delete the runs that ended before a moment, and what only they referred to.

    The room in the file is used again; the file itself does not shrink.

    Args:
      ended_before: microseconds since 1970.

    Raises:
      JournalError: the file cannot be written, or another release wrote it.
      JournalCorruptError: a record is damaged, so that it is not known what it
        refers to; or it is no journal.
    """
    with told(Path(path)):
        place = journal_place(Path(path))
        if not place.exists():
            raise JournalError("there is no such file")
        with closing(connect(place, "rw")) as connection:
            check_tables(connection)
            runs = records = 0
            while rows := _ended(connection, ended_before):
                runs += len(rows)
                records += _delete_runs(connection, rows)
            return Pruned(runs, records, _delete_blobs(connection))


def _ended(connection: sqlite3.Connection, before: int) -> list[tuple[int]]:
    return connection.execute(
        f"SELECT row FROM runs WHERE NOT {UNFINISHED}"
        f" AND changed_at < ? ORDER BY row LIMIT {_AT_ONCE}",
        (before,),
    ).fetchall()


def _delete_runs(connection: sqlite3.Connection, rows: list[tuple[int]]) -> int:
    with transaction(connection):
        # A row is not given to a second run, also if the last one goes.
        connection.execute(
            "UPDATE meta SET value = max(value, (SELECT max(row) + 1 FROM runs))"
            " WHERE name = 'next_row'"
        )
        connection.executemany(
            "DELETE FROM requests WHERE outcome IS NOT NULL"
            " AND run_id = (SELECT run_id FROM runs WHERE row = ?)",
            rows,
        )
        connection.executemany("DELETE FROM runs WHERE row = ?", rows)
        deleted = connection.executemany("DELETE FROM records WHERE run = ?", rows)
        return deleted.rowcount


def _delete_blobs(connection: sqlite3.Connection) -> int:
    """Delete what no record refers to, and return how many that were.

    Most records are looked through while the owner goes on.  Then it is kept from
    writing, and those that it may have written meanwhile are looked through again:
    those of runs that had not ended.
    """
    with snapshot(connection):
        ended = set(_rows(connection, f"WHERE NOT {UNFINISHED}"))
        wanted = _wanted(connection.execute(_RECORDS))
        digests = connection.execute("SELECT digest FROM blobs").fetchall()
    spare = {digest for (digest,) in digests} - wanted
    if not spare:
        return 0
    with transaction(connection):
        for row in _rows(connection):
            if row not in ended:
                spare -= _wanted(
                    connection.execute(f"{_RECORDS} WHERE run = ?", (row,))
                )
        connection.executemany(
            "DELETE FROM blobs WHERE digest = ?", [(digest,) for digest in spare]
        )
    return len(spare)


def _rows(connection: sqlite3.Connection, where: str = "") -> list[int]:
    return [row for (row,) in connection.execute(f"SELECT row FROM runs {where}")]


def _wanted(found: Iterable[tuple[int, int, object]]) -> set[bytes]:
    wanted: set[bytes] = set()
    for row, number, stored in found:
        # What a damaged record refers to is not known: nothing is deleted.
        wanted |= references(reading.record(row, number, stored))
    return wanted


_RECORDS: Final = "SELECT run, number, content FROM records"
