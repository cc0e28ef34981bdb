"""What Chat Completions answers, whole or piece by piece, as one reply.

A whole answer is one that grew in one piece: both are read the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from understudy.models.worst_case import size
from understudy.providers.bodies import joined
from understudy.providers.error_bodies import told_by
from understudy.providers.finishes import CHAT, finish_of
from understudy.providers.openai_chat_opaque import Details, Fields, opaque_thought
from understudy.providers.pieces import Pieces
from understudy.providers.reading import (
    ABSENT,
    items_in,
    malformed,
    mapping_in,
    text_in,
    written,
)
from understudy.providers.usages import chat_usage, most_used
from understudy.providers.wire import WireSettings
from understudy.providers.wire_errors import told_failure
from understudy_protocols.chat import (
    Finish,
    ModelReply,
    ModelRequest,
    Part,
    ReasoningDelta,
    ReasoningPart,
    StreamEvent,
    TextDelta,
    TextPart,
    ToolRequestPart,
)
from understudy_protocols.usage import Usage


class _Content(msgspec.Struct):
    """A part of a text, where a server sends parts."""

    text: str | None = None
    refusal: str | None = None
    thinking: object = None


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: object = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    extra_content: object = None


class _Message(msgspec.Struct):
    content: str | list[_Content] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    reasoning_content: object = None
    reasoning: object = None
    reasoning_details: object = None
    extra_content: object = None


class _Choice(msgspec.Struct):
    index: int | None = None
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: str | None = None
    error: object = None


class ChatAnswer(msgspec.Struct):
    """An answer, or a chunk of one."""

    id: str | None = None
    object: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT

    @property
    def failed(self) -> bool:
        """Whether it tells of a failure instead."""
        return self.object == "error" or bytes(self.error) not in (b"", b"null")


class _Call:
    """A tool request, as it grows."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments = Pieces()
        self.extra: Fields = {}


