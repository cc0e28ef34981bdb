"""What a run by itself writes: each time one statement, a transaction of its own.

After each wait for the disk whatever is done takes four times as long, as the
processor's caches are cold; so a run that is alone is quicker by a tenth with one
statement than with five.  One that writes to two tables is an insertion into a view:
its trigger does the rest, in the same transaction.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from understudy.journal.checksums import run_checksum, sealed
from understudy.journal.connection import Connection
from understudy.journal.schema import UNFINISHED
from understudy_protocols.journal import Batch

# Of another owner's epoch it is NULL, which no record may be: nothing is written.
_OWNED: Final = (
    "CASE (SELECT value FROM main.meta WHERE name = 'epoch') WHEN {} THEN {} END"
)

_RECORD: Final = f"INSERT INTO records VALUES (?, ?, {_OWNED.format('?', '?')})"

_VIEWS: Final = (
    """
    CREATE TEMP VIEW IF NOT EXISTS run_begun AS
      SELECT 0 AS epoch, 0 AS number, 0 AS content, * FROM main.runs
    """,
    f"""
    CREATE TEMP TRIGGER IF NOT EXISTS beginning INSTEAD OF INSERT ON run_begun BEGIN
      INSERT INTO records VALUES (
        new.row, new.number, {_OWNED.format("new.epoch", "new.content")}
      );
      INSERT INTO runs VALUES (
        new.row, new.run_id, new.workflow, new.fingerprint, new.status,
        new.created_at, new.changed_at, new.recoveries, new.checksum
      );
    END
    """,
    """
    CREATE TEMP VIEW IF NOT EXISTS run_changed AS
      SELECT 0 AS epoch, run, number, content, number AS last_number,
        content AS last_content, '' AS status, 0 AS changed_at
      FROM main.records
    """,
    f"""
    CREATE TEMP TRIGGER IF NOT EXISTS changing INSTEAD OF INSERT ON run_changed BEGIN
      INSERT INTO records VALUES (
        new.run, new.number, {_OWNED.format("new.epoch", "new.content")}
      );
      INSERT INTO records
        SELECT new.run, new.last_number, new.last_content
          WHERE new.last_number != new.number;
      UPDATE runs SET status = new.status, changed_at = new.changed_at
        WHERE row = new.run AND {UNFINISHED};
      SELECT RAISE(ABORT, 'no such run, or it has ended') WHERE changes() != 1;
    END
    """,
)

_BEGUN: Final = "INSERT INTO run_begun VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_CHANGED: Final = "INSERT INTO run_changed VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def make_views(connection: Connection) -> None:
    """Make what `write_alone` needs; it is the connection's, and not in the file."""
    for statement in _VIEWS:
        connection.execute(statement)


def write_alone(connection: Connection, batch: Batch, epoch: int) -> bool:
    """Write a batch, if it is what one run writes at a time.

    Returns:
      Whether it was written.  If not, nothing of it was: it is something else, or
      cannot be, and why is for the longer way to find out.
    """
    if batch.blobs or batch.recoveries or batch.done:
        return False
    records, runs, statuses = batch.records, batch.runs, batch.statuses
    try:
        if not (runs or statuses):
            return len(records) == 1 and _record(connection, records[0], epoch)
        if not statuses:
            return len(runs) == len(records) == 1 and _begun(connection, batch, epoch)
        return (
            not runs
            and len(statuses) == 1
            and 1 <= len(records) <= 2
            and _changed(connection, batch, epoch)
        )
    except sqlite3.IntegrityError:
        return False


def _record(connection: Connection, record: tuple[int, int, bytes], epoch: int) -> bool:
    row, number, content = record
    connection.execute(_RECORD, (row, number, epoch, sealed(row, number, content)))
    return True


def _begun(connection: Connection, batch: Batch, epoch: int) -> bool:
    [run], [record] = batch.runs, batch.records
    row, number, _ = record
    if row != run.row:
        return False
    values = (
        *(epoch, number, sealed(*record)),
        *(row, run.run_id, run.workflow, run.fingerprint, run.status.value),
        *(run.created_at, run.changed_at, run.recoveries, run_checksum(run)),
    )
    connection.execute(_BEGUN, values)
    return True


def _changed(connection: Connection, batch: Batch, epoch: int) -> bool:
    [(row, (status, at))] = batch.statuses.items()
    first, last = batch.records[0], batch.records[-1]  # may be one and the same
    twice = first is not last and first[1] == last[1]
    if first[0] != row or last[0] != row or twice:
        return False
    values = (
        *(epoch, row, first[1], sealed(*first), last[1], sealed(*last)),
        *(status.value, at),
    )
    connection.execute(_CHANGED, values)
    return True
