"""What must come of a request, read off its script alone.

A naive client, which is given what a server sends, piece by piece with the time
of each.  It shares no code with the real one.
"""

from __future__ import annotations

import zlib

import attrs
from fault_script import (
    Answer,
    Encoding,
    End,
    Framing,
    Kind,
    Terminal,
    Turn,
)
from tiny_codec import STATUSES

from understudy_protocols.failures import Cause

CONNECT_TIMEOUT = 5.0
ERROR_WAIT = 5.0
ERROR_BODY = 256 * 1024


@attrs.frozen
class Expected:
    """The end of one request.

    Args:
      cause: of the failure; None for an answer.
      text: of the answer, or what came of it.
      sent: whether the request was sent at all.
    """

    cause: Cause | None
    text: str = ""
    sent: bool = True


def expected(
    turn: Turn, *, timeout: float, max_body: int, connects: bool = True
) -> Expected:
    """Return what must come of *turn*.

    Args:
      timeout: of the request; seconds.
      max_body: the most bytes that an answer may have; a count.
      connects: whether the door's delay is one of connecting, and not one of the
        server behind a connection that is there.
    """
    if turn.door.refuses or (connects and turn.door.delay > CONNECT_TIMEOUT):
        return Expected(Cause.TRANSPORT, sent=False)
    client = _Client(turn, max_body, timeout)
    start = turn.door.delay + turn.answer.delay
    now = start
    if now > timeout:
        return client.late()
    for place, piece in enumerate(turn.answer.pieces):
        now = start + place * turn.answer.gap
        if client.due(now) < now:
            return client.status_alone()
        if now > timeout:
            return client.late()
        client.take(piece, now)
        if client.over is not None:
            return client.over
    return _after_all(client, turn.answer, now, timeout)


def _after_all(client: _Client, answer: Answer, now: float, timeout: float) -> Expected:
    """Return what comes of it when all is sent that has an end."""
    if answer.endless and not answer.is_cut and answer.gap == 0:
        return client.flooded()
    stalls = answer.end is End.STALL if answer.is_cut else not answer.closes
    if stalls or (answer.endless and not answer.is_cut):
        return client.late() if client.due(1e9) > timeout else client.status_alone()
    broken = answer.is_cut and answer.end is End.RESET
    return client.ended(broken=broken)


class _Client:
    """What a client knows while an answer comes in.

    Attributes:
      over: what came of it, once nothing more can change that.
    """

    def __init__(self, turn: Turn, max_body: int, timeout: float) -> None:
        self._answer = turn.answer
        self._timeout = timeout
        self._max_body = max_body
        self._size = sum(len(data) for data, _ in turn.answer.layout)
        self._head = 0 if turn.answer.garbage else len(turn.answer.layout[0][0])
        self._streams = turn.streamed and not self._type.startswith("application/json")
        self._come = 0
        self._raw = b""
        self._head_at: float | None = None
        self.over: Expected | None = None

    @property
    def _type(self) -> str:
        given = self._answer.media_type
        return self._answer.content.media_type if given is None else given

    @property
    def _has_head(self) -> bool:
        return not self._answer.garbage and self._come >= self._head

    @property
    def _failed(self) -> bool:
        return self._has_head and not 200 <= self._answer.status < 300

    def due(self, now: float) -> float:
        """Return when this client stops to wait, if nothing comes before *now*."""
        if self._failed and self._head_at is not None:
            half = (self._timeout - self._head_at) / 2
            return min(now, self._head_at + min(ERROR_WAIT, half))
        return now

    def take(self, piece: bytes, now: float) -> None:
        """Take in what comes at *now*."""
        self._come += len(piece)
        if self._head_at is None and self._has_head:
            self._head_at = now
        self._raw = self._body_within(self._come)
        if self._failed:
            plain = self._plain()
            much = plain is None or len(plain) > min(self._max_body, ERROR_BODY)
            if much or self._is_whole:
                self.over = self.status_alone()
        elif self._has_head:
            self._judge()

    def _judge(self) -> None:
        plain = self._plain()
        if plain is None or len(plain) > self._max_body:
            # What came before it in the same piece may have been seen, or not:
            # scripts with so much have it in front of all else.
            self.over = Expected(Cause.MALFORMED, self._partial(b""))
        elif self._streams and self._answer.content.kind is Kind.EVENTS:
            done = plain.startswith(b"".join(self._answer.content.parts()))
            if done and self._answer.content.terminal is Terminal.DONE:
                self.over = Expected(None, "".join(self._answer.content.texts))
            elif done and self._answer.content.terminal is Terminal.ERROR:
                self.over = Expected(Cause.OVERLOADED, self._partial(plain))
        if self.over is None and self._is_whole:
            self.over = self._whole(plain or b"")

    def _body_within(self, come: int) -> bytes:
        """Return what belongs to the body of the first bytes of an answer."""
        body, at = b"", 0
        for data, is_body in self._answer.layout:
            if at >= come:
                break
            if is_body:
                body += data[: come - at]
            at += len(data)
        return body

    @property
    def _is_whole(self) -> bool:
        answer = self._answer
        match answer.framing:
            case Framing.LENGTH:
                return len(self._raw) >= len(answer.body) + answer.declared
            case Framing.CHUNKED:
                return self._come >= self._size and not answer.endless
            case Framing.CLOSE:
                return False

    def _plain(self) -> bytes | None:
        """Return the body so far, decoded; None if it cannot be."""
        if self._answer.encoding is Encoding.NONE:
            return self._raw
        try:
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(self._raw)
        except zlib.error:
            return None

    def _whole(self, plain: bytes) -> Expected:
        """Return what a body means that has ended as HTTP says that it should."""
        content = self._answer.content
        if not self._streams:
            is_reply = content.kind is Kind.REPLY and plain == b"".join(content.parts())
            if is_reply:
                return Expected(None, "".join(content.texts))
            return Expected(Cause.MALFORMED)
        some = content.kind is Kind.EVENTS and self._partial_count(plain) > 0
        if some or self._type.startswith("text/event-stream"):
            return Expected(Cause.TRANSPORT, self._partial(plain))
        return Expected(Cause.MALFORMED)

    def _partial_count(self, plain: bytes) -> int:
        """Return how many events have come as a whole."""
        start, *events = self._answer.content.parts()
        size, count = len(start), 0
        for event in events:
            size += len(event)
            if event and size <= len(plain):
                count += 1
        return count

    def _partial(self, plain: bytes) -> str:
        if not self._streams or self._answer.content.kind is not Kind.EVENTS:
            return ""
        return "".join(self._answer.content.texts[: self._partial_count(plain)])

    # Ends that come from outside of the bytes

    def late(self) -> Expected:
        """The request's own time is over."""
        return Expected(Cause.TIMEOUT, self._partial(self._plain() or b""))

    def status_alone(self) -> Expected:
        """The status has said enough."""
        return Expected(STATUSES.get(self._answer.status, Cause.BAD_REQUEST))

    def flooded(self) -> Expected:
        """There was more than any answer would have."""
        if self._failed:
            return self.status_alone()
        return Expected(Cause.MALFORMED, self._partial(self._plain() or b""))

    def ended(self, *, broken: bool) -> Expected:
        """The connection has ended."""
        if self._failed:
            return self.status_alone()
        plain = self._plain() or b""
        if self._has_head and self._answer.framing is Framing.CLOSE and not broken:
            return self._whole(plain)
        return Expected(Cause.TRANSPORT, self._partial(plain) if self._has_head else "")