class Growing:
    """An answer, as it grows.

    Attributes:
      begun: whether anything of it has come.
      finish: the provider's word for why it ended; empty until that has come.
    """

    def __init__(self, request: ModelRequest, settings: WireSettings) -> None:
        self.begun: bool = False
        self.finish: str = ""
        self._request = request
        self._settings = settings
        self._id = ""
        self._model = ""
        self._usage = ABSENT
        self._counted = False  # whether the usage is that of all that has come
        self._text = Pieces()
        self._refusal = Pieces()
        self._reasoning = Pieces()
        self._reasoning_name = ""
        self._details = Details()
        self._extra: Fields = {}
        self._calls: list[_Call] = []

    def add(self, answer: ChatAnswer, *, marked: bool = False) -> list[StreamEvent]:
        """Take in a piece; return what it brings.

        Args:
          marked: whether its texts have marks in them; see `Pieces`.

        Raises:
          ModelError: the provider says that it failed.
        """
        self._id = answer.id or self._id
        self._model = answer.model or self._model
        brought: list[StreamEvent] = []
        for choice in answer.choices or ():
            if choice.index:
                continue  # another answer; nobody asked for two
            if choice.error:
                raise told_failure(told_by(choice.error))
            self.finish = choice.finish_reason or self.finish
            message = choice.message or choice.delta
            if message is not None:
                self.begun = True
                whole = choice.message is not None
                brought += self._take(message, whole=whole, marked=marked)
        if bytes(answer.usage) not in (b"", b"null"):
            self._usage = answer.usage
            self._counted = True
        return brought

    def reply(self) -> ModelReply:
        """Return all of it as the whole answer.

        Raises:
          ModelError: it is none.
        """
        if not self.begun:
            raise malformed("the provider's answer has no message in it")
        finish = finish_of(
            CHAT,
            self.finish,
            asks=bool(self._calls),
            refuses=bool(self._refusal),
        )
        if finish is Finish.FAILED:
            raise told_failure(told_by({"type": self.finish}), self._used())
        calls = self._requests()
        requests = [
            ToolRequestPart(id_, call.name, str(call.arguments) or "{}")
            for id_, call in calls.items()
        ]
        return self._reply(finish, self._thought(calls), requests, self._used())

    def partial(self) -> ModelReply:
        """Return what has come of it."""
        thought = ReasoningPart(str(self._reasoning)) if self._reasoning else None
        return self._reply(Finish.FAILED, thought, [], self._most_used())

    def _requests(self) -> dict[str, _Call]:
        """Return the tool requests by their ids; some servers give none, or one to all."""
        calls: dict[str, _Call] = {}
        for place, call in enumerate(self._calls):
            id_ = call.id or f"call_{place}"
            while id_ in calls:
                id_ += f"_{place}"
            calls[id_] = call
        return calls

    def _thought(self, calls: Mapping[str, _Call]) -> Part | None:
        """Return the thought that stands before the answer; None if there is none."""
        message: dict[str, Fields | list[Fields]] = {}
        if self._details:
            message["reasoning_details"] = self._details.whole()
        if self._extra:
            message["extra_content"] = self._extra
        # The details say the text too.
        name = "" if self._details or not self._reasoning else self._reasoning_name
        extras: dict[str, Fields] = {
            id_: {"extra_content": call.extra}
            for id_, call in calls.items()
            if call.extra
        }
        return opaque_thought(str(self._reasoning), name, message, extras)

    def _reply(
        self,
        finish: Finish,
        thought: Part | None,
        requests: list[ToolRequestPart],
        usage: Usage,
    ) -> ModelReply:
        parts: list[Part] = [] if thought is None else [thought]
        parts += [TextPart(str(text)) for text in (self._text, self._refusal) if text]
        parts += requests
        return ModelReply(
            joined(parts),
            usage=usage,
            finish=finish,
            model=self._model,
            raw_finish=self.finish,
            id=self._id,
            parts=tuple(parts),
            refusal=str(self._refusal),
        )

    def _take(
        self, message: _Message, *, whole: bool, marked: bool
    ) -> Iterator[StreamEvent]:
        thought = _words(message.reasoning_content) or _words(message.reasoning)
        if thought:
            by = (
                "reasoning_content"
                if _words(message.reasoning_content)
                else "reasoning"
            )
            self._reasoning_name = by
        self._details.add(message.reasoning_details, whole=whole, marked=marked)
        self._extra = {**self._extra, **mapping_in(message.extra_content)}
        text, refusal = "", message.refusal or ""
        if isinstance(message.content, str):
            text = message.content
        else:
            for part in message.content or ():
                text += part.text or ""
                refusal += part.refusal or ""
                thought += _words(part.thinking)
        if thought or text or refusal or message.tool_calls:
            self._counted = False
        for place, said in enumerate(message.tool_calls or ()):
            self._take_call(said, place if whole else said.index, marked=marked)
        if thought := self._reasoning.add(thought, marked=marked):
            yield ReasoningDelta(thought)
        text = self._text.add(text, marked=marked)
        text += self._refusal.add(refusal, marked=marked)
        if text:
            yield TextDelta(text)

    def _take_call(self, said: _ToolCall, index: int | None, *, marked: bool) -> None:
        function = said.function or _Function()
        call = self._call_for(said, index)
        call.id = call.id or said.id or ""
        call.name = call.name or function.name or ""
        call.extra = {**call.extra, **mapping_in(said.extra_content)}
        arguments = function.arguments
        if arguments is not None:
            if not isinstance(arguments, str):
                arguments = written(arguments)
            call.arguments.add(arguments, marked=marked)

    def _call_for(self, said: _ToolCall, index: int | None) -> _Call:
        """Return the request that a piece belongs to.

        Some servers number none of them, some all the same.
        """
        begins = said.function is not None and bool(said.function.name)
        if index is not None:
            found = [call for call in self._calls if call.index == index]
        elif said.id:
            found = [call for call in self._calls if call.id == said.id]
        else:
            found = [] if begins else self._calls
        if found and not (begins and said.id and found[-1].id not in ("", said.id)):
            return found[-1]
        self._calls.append(_Call(index))
        return self._calls[-1]

    def _used(self) -> Usage:
        usage = chat_usage(self._usage)
        return usage if usage and self._counted else self._most_used()

    def _most_used(self) -> Usage:
        received = self._text.size + self._refusal.size + self._reasoning.size
        received += sum(size(call.name) + call.arguments.size for call in self._calls)
        usage = chat_usage(self._usage)
        return most_used(self._request, self._settings, received, usage)


def _words(value: object) -> str:
    """Return the text in a value that is a text, or parts of one."""
    parts = (text_in(mapping_in(part).get("text")) for part in items_in(value))
    return text_in(value) or "".join(parts)
