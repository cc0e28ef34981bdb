"""What the models without a provider share: reading a request, making a reply."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from typing import cast

import msgspec

from understudy_protocols.articles import with_article
from understudy_protocols.chat import (
    Finish,
    Finished,
    Model,
    ModelReply,
    ModelRequest,
    Price,
    StreamEvent,
    TextDelta,
)
from understudy_protocols.usage import Usage

# A rule of thumb for English and for most tokenisers; usage made from it is marked
# as estimated.
_CHARACTERS_PER_TOKEN = 4
_PIECE = re.compile(r"\S+\s*|\s+")


def user_text(request: ModelRequest) -> str:
    """Return the text of the user's last message; of all messages if there is none."""
    for message in reversed(request.messages):
        if message.role == "user":
            return message.text
    return request.text


def cut_to_tokens(text: str, most: int) -> str:
    """Return the longest beginning of *text* that counts as *most* tokens."""
    return text[: most * _CHARACTERS_PER_TOKEN]


def estimated_tokens(text: str) -> int:
    """Return about how many tokens *text* is; a count."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def text_reply(
    request: ModelRequest,
    text: str,
    model: str,
    price: Price,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
) -> ModelReply:
    """Return *text* as the complete answer to *request*, with its usage and price.

    Args:
      input_tokens: what was counted; estimated if None.
      output_tokens: what was counted; estimated if None.
    """
    if input_tokens is None:
        read, estimated = estimated_tokens(request.text), True
    else:
        read, estimated = input_tokens, False
    if output_tokens is None:
        output_tokens, estimated = estimated_tokens(text), True
    usage = Usage(
        calls=1, input_tokens=read, output_tokens=output_tokens, estimated=estimated
    )
    return ModelReply(
        text, usage=priced(usage, price), finish=Finish.COMPLETE, model=model
    )


def priced(usage: Usage, price: Price) -> Usage:
    """Return *usage* with what it costs at *price*."""
    return msgspec.structs.replace(usage, cost_micros=price.cost(usage))


def as_text(value: object) -> str:
    """Return a value as a model would write it: a text as it is, all else as JSON.

    Raises:
      TypeError: the value, or a part of it, has no JSON.
    """
    if isinstance(value, str):
        # Bare of its class: readers of JSON take no StrEnum.
        return str.__str__(value)
    return msgspec.json.encode(value, enc_hook=_plain).decode()


async def stream_whole(
    model: Model, request: ModelRequest
) -> AsyncIterator[StreamEvent]:
    """Stream the answer of a model that only knows how to give it whole."""
    reply = await model.complete(request)
    for piece in _PIECE.findall(reply.text):
        yield TextDelta(piece)
    yield Finished(reply)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    if isinstance(value, AbstractSet):
        return sorted(cast("AbstractSet[object]", value), key=repr)
    raise TypeError(f"{with_article(type(value).__name__)} cannot be written as JSON")
