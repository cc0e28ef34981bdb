"""Requests over HTTP.

It retries nothing but a request that met a connection which the server had
closed before: the connection had been used before, nothing came back over it,
and that was known at once.

It stands on httpcore, which makes the connections within httpx, and passes by
`httpx.AsyncClient`: that keeps the cookies of one key for the next, does not say
whether an answer had begun, and leaves the generators that it reads through to
the garbage collector.

No more requests are under way than this client counts, and each has a connection
to itself: httpcore's own pool, which is passed by too, loses one for good when a
request is cancelled that waits for it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Self, cast

import httpcore
import trio

from understudy.providers.addresses import checked, pool, target
from understudy.providers.connections import Connections
from understudy.providers.content_coding import ASKED_FOR, Decoder
from understudy.providers.network import Exchange, Network, exchange
from understudy.providers.wire import WireRequest
from understudy_actors.limiter import Limiter
from understudy_protocols.errors import SetupError
from understudy_protocols.failures import Cause, ModelError, described
from understudy_protocols.supervision import Life
from understudy_protocols.usage import NO_USAGE
from understudy_protocols.workload import Workload

MAX_BODY = 64 * 1024 * 1024
"""Bytes of an answer that are read; far above what a model says."""

CONNECT_TIMEOUT = 5.0
"""How long a connection may take to be there; seconds."""

STALE = 1.0
"""A request that fails sooner on a connection used before met one that had been
closed; seconds.  It takes one way there and back to hear of it.  Who fails later
may have worked on the request."""

LINGER = 0.05
"""How long the end of a body is waited for that nobody needs, so that the
connection can be used again; seconds."""

_LEFT_OVER = 64 * 1024
"""Bytes that are read meanwhile."""

ERROR_BODY, ERROR_WAIT = 256 * 1024, 5.0
"""What is read of the words to a status that is no success: bytes, seconds."""


class Streaming:
    """An answer, whose body is read by iterating over it, once.

    Attributes:
      status: of HTTP.
      headers: by lower-case names.
    """

    def __init__(self, answer: httpcore.Response, max_body: int) -> None:
        assert isinstance(answer.stream, AsyncIterable), "it came over an async pool"
        self.status: int = answer.status
        self.headers: Mapping[str, str] = _headers(answer)
        self._answer = answer
        self._pieces = aiter(answer.stream)
        self._decoder = Decoder(self.headers.get("content-encoding", ""), max_body)
        self._linger = 0.0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece of the body.

        Raises:
          ModelError: it broke off, or is larger than any answer would be.
        """
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self._decoder.end()
            raise
        except _FAILURES as error:
            raise _translated(error, begun=True) from error
        return self._decoder.decode(piece)

    async def read(self) -> bytes:
        """Return the whole body; as `__anext__`."""
        return b"".join([piece async for piece in self])

    async def read_error(self) -> bytes:
        """Return what comes of the body in good time; its status has said enough.

        That is half of the time which is left at most: were all of it waited for, a
        failure that is known would be taken for an answer that did not come.
        """
        come = bytearray()
        left = trio.current_effective_deadline() - trio.current_time()
        wait = min(ERROR_WAIT, max(0.0, left / 2))
        with trio.move_on_after(wait), suppress(ModelError):
            async for piece in self:
                come += piece
                if len(come) >= ERROR_BODY:
                    break
        return bytes(come[:ERROR_BODY])

    def enough(self) -> None:
        """Take note that nobody needs what is still to come."""
        self._linger = LINGER

    async def aclose(self) -> None:
        """Give the connection back if the body ends at once, else close it."""
        size = 0
        # Left in the middle, the generators that httpcore reads through would wait
        # for the garbage collector: so they are run until they end, or meet the end
        # of this scope.
        with trio.move_on_after(self._linger) as patience, suppress(*_FAILURES):
            async for piece in self._pieces:
                size += len(piece)
                if size > _LEFT_OVER:
                    patience.cancel()
        await self._answer.aclose()


