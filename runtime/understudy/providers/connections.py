"""The connections to one address that are kept between requests.

httpcore has a pool, which looks at every connection, and asks the system about
each that is idle, whenever a request begins and whenever one ends; and it may
close a connection for being idle which another request has just been given.
Here a request has its connection to itself from the first moment to the last, and
what it costs to find one does not depend on how many there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator

import httpcore
import trio


class Connections:
    """Connections, the last used first.

    Args:
      pool: makes new ones, and knows of certificates and proxies; it holds none.
    """

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool
        self._idle = deque[httpcore.AsyncConnectionInterface]()
        self._lent = set[httpcore.AsyncConnectionInterface]()
        self._closed = False

    @property
    def connections(self) -> list[httpcore.AsyncConnectionInterface]:
        """All that are open, or are being opened or closed."""
        return [*self._idle, *self._lent]

    async def send(self, request: httpcore.Request) -> httpcore.Response:
        """Send *request*, and return its answer, which is to be closed.

        Cancellation: the connection is closed.
        Raises:
          httpcore's own errors.
        """
        connection = await self._taken(request.url.origin)
        self._lent.add(connection)
        try:
            answer = await connection.handle_async_request(request)
        except BaseException:
            await self._drop(connection)
            raise
        assert isinstance(answer.stream, AsyncIterable), "it came over an async pool"
        return httpcore.Response(
            answer.status,
            headers=answer.headers,
            content=_Lent(answer, connection, self),
        )

    async def _taken(
        self, origin: httpcore.Origin
    ) -> httpcore.AsyncConnectionInterface:
        # Those used last are taken first; so the others age, and go in turn.
        while self._idle and self._idle[0].has_expired():
            await _close(self._idle.popleft())
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_expired():
                return connection
            await _close(connection)
        if self._closed:  # meanwhile
            raise httpcore.ConnectionNotAvailable
        return self._pool.create_connection(origin)

    async def give_back(self, connection: httpcore.AsyncConnectionInterface) -> None:
        """Keep a connection for the next request, if it can take one."""
        if connection.is_idle() and _is_empty(connection) and not self._closed:
            self._lent.remove(connection)
            self._idle.append(connection)
        else:
            await self._drop(connection)

    async def aclose(self) -> None:
        """Close all, and so end the requests that are under way."""
        self._closed = True
        open_still = self.connections
        self._idle.clear()  # at once: nobody is to take one that is closed
        for connection in open_still:
            await _close(connection)

    async def _drop(self, connection: httpcore.AsyncConnectionInterface) -> None:
        try:
            await _close(connection)
        finally:
            self._lent.remove(connection)


class _Lent:
    """The body of an answer; closed, once, it gives its connection back."""

    def __init__(
        self,
        answer: httpcore.Response,
        connection: httpcore.AsyncConnectionInterface,
        home: Connections,
    ) -> None:
        self._answer = answer
        self._connection = connection
        self._home = home

    def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._answer.stream, AsyncIterable)
        return aiter(self._answer.stream)

    async def aclose(self) -> None:
        try:
            await self._answer.aclose()
        finally:
            await self._home.give_back(self._connection)


async def _close(connection: httpcore.AsyncConnectionInterface) -> None:
    with trio.CancelScope(shield=True):
        await connection.aclose()


def _is_empty(connection: httpcore.AsyncConnectionInterface) -> bool:
    """Whether nothing more has come than the answer.

    What is left would be taken for the beginning of the next one; and who notices
    that then has sent a request which has to be sent again.  httpcore does not say,
    so this looks inside of it.
    """
    inner: object = connection
    while (within := getattr(inner, "_connection", None)) is not None:
        inner = within
    state = getattr(inner, "_h11_state", None)
    left: tuple[bytes, bool] = getattr(state, "trailing_data", (b"", False))
    return not left[0]
