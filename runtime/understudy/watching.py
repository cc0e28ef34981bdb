"""Watching runs: bounded streams of events."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

import trio

from understudy.engine.strand import Run
from understudy.events import RunEvent
from understudy.result import RunResult

Out_co = TypeVar("Out_co", covariant=True)

BUFFERED_EVENTS = 10_000
"""Events kept for a watcher that is behind; older ones win, newer are missed."""


class EventStream:
    """The events of all runs, or of one; an async context manager and iterator.

    The stream of one run ends with that run's `ended` event.

    Attributes:
      missed: events that came while the buffer was full; a count.
    """

    def __init__(
        self, observers: list[Callable[[RunEvent], None]], run_id: str | None
    ) -> None:
        self._observers = observers
        self._run_id = run_id
        self._send, self._receive = trio.open_memory_channel[RunEvent](BUFFERED_EVENTS)
        self.missed: int = 0

    async def __aenter__(self) -> Self:
        self._observers.append(self._take)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()
        self._receive.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        """Return the next event; always a checkpoint.

        Cancellation: no event is lost.
        """
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    def only(self, run_id: str) -> None:
        """Take no more events but those of one run."""
        self._run_id = run_id

    def _take(self, event: RunEvent) -> None:
        if self._run_id is not None and event.run_id != self._run_id:
            return
        try:
            self._send.send_nowait(event)
        except trio.WouldBlock:
            self.missed += 1
        if self._run_id is not None and event.kind == "ended":
            self._leave()

    def _leave(self) -> None:
        if self._take in self._observers:
            self._observers.remove(self._take)
        self._send.close()


class RunStream(Generic[Out_co]):
    """The events of a run that begins with the block and does not outlive it."""

    def __init__(
        self,
        start: Callable[[], Run],
        observers: list[Callable[[RunEvent], None]],
        cancel: Callable[[Run], None],
    ) -> None:
        self._start = start
        self._cancel = cancel
        self._observers = observers
        self._events: EventStream | None = None
        self._run: Run | None = None

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._begun().id

    async def result(self) -> RunResult[Out_co]:
        """Wait for the run's end and return what came of it."""
        run = self._begun()
        await run.on_end.wait()
        return RunResult(run)

    async def __aenter__(self) -> Self:
        # The stream is open before the run begins, and so misses nothing.
        events = EventStream(self._observers, None)
        await events.__aenter__()
        self._events = events
        try:
            self._run = self._start()
        except BaseException:
            await events.__aexit__(None, None, None)
            raise
        events.only(self._run.id)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run = self._begun()
        self._cancel(run)
        with trio.CancelScope(shield=True):
            await run.on_end.wait()
            if self._events is not None:
                await self._events.__aexit__(None, None, None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        """Return the next event of the run; ends after its end."""
        assert self._events is not None, "a stream is read inside its block"
        while True:
            event = await anext(self._events)
            if event.run_id == self._begun().id:
                return event

    def _begun(self) -> Run:
        assert self._run is not None, "a stream is used inside its block"
        return self._run
