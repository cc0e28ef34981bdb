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

FAR_BEHIND = 64
"""Events that the one who began a run may leave unread before the pieces of a
model's answer wait for it."""


class Audience:
    """The streams that are open; they end when there is nothing more to see.

    Args:
      observers: whom the runtime tells of every event.
    """

    def __init__(self, observers: list[Callable[[RunEvent], None]]) -> None:
        self._observers = observers
        self._streams: list[EventStream] = []
        self._over = False

    def join(self, stream: EventStream) -> None:
        """Let *stream* see every event from now on."""
        if self._over:
            stream.end()
            return
        self._streams.append(stream)
        self._observers.append(stream.take)

    def leave(self, stream: EventStream) -> None:
        """Let *stream* see no more; harmless if it has left."""
        if stream in self._streams:
            self._streams.remove(stream)
            self._observers.remove(stream.take)

    def disperse(self) -> None:
        """End all streams, and those that come later at once."""
        self._over = True
        for stream in tuple(self._streams):
            stream.end()


class EventStream:
    """The events of all runs, or of one; an async context manager and iterator.

    The stream of one run ends with that run's `ended` event, which is never
    missed; any stream ends when the runtime has ended.

    Attributes:
      missed: events that came while the buffer was full; a count.
    """

    def __init__(self, audience: Audience, run_id: str | None) -> None:
        self._audience = audience
        self._run_id = run_id
        self._last: RunEvent | None = None
        self._send, self._receive = trio.open_memory_channel[RunEvent](BUFFERED_EVENTS)
        self.missed: int = 0
        self._read = trio.Event()
        self._open = True

    async def __aenter__(self) -> Self:
        await trio.lowlevel.checkpoint()
        self._audience.join(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()
        self._receive.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        """Return the next event; always a checkpoint.

        Cancellation: no event is lost.
        """
        try:
            event = await self._receive.receive()
            self._read.set()
            return event
        except trio.EndOfChannel:
            last, self._last = self._last, None
            if last is None:
                raise StopAsyncIteration from None
            return last

    def only(self, run: Run) -> None:
        """Take no more events but those of one run."""
        self._run_id = run.id
        if run.over:
            self.end()  # the event of its end is past

    def take(self, event: RunEvent) -> None:
        """Keep *event* for the watcher, if it is one to keep and there is room."""
        if self._run_id is not None and event.run_id != self._run_id:
            return
        is_last = self._run_id is not None and event.kind == "ended"
        try:
            self._send.send_nowait(event)
        except trio.WouldBlock:
            if is_last:
                self._last = event
            else:
                self.missed += 1
        if is_last:
            self.end()

    async def caught_up(self) -> None:
        """Return when the watcher is not far behind, or has left; a checkpoint."""
        await trio.lowlevel.checkpoint()
        while self._open and self._send.statistics().current_buffer_used > FAR_BEHIND:
            self._read = trio.Event()
            await self._read.wait()

    def end(self) -> None:
        """Take no more events; those that are kept can still be read."""
        self._open = False
        self._read.set()
        self._audience.leave(self)
        self._send.close()


class RunStream(Generic[Out_co]):
    """The events of a run that begins with the block and does not outlive it.

    A run that was under way before the block also goes on after it.

    Args:
      start: gives the run, and whether it was under way before.
      drop: ends the run when the block is left, by an exception or without.
    """

    def __init__(
        self,
        start: Callable[[], tuple[Run, bool]],
        audience: Audience,
        drop: Callable[[Run, BaseException | None], None],
    ) -> None:
        self._start = start
        self._drop = drop
        self._audience = audience
        self._joined = False
        self._events: EventStream | None = None
        self._run: Run | None = None

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._begun().id

    async def result(self) -> RunResult[Out_co]:
        """Wait for the run's end and return what came of it.

        Raises:
          RunSuspendedError, RunHeldError: see `RunHandle.result`.
        """
        run = self._begun()
        await run.on_end.wait()
        if run.suspended is not None:
            raise run.suspended
        return RunResult(run)

    async def __aenter__(self) -> Self:
        # The stream is open before the run begins, and so misses nothing.
        events = EventStream(self._audience, None)
        await events.__aenter__()
        self._events = events
        try:
            self._run, self._joined = self._start()
        except BaseException:
            await events.__aexit__(None, None, None)
            raise
        events.only(self._run)
        if not self._joined:
            self._run.viewer = events
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run = self._begun()
        if run.viewer is self._events:
            run.viewer = None
        with trio.CancelScope(shield=True):
            if not self._joined:
                self._drop(run, exc)
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
