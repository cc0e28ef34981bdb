"""The stream of Chat Completions.

It ends with ``[DONE]``.  Some servers end it after the chunk that says why the
model stopped, or after the usage, without a word more; as nothing can follow that
reason, such a stream is taken as whole if HTTP says that it ended as it should.
Without that reason it is broken off.  After ``[DONE]`` without a reason the finish
is OTHER.
"""

from __future__ import annotations

from collections.abc import Sequence

from understudy.providers.error_bodies import told_by_body
from understudy.providers.openai_chat_replies import ChatAnswer, Growing
from understudy.providers.reading import read_piece
from understudy.providers.streams import Reader
from understudy.providers.wire import WireSettings
from understudy.providers.wire_errors import told_failure
from understudy_protocols.chat import (
    Finished,
    ModelReply,
    ModelRequest,
    StreamEvent,
)


class ChatReader(Reader):
    """Reads the chunks of an answer."""

    def __init__(self, request: ModelRequest, settings: WireSettings) -> None:
        super().__init__()
        self._answer = Growing(request, settings)

    def partial(self) -> ModelReply:
        """Return what has come so far."""
        return self._answer.partial()

    def _take(self, name: str, data: bytes) -> Sequence[StreamEvent]:
        if data.strip() == b"[DONE]":
            return (Finished(self._answer.reply()),)
        if name == "error":
            raise told_failure(told_by_body(data))
        chunk, marked = read_piece(data, ChatAnswer)
        if chunk.failed:
            raise told_failure(told_by_body(data))
        return self._answer.add(chunk, marked=marked)

    def _last(self) -> Sequence[StreamEvent]:
        if not self._answer.finish:
            return super()._last()
        return (Finished(self._answer.reply()),)
