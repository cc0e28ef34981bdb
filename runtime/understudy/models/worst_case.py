"""The most that a request to a model can use, known before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from understudy.models.gated import GatedModel
from understudy.models.part_bounds import UNBOUNDED, PartBounds
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

MESSAGE_OVERHEAD: Final = 16
"""Tokens that a provider may add around each message; a bound, not a guess."""

INSTRUCTIONS: Final = 1_024
"""Tokens of the words that a provider, or an adapter, may put before a request to
say what tools are, or how to keep to a schema; a bound.  They are billed as input."""


def worst_case(
    model: Model, request: ModelRequest, *, money_capped: bool, tokens_capped: bool
) -> Usage:
    """Return the most that *request* can use.

    Args:
      money_capped: whether money has a cap.
      tokens_capped: whether tokens have one.

    Raises:
      ModelError: there is a cap, and no price, or no bound on what the model may
        read or write.
    """
    price = model.price
    if price is None:
        if money_capped:
            raise _refusal(
                model,
                "has no price, and there is a cap on money; say what it costs: price = "
                "{...} in its configuration, price=Price(...) in a program (0 where it "
                "costs nothing)",
            )
        price = _FREE
    if request.max_tokens is None and (
        tokens_capped or (money_capped and not price.free_output)
    ):
        raise _refusal(
            model,
            "may write without a bound, and there is a budget; give max_tokens to the "
            "call or to the model, so that the worst case is known",
        )
    bounds = bounds_of(model)
    boundless = bounds.boundless(request)
    if boundless is not None and (
        tokens_capped or (money_capped and not _free_input(price))
    ):
        raise _refusal(
            model, f"gets {boundless.what} under a budget, and {boundless.advice}"
        )
    usage = Usage(
        calls=1,
        input_tokens=most_read(request, bounds),
        output_tokens=request.max_tokens or 0,
    )
    return msgspec.structs.replace(usage, cost_micros=price.most(usage))


_FREE: Final = Price()


def bounds_of(model: Model) -> PartBounds:
    """Return what is known of the size of pictures and files, as *model* reads them."""
    return model.part_bounds if isinstance(model, GatedModel) else UNBOUNDED


def _refusal(model: Model, problem: str) -> ModelError:
    return ModelError(f"{model.name} {problem}", cause=Cause.BUDGET, model=model.name)


def _free_input(price: Price) -> bool:
    """Whether it costs the same however much the model reads."""
    return price.most(Usage(input_tokens=1_000_000)) == price.cost(NO_USAGE)


def most_read(request: ModelRequest, bounds: PartBounds = UNBOUNDED) -> int:
    """Return the most tokens that *request* can be: no token is less than a byte.

    Args:
      bounds: of pictures and files; those without one do not count.
    """
    read = sum(
        MESSAGE_OVERHEAD
        + bounds.tokens_of(part)
        + sum(size(text) for text in _texts(part))
        for message in request.messages
        for part in message.parts or (TextPart(""),)
    )
    if request.tools or request.output_schema is not None:
        read += INSTRUCTIONS
    for tool in request.tools:
        read += _described(tool.name, tool.parameters) + size(tool.description)
    if request.output_schema is None:
        return read
    return read + _described(request.output_name, request.output_schema)


def size(text: str) -> int:
    """Return the most tokens that *text* can be; a count."""
    return len(text.encode("utf-8", "surrogatepass"))


def _described(name: str, schema: Mapping[str, object]) -> int:
    # Loaded with the first schema.
    import json

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
