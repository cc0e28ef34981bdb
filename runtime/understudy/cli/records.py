"""JSON Lines and CSV, cut into records as the bytes come in.

Nothing here reads or waits: a parser is fed chunks of any size and gives the
records that are whole.  A record that cannot be read is given too, with what
is wrong with it, and the next one is read as if nothing had happened.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Protocol

import msgspec

from understudy_protocols.errors import SetupError

MAX_RECORD = 16 * 1024 * 1024
"""Bytes of one record; far above any input, and a bound on what is kept."""

_BOM = b"\xef\xbb\xbf"


class Record(msgspec.Struct, frozen=True):
    """One input, as plain data.

    Args:
      line: where it begins, from 1.
      value: the plain data; meaningless if there is a problem.
      problem: why it cannot be read; empty if it can.
    """

    line: int
    value: object = None
    problem: str = ""


class RecordParser(Protocol):
    """Cuts a stream of bytes into records.

    Attributes:
      taken: bytes of the lines that were looked at.
    """

    taken: int

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """Yield the records that end in *chunk*; to be used up before the next."""
        ...

    def end(self) -> Iterator[Record]:
        """Yield what is left when there are no more chunks."""
        ...


class _Lines:
    """Cuts chunks into lines, each cut off just above `MAX_RECORD`."""

    def __init__(self) -> None:
        self._rest = b""
        self._first = True

    def feed(self, chunk: bytes) -> list[bytes]:
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()[: MAX_RECORD + 1]
        return self._without_mark(lines)

    def end(self) -> list[bytes]:
        rest, self._rest = self._rest, b""
        return self._without_mark([rest] if rest else [])

    def _without_mark(self, lines: list[bytes]) -> list[bytes]:
        if self._first and lines:
            self._first = False
            lines[0] = lines[0].removeprefix(_BOM)
        return lines


class JsonLines:
    """One JSON value per line; empty lines are passed over."""

    def __init__(self) -> None:
        self._lines = _Lines()
        self._number = 0
        self.taken: int = 0

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """Yield the records that end in *chunk*."""
        return self._records(self._lines.feed(chunk))

    def end(self) -> Iterator[Record]:
        """Yield the last record, if no newline ends it."""
        return self._records(self._lines.end())

    def _records(self, lines: list[bytes]) -> Iterator[Record]:
        for line in lines:
            self._number += 1
            self.taken += len(line) + 1
            if line and not line.isspace():
                yield _json_record(self._number, line)


def _json_record(number: int, line: bytes) -> Record:
    if len(line) > MAX_RECORD:
        return Record(number, problem=_too_long())
    try:
        value: object = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Record(number, problem=f"is no JSON: {error}")
    except RecursionError:
        return Record(number, problem="is no JSON that can be read: nested too deep")
    return Record(number, value)


class CsvRows:
    """Rows under a header; each is a mapping from column to text.

    A quoted cell may hold line breaks.  Empty lines are passed over.

    Raises:
      SetupError: the header cannot be used; from `feed` and `end`.
    """

    def __init__(self) -> None:
        self._lines = _Lines()
        self._number = 0
        self.taken: int = 0
        self._header: tuple[str, ...] | None = None
        # The lines of a row whose quotes are still open, and their length.
        self._open: list[str] = []
        self._open_size = 0
        self._open_from = 0

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """Yield the records that end in *chunk*."""
        for line in self._lines.feed(chunk):
            yield from self._line(line)

    def end(self) -> Iterator[Record]:
        """Yield the last record, if no newline ends it."""
        for line in self._lines.end():
            yield from self._line(line)
        if self._open:
            yield self._never_closed()

    def _line(self, line: bytes) -> Iterator[Record]:
        self._number += 1
        self.taken += len(line) + 1
        if len(line) > MAX_RECORD:
            yield Record(self._number, problem=_too_long())
            return
        if not self._open:
            self._open_from, self._open_size = self._number, 0
            if not line.strip():
                return
        self._open_size += len(line)
        try:
            # csv takes the line break as part of a cell whose quotes are open.
            self._open.append(line.decode().removesuffix("\r") + "\n")
        except UnicodeDecodeError as error:
            self._open.clear()
            yield Record(self._open_from, problem=f"is no UTF-8: {error.reason}")
            return
        if len(self._open) > 1 and b'"' not in line:
            if self._open_size > MAX_RECORD:
                yield self._never_closed()
            return
        yield from self._try_row()

    def _try_row(self) -> Iterator[Record]:
        try:
            cells, whole = _parse(self._open)
        except csv.Error as error:
            self._open.clear()
            yield Record(self._open_from, problem=f"is no row of CSV: {error}")
            return
        if whole:
            self._open.clear()
            yield from self._row(cells)

    def _row(self, cells: list[str]) -> Iterator[Record]:
        if self._header is None:
            self._header = _checked_header(cells)
        elif len(cells) != len(self._header):
            yield Record(
                self._open_from,
                problem=f"has {len(cells)} cells, and the header {len(self._header)}",
            )
        else:
            yield Record(self._open_from, dict(zip(self._header, cells, strict=True)))

    def _never_closed(self) -> Record:
        self._open.clear()
        return Record(
            self._open_from, problem="has a cell whose opening quote is never closed"
        )


def _parse(lines: list[str]) -> tuple[list[str], bool]:
    """Return the cells of the one row in *lines*, and whether it is whole."""
    whole = True

    def source() -> Iterator[str]:
        nonlocal whole
        yield from lines
        # The reader asks for a further line only inside open quotes.
        whole = False

    cells = next(csv.reader(source()), list[str]())
    return cells, whole


def _checked_header(cells: list[str]) -> tuple[str, ...]:
    names = tuple(cell.strip() for cell in cells)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SetupError(
            f"the header has two columns called {twice[0]!r}; rename one of them"
        )
    return names


def _too_long() -> str:
    return f"is longer than {MAX_RECORD // 1024 // 1024} MiB"
