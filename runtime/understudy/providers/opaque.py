"""What goes back to a provider as it came: thoughts, and what has no part of its own.

It is kept as JSON under the name of its protocol and of the model that made it, so
that another model, asked in place of the first, is not shown what it could not read
or would refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

import attrs
import msgspec

from understudy.providers.reading import written
from understudy_protocols.chat import (
    Message,
    ModelReply,
    ModelRequest,
    Part,
    ReasoningPart,
)


def kept(protocol: str, block: Mapping[str, object], text: str = "") -> ReasoningPart:
    """Return *block* as a part.

    Args:
      text: what it says for people.
    """
    return ReasoningPart(text, f"{protocol}:{written(block)}")


def given_back(protocol: str, part: ReasoningPart) -> msgspec.Raw | None:
    """Return the block that *part* was made of; None if *protocol* did not make it."""
    tag, _, block = part.opaque.partition(":")
    return object_of(block) if tag == protocol else None


def fields_back(protocol: str, part: ReasoningPart) -> dict[str, object]:
    """Return the fields that *part* was made of; none if *protocol* did not make it."""
    block = given_back(protocol, part)
    return {} if block is None else msgspec.json.decode(block, type=dict[str, object])


def signed(reply: ModelReply, maker: str) -> ModelReply:
    """Return *reply* with *maker* named as the model that thought so."""
    if not any(map(_is_opaque, reply.parts)):
        return reply
    parts = tuple(
        ReasoningPart(part.text, f"{maker} {part.opaque}") if _is_opaque(part) else part
        for part in reply.parts
    )
    return attrs.evolve(reply, parts=parts)


def without_others(request: ModelRequest, maker: str) -> ModelRequest:
    """Return *request* with nothing opaque in it but what *maker* has made."""
    if not any(_is_opaque(part) for said in request.messages for part in said.parts):
        return request
    messages = [
        Message(said.role, tuple(_for(maker, part) for part in said.parts))
        for said in request.messages
    ]
    return attrs.evolve(request, messages=messages)


def _is_opaque(part: Part) -> TypeGuard[ReasoningPart]:
    return isinstance(part, ReasoningPart) and bool(part.opaque)


def _for(maker: str, part: Part) -> Part:
    if not _is_opaque(part):
        return part
    own = part.opaque.startswith(f"{maker} ")
    opaque = part.opaque.removeprefix(f"{maker} ") if own else ""
    return ReasoningPart(part.text, opaque)


def object_of(text: str) -> msgspec.Raw | None:
    """Return *text*, to be sent as it is, if it is a JSON object; else None."""
    data = text.encode("utf-8", "replace")
    try:
        msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return None
    return msgspec.Raw(data)
