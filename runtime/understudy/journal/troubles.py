"""What SQLite says when something is wrong, in words that help."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from understudy_protocols.errors import (
    JournalCorruptError,
    JournalError,
    JournalWriteError,
)

DAMAGED: Final = "it is damaged; keep a copy, and restore it from a backup"

_TROUBLES: Final[dict[int, tuple[type[JournalError], str]]] = {
    sqlite3.SQLITE_BUSY: (
        JournalWriteError,
        "another program has locked it; end that one, or try again",
    ),
    sqlite3.SQLITE_LOCKED: (
        JournalWriteError,
        "another program has locked it; end that one, or try again",
    ),
    sqlite3.SQLITE_FULL: (JournalWriteError, "the disk is full; make room"),
    sqlite3.SQLITE_IOERR: (
        JournalWriteError,
        "its disk reports an error; see to the disk, or its quota",
    ),
    sqlite3.SQLITE_READONLY: (
        JournalWriteError,
        "it, or its folder, cannot be written; change the permissions",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        JournalError,
        "it, or a file beside it, cannot be opened; see to the permissions",
    ),
    sqlite3.SQLITE_PERM: (JournalError, "access is denied; change the permissions"),
    sqlite3.SQLITE_NOTADB: (
        JournalCorruptError,
        "it is no database of SQLite; name another file",
    ),
    sqlite3.SQLITE_CORRUPT: (
        JournalCorruptError,
        DAMAGED,
    ),
    sqlite3.SQLITE_CONSTRAINT: (
        JournalCorruptError,
        "it holds something already that this runtime has not written there",
    ),
    sqlite3.SQLITE_MISMATCH: (JournalCorruptError, "it is damaged"),
    sqlite3.SQLITE_ERROR: (
        JournalCorruptError,
        "its tables are damaged, or not those of a journal",
    ),
}


TROUBLE: Final = (JournalError, sqlite3.Error, UnicodeDecodeError)
"""What an error is that `journal_error` has words for."""


@contextmanager
def told(path: Path) -> Generator[None]:
    """Raise what goes wrong in the block as a JournalError that names the file."""
    try:
        yield
    except TROUBLE as error:
        raise journal_error(error, path) from error


def journal_error(error: Exception, path: Path) -> JournalError:
    """Return what *error* means for the journal at *path*.

    Args:
      error: one of `TROUBLE`.
    """
    where = f"the journal {path}"
    if isinstance(error, JournalError):
        return type(error)(f"{where}: {error}")
    if isinstance(error, UnicodeDecodeError):
        # Names of damaged tables, in what SQLite wanted to say.
        return JournalCorruptError(f"{where}: {DAMAGED}")
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_INTERNAL)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    kind, words = _TROUBLES.get(
        code & 0xFF, (JournalError, "SQLite cannot work with it")
    )
    return kind(f"{where}: {words} ({name}: {error})")
