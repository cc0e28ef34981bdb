"""What a server does with a request, as data: to be drawn, read, and carried out."""

from __future__ import annotations

import gzip
import json
from enum import Enum
from functools import cached_property

import attrs


class Kind(Enum):
    """What a body says."""

    REPLY = "a whole answer"
    EVENTS = "a stream of events"
    ERROR = "an error, as JSON"
    HALF = "the first half of an answer"
    HTML = "a page for people"
    EMPTY = "nothing"


class Terminal(Enum):
    """What a stream of events ends with."""

    DONE = "the terminal event"
    NOTHING = "nothing"
    ERROR = "an event that says that the server failed"


@attrs.frozen
class Content:
    """A body before it is framed.

    Args:
      texts: the pieces of the answer.
      terminal: the end of a stream of events.
      padding: bytes of a comment that begins a stream of events, or of spaces
        that begin anything else; a count.
    """

    kind: Kind = Kind.REPLY
    texts: tuple[str, ...] = ("hello",)
    terminal: Terminal = Terminal.DONE
    padding: int = 0

    def parts(self) -> tuple[bytes, ...]:
        """Return its parts: of a stream, each is an event."""
        match self.kind:
            case Kind.EVENTS:
                start = b":" + b"." * self.padding + b"\n" if self.padding else b""
                said = [event({"text": text}) for text in self.texts]
                return (start, *said, _TERMINALS[self.terminal])
            case Kind.REPLY:
                return (b" " * self.padding, reply_body("".join(self.texts)))
            case Kind.HALF:
                return (b" " * self.padding, reply_body("".join(self.texts))[:-5])
            case Kind.ERROR:
                return (b" " * self.padding, b'{"error": "no"}')
            case Kind.HTML:
                return (b" " * self.padding, b"<html>Sign in, please</html>")
            case Kind.EMPTY:
                return ()

    @property
    def media_type(self) -> str:
        """What it is, to HTTP."""
        if self.kind is Kind.EVENTS:
            return "text/event-stream"
        return "text/html" if self.kind is Kind.HTML else "application/json"


def reply_body(text: str) -> bytes:
    """Return a whole answer as the provider of these tests writes it."""
    return json.dumps({"text": text, "usage": [7, len(text)]}).encode()


