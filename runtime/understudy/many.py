"""Many runs of one workflow, from a stream of inputs to a stream of results."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

import trio

from understudy.engine.sources import NOTHING, AwaitedSource, Beside, PlainSource
from understudy.engine.strand import Run
from understudy.result import RunResult
from understudy.workflows.inputs import InputError
from understudy_protocols.errors import AdmissionError

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
      inputs: taken one by one, never more than needed.  An asynchronous source
        is read while results are waited for, and holds up none.
      concurrency: runs under way at once; a count.
      ordered: whether results come in the order of their inputs.  Then the
        reading stops `READ_AHEAD` x concurrency ahead of the oldest unfinished.
      drop: ends a run when the block is left, by an exception or without.

    What one input cannot be run with is no end: take the next result after it.
    """

    def __init__(
        self,
        start: Callable[[In, Callable[[], None]], Run],
        inputs: Iterable[In] | AsyncIterable[In],
        *,
        concurrency: int,
        ordered: bool,
        drop: Callable[[Run, BaseException | None], None],
        beside: Beside,
    ) -> None:
        # Each input comes from the inputs that *start* was made for.
        self._start = cast("Callable[[object, Callable[[], None]], Run]", start)
        self._source = (
            AwaitedSource(inputs, beside, lambda: self._changed.set())
            if isinstance(inputs, AsyncIterable)
            else PlainSource(inputs)
        )
        self._concurrency = concurrency
        self._ordered = ordered
        self._drop = drop
        self._more = True
        self._under_way = 0
        # In the order of the inputs; a run stays until its result was taken.
        self._pending: deque[Run | InputError] = deque()
        self._done: deque[Run | InputError] = deque()
        # What was read last, until a run of it was accepted or cannot be.
        self._held: object = NOTHING
        self._read = 0
        self._changed = trio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunResult[Out_co]:
        """Return the next result; always a checkpoint.

        Cancellation: nothing is lost; the next call goes on.
        Raises:
          InputError: one input is not what the workflow takes; it says which,
            counted from 0, and comes where the result would.
          AdmissionError: the runtime takes no further run and none of these is
            under way; the input is kept, and the next call tries it again.
        """
        await trio.lowlevel.checkpoint()
        while True:
            self._changed = trio.Event()
            self._fill()
            finished = self._next_finished()
            if isinstance(finished, InputError):
                raise finished
            if finished is not None:
                return RunResult(finished)
            if not self._more and not self._pending and not self._done:
                raise StopAsyncIteration
            await self._changed.wait()

    async def aclose(self) -> None:
        """Cancel the runs that are under way, and wait until they are over.

        Always a checkpoint.
        """
        await self._close(None)

    async def _close(self, error: BaseException | None) -> None:
        self._more = False
        await self._source.aclose()
        # A copy: a run that ends takes itself out of the line.
        runs = [run for run in self._pending if isinstance(run, Run)]
        for run in runs:
            self._drop(run, error)
        for run in runs:
            await run.on_end.wait()
        self._pending.clear()
        self._done.clear()
        self._held = NOTHING
        if not runs:
            await trio.lowlevel.checkpoint()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with trio.CancelScope(shield=True):
            await self._close(exc)

    def _fill(self) -> None:
        room = READ_AHEAD * self._concurrency
        while (
            self._more
            and self._under_way < self._concurrency
            and len(self._pending) + len(self._done) < room
        ):
            try:
                if self._held is NOTHING and not self._read_one():
                    return
                self._begin_held()
            except AdmissionError:
                if not self._pending and not self._done:
                    raise
                return  # one of these ends, and makes room

    def _read_one(self) -> bool:
        try:
            self._held = self._source.take()
        except StopIteration:
            self._more = False
            return False
        if self._held is NOTHING:
            return False
        self._read += 1
        return True

    def _begin_held(self) -> None:
        given, self._held = self._held, NOTHING
        try:
            self._begin(given)
        except AdmissionError:
            self._held = given
            raise
        except InputError as error:
            what = f"input {self._read - 1}: {error.what}"
            refused = InputError(what, error.problem)
            (self._pending if self._ordered else self._done).append(refused)

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

    def _next_finished(self) -> Run | InputError | None:
        if not self._ordered:
            return self._done.popleft() if self._done else None
        if not self._pending:
            return None
        first = self._pending[0]
        if isinstance(first, Run) and not first.on_end.is_set():
            return None
        return self._pending.popleft()
