"""The most that a request to a model can use, known before it is sent."""

from __future__ import annotations

import json

import attrs

from understudy_protocols.chat import (
    FilePart,
    ImagePart,
    Model,
    ModelRequest,
    Part,
    Price,
    ReasoningPart,
    TextPart,
    ToolRequestPart,
)
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.usage import NO_USAGE, Usage

MESSAGE_OVERHEAD = 16
"""Tokens that a provider may add around each message; a bound, not a guess."""


def worst_case(
    model: Model, request: ModelRequest, *, capped: bool, tokens_capped: bool
) -> Usage:
    """Return the most that *request* can use.

    Args:
      capped: whether money or tokens have a cap.
      tokens_capped: whether tokens have one.

    Raises:
      ModelError: there is a cap, and no bound on what the model may read or
        write.
    """
    price = model.price
    if request.max_tokens is None and (
        tokens_capped or (capped and not price.free_output)
    ):
        raise ModelError(
            f"a call of {model.name} under a budget needs max_tokens, so that "
            "its worst case is known; give complete(..., max_tokens=...)",
            cause=Cause.BUDGET,
            model=model.name,
        )
    boundless = _boundless(request)
    if boundless and (tokens_capped or (capped and not _free_input(price))):
        raise ModelError(
            f"a call of {model.name} under a budget cannot take {boundless}: "
            "nobody can say beforehand how many tokens that is; give it as "
            "text, or set no cap on tokens and money",
            cause=Cause.BUDGET,
            model=model.name,
        )
    usage = Usage(
        calls=1,
        input_tokens=_most_read(request),
        output_tokens=request.max_tokens or 0,
    )
    return attrs.evolve(usage, cost_micros=price.cost(usage))


def _free_input(price: Price) -> bool:
    """Whether it costs the same however much the model reads."""
    return price.cost(Usage(input_tokens=1_000_000)) == price.cost(NO_USAGE)


def _boundless(request: ModelRequest) -> str:
    """Return what in *request* has no known bound in tokens; empty if all has."""
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ImagePart):
                return "an image"
            if isinstance(part, FilePart):
                return "a file"
    return ""


def _most_read(request: ModelRequest) -> int:
    """Return the most tokens that *request* can be: no token is less than a byte."""
    read = sum(
        MESSAGE_OVERHEAD + sum(_size(text) for text in _texts(part))
        for message in request.messages
        for part in message.parts or (TextPart(""),)
    )
    if request.output_schema is None:
        return read
    schema = json.dumps(request.output_schema, default=dict)
    return read + _size(schema) + _size(request.output_name) + MESSAGE_OVERHEAD


def _texts(part: Part) -> tuple[str, ...]:
    """Return the words of a part that a model reads."""
    if isinstance(part, ImagePart | FilePart):
        return ()
    if isinstance(part, ReasoningPart):
        return (part.text, part.opaque)
    if isinstance(part, ToolRequestPart):
        return (part.id, part.name, part.arguments)
    return (part.text,) if isinstance(part, TextPart) else (part.id, part.text)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
