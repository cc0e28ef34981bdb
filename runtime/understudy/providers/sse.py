"""Server-sent events, from bytes as they come.

Lines end at CR, LF or CRLF and nowhere else: ``str.splitlines`` also ends them
at characters that may stand inside of JSON.  A character or a line end may be
cut in two by the network.

Source: WHATWG HTML, "Server-sent events", 9.2.5 and 9.2.6.
"""

from __future__ import annotations

import re

import msgspec

from understudy_protocols.errors import UnderstudyError

MAX_EVENT = 16 * 1024 * 1024
"""Bytes that one event may have; far above what a model sends in one piece."""

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class EventTooLargeError(UnderstudyError):
    """One event of a stream is larger than any that a model would send.

    Attributes:
      limit: the most bytes that one may have; a count.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"one event of the stream has over {self.limit:,} bytes"


class ServerEvent(msgspec.Struct, frozen=True):
    """One event.

    Args:
      name: its ``event`` field; ``message`` if it has none.
      data: its ``data`` lines, joined by line feeds.
    """

    name: str
    data: str


class EventReader:
    """Makes events of bytes.

    Args:
      limit: the most bytes of one event; a count.
    """

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._rest: list[bytes] = []  # of a line that has not ended yet
        self._begun = False
        self._after_cr = False
        self._name = ""
        self._data: list[str] = []
        self._size = 0  # of the event's data so far; bytes
        self._rest_size = 0

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the events that *chunk* completes, in order.

        What has come of an event when the stream ends is no event.

        Raises:
          EventTooLargeError: an event is over the limit.
        """
        lines = self._lines(chunk)
        return [event for line in lines if (event := self._event(line)) is not None]

    def _lines(self, chunk: bytes) -> list[bytes]:
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        *lines, rest = _LINE_END.split(chunk)
        if lines:
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest, self._rest_size = [], 0
            if not self._begun:
                self._begun = True
                lines[0] = lines[0].removeprefix(_BOM)
        if rest:
            self._rest.append(rest)
            self._rest_size += len(rest)
            self._check(self._size + self._rest_size)
        return lines

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise EventTooLargeError(self._limit)

    def _event(self, line: bytes) -> ServerEvent | None:
        """Take in one line; return the event that it ends, if it ends one."""
        if not line:
            name, data = self._name or "message", self._data
            self._name, self._data, self._size = "", [], 0
            return ServerEvent(name, "\n".join(data)) if data else None
        self._check(self._size + len(line))
        # A line that begins with a colon is a comment: its field has no name.
        field, _, value = line.decode("utf-8", "replace").partition(":")
        if field == "data":
            self._data.append(value.removeprefix(" "))
            self._size += len(line)
        elif field == "event":
            self._name = value.removeprefix(" ")
        return None
