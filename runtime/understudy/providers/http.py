"""Requests over HTTP: the one file that knows httpx.

It retries nothing but a request that met a connection which the server had
closed before: no answer had begun, and the connection had been used before.

No more requests are under way than the pool has connections.  httpx on trio
loses a slot for good when a request is cancelled that waits for one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

import httpx
import msgspec
import trio

from understudy.providers.wire import WireRequest
from understudy_actors.limiter import Limiter
from understudy_protocols.errors import SetupError
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.usage import NO_USAGE

MAX_BODY = 64 * 1024 * 1024
"""Bytes of an answer that are read; far above what a model says."""

CONNECT_TIMEOUT = 5.0
"""How long a connection may take to be there; seconds."""

KEEP_ALIVE = 20.0
"""How long an idle connection is kept; seconds.  Servers often close theirs
sooner, and those are noticed."""


class Response(msgspec.Struct, frozen=True):
    """An answer, whole.

    Args:
      headers: by lower-case names.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Streaming:
    """An answer whose body is still to come.

    Attributes:
      status, headers: see `Response`.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
          ModelError: it broke off, or is larger than any answer would be.
        """
        size = 0
        with _as_model_errors(begun=True):
            async for chunk in self._response.aiter_bytes():
                size += len(chunk)
                if size > MAX_BODY:
                    raise ModelError(
                        f"the answer has over {MAX_BODY:,} bytes", cause=Cause.MALFORMED
                    )
                yield chunk

    async def read(self) -> bytes:
        """Return the whole body; as `chunks`."""
        return b"".join([chunk async for chunk in self.chunks()])


class Client:
    """The connections to one address; an async context manager.

    Args:
      base_url: what every path is appended to.
      connections: requests that may be under way at once; a count.
      transport: what carries the requests; httpx's own by default.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connections: int = 64,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._connections = connections
        self._free = Limiter(connections, f"the connections to {self.base_url}")
        self._transport = transport
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        limits = httpx.Limits(
            max_connections=self._connections,
            max_keepalive_connections=self._connections,
            keepalive_expiry=KEEP_ALIVE,
        )
        self._http = httpx.AsyncClient(
            limits=limits,
            # All else is bounded by those who wait, who know how long it is worth.
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
            transport=self._transport,
            follow_redirects=False,
        )
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        http, self._http = self._http, None
        if http is not None:
            with trio.CancelScope(shield=True):
                await http.aclose()

    async def send(
        self, request: WireRequest, authorization: Mapping[str, str]
    ) -> Response:
        """Send *request*, and return the whole answer.

        Cancellation: the connection is closed; the request may be answered and
        billed.
        Raises:
          ModelError: TRANSPORT: there is no answer, or not all of it; with
            ``usage`` 0 if the request was never sent.  MALFORMED: it is too large.
        """
        async with self.stream(request, authorization) as answer:
            return Response(answer.status, answer.headers, await answer.read())

    @asynccontextmanager
    async def stream(
        self, request: WireRequest, authorization: Mapping[str, str]
    ) -> AsyncGenerator[Streaming]:
        """Send *request*, and lend the answer as it comes; closed with the block."""
        async with self._free.held(borrower=self.base_url):
            response = await self._opened(request, authorization)
            try:
                yield Streaming(response)
            finally:
                with trio.CancelScope(shield=True):
                    await response.aclose()

    async def _opened(
        self, request: WireRequest, authorization: Mapping[str, str]
    ) -> httpx.Response:
        http = self._http
        if http is None:
            raise SetupError(f"the client of {self.base_url} is not open; enter it")
        # Each connection that turns out to be closed leaves the pool.
        for _ in range(self._connections):
            fresh = _Fresh()
            with _as_model_errors(begun=False):
                built = http.build_request(
                    "POST",
                    self.base_url + request.path,
                    headers={**request.headers, **authorization},
                    content=request.body,
                    extensions={"trace": fresh.see},
                )
                try:
                    return await http.send(built, stream=True)
                except _BROKEN:
                    if fresh.connected:
                        raise
        raise ModelError(
            f"{self.base_url} closed {self._connections} connections in a row",
            cause=Cause.TRANSPORT,
        )


class _Fresh:
    """Whether a request had a connection made for it."""

    def __init__(self) -> None:
        self.connected = False

    async def see(self, event: str, info: Mapping[str, Any]) -> None:
        del info
        if event.startswith("connection."):
            self.connected = True


_BROKEN = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
"""What a connection raises that the other side has closed or broken."""

_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
)
"""Failures before the first byte of a request was sent."""


@contextmanager
def _as_model_errors(*, begun: bool) -> Generator[None]:
    """Make of what httpx raises what the rest knows.

    Args:
      begun: whether the answer has begun.
    """
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _translated(error, begun=begun) from error


def _translated(
    error: httpx.HTTPError | httpx.InvalidURL, *, begun: bool
) -> ModelError:
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, _NOT_SENT):
        text = f"no connection ({text})"
        return ModelError(text, cause=Cause.TRANSPORT, usage=NO_USAGE)
    if isinstance(
        error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError
    ):
        text = f"it cannot be sent ({text})"
        return ModelError(text, cause=Cause.BAD_REQUEST, usage=NO_USAGE)
    if isinstance(error, httpx.DecodingError):
        return ModelError(f"it cannot be read ({text})", cause=Cause.MALFORMED)
    what = "the answer broke off" if begun else "there was no answer"
    return ModelError(f"{what} ({text})", cause=Cause.TRANSPORT)