def event(value: object) -> bytes:
    """Return one event of a stream."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


_TERMINALS = {
    Terminal.DONE: event({"usage": [7, 5]}),
    Terminal.NOTHING: b"",
    Terminal.ERROR: event({"error": "overloaded"}),
}


class Framing(Enum):
    """How HTTP is told where a body ends."""

    LENGTH = "content-length"
    CHUNKED = "chunked"
    CLOSE = "the end of the connection"


class End(Enum):
    """What the server does when it has written up to the cut."""

    CLOSE = "closes the connection"
    RESET = "breaks the connection"
    STALL = "says nothing more"


class After(Enum):
    """What it does after a whole answer."""

    KEEP = "waits for the next request"
    CLOSE = "closes the connection at once, and does not say so"
    DROP_NEXT = "closes it when the next request has come"


class Encoding(Enum):
    """How a body is encoded."""

    NONE = ""
    GZIP = "gzip"
    BROKEN = "no gzip at all, but called that"


@attrs.frozen
class Answer:
    """What a server answers, byte by byte.

    Args:
      garbage: what is sent instead of HTTP, if it is not empty.
      media_type: what the body is called; None for what it is.
      declared: bytes that the content-length says too many; a count.
      chunk: bytes of each chunk; a count, 0 for one chunk.
      cut: bytes after which *end* happens; None for never.
      endless: whether the body goes on for ever, with comments or spaces.
      extra: what follows a whole answer, unasked for.
      delay: before the first byte; seconds.
      piece: bytes that are sent at once; a count, 0 for all.
      gap: between two pieces; seconds.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    content: Content = Content()
    garbage: bytes = b""
    media_type: str | None = None
    encoding: Encoding = Encoding.NONE
    framing: Framing = Framing.LENGTH
    declared: int = 0
    chunk: int = 0
    cut: int | None = None
    end: End = End.CLOSE
    endless: bool = False
    extra: bytes = b""
    after: After = After.KEEP
    delay: float = 0.0
    piece: int = 0
    gap: float = 0.0

    @cached_property
    def body(self) -> bytes:
        """The body, encoded."""
        plain = b"".join(self.content.parts())
        return gzip.compress(plain) if self.encoding is Encoding.GZIP else plain

    @cached_property
    def layout(self) -> tuple[tuple[bytes, bool], ...]:
        """All that is sent if nothing cuts it: bytes, and whether they are body."""
        if self.garbage:
            return ((self.garbage, False),)
        return (self._head(), *self._framed())

    @cached_property
    def wire(self) -> bytes:
        """All that is sent of what has an end."""
        whole = b"".join(piece for piece, _ in self.layout)
        return whole if self.cut is None else whole[: self.cut]

    @property
    def is_cut(self) -> bool:
        """Whether less is sent than there is."""
        return self.cut is not None and self.cut < sum(len(p) for p, _ in self.layout)

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """What is sent, as it is sent: up to the cut, or with what is extra."""
        sent = self.wire if self.is_cut else self.wire + self.extra
        size = self.piece or max(1, len(sent))
        return tuple(sent[at : at + size] for at in range(0, len(sent), size))

    @property
    def closes(self) -> bool:
        """Whether the server closes the connection after all of it."""
        framed = self.framing is not Framing.CLOSE and not self.garbage
        return not framed or self.after is After.CLOSE

    def _head(self) -> tuple[bytes, bool]:
        lines = [f"HTTP/1.1 {self.status} Whatever"]
        media_type = self.media_type
        lines.append(
            "content-type: "
            + (self.content.media_type if media_type is None else media_type)
        )
        if self.encoding is not Encoding.NONE:
            lines.append("content-encoding: gzip")
        if self.framing is Framing.LENGTH:
            lines.append(f"content-length: {len(self.body) + self.declared}")
        if self.framing is Framing.CHUNKED:
            lines.append("transfer-encoding: chunked")
        lines += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode(), False

    def _framed(self) -> list[tuple[bytes, bool]]:
        if self.framing is not Framing.CHUNKED:
            return [(self.body, True)]
        framed: list[tuple[bytes, bool]] = []
        size = self.chunk or max(1, len(self.body))
        for start in range(0, len(self.body), size):
            data = self.body[start : start + size]
            framed += [(b"%x\r\n" % len(data), False), (data, True), (b"\r\n", False)]
        return framed if self.endless else [*framed, (b"0\r\n\r\n", False)]

    @property
    def filler(self) -> bytes:
        """What an endless body goes on with."""
        is_stream = self.content.kind is Kind.EVENTS
        data = (b":" + b"." * 8190 + b"\n") if is_stream else b" " * 8192
        if self.framing is Framing.CHUNKED:
            return b"%x\r\n" % len(data) + data + b"\r\n"
        return data


@attrs.frozen
class Door:
    """What meets a new connection.

    Args:
      refuses: whether nobody is there.
      delay: until it is accepted; seconds.
    """

    refuses: bool = False
    delay: float = 0.0


OPEN = Door()


@attrs.frozen
class Turn:
    """One request of a script.

    Args:
      answer: what the server does with it, however often it comes.
      streamed: whether the answer is asked for piece by piece.
      door: what meets a connection made for it.  Unless it is open and quick, all
        idle connections are closed before, so that there is one.
      pause: before the request; seconds.
    """

    answer: Answer = Answer()
    streamed: bool = False
    door: Door = OPEN
    pause: float = 0.0


Script = tuple[Turn, ...]
"""Requests, one after the other, to one server."""
