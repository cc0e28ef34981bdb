"""Many runs of one workflow, from a stream of inputs to a stream of results."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

import trio

from understudy.engine.strand import Run
from understudy.result import RunResult

Out_co = TypeVar("Out_co", covariant=True)
In = TypeVar("In")

READ_AHEAD = 4
"""Inputs taken ahead of the oldest unfinished run, for each one under way."""


class ManyRuns(Generic[Out_co]):
    """Results of runs that are made as fast as they are taken.

    An async iterator.  Leave it with `aclose`, or use it as an async context
    manager, and the runs still under way are cancelled.

    Args:
      start: begins the run of one input; takes what to call at its end.
      inputs: taken one by one, never more than needed.
      concurrency: runs under way at once; a count.
      ordered: whether results come in the order of their inputs.  Then the
        reading stops `READ_AHEAD` x concurrency ahead of the oldest unfinished.
    """

    def __init__(
        self,
        start: Callable[[In, Callable[[], None]], Run],
        inputs: Iterable[In] | AsyncIterable[In],
        *,
        concurrency: int,
        ordered: bool,
        cancel: Callable[[Run], None],
    ) -> None:
        # Each input comes from the inputs that *start* was made for.
        self._start = cast("Callable[[object, Callable[[], None]], Run]", start)
        self._inputs = _as_async(inputs)
        self._concurrency = concurrency
        self._ordered = ordered
        self._cancel = cancel
        self._more = True
        self._under_way = 0
        # In the order of the inputs; a run stays until its result was taken.
        self._pending: deque[Run] = deque()
        self._done: deque[Run] = deque()
        self._changed = trio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunResult[Out_co]:
        """Return the next result; always a checkpoint.

        Cancellation: nothing is lost, unless the inputs lose one when a read of
          them is cancelled, as an async generator does; the next call goes on.
        """
        await trio.lowlevel.checkpoint()
        while True:
            await self._fill()
            run = self._next_finished()
            if run is not None:
                return RunResult(run)
            if not self._pending and not self._done:
                raise StopAsyncIteration
            await self._changed.wait()

    async def aclose(self) -> None:
        """Cancel the runs that are under way, and wait until they are over."""
        self._more = False
        # Copies: a run that ends takes itself out of the line.
        for run in tuple(self._pending):
            self._cancel(run)
        for run in tuple(self._pending):
            await run.on_end.wait()
        self._pending.clear()
        self._done.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with trio.CancelScope(shield=True):
            await self.aclose()

    async def _fill(self) -> None:
        room = READ_AHEAD * self._concurrency
        while (
            self._more
            and self._under_way < self._concurrency
            and len(self._pending) + len(self._done) < room
        ):
            try:
                given = await anext(self._inputs)
            except StopAsyncIteration:
                self._more = False
                return
            self._begin(given)
        self._changed = trio.Event()

    def _begin(self, given: object) -> None:
        made: list[Run] = []

        def ended() -> None:
            self._under_way -= 1
            if made:
                self._over(made[0])
            self._changed.set()

        self._under_way += 1
        try:
            run = self._start(given, ended)
        except BaseException:
            self._under_way -= 1
            raise
        made.append(run)
        self._pending.append(run)
        if run.on_end.is_set():
            self._over(run)

    def _over(self, run: Run) -> None:
        if not self._ordered:
            self._pending.remove(run)
            self._done.append(run)

    def _next_finished(self) -> Run | None:
        if not self._ordered:
            return self._done.popleft() if self._done else None
        if self._pending and self._pending[0].on_end.is_set():
            return self._pending.popleft()
        return None


def _as_async(inputs: Iterable[In] | AsyncIterable[In]) -> AsyncIterator[In]:
    # No generator: it would be over for good once a read of it was cancelled.
    return aiter(inputs) if isinstance(inputs, AsyncIterable) else _Taken(inputs)


class _Taken(Generic[In]):
    """A plain iterator where an asynchronous one is wanted."""

    def __init__(self, inputs: Iterable[In]) -> None:
        self._inputs = iter(inputs)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> In:
        for given in self._inputs:
            return given
        raise StopAsyncIteration
