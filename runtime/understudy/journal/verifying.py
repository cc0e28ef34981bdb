"""A journal looked through from end to end: what in it is damaged or missing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

import msgspec

from understudy.journal import reading
from understudy.journal.connection import snapshot
from understudy.journal.reader import open_to_read
from understudy.journal.references import references
from understudy.journal.troubles import journal_error, told
from understudy.journal.values import digest_of
from understudy.journal.wal import read_log
from understudy_protocols.errors import CodecError, JournalCorruptError
from understudy_protocols.journal import BEGUN, BEGUN_AGAIN, REFUSED
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import (
    Accepted,
    Called,
    Ended,
    Record,
    Reserved,
    decode_record,
)


class Problem(msgspec.Struct, frozen=True):
    """Something that is not as it was written, or should have been.

    Args:
      where: the file, a run, a record or a value.
      detail: what is wrong with it, in words.
    """

    where: str
    detail: str


class Verified(msgspec.Struct, frozen=True):
    """What was looked at.

    Args:
      runs: a count.
      records: a count.
      blobs: large values; a count.
      spare: those of them that no record refers to, which `prune` deletes; a count.
      unsafe: pages at the end of SQLite's log that belong to a write that was under
        way when its process or machine stopped.  Nobody was told that it was
        done, and it is dropped when the journal is opened.
      problems: all that is wrong; none in a sound journal.
    """

    runs: int
    records: int
    blobs: int
    spare: int
    unsafe: int
    problems: tuple[Problem, ...]


def verify(path: str | os.PathLike[str]) -> Verified:
    """Look through a journal; its owner may go on meanwhile.

    Raises:
      JournalError: it is not there, cannot be read, or another release wrote it.
      JournalCorruptError: it is no journal, or too damaged to be looked through.
    """
    with told(Path(path)):
        place, connection = open_to_read(Path(path))
        with closing(connection), snapshot(connection):
            check = _Check(connection, place)
            for part in (
                check.log,
                check.pages,
                check.runs,
                check.records,
                check.blobs,
                check.requests,
            ):
                check.carry_out(part)
            return check.result()


class _Check:
    """What has been found so far."""

    def __init__(self, connection: sqlite3.Connection, place: Path) -> None:
        self._connection = connection
        self._place = place
        self._wanted: set[bytes] = set()
        self._runs = self._records = self._blobs = self._spare = self._unsafe = 0
        self._problems: list[Problem] = []

    def carry_out(self, part: Callable[[], None]) -> None:
        """Do a part of it; where SQLite cannot go on, that is a problem as well."""
        try:
            part()
        except sqlite3.DatabaseError as error:
            trouble = journal_error(error, self._place)
            if not isinstance(trouble, JournalCorruptError):
                raise
            self._problem("the file", str(trouble))

    def result(self) -> Verified:
        """Return all that was found."""
        return Verified(
            self._runs,
            self._records,
            self._blobs,
            self._spare,
            self._unsafe,
            tuple(self._problems),
        )

    def log(self) -> None:
        """Look at SQLite's log."""
        path = self._place.with_name(f"{self._place.name}-wal")
        log = read_log(path)
        self._unsafe = log.behind
        if log.broken:
            self._problem(
                path.name, f"damaged behind frame {log.frames}; what follows is lost"
            )

    def pages(self) -> None:
        """Let SQLite look at the pages."""
        for (words,) in self._connection.execute("PRAGMA integrity_check"):
            if words != "ok":
                self._problem("the file", words)

    def runs(self) -> None:
        """Look at the runs by themselves."""
        shapes: set[int] = set()
        for found in self._connection.execute(f"{reading.RUN} ORDER BY row"):
            self._runs += 1
            try:
                shapes.add(reading.stored_run(found).fingerprint)
            except JournalCorruptError as error:
                self._problem(f"row {found[0]}", str(error))
        for number in sorted(shapes):
            try:
                reading.shape_of(self._connection, number)
            except JournalCorruptError as error:
                self._problem("the workflows", str(error))
        for (row,) in self._connection.execute(_WITHOUT_RECORDS):
            self._problem(f"row {row}", "the run has no records")

    def records(self) -> None:
        """Look at the records of each run."""
        records = self._connection.execute(_RECORDS)
        for row, group in groupby(records, itemgetter(0)):
            self._check_run(row, [(part[1], part[2], part[3]) for part in group])

    def _check_run(self, row: int, found: list[tuple[int, object, str | None]]) -> None:
        status = found[0][2]
        if status is None:
            self._problem(f"row {row}", f"{len(found)} records belong to no run")
        records: list[Record | None] = []
        for place, (number, stored, _) in enumerate(found):
            if number != place:
                self._problem(f"row {row}", f"record {place} is missing")
                return
            records.append(self._record(row, number, stored))
        self._records += len(records)
        if records[0] is not None and not isinstance(records[0], Accepted):
            self._problem(f"row {row}, record 0", "it is not that of the acceptance")
        # Behind the end there may be what was in hand when it came.
        before = (one for one in records[::-1] if not isinstance(one, _IN_HAND))
        last = next(before, None)
        said = last.status if isinstance(last, Ended) else None
        if last is not None and status is not None and said != _terminal(status):
            self._problem(
                f"row {row}",
                f"its status is {status}, and its last record says "
                f"{said or 'that it goes on'}",
            )

    def _record(self, row: int, number: int, stored: object) -> Record | None:
        where = f"row {row}, record {number}"
        try:
            content = reading.record(row, number, stored)
            for digest in references(content) - self._wanted:
                self._wanted.add(digest)
                reading.blob_of(self._connection, digest)
            return decode_record(content)
        except (CodecError, JournalCorruptError) as error:
            self._problem(where, str(error))
            return None

    def blobs(self) -> None:
        """Look at the large values that are there."""
        for digest, content in self._connection.execute(
            "SELECT digest, content FROM blobs"
        ):
            self._blobs += 1
            if digest not in self._wanted:
                self._spare += 1
                if digest_of(content) != digest:
                    self._problem("the values", f"the value {digest.hex()} is damaged")

    def requests(self) -> None:
        """Look at what was asked of the owner."""
        for found in self._connection.execute(reading.REQUEST):
            try:
                reading.request(found)
            except JournalCorruptError as error:
                self._problem("the requests", str(error))
        for number, outcome in self._connection.execute(
            "SELECT id, outcome FROM requests WHERE outcome <> ''"
        ):
            # It has no sum; what cannot have been written is noticed all the same.
            if not isinstance(outcome, str) or not outcome.startswith(_OUTCOMES):
                self._problem(
                    "the requests", f"what came of the request {number} is damaged"
                )

    def _problem(self, where: str, detail: str) -> None:
        self._problems.append(Problem(where, detail))


def _terminal(status: str) -> str | None:
    ended = status in {end.value for end in RunStatus if end.terminal}
    return status if ended else None


_IN_HAND: Final = (Reserved, Called)
_OUTCOMES: Final = (REFUSED, BEGUN, BEGUN_AGAIN)
_WITHOUT_RECORDS: Final = (
    "SELECT row FROM runs"
    " WHERE NOT EXISTS (SELECT 1 FROM records WHERE run = row) ORDER BY row"
)
_RECORDS: Final = (
    "SELECT run, number, content, status FROM records"
    " LEFT JOIN runs ON runs.row = records.run ORDER BY run, number"
)
