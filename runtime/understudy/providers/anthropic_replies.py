"""What Messages answers, whole or as a stream, as one reply.

The stream ends with ``message_stop``, and is broken off without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from understudy.models.worst_case import size
from understudy.providers.anthropic_messages import PROTOCOL
from understudy.providers.bodies import joined
from understudy.providers.error_bodies import told_by_body
from understudy.providers.finishes import ANTHROPIC, finish_of
from understudy.providers.opaque import kept
from understudy.providers.pieces import Pieces
from understudy.providers.reading import (
    ABSENT,
    malformed,
    read,
    read_or_none,
    read_piece,
    text_in,
    written,
)
from understudy.providers.streams import Reader
from understudy.providers.usages import (
    AnthropicUsage,
    anthropic_usage,
    later_usage,
    most_used,
)
from understudy.providers.wire import WireSettings
from understudy.providers.wire_errors import told_failure
from understudy_protocols.chat import (
    Finish,
    Finished,
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

Block = dict[str, object]
"""A block as it came, whatever is in it: some must go back unchanged."""


class _StopDetails(msgspec.Struct):
    category: str | None = None
    explanation: str | None = None


class _Stop(msgspec.Struct):
    """How a message ends; in a stream, what says so."""

    stop_reason: str | None = None
    stop_details: _StopDetails | None = None

    @property
    def word(self) -> str:
        """The reason, and its category if it has one."""
        category = self.stop_details.category if self.stop_details else None
        return "/".join(filter(None, (self.stop_reason, category)))

    @property
    def explanation(self) -> str:
        """Why it was refused, if it was and the provider says so."""
        return (self.stop_details and self.stop_details.explanation) or ""


class _Message(_Stop):
    type: str = ""
    id: str | None = None
    model: str | None = None
    content: list[Block] | None = None
    usage: msgspec.Raw = ABSENT
    error: object = None


class _Delta(msgspec.Struct):
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None


_GROWING: Final = ("text", "thinking", "signature", "partial_json")


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: msgspec.Raw = ABSENT
    content_block: msgspec.Raw = ABSENT
    delta: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    error: object = None


def decoded(body: bytes, request: ModelRequest, settings: WireSettings) -> ModelReply:
    """Return the answer in *body*; see `Codec`."""
    message = read(body, _Message)
    if message.error or message.type == "error":
        raise told_failure(told_by_body(body))
    if message.content is None:
        raise malformed("the provider's answer has no content in it")
    usage = anthropic_usage(read_or_none(message.usage, AnthropicUsage))
    if usage is None:
        received = size(written(message.content))
        usage = most_used(request, settings, received)
    return _reply(message, message, map(_part, message.content), usage)


class AnthropicReader(Reader):
    """Reads the events of an answer."""

    def __init__(self, request: ModelRequest, settings: WireSettings) -> None:
        super().__init__()
        self._request = request
        self._settings = settings
        self._message: _Message | None = None
        self._stop = _Stop()
        self._usage = AnthropicUsage()
        self._counted = False  # whether the usage is that of all of it
        self._blocks: dict[int, _Growing] = {}

    def partial(self) -> ModelReply:
        """Return what has come so far."""
        parts = [self._blocks[place].shown() for place in sorted(self._blocks)]
        message = self._message or _Message()
        return _reply(message, self._stop, parts, self._used(), Finish.FAILED)

    def _take(self, name: str, data: bytes) -> Sequence[StreamEvent]:
        event, marked = read_piece(data, _Event)
        match "error" if event.error else event.type or name:
            case "message_start":
                self._message = read(event.message, _Message)
                self._count(self._message.usage)
            case "content_block_start":
                block = _Growing(read(event.content_block, Block))
                self._blocks[event.index] = block
                return block.begin()
            case "content_block_delta":
                if event.index not in self._blocks:
                    raise malformed("a piece came of what has not begun")
                delta = read(event.delta, _Delta)
                return self._blocks[event.index].add(delta, marked=marked)
            case "message_delta":
                stop = read(event.delta, _Stop)
                # There may be several, of which the last may say the usage alone.
                self._stop = stop if stop.stop_reason else self._stop
                self._counted = self._count(event.usage)
            case "message_stop":
                return (Finished(self._whole()),)
            case "error":
                raise told_failure(told_by_body(data))
            case _:
                pass
        return ()

    def _whole(self) -> ModelReply:
        if self._message is None:
            raise malformed("the end came of an answer that has not begun")
        parts = [self._blocks[place].whole() for place in sorted(self._blocks)]
        return _reply(self._message, self._stop, parts, self._used())

    def _count(self, said: msgspec.Raw) -> bool:
        """Take in a usage; return whether it says what was written."""
        usage = read_or_none(said, AnthropicUsage)
        self._usage = later_usage(self._usage, usage)
        return usage is not None and usage.output_tokens is not None

    def _used(self) -> Usage:
        usage = anthropic_usage(self._usage)
        if usage is not None and self._counted:
            return usage
        received = sum(block.size for block in self._blocks.values())
        return most_used(self._request, self._settings, received, usage)


class _Growing:
    """A block of a stream, as it grows."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._pieces = {name: Pieces() for name in _GROWING}

    @property
    def size(self) -> int:
        """The bytes of what has come of it; a count."""
        grown = sum(pieces.size for pieces in self._pieces.values())
        return size(written(self._block)) + grown

    def begin(self) -> list[StreamEvent]:
        """Return what it brings to begin with."""
        begun = {name: text_in(self._block.get(name)) for name in _GROWING}
        return self.add(_Delta(**begun))

    def add(self, delta: _Delta, *, marked: bool = False) -> list[StreamEvent]:
        """Take in a piece; return what it brings."""
        whole = {
            name: pieces.add(getattr(delta, name) or "", marked=marked)
            for name, pieces in self._pieces.items()
        }
        events: list[StreamEvent] = []
        if whole["thinking"]:
            events.append(ReasoningDelta(whole["thinking"]))
        if whole["text"]:
            events.append(TextDelta(whole["text"]))
        return events

    def whole(self) -> Part:
        """Return what it has become."""
        grown = {name: str(pieces) for name, pieces in self._pieces.items() if pieces}
        arguments = grown.pop("partial_json", "")
        block = {**self._block, **grown}
        if arguments and block.get("type") != "tool_use":
            block["input"] = read(arguments.encode(), object)
        return _part(block, arguments)

    def shown(self) -> Part:
        """Return as much of it as people may see before it is whole."""
        thought = self._pieces["thinking"]
        return (
            ReasoningPart(str(thought))
            if thought
            else TextPart(str(self._pieces["text"]))
        )