class Client:
    """The connections to one address; an async context manager.

    It may be entered more than once, as by two runtimes that share a model: the
    connections are closed by the last to leave.

    Args:
      base_url: what every path is appended to.
      connections: requests that may be under way at once; a count.
      network: makes the connections; trio's sockets by default.
      max_body: the most bytes that are read of an answer; a count.

    Raises:
      ConfigError: *base_url* is no address, or has a password in it.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connections: int = 64,
        network: httpcore.AsyncNetworkBackend | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        self.base_url: str = checked(base_url.rstrip("/"))
        self._free = Limiter(connections, f"the connections to {self.base_url}")
        self._network = Network(network or _SOCKETS)
        self._max_body = max_body
        self._pool: Connections | None = None
        self._inside = 0

    def widen(self, connections: int) -> None:
        """Let so many more requests be under way at once."""
        self._free.resize(self._free.total + connections)

    async def serve(self, life: Life) -> None:
        """Be the actor that holds the connections open."""
        async with self:
            life.ready()
            await life.wait_stop()

    def workload(self) -> Workload:
        """Return how many requests are under way, may be, and wait to be."""
        free = self._free
        return Workload(len(free.holders), free.total, len(free.waiting))

    async def __aenter__(self) -> Self:
        await trio.lowlevel.checkpoint()
        if self._pool is None:
            self._pool = Connections(pool(self.base_url, self._network))
        self._inside += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._inside -= 1
        if self._inside == 0 and self._pool is not None:
            pool, self._pool = self._pool, None
            with trio.CancelScope(shield=True):
                await pool.aclose()

    @asynccontextmanager
    async def stream(
        self, request: WireRequest, authorization: Mapping[str, str]
    ) -> AsyncGenerator[Streaming]:
        """Send *request*, and lend the answer as it comes; closed with the block.

        Cancellation: the connection is closed; the request may be answered and
        billed.
        Raises:
          ModelError: TRANSPORT: there is no answer; with ``usage`` 0 if the
            request was never sent.  BAD_REQUEST: HTTP cannot carry it.
          SetupError: the client is not open.
        """
        asked = _asked(self.base_url, request, authorization)
        async with self._free.held(borrower=self.base_url):
            answer = await self._answer(asked)
            streaming = Streaming(answer, self._max_body)
            try:
                yield streaming
            finally:
                with trio.CancelScope(shield=True):
                    await streaming.aclose()

    async def _answer(self, asked: httpcore.Request) -> httpcore.Response:
        # Each connection that turns out to be closed leaves the pool.
        for _ in range(self._free.total + 1):
            if self._pool is None:
                raise SetupError(f"the client of {self.base_url} is not open; enter it")
            met, began = Exchange(), trio.current_time()
            token = exchange.set(met)
            try:
                return await self._pool.send(asked)
            except httpcore.LocalProtocolError:
                raise _unsendable() from None  # it would name the key
            except _FAILURES as error:
                late = trio.current_time() - began > STALE
                known = met.fresh or met.received > 0 or late
                if known or not isinstance(error, _BROKEN):
                    raise _translated(error, begun=met.received > 0) from error
            finally:
                exchange.reset(token)
        raise ModelError(
            f"{self.base_url} closed {self._free.total + 1} connections in a row",
            cause=Cause.TRANSPORT,
        )


class _Body:
    """The body of a request.

    Given as bytes, httpcore would read it through a generator, which a request that
    is cancelled would leave to the garbage collector.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Pieces(self._body)


class _Pieces(AsyncIterator[bytes]):
    def __init__(self, body: bytes) -> None:
        self._rest = [body]

    async def __anext__(self) -> bytes:
        if not self._rest:
            raise StopAsyncIteration
        return self._rest.pop()


def _headers(answer: httpcore.Response) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in answer.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _asked(
    base_url: str, request: WireRequest, authorization: Mapping[str, str]
) -> httpcore.Request:
    url, host = target(base_url + request.path)
    headers = [
        (b"host", host),
        (b"accept-encoding", ASKED_FOR.encode()),
        (b"user-agent", b"understudy"),
        (b"content-length", str(len(request.body)).encode()),
    ]
    try:
        for name, value in {**request.headers, **authorization}.items():
            headers.append((name.encode("ascii"), value.encode("ascii")))
    except UnicodeEncodeError:
        raise _unsendable() from None  # it holds the key
    return httpcore.Request(
        b"POST",
        url,
        headers=headers,
        content=_Body(request.body),
        # All else is bounded by those who wait, who know how long it is worth.
        extensions={"timeout": {"connect": CONNECT_TIMEOUT}},
    )


# Where trio is missing, which cannot be here, the name stands for something else.
_SOCKETS = cast("httpcore.AsyncNetworkBackend", httpcore.TrioBackend())

_BROKEN = (
    httpcore.ConnectionNotAvailable,
    httpcore.ReadError,
    httpcore.RemoteProtocolError,
    httpcore.WriteError,
)
"""What a connection raises that has been closed or broken, on either side."""

_NOT_SENT = (
    httpcore.ConnectError,
    httpcore.ConnectionNotAvailable,
    httpcore.ConnectTimeout,
    httpcore.ProxyError,
)
"""Failures before the first byte of a request was sent."""

_FAILURES = (
    httpcore.ConnectionNotAvailable,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
)


def _unsendable() -> ModelError:
    return ModelError(
        "a header of the request has characters that HTTP cannot carry; look at the key",
        cause=Cause.BAD_REQUEST,
        usage=NO_USAGE,
    )


def _translated(error: Exception, *, begun: bool) -> ModelError:
    """Make of what httpx raises what the rest knows.

    Args:
      begun: whether the answer has begun.
    """
    why = described(_root(error))
    if isinstance(error, _NOT_SENT):
        text = f"no connection ({why})"
        return ModelError(text, cause=Cause.TRANSPORT, usage=NO_USAGE)
    what = "the answer broke off" if begun else "there was no answer"
    return ModelError(f"{what} ({why})", cause=Cause.TRANSPORT)


def _root(error: BaseException) -> BaseException:
    """Return what brought *error* about: a refused certificate, say."""
    # The pool drops the causes of what it passes on, but not their contexts.
    while (before := error.__cause__ or error.__context__ or _first(error)) is not None:
        error = before
    return error


def _first(error: BaseException) -> BaseException | None:
    """Return the first of several errors, as of the addresses of one name."""
    if not isinstance(error, BaseExceptionGroup):
        return None
    return cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
