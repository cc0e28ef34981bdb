"""What Responses answers, whole or as a stream, as one reply.

The stream ends with ``response.completed``, ``response.incomplete`` or
``response.failed``, each with the whole answer in it, and is broken off without
one of them.

Some servers (llama.cpp) say ``completed`` of an answer that they cut off at the
bound on its tokens.  One that has come up to the bound is taken as cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from understudy.models.worst_case import size
from understudy.providers.bodies import joined
from understudy.providers.error_bodies import told_by, told_by_body
from understudy.providers.finishes import RESPONSES, finish_of
from understudy.providers.opaque import kept
from understudy.providers.openai_responses_input import OF_MESSAGE, PROTOCOL
from understudy.providers.pieces import Pieces
from understudy.providers.reading import (
    ABSENT,
    items_in,
    malformed,
    mapping_in,
    read,
    read_piece,
    text_in,
    written,
)
from understudy.providers.streams import Reader
from understudy.providers.usages import most_asked, most_used, responses_usage
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

Item = dict[str, object]
"""An item as it came, whatever is in it: some must go back unchanged."""

_TEXTS: Final = frozenset({"response.output_text.delta", "response.refusal.delta"})
_THOUGHTS: Final = frozenset(
    {"response.reasoning_text.delta", "response.reasoning_summary_text.delta"}
)
_TERMINAL: Final = frozenset(
    {"response.completed", "response.incomplete", "response.failed"}
)


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[Item] | None = None
    usage: msgspec.Raw = ABSENT
    error: object = None
    incomplete_details: _Incomplete | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: object = None
    output_index: int | None = None
    item: object = None
    response: msgspec.Raw = ABSENT
    error: object = None


def decoded(body: bytes, request: ModelRequest, settings: WireSettings) -> ModelReply:
    """Return the answer in *body*; see `Codec`."""
    response = read(body, _Response)
    usage = _checked(response)
    if response.output is None:
        raise malformed("the provider's answer has no output in it")
    received = size(written(response.output))
    usage = usage or most_used(request, settings, received)
    return _reply(response, response.output, usage, most_asked(request, settings))


class ResponsesReader(Reader):
    """Reads the events of an answer."""

    def __init__(self, request: ModelRequest, settings: WireSettings) -> None:
        super().__init__()
        self._request = request
        self._settings = settings
        self._text = Pieces()
        self._thought = Pieces()
        self._unshown = Pieces()
        self._items: dict[int, Item] = {}

    def partial(self) -> ModelReply:
        """Return what has come so far."""
        return ModelReply(
            str(self._text),
            usage=self._most_used(),
            finish=Finish.FAILED,
            parts=tuple(self._parts()),
        )

    def _take(self, name: str, data: bytes) -> Sequence[StreamEvent]:
        if data.strip() == b"[DONE]":  # as some servers say; it ends nothing here
            return ()
        event, marked = read_piece(data, _Event)
        kind = event.type or name
        if kind in _TERMINAL:
            return (Finished(self._whole(read(event.response, _Response), kind)),)
        if kind == "error" or event.error:
            raise told_failure(told_by_body(data))
        if kind == "response.output_item.done":
            place = event.output_index
            self._items[len(self._items) if place is None else place] = mapping_in(
                event.item
            )
        return self._piece(kind, text_in(event.delta), marked=marked)

    def _piece(self, kind: str, piece: str, *, marked: bool) -> Sequence[StreamEvent]:
        if kind in _TEXTS:
            text = self._text.add(piece, marked=marked)
            return [TextDelta(text)] if text else ()
        if kind in _THOUGHTS:
            thought = self._thought.add(piece, marked=marked)
            return [ReasoningDelta(thought)] if thought else ()
        if kind.endswith(".delta"):
            self._unshown.add(piece)
        return ()

    def _whole(self, response: _Response, kind: str) -> ModelReply:
        response.status = response.status or kind.removeprefix("response.")
        usage = _checked(response) or self._most_used()
        # Some servers leave out of the last event what they have said before.
        output = response.output or [self._items[at] for at in sorted(self._items)]
        most = most_asked(self._request, self._settings)
        return _reply(response, output, usage, most, otherwise=self._parts())

    def _parts(self) -> Iterator[Part]:
        if self._thought:
            yield ReasoningPart(str(self._thought))
        if self._text:
            yield TextPart(str(self._text))

    def _most_used(self) -> Usage:
        received = self._text.size + self._thought.size + self._unshown.size
        return most_used(self._request, self._settings, received)


def _checked(response: _Response) -> Usage | None:
    """Return what an answer used; None if it does not say.

    Raises:
      ModelError: it is the answer of a provider that failed.
    """
    usage = responses_usage(response.usage)
    if response.error or RESPONSES.get(response.status or "") is Finish.FAILED:
        raise told_failure(told_by(response.error), usage)
    return usage


def _reply(
    response: _Response,
    output: Iterable[Item],
    usage: Usage,
    most: int | None,
    otherwise: Iterable[Part] = (),
) -> ModelReply:
    """Return the reply.

    Args:
      most: the bound on its tokens; None if there is none.
      otherwise: its parts if *output* has none.
    """
    parts = tuple(part for item in output for part in _parts(item)) or tuple(otherwise)
    refusal = "".join(map(_refusal, output))
    details = response.incomplete_details or _Incomplete()
    word = "/".join(filter(None, (response.status, details.reason)))
    finish = finish_of(
        RESPONSES,
        word,
        asks=any(isinstance(part, ToolRequestPart) for part in parts),
        refuses=bool(refusal),
    )
    full = most is not None and usage.output_tokens >= most and not usage.estimated
    if full and finish in (Finish.COMPLETE, Finish.TOOL_REQUEST):
        finish = Finish.TRUNCATED
    return ModelReply(
        joined(parts),
        usage=usage,
        finish=finish,
        model=response.model or "",
        raw_finish=word,
        id=response.id or "",
        parts=parts,
        refusal=refusal,
    )


def _parts(item: Item) -> Iterator[Part]:
    match text_in(item.get("type")):
        case "":
            raise malformed("an item of the answer does not say what it is")
        case "message":
            if phase := text_in(item.get("phase")):
                yield kept(OF_MESSAGE, {"phase": phase})
            for content in _contents(item, "content"):
                text = text_in(content.get("text")) + text_in(content.get("refusal"))
                if text:
                    yield TextPart(text)
        case "function_call":
            yield ToolRequestPart(
                text_in(item.get("call_id")) or text_in(item.get("id")),
                text_in(item.get("name")),
                text_in(item.get("arguments")) or "{}",
            )
        case "reasoning":
            if thought := _thought(item):
                yield thought
        case _:
            yield kept(PROTOCOL, item)


def _thought(item: Item) -> ReasoningPart | None:
    said = [*_contents(item, "summary"), *_contents(item, "content")]
    text = "\n\n".join(filter(None, (text_in(part.get("text")) for part in said)))
    # Of one that is only an id, the provider would say that it does not know it.
    whole = item.get("encrypted_content") or item.get("content")
    if whole:
        return kept(PROTOCOL, item, text)
    return ReasoningPart(text) if text else None


def _contents(item: Item, name: str) -> list[Item]:
    return [mapping_in(part) for part in items_in(item.get(name))]


def _refusal(item: Item) -> str:
    return "".join(text_in(part.get("refusal")) for part in _contents(item, "content"))
