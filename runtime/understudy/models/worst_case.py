"""The most that a request to a model can use, known before it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping

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
        input_tokens=most_read(request),
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


def most_read(request: ModelRequest) -> int:
    """Return the most tokens that *request* can be: no token is less than a byte.

    Pictures and files do not count: nobody can say how many tokens they are.
    """
    read = sum(
        MESSAGE_OVERHEAD + sum(size(text) for text in _texts(part))
        for message in request.messages
        for part in message.parts or (TextPart(""),)
    )
    for tool in request.tools:
        read += _described(tool.name, tool.parameters) + size(tool.description)
    if request.output_schema is None:
        return read
    return read + _described(request.output_name, request.output_schema)


def size(text: str) -> int:
    """Return the most tokens that *text* can be; a count."""
    return len(text.encode("utf-8", "surrogatepass"))


def _described(name: str, schema: Mapping[str, object]) -> int:
    written = json.dumps(schema, default=dict)
    return size(name) + size(written) + MESSAGE_OVERHEAD


def _texts(part: Part) -> tuple[str, ...]:
    """Return the words of a part that a model reads."""
    if isinstance(part, ImagePart | FilePart):
        return ()
    if isinstance(part, ReasoningPart):
        return (part.text, part.opaque)
    if isinstance(part, ToolRequestPart):
        return (part.id, part.name, part.arguments)
    return (part.text,) if isinstance(part, TextPart) else (part.id, part.text)
