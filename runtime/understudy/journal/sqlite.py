"""A journal in one file, by SQLite.

One connection writes, in the thread of whoever calls `SqliteStore.write`; another one
does all else.  So neither waits for the other, but for the short time in which both
write.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final

from understudy.journal import reading, writing
from understudy.journal.connection import connect
from understudy.journal.lock import OwnerLock
from understudy.journal.opening import make_room, take_over
from understudy.journal.place import journal_place
from understudy.journal.troubles import TROUBLE, journal_error, told
from understudy_protocols.errors import (
    JournalBusyError,
    JournalCorruptError,
    JournalError,
    JournalStaleError,
)
from understudy_protocols.journal import Batch, Request, StoredRun

LOOK_EVERY: Final = 0.01
"""How long a file that was where it should be is taken to be there; seconds."""


class SqliteStore:
    """Keeps records in a file; a `Store`.

    Beside it stand ``-wal`` and ``-shm``, which are SQLite's, and ``.lock``.

    Args:
      path: the file; made if it is not there, in a folder that is.
      utcnow: the wall clock; for the words to those who are refused.
      in_place: write in the trio thread.  One run at a time is quicker so, as no
        thread has to be woken up, and no other task; but nothing else of the process
        goes on, and no limit of time is kept, while the disk makes a write safe.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        utcnow: Callable[[], datetime] = lambda: datetime.now(UTC),
        in_place: bool = False,
    ) -> None:
        self._path = Path(path)
        self._utcnow = utcnow
        self._in_place = in_place
        self._open: _Open | None = None
        self._lock: OwnerLock

    @property
    def in_place(self) -> bool:
        """See `Store`."""
        return self._in_place

    def open(self) -> None:
        """See `Store`."""
        if self._open is not None:
            raise JournalBusyError(
                f"the journal {self._path}: another runtime has this store; give each "
                "a file of its own"
            )
        with told(self._path):
            place = journal_place(self._path)
            lock = OwnerLock(place)
            lock.take(self._utcnow())
            try:
                self._open = _Open(place)
            except BaseException:
                lock.free()
                raise
            self._lock = lock

    def close(self) -> None:
        """See `Store`."""
        taken, self._open = self._open, None
        if taken is not None:
            try:
                with told(self._path):
                    taken.close()
            finally:
                self._lock.free()

    def write(self, batch: Batch) -> None:
        """See `Store`."""
        taken = self._taken()
        try:
            with taken.writing:
                taken.check_place()
                writing.write_batch(taken.writer, batch, taken.epoch)
        except TROUBLE as error:
            raise journal_error(error, self._path) from error

    @property
    def next_row(self) -> int:
        """See `Store`."""
        with self._reading() as taken:
            return reading.next_row(taken.reader)

    def fingerprint_id(self, document: bytes) -> int:
        """See `Store`."""
        with self._reading() as taken:
            taken.check_place()
            return writing.keep_fingerprint(taken.reader, document, taken.epoch)

    def fingerprint(self, number: int) -> bytes:
        """See `Store`."""
        with self._reading() as taken:
            return reading.shape_of(taken.reader, number)

    def left_over(
        self, after: int, damaged: Callable[[str], None] | None = None
    ) -> Sequence[tuple[StoredRun, list[bytes] | None]]:
        """See `Store`."""
        with self._reading() as taken:

            def told_of(error: JournalCorruptError) -> None:
                if damaged is None:
                    raise error
                damaged(f"the journal {self._path}: {error}")

            return reading.left_runs(taken.reader, after, told_of)

    def find(self, run_id: str) -> StoredRun | None:
        """See `Store`."""
        with self._reading() as taken:
            return reading.find_run(taken.reader, run_id)

    def records(self, row: int) -> list[bytes]:
        """See `Store`."""
        with self._reading() as taken:
            return reading.records_of(taken.reader, row)

    def blob(self, digest: bytes) -> bytes:
        """See `Store`."""
        with self._reading() as taken:
            return reading.blob_of(taken.reader, digest)

    def requests(self) -> Iterable[Request]:
        """See `Store`."""
        with self._reading() as taken:
            return reading.waiting_requests(taken.reader)

    @contextmanager
    def _reading(self) -> Generator[_Open]:
        taken = self._taken()
        with told(self._path), taken.reading:
            yield taken

    def _taken(self) -> _Open:
        if self._open is None:
            raise JournalError(f"the journal {self._path} is not open; open it first")
        return self._open


class _Open:
    """What a store has while it is open.

    Each connection is used by one thread at a time, which holds its lock.
    """

    __slots__ = (
        "_file",
        "_look_again",
        "_place",
        "epoch",
        "reader",
        "reading",
        "writer",
        "writing",
    )

    def __init__(self, place: Path) -> None:
        with ExitStack() as undo:
            self.writer: sqlite3.Connection = take_over(place)
            undo.callback(self.writer.close)
            self.reader: sqlite3.Connection = connect(place, "rw")
            undo.callback(self.reader.close)
            self.epoch: int = writing.raise_epoch(self.writer)
            make_room(self.writer, place)
            undo.pop_all()
        self.writing: Lock = Lock()
        self.reading: Lock = Lock()
        self._place = os.fspath(place)
        self._file = _identity(self._place)
        self._look_again = 0.0

    def check_place(self) -> None:
        """See that the file is still where it was, before something goes into it.

        So it is taken to be for `LOOK_EVERY` seconds from the last look.
        """
        now = monotonic()
        if now < self._look_again:
            return
        if _identity(self._place) != self._file:
            raise JournalStaleError(
                "the file was moved, removed or replaced while it was open; nothing "
                "more is written from here"
            )
        self._look_again = now + LOOK_EVERY

    def close(self) -> None:
        """Close both connections, when nobody uses them."""
        with self.writing, self.reading:
            self.reader.close()
            self.writer.close()


def _identity(place: str) -> tuple[int, int] | None:
    try:
        found = os.stat(place)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
