"""Connections for httpcore that close in time, and say what a request met.

httpcore closes under shields without an end, and not at all what was to become
secure when it is cancelled meanwhile.  Both are put right here, between it and the
sockets.  Beside that, each request learns what it met: whether its connection had
been used before, and whether anything came back.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import httpcore
import trio

CLOSING = 0.05
"""How long a connection may take to say good-bye; seconds.  TLS does, and would
wait for ever for a peer that takes nothing any more."""


class Exchange:
    """What one request met, up to the head of its answer.

    Attributes:
      fresh: whether a connection was made for it.
      received: bytes that came back; a count.
    """

    __slots__ = ("fresh", "received")

    def __init__(self) -> None:
        self.fresh: bool = False
        self.received: int = 0


exchange: ContextVar[Exchange | None] = ContextVar("exchange", default=None)
"""That of the request which is being sent in this context."""


class Network(httpcore.AsyncNetworkBackend):
    """Where connections come from.

    Args:
      inner: makes them.
    """

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect; see `httpcore.AsyncNetworkBackend`."""
        met = exchange.get()
        if met is not None:
            met.fresh = True
        made = await self._inner.connect_tcp(
            host, port, timeout, local_address, socket_options
        )
        return _Connection(made)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no model is behind one."""
        raise httpcore.ConnectError(f"{path} is no network address")


class _Connection(httpcore.AsyncNetworkStream):
    """A connection that counts what comes, and closes in time."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        come = await self._inner.read(max_bytes, timeout)
        met = exchange.get()
        if met is not None:
            met.received += len(come)
        return come

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        with trio.move_on_after(CLOSING):
            await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            made = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            with trio.CancelScope(shield=True):
                await self.aclose()
            raise
        return _Connection(made)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
