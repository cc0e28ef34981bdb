"""Inputs read one by one, without waiting for one."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Protocol

import trio

Beside = Callable[[Callable[[], Awaitable[None]]], trio.CancelScope]
"""Does work in a task of its own; the scope that it returns ends it."""

NOTHING = object()
"""What a source has while it is still reading."""


class Source(Protocol):
    """Where inputs come from."""

    def take(self) -> object:
        """Return the next input, or `NOTHING` if it is not there yet.

        Raises:
          StopIteration: there are no more.
        """
        ...

    async def aclose(self) -> None:
        """Read no more; return once no read is under way."""
        ...


class PlainSource:
    """A plain iterable, which has its next input at once."""

    def __init__(self, inputs: Iterable[object]) -> None:
        self._inputs = iter(inputs)

    def take(self) -> object:
        """See `Source`."""
        return next(self._inputs)

    async def aclose(self) -> None:
        """See `Source`."""


class AwaitedSource:
    """An asynchronous iterable, read by a task of its own.

    All reads are made by one task, as generators with cancel scopes need it, and
    none is cut because somebody has stopped waiting: a generator would not
    survive that.

    Args:
      beside: does the reading.
      on_change: called when there is something to take.
    """

    def __init__(
        self,
        inputs: AsyncIterable[object],
        beside: Beside,
        on_change: Callable[[], None],
    ) -> None:
        self._inputs = aiter(inputs)
        self._beside = beside
        self._on_change = on_change
        self._scope: trio.CancelScope | None = None
        self._wanted = trio.Event()
        self._over = trio.Event()
        self._read: deque[object] = deque()
        self._exhausted = False
        self._error: Exception | None = None

    def take(self) -> object:
        """See `Source`; what a read raised is raised here.

        Raises:
          AdmissionError: the runtime takes no runs, and so reads no inputs.
        """
        if self._read:
            return self._read.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if self._exhausted:
            raise StopIteration
        if self._scope is None or self._over.is_set():
            self._scope = self._beside(self._keep_reading)
        self._wanted.set()
        return NOTHING

    async def aclose(self) -> None:
        """See `Source`."""
        if self._scope is not None:
            self._scope.cancel()
            await self._over.wait()

    async def _keep_reading(self) -> None:
        try:
            while True:
                await self._wanted.wait()
                self._wanted = trio.Event()
                try:
                    self._read.append(await anext(self._inputs))
                except StopAsyncIteration:
                    self._exhausted = True
                    return
                except Exception as error:  # noqa: BLE001 - raised by `take`
                    self._error = error
                self._on_change()
        finally:
            self._over.set()
            self._on_change()
