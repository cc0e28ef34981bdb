"""A journal as other processes see it: to read, and to ask something of its owner."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from understudy.journal import reading, writing
from understudy.journal.connection import Column, connect
from understudy.journal.opening import check_tables
from understudy.journal.place import journal_place
from understudy.journal.sealing import MARK, Keys
from understudy.journal.troubles import told
from understudy_protocols.errors import JournalCorruptError, JournalError
from understudy_protocols.journal import Request, StoredRun
from understudy_protocols.outcomes import RunStatus


class SqliteReader:
    """Reads a journal, whether or not a process executes its runs.

    Each call sees what is safe at that moment.  The owner is not held up.

    Args:
      path: the file.

    Raises:
      JournalError: it is not there, cannot be read, or another release wrote it.
      JournalCorruptError: it is damaged, or no journal.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = Lock()
        with told(self._path):
            self._place, self._connection = open_to_read(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with told(self._path), self._lock:
            self._connection.close()

    def runs(
        self,
        *,
        statuses: Collection[RunStatus] = (),
        workflow: str | None = None,
        created_from: int | None = None,
        created_before: int | None = None,
        damaged: Callable[[str], None] | None = None,
    ) -> Iterator[StoredRun]:
        """Yield runs in the order in which they were accepted.

        Args:
          statuses: only those that stand there; empty for all.
          workflow: only those of this workflow.
          created_from: only those accepted then or later; microseconds since 1970.
          created_before: only those accepted earlier; microseconds since 1970.
          damaged: told of each that is damaged, in words, and the others come all the
            same; None to have that raised.

        Raises:
          JournalCorruptError: one is damaged.
        """
        where = ["1"]
        values: list[Column] = []
        if statuses:
            where.append(f"status IN ({', '.join('?' * len(statuses))})")
            values += [status.value for status in statuses]
        for condition, value in (
            ("workflow = ?", workflow),
            ("created_at >= ?", created_from),
            ("created_at < ?", created_before),
        ):
            if value is not None:
                where.append(condition)
                values.append(value)
        last = 0
        while page := self._page(" AND ".join(where), values, last):
            for found in page:
                try:
                    with told(self._path):
                        run = reading.stored_run(found)
                except JournalCorruptError as error:
                    if damaged is None:
                        raise
                    damaged(str(error))
                else:
                    yield run
            last = page[-1][0]

    def _page(
        self, where: str, values: list[Column], after: int
    ) -> list[Sequence[Any]]:
        with told(self._path), self._lock:
            return reading.run_rows(self._connection, where, values, after)

    def find(self, run_id: str) -> StoredRun | None:
        """Return the run of that id, if there is one."""
        with told(self._path), self._lock:
            return reading.find_run(self._connection, run_id)

    def records(self, row: int) -> list[bytes]:
        """Return the records of a run, in order.

        Raises:
          JournalCorruptError: one is damaged, or missing.
        """
        with told(self._path), self._lock:
            return reading.records_of(self._connection, row)

    def blob(self, digest: bytes) -> bytes:
        """Return a large value.

        Raises:
          JournalCorruptError: it is damaged, or missing.
        """
        with told(self._path), self._lock:
            return reading.blob_of(self._connection, digest)

    def fingerprint(self, number: int) -> bytes:
        """Return the shape of that id."""
        with told(self._path), self._lock:
            return reading.shape_of(self._connection, number)

    def requests(self) -> Iterable[Request]:
        """Return the requests that wait, in order."""
        with told(self._path), self._lock:
            return reading.waiting_requests(self._connection)

    def ask(self, run_id: str, what: str, body: bytes = b"{}") -> int:
        """Ask something of whoever executes the runs, now or later.

        In a journal with something sensitive the body is encrypted.

        Returns:
          the id of the request, for `outcome`.

        Raises:
          CodecError: there is no key for it.
          JournalWriteError: the file cannot be written.
        """
        if body.strip() != b"{}" and self._holds_sensitive():
            body = Keys().sealed_body(body)
        with told(self._path), closing(connect(self._place, "rw")) as connection:
            return writing.ask(connection, run_id, what, body)

    def _holds_sensitive(self) -> bool:
        with told(self._path), self._lock:
            return reading.has_shape(self._connection, MARK)

    def outcome(self, request: int) -> str | None:
        """Return what came of a request: empty if it was done, None if it waits."""
        with told(self._path), self._lock:
            return reading.outcome_of(self._connection, request)


def open_to_read(path: Path) -> tuple[Path, sqlite3.Connection]:
    """Return the real place of a journal, and a connection that only reads it."""
    place = journal_place(path)
    if not place.exists():
        raise JournalError("there is no such file")
    connection = connect(place, "ro")
    try:
        check_tables(connection)
    except BaseException:
        connection.close()
        raise
    return place, connection
