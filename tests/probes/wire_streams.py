"""Streams of providers, as bytes, and what comes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import AnyStr

from understudy.providers.anthropic import AnthropicMessages
from understudy.providers.openai_chat import OpenAIChat
from understudy.providers.openai_responses import OpenAIResponses
from understudy.providers.sse import EventReader, ServerEvent
from understudy.providers.wire import Codec, StreamReader, WireSettings
from understudy_protocols.chat import (
    Finished,
    ModelReply,
    ModelRequest,
    StreamEvent,
)
from understudy_protocols.failures import ModelError

Json = Mapping[str, object]

SETTINGS = WireSettings(model="m")
REQUEST = ModelRequest("hello")
CODECS: tuple[Codec, ...] = (OpenAIChat(), OpenAIResponses(), AnthropicMessages())


def in_bytes(value: object) -> bytes:
    """Return *value* as JSON."""
    return json.dumps(value).encode()


def chat_stream(chunks: Iterable[Json], *, done: bool = True) -> bytes:
    """Return the stream of Chat Completions: data alone."""
    events = [b"data: " + in_bytes(chunk) + b"\n\n" for chunk in chunks]
    return b"".join(events) + (b"data: [DONE]\n\n" if done else b"")


def named_stream(events: Iterable[Json]) -> bytes:
    """Return a stream whose events are named by their type."""
    return b"".join(
        b"event: %s\ndata: %s\n\n"
        % (str(event.get("type", "")).encode(), in_bytes(event))
        for event in events
    )


def cut(data: AnyStr, at: Sequence[int]) -> list[AnyStr]:
    """Return *data* in chunks that end at the places *at*, modulo its length."""
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    return [data[start:end] for start, end in pairwise(places)]


def events_in(chunks: Iterable[bytes]) -> list[ServerEvent]:
    """Return the events in *chunks*."""
    reader = EventReader()
    return [event for chunk in chunks for event in reader.feed(chunk)]


def told(reader: StreamReader, chunks: Iterable[bytes]) -> list[StreamEvent]:
    """Return all that a whole body brings."""
    events = [told for event in events_in(chunks) for told in reader.feed(event)]
    return [*events, *reader.end()]


def replied(
    codec: Codec,
    data: bytes,
    request: ModelRequest = REQUEST,
    settings: WireSettings = SETTINGS,
) -> ModelReply:
    """Return the reply that a whole stream ends with."""
    last = told(codec.reader(request, settings), [data])[-1]
    assert isinstance(last, Finished)
    return last.reply


def told_or_failed(
    reader: StreamReader, chunks: Iterable[bytes]
) -> list[StreamEvent] | ModelError:
    """Return all that a whole body brings, or how it fails."""
    try:
        return told(reader, chunks)
    except ModelError as error:
        return error
