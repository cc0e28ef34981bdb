"""An HTTP server that does what a script says, on any stream that trio has.

It listens on 127.0.0.1 only, and ends with the block that it is opened in.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import attrs
import trio
from fault_script import OPEN, After, Answer, Door, End

PATIENCE = 3600.0
"""A connection on which nothing happens for so long is closed; seconds."""

_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError)


class ServerEnd(Protocol):
    """The server's end of a connection."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes: ...

    async def send_all(self, data: bytes) -> None: ...

    async def aclose(self) -> None: ...


@attrs.frozen
class Seen:
    """A request that the server has read.

    Args:
      connection: it came over; numbered from 1.
      place: among the requests of this connection, from 1.
      head: what stands before the body.
    """

    connection: int
    place: int
    head: bytes
    body: bytes
    at: float

    @property
    def number(self) -> int:
        """The number that the client of these tests gives each request."""
        number = json.loads(self.body)["number"]
        assert isinstance(number, int)
        return number


class FaultServer:
    """Answers each request as *answers* says.

    Args:
      answers: what to do with a request.
      reset: breaks a connection.

    Attributes:
      seen: the requests that came, in order.
      dropped: those of them that were read and not answered, as the connection
        was to be closed.
      door: what meets new connections.
      open: connections that are open; a count.
    """

    def __init__(
        self,
        answers: Callable[[Seen], Answer],
        reset: Callable[[ServerEnd], None],
    ) -> None:
        self._answers = answers
        self._reset = reset
        self.seen: list[Seen] = []
        self.dropped: list[Seen] = []
        self.door: Door = OPEN
        self.open = 0
        self._made = 0
        self._idle: set[trio.CancelScope] = set()

    def close_idle(self) -> None:
        """Close the connections that wait for a request."""
        for scope in self._idle:
            scope.cancel()

    async def serve(self, stream: ServerEnd) -> None:
        """Serve one connection until it ends."""
        self._made += 1
        self.open += 1
        connection = _Connection(self, stream, self._made)
        try:
            with trio.move_on_after(PATIENCE):
                await connection.serve()
        except _BROKEN:
            pass
        finally:
            self.open -= 1
            with trio.CancelScope(shield=True):
                await stream.aclose()


class _Connection:
    def __init__(self, server: FaultServer, stream: ServerEnd, number: int) -> None:
        self._server = server
        self._stream = stream
        self._number = number
        self._come = b""
        self._place = 0
        self._drops = False

    async def serve(self) -> None:
        while (seen := await self._request()) is not None:
            self._server.seen.append(seen)
            if self._drops:
                self._server.dropped.append(seen)
                return
            answer = self._server._answers(seen)
            if not await self._answer(answer):
                return
            self._drops = answer.after is After.DROP_NEXT

    async def _request(self) -> Seen | None:
        """Return the next request; None if there is none."""
        head = await self._until(b"\r\n\r\n")
        if head is None:
            return None
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(self._come) < length:
            if not await self._more():
                return None
        body, self._come = self._come[:length], self._come[length:]
        self._place += 1
        now = trio.current_time()
        return Seen(self._number, self._place, head, body, now)

    async def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._come:
            idle = trio.CancelScope()
            self._server._idle.add(idle)
            try:
                with idle:
                    if await self._more():
                        continue
                return None
            finally:
                self._server._idle.discard(idle)
        found, _, self._come = self._come.partition(mark)
        return found

    async def _more(self) -> bool:
        data = await self._stream.receive_some(65536)
        self._come += data
        return bool(data)

    async def _answer(self, answer: Answer) -> bool:
        """Send an answer; whether the connection stays open."""
        await trio.sleep(answer.delay)
        for place, piece in enumerate(answer.pieces):
            if place:
                await trio.sleep(answer.gap)
            await self._stream.send_all(piece)
        if answer.is_cut:
            return await self._end(answer.end)
        while answer.endless:
            await trio.sleep(answer.gap)
            await self._stream.send_all(answer.filler)
        return not answer.closes

    async def _end(self, end: End) -> bool:
        match end:
            case End.CLOSE:
                return False
            case End.RESET:
                self._server._reset(self._stream)
                return False
            case End.STALL:
                while await self._more():
                    pass
                return False


def reset_socket(stream: ServerEnd) -> None:
    """Let the other end of a socket see a reset when it is closed."""
    assert isinstance(stream, trio.SocketStream), "it is no socket"
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Listening:
    """A server on a real socket.

    Attributes:
      server: what answers.
      url: where it listens.
    """

    def __init__(self, server: FaultServer, nursery: trio.Nursery) -> None:
        self.server = server
        self._nursery = nursery
        self._scope: trio.CancelScope | None = None
        self._closed = trio.Event()
        self._port = 0

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self._port}"

    async def set_door(self, door: Door) -> None:
        """Let *door* meet new connections: whether anybody listens at all."""
        self.server.door = door
        if door.refuses and self._scope is not None:
            self._scope.cancel()
            await self._closed.wait()
            self._scope = None
        if not door.refuses and self._scope is None:
            await self._listen()

    async def _listen(self) -> None:
        listeners = await trio.open_tcp_listeners(self._port, host="127.0.0.1")
        bound: tuple[str, int] = listeners[0].socket.getsockname()
        self._port = bound[1]
        self._scope, self._closed = trio.CancelScope(), trio.Event()
        self._nursery.start_soon(self._accept, listeners, self._scope)

    async def _accept(
        self, listeners: list[trio.SocketListener], scope: trio.CancelScope
    ) -> None:
        with scope:
            await trio.serve_listeners(
                self._serve, listeners, handler_nursery=self._nursery
            )
        # A connection that was made already is served on.
        self._closed.set()

    async def _serve(self, stream: trio.SocketStream) -> None:
        await trio.sleep(self.server.door.delay)
        await self.server.serve(stream)


@asynccontextmanager
async def listening(answers: Callable[[Seen], Answer]) -> AsyncGenerator[Listening]:
    """Run a server for the length of a block."""
    async with trio.open_nursery() as nursery:
        made = Listening(FaultServer(answers, reset_socket), nursery)
        await made.set_door(OPEN)
        yield made
        nursery.cancel_scope.cancel()
