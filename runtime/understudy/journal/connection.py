"""What the SQL of a journal needs of a connection, and how one is made."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import quote

Column: TypeAlias = int | str | bytes | None


class Cursor(Protocol):
    """What a statement gave."""

    def fetchall(self) -> list[Any]:
        """Return all rows; what is in them is for the caller to check."""
        ...


class Connection(Protocol):
    """A connection in autocommit mode: that of ``sqlite3``, or one like it."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    @property
    def total_changes(self) -> int:
        """Rows written since it was opened; a count."""
        ...

    def execute(self, sql: str, parameters: Sequence[Column] = ..., /) -> Cursor:
        """Carry out one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Column]], /) -> Any:
        """Carry out one statement for each row of parameters."""
        ...


BUSY_MS: Final = 5000
"""How long another program that is at the file is waited for."""

# FULL: a commit is on the disk when it returns.  The two "fullfsync" matter on macOS
# alone, where a plain fsync leaves data in the disk's own cache.
SAFETY: Final = (
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
)

PAGE_BYTES: Final = 4096

LOG_BYTES: Final = 64 * 1024 * 1024
"""To this the log is cut when it begins anew; a long look at the journal lets it
grow, and it is read through after a crash."""

# A cell whose size cannot be is reported, not read over the edge of its page; and
# what stands in the schema of a file cannot call functions.
_CARE: Final = (
    f"PRAGMA busy_timeout = {BUSY_MS}",
    f"PRAGMA journal_size_limit = {LOG_BYTES}",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
)


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a database.

    The connection may be used from any thread, by one at a time: whoever asks for it
    keeps a lock beside it.

    Args:
      mode: ``ro``, ``rw``, or ``rwc`` to create it.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for pragma in _CARE if mode == "ro" else (*_CARE, *SAFETY):
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: Connection) -> Generator[None]:
    """Write all that the block writes, or nothing of it.

    The lock on writing is taken at once: a transaction that began by reading
    could not go on if another one wrote meanwhile.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(connection: Connection) -> Generator[None]:
    """See one moment of the journal throughout the block, which only reads."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
