"""The tables of a journal in SQLite, and how a file comes to have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from understudy.journal.connection import Connection, transaction
from understudy_protocols.errors import JournalCorruptError, JournalError
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import FORMAT

APPLICATION: Final = 0x554E4453
"""What stands in the header of the file, so that no other one is taken for it."""

UNFINISHED: Final = "({})".format(
    " OR ".join(
        f"status = '{status.value}'" for status in RunStatus if not status.terminal
    )
)
"""That a run has not ended.

Word for word as in the index, or SQLite would not use it; and without ``IN``, for
which it builds a list anew for each row that it writes.
"""

Step: TypeAlias = tuple[str, ...]

# A step is never changed once it was released: the schema of a file is compared with
# what the steps make of an empty one.
#
# The records of a run stand side by side, whoever wrote in between; without a row id
# they are stored once, in the tree of their key.  Large values have a row id: in a
# tree without, they would stand on its inner pages.
STEPS: Final[tuple[Step, ...]] = (
    (
        """
        CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID
        """,
        """
        CREATE TABLE runs (
          row INTEGER PRIMARY KEY,
          run_id TEXT NOT NULL UNIQUE,
          workflow TEXT NOT NULL,
          fingerprint INTEGER NOT NULL,
          status TEXT NOT NULL,
          created_at INTEGER NOT NULL,
          changed_at INTEGER NOT NULL,
          recoveries INTEGER NOT NULL,
          checksum INTEGER NOT NULL
        )
        """,
        """
        CREATE INDEX unfinished ON runs (row)
          WHERE status IN ('queued', 'running', 'waiting', 'paused', 'held')
        """,
        """
        CREATE TABLE records (
          run INTEGER NOT NULL,
          number INTEGER NOT NULL,
          content BLOB NOT NULL,
          PRIMARY KEY (run, number)
        ) WITHOUT ROWID
        """,
        "CREATE TABLE blobs (digest BLOB NOT NULL UNIQUE, content BLOB NOT NULL)",
        """
        CREATE TABLE fingerprints (
          id INTEGER PRIMARY KEY,
          digest BLOB NOT NULL UNIQUE,
          document BLOB NOT NULL
        )
        """,
        """
        CREATE TABLE requests (
          id INTEGER PRIMARY KEY AUTOINCREMENT,
          run_id TEXT NOT NULL,
          what TEXT NOT NULL,
          body BLOB NOT NULL,
          checksum INTEGER NOT NULL,
          outcome TEXT
        )
        """,
        "CREATE INDEX waiting ON requests (id) WHERE outcome IS NULL",
        "INSERT INTO meta VALUES ('epoch', 0), ('next_row', 1)",
    ),
    (
        "DROP INDEX unfinished",
        """
        CREATE INDEX unfinished ON runs (row)
          WHERE (status = 'queued' OR status = 'running' OR status = 'waiting'
            OR status = 'paused' OR status = 'held')
        """,
    ),
)


def migrate(connection: Connection, steps: Sequence[Step] = STEPS) -> None:
    """Bring a file to the last version, or an empty one to life.

    Raises:
      JournalError: it belongs to a later release.
      JournalCorruptError: it belongs to something else, or is damaged.
    """
    version = schema_version(connection, steps)
    if version < len(steps):
        with transaction(connection):
            for step in steps[version:]:
                for statement in step:
                    connection.execute(statement)
            if version == 0:
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute("INSERT INTO meta VALUES ('format', ?)", (FORMAT,))
            connection.execute(f"PRAGMA user_version = {len(steps)}")


def check_schema(
    connection: Connection, empty: Connection, steps: Sequence[Step] = STEPS
) -> None:
    """See that a file is a journal that can be read here.

    Args:
      empty: a database with nothing in it, to compare with.

    Raises:
      JournalError: another release wrote it.
      JournalCorruptError: it belongs to something else, or is damaged.
    """
    version = schema_version(connection, steps)
    if version == 0:
        raise JournalError("nothing has been written into it yet")
    if version < len(steps):
        raise JournalError(
            f"its tables are of version {version}, and this release reads version "
            f"{len(steps)}; let a runtime of this release open it once"
        )
    migrate(empty, steps)
    if _tables(connection) != _tables(empty):
        raise JournalCorruptError("its tables are not those that are made here")


def schema_version(connection: Connection, steps: Sequence[Step] = STEPS) -> int:
    """Return of which version the tables are; 0 for a file with nothing in it.

    Raises:
      JournalError: the tables, or the records in them, are of a later release.
      JournalCorruptError: it belongs to something else.
    """
    application = _number(connection, "PRAGMA application_id")
    version = _number(connection, "PRAGMA user_version")
    if application == 0 and version == 0:
        if _number(connection, "SELECT count(*) FROM sqlite_master") == 0:
            return 0
    elif application == APPLICATION and version > len(steps):
        raise JournalError(
            f"its tables are of version {version}, and this release reads up to "
            f"version {len(steps)}; use a later release"
        )
    elif application == APPLICATION and version > 0:
        _check_format(connection)
        return version
    raise JournalCorruptError("it is a database of something else; name another file")


def _check_format(connection: Connection) -> None:
    formats = [
        number
        for (number,) in connection.execute(
            "SELECT value FROM meta WHERE name = 'format'"
        ).fetchall()
    ]
    if formats != [FORMAT]:
        raise JournalError(
            f"its records are of version {', '.join(map(str, formats)) or 'unknown'}, "
            f"and this release reads version {FORMAT}; use the release that wrote it"
        )


def _number(connection: Connection, query: str) -> int:
    [(number,)] = connection.execute(query).fetchall()
    assert isinstance(number, int), "such a query gives a number"
    return number


def _tables(connection: Connection) -> list[tuple[object, ...]]:
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    return [tuple(row) for row in connection.execute(query).fetchall()]
