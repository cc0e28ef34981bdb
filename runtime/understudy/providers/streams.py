"""What the readers of all streams share: when they are done, and how they fail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from understudy.providers.sse import ServerEvent
from understudy_protocols.chat import Finished, ModelReply, StreamEvent
from understudy_protocols.failures import Cause, ModelError


class Reader(ABC):
    """Reads the events of one streamed answer; see `StreamReader`."""

    def __init__(self) -> None:
        self._done = False

    @property
    def done(self) -> bool:
        """Whether the answer is whole."""
        return self._done

    def feed(self, event: ServerEvent) -> Sequence[StreamEvent]:
        """Return what *event* brings."""
        if self._done:
            return ()
        # What a server has not written itself may have half characters in it.
        data = event.data.encode("utf-8", "surrogatepass")
        try:
            told = self._take(event.name, data)
        except ModelError as error:
            raise self._broken_off(error) from error
        self._done = bool(told) and isinstance(told[-1], Finished)
        return told

    def end(self) -> Sequence[StreamEvent]:
        """Return what the end of the body brings."""
        if self._done:
            return ()
        try:
            told = self._last()
        except ModelError as error:
            raise self._broken_off(error) from error
        self._done = True
        return told

    @abstractmethod
    def partial(self) -> ModelReply:
        """Return what has come so far."""

    @abstractmethod
    def _take(self, name: str, data: bytes) -> Sequence[StreamEvent]:
        """Return what an event brings; the last is `Finished` if it is terminal."""

    def _last(self) -> Sequence[StreamEvent]:
        """Return what the end brings, where the terminal event has not come."""
        raise ModelError(
            "the stream ended before the answer did", cause=Cause.TRANSPORT
        )

    def _broken_off(self, error: ModelError) -> ModelError:
        """Return *error* with what had come before it, and what that cost."""
        so_far = self.partial()
        return ModelError(
            error.message,
            cause=error.cause,
            retry_after=error.retry_after,
            code=error.code,
            usage=error.usage or so_far.usage,
            partial=so_far.text,
        )
