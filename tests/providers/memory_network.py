"""Connections in memory, for httpcore: the same servers under virtual time."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpcore
import trio
from fault_script import Answer
from fault_server import FaultServer, Seen, ServerEnd

CAPACITY = 65536
"""Bytes that are under way in one direction before a sender has to wait."""


class _Pipe:
    """One direction of a connection."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False  # the sender has closed
        self.reset = False
        self.gone = False  # the receiver has closed
        self._waiting = trio.lowlevel.ParkingLot()

    def changed(self) -> None:
        self._waiting.unpark_all()

    async def change(self) -> None:
        await self._waiting.park()

    @property
    def readable(self) -> bool:
        return bool(self.data) or self.ended or self.reset


class MemoryEnd:
    """One end of a connection."""

    def __init__(self, come: _Pipe, go: _Pipe) -> None:
        self._come = come
        self._go = go
        self.closed = False

    @property
    def readable(self) -> bool:
        """Whether reading would not wait."""
        return self._come.readable

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what has come; nothing at the end."""
        await trio.lowlevel.checkpoint()
        while not self._come.readable:
            if self.closed:
                raise trio.ClosedResourceError
            await self._come.change()
        if self.closed:
            raise trio.ClosedResourceError
        if self._come.data:
            taken = bytes(self._come.data[:max_bytes])
            del self._come.data[: len(taken)]
            self._come.changed()
            return taken
        if self._come.reset:
            raise trio.BrokenResourceError("reset")
        return b""

    async def send_all(self, data: bytes) -> None:
        """Send *data*; waits while too much is under way."""
        await trio.lowlevel.checkpoint()
        rest = memoryview(data)
        while True:
            if self.closed:
                raise trio.ClosedResourceError
            if self._go.gone:
                raise trio.BrokenResourceError("the other end is closed")
            room = CAPACITY - len(self._go.data)
            self._go.data += rest[:room]
            rest = rest[room:] if room > 0 else rest
            self._go.changed()
            if not rest:
                return
            await self._go.change()

    async def aclose(self) -> None:
        """Close it; the other end reads what is under way, and then the end."""
        if not self.closed:
            self.closed = True
            self._go.ended = self._come.gone = True
            self._go.changed()
            self._come.changed()
        await trio.lowlevel.checkpoint()

    def reset(self) -> None:
        """Let the other end see a break behind what is under way."""
        self._go.reset = True


def memory_pair() -> tuple[MemoryEnd, MemoryEnd]:
    """Return the two ends of a connection."""
    there, back = _Pipe(), _Pipe()
    return MemoryEnd(back, there), MemoryEnd(there, back)


class MemoryStream(httpcore.AsyncNetworkStream):
    """The client's end, as httpcore wants it."""

    def __init__(
        self, end: MemoryEnd, on_close: Callable[[MemoryStream], None]
    ) -> None:
        self.end = end
        self._on_close = on_close

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        assert timeout is None, "the client sets none"
        try:
            return await self.end.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        assert timeout is None, "the client sets none"
        try:
            await self.end.send_all(buffer)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        self._on_close(self)
        await self.end.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise AssertionError("nothing is secret here")

    def get_extra_info(self, info: str) -> Any:
        return self.end.readable if info == "is_readable" else None


class MemoryNetwork(httpcore.AsyncNetworkBackend):
    """All connections lead to one server.

    Attributes:
      server: what answers.
      streams: the client's ends that are open.
    """

    def __init__(self, server: FaultServer, nursery: trio.Nursery) -> None:
        self.server = server
        self.streams: set[MemoryStream] = set()
        self._nursery = nursery

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        door = self.server.door
        await trio.lowlevel.checkpoint()
        if door.refuses:
            raise httpcore.ConnectError("refused")
        with trio.move_on_after(float("inf") if timeout is None else timeout) as scope:
            await trio.sleep(door.delay)
        if scope.cancelled_caught:
            raise httpcore.ConnectTimeout("too slow")
        # As with a socket, the task is woken by what has happened, and does not look
        # again whether it is cancelled.
        await trio.lowlevel.cancel_shielded_checkpoint()
        ours, theirs = memory_pair()
        self._nursery.start_soon(self.server.serve, theirs)
        stream = MemoryStream(ours, self.streams.discard)
        self.streams.add(stream)
        return stream

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise AssertionError("there is none")

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


def reset_memory(end: ServerEnd) -> None:
    """Let the other end of a connection in memory see a reset."""
    assert isinstance(end, MemoryEnd), "it is not in memory"
    end.reset()


@asynccontextmanager
async def memory_network(
    answers: Callable[[Seen], Answer],
) -> AsyncGenerator[MemoryNetwork]:
    """Run a server in memory for the length of a block."""
    async with trio.open_nursery() as nursery:
        yield MemoryNetwork(FaultServer(answers, reset_memory), nursery)
        nursery.cancel_scope.cancel()