def _part(block: Block, arguments: str = "") -> Part:
    """Return what a block is to the rest.

    Args:
      arguments: of a tool request, as the model wrote them; empty for those that
        stand in the block.
    """
    match text_in(block.get("type")):
        case "":
            raise malformed("a block of the answer does not say what it is")
        case "text":
            return TextPart(text_in(block.get("text")))
        case "tool_use":
            return ToolRequestPart(
                text_in(block.get("id")),
                text_in(block.get("name")),
                arguments or written(block.get("input") or {}),
            )
        case _:
            return kept(PROTOCOL, block, text_in(block.get("thinking")))


def _reply(
    message: _Message,
    stop: _Stop,
    parts: Iterable[Part],
    usage: Usage,
    finish: Finish | None = None,
) -> ModelReply:
    """Return the reply; *finish* is what *stop* says unless given."""
    parts = tuple(part for part in parts if part not in (TextPart(""), ReasoningPart()))
    asks = any(isinstance(part, ToolRequestPart) for part in parts)
    return ModelReply(
        joined(parts),
        usage=usage,
        finish=finish or finish_of(ANTHROPIC, stop.word, asks=asks),
        model=message.model or "",
        raw_finish=stop.word,
        id=message.id or "",
        parts=parts,
        refusal=stop.explanation,
    )
