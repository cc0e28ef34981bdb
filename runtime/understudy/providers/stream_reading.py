"""From the bytes of a streamed answer to its events, and to what it is if it breaks off."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

import msgspec

from understudy.providers.sse import EventReader, EventTooLargeError
from understudy.providers.wire import StreamReader
from understudy_protocols.chat import StreamEvent
from understudy_protocols.failures import Cause, ModelError


class Reading:
    """One streamed answer, as it comes.

    Args:
      reader: knows what the provider's events mean.
    """

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader
        self._events = EventReader()
        self._any = False

    @property
    def done(self) -> bool:
        """Whether the answer is whole."""
        return self._reader.done

    def feed(self, chunk: bytes) -> Iterator[StreamEvent]:
        """Yield what *chunk* brings; `Finished` is the last.

        Raises:
          ModelError: the provider says that it failed, or says what cannot be read.
        """
        try:
            events = self._events.feed(chunk)
        except EventTooLargeError as error:
            raise ModelError(str(error), cause=Cause.MALFORMED) from error
        for event in events:
            self._any = True
            yield from self._reader.feed(event)
            if self.done:
                return

    def end(self, headers: Mapping[str, str]) -> Iterator[StreamEvent]:
        """Yield what the end of the body brings.

        Args:
          headers: of the answer.

        Raises:
          ModelError: TRANSPORT: the answer is not whole.  MALFORMED: it is no
            stream of events at all.
        """
        kind = headers.get("content-type", "")
        if not self._any and not kind.lower().startswith("text/event-stream"):
            raise ModelError(
                f"the answer is {kind or 'of no type'}, and no stream of events",
                cause=Cause.MALFORMED,
            )
        yield from self._reader.end()

    @contextmanager
    def broken_off(self) -> Generator[None]:
        """Add to a failure of the stream what had come of the answer.

        What the provider did not say that it cost, it cost at most what came.
        """
        try:
            yield
        except ModelError as error:
            if error.usage is not None:
                raise  # of the reader's own: it has said so
            partial = self._reader.partial()
            raise ModelError(
                error.message,
                cause=error.cause,
                retry_after=error.retry_after,
                code=error.code,
                usage=msgspec.structs.replace(partial.usage, calls=1, estimated=True),
                partial=partial.text,
            ) from error.__cause__
