"""How a request is held to its schema: by the provider, or by words."""

from __future__ import annotations

import json
import re

import attrs

from understudy.providers.schemas import Dialect, Schema, rooted, strict
from understudy.providers.wire import Capabilities, Structured
from understudy_protocols.chat import Message, ModelRequest, TextPart

_NOT_IN_A_NAME = re.compile("[^a-zA-Z0-9_-]+")


@attrs.frozen(kw_only=True)
class Held:
    """What is said to hold a model to a schema.

    Args:
      schema: for the provider's own field; None if it gets none.
      strict: whether the provider can promise to keep to it.
      json: whether the provider is to promise JSON.
      messages: of the request, with the schema in words where it needs them.
    """

    messages: tuple[Message, ...]
    schema: Schema | None = None
    strict: bool = False
    json: bool = False


def held(request: ModelRequest, able: Capabilities, dialect: Dialect) -> Held:
    """Return how *request* is held to its schema, if it has one."""
    if request.output_schema is None:
        return Held(messages=request.messages)
    root = rooted(request.output_schema)
    if able.structured is Structured.SCHEMA and root is not None:
        made = strict(root, dialect)
        if made is not None:
            return Held(messages=request.messages, schema=made, strict=True)
        if dialect.advisory:
            return Held(messages=request.messages, schema=root)
    return Held(
        messages=_told(
            request.messages, json.dumps(request.output_schema, default=dict)
        ),
        # This promise is one of an object.
        json=able.structured is Structured.JSON and root is not None,
    )


def schema_name(request: ModelRequest) -> str:
    """Return the name of the schema in the letters that providers allow."""
    return _NOT_IN_A_NAME.sub("_", request.output_name)[:64] or "answer"


def _told(messages: tuple[Message, ...], schema: str) -> tuple[Message, ...]:
    words = f"Answer with JSON alone. It must match this JSON schema:\n{schema}"
    # Some servers take one system message, and that only as the first.
    if messages and messages[0].role == "system":
        first = messages[0]
        parts = (*first.parts, TextPart(f"\n\n{words}"))
        return (Message("system", parts), *messages[1:])
    return (Message.of("system", words), *messages)
