"""Taking a journal's file over: found whole, or made, before anything is written."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from understudy.journal.connection import PAGE_BYTES, Connection, connect
from understudy.journal.schema import check_schema, migrate, schema_version
from understudy.journal.wal import read_log
from understudy_protocols.errors import JournalCorruptError, JournalError

ROOM_BYTES: Final = 4 * 1024 * 1024
"""The log is so long from the beginning: about what SQLite puts into it before it
begins it anew."""

CHECKED_BYTES: Final = 256 * 1024 * 1024
"""Up to this size a file is checked whole each time that it is taken over."""


def take_over(place: Path) -> sqlite3.Connection:
    """Return a connection that writes to the journal at *place*, which is sound.

    Raises:
      JournalError: another release wrote it, or it cannot be written.
      JournalCorruptError: it is damaged, or no journal.
    """
    check_log(place)
    connection = connect(place, "rwc")
    try:
        prepare(connection)
        check_tables(connection)
        if place.stat().st_size <= CHECKED_BYTES:
            check_pages(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: Connection) -> None:
    """Make a file a journal, unless it is one, or something else."""
    # Asked first: the next line would change the database of something else.
    schema_version(connection)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    [(mode,)] = connection.execute("PRAGMA journal_mode = WAL").fetchall()
    if mode != "wal":
        raise JournalError(
            "its file system cannot share memory between processes, as SQLite's "
            "write-ahead log needs; put it on another disk"
        )
    # What a crash has left at the end of the log goes, unless somebody reads just
    # now.  If it stayed, and the next crash came in the midst of the first write over
    # it, the two together could look as if something that was safe had been damaged.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    migrate(connection)


def make_room(connection: Connection, place: Path, size: int = ROOM_BYTES) -> None:
    """Make the log *size* bytes long, if the disk has plenty of room.

    A commit that makes it longer takes twice as long, as the disk has to make that
    safe as well.  SQLite takes zeros for the end of what was written.  Something has
    to be in it: a log that begins with zeros is damaged.
    """
    log = log_of(place)
    # While nobody else can write to it.
    connection.execute("BEGIN IMMEDIATE")
    try:
        with suppress(OSError), log.open("r+b", buffering=0) as file:
            used = file.seek(0, os.SEEK_END)
            plenty = shutil.disk_usage(log).free > 10 * size
            if 0 < used < size and plenty:
                _fill(file, used, size)
    finally:
        connection.execute("ROLLBACK")


def _fill(file: FileIO, used: int, size: int) -> None:
    """Write zeros from *used* to *size*, or nothing; and make them safe."""
    try:
        written = file.write(bytes(size - used))
        os.fsync(file.fileno())
    except OSError:
        written = 0
    if written != size - used:
        file.truncate(used)


def check_log(place: Path) -> None:
    """See that what was safe has not been lost; before SQLite drops it for good.

    Raises:
      JournalCorruptError: it has.
    """
    log = log_of(place)
    if not _size(place) and _size(log):
        # SQLite would take it for a new one, and remove the log.
        raise JournalCorruptError(
            f"it is empty, and what belongs to it is in {log}; restore it from a copy, "
            "or remove that file as well to begin anew"
        )
    if read_log(log).broken:
        raise JournalCorruptError(
            f"what was written last is damaged in {log}; keep copies of both files, "
            "and restore them from a backup"
        )


def log_of(place: Path) -> Path:
    """Return where the log of a journal is."""
    return place.with_name(f"{place.name}-wal")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def check_tables(connection: Connection) -> None:
    """See that the file is a journal of this release; see `check_schema`."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
        check_schema(connection, empty)


def check_pages(connection: Connection) -> None:
    """See that the pages of the file fit together.

    Raises:
      JournalCorruptError: they do not.
    """
    found = connection.execute("PRAGMA integrity_check(1)").fetchall()
    if found != [("ok",)]:
        raise JournalCorruptError(
            f"it is damaged ({found[0][0]}); keep a copy, and restore it from a backup"
        )
