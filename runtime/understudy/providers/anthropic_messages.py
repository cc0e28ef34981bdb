"""A conversation as Messages takes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from understudy.providers.bodies import Body, address, base64_of, joined, split
from understudy.providers.opaque import given_back, object_of
from understudy_protocols.chat import (
    FilePart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    ToolRequestPart,
    ToolResultPart,
)

PROTOCOL: Final = "anthropic"

Block = Body | msgspec.Raw

_NOT_IN_AN_ID: Final = re.compile("[^a-zA-Z0-9_-]")


def system_text(messages: Iterable[Message]) -> str:
    """Return what all system messages say: the protocol has one place for it."""
    texts = (
        message.text.strip("\n") for message in messages if message.role == "system"
    )
    return "\n\n".join(filter(None, texts))


def conversation(messages: Iterable[Message]) -> list[Body]:
    """Return the other messages, those of one side in a row as one."""
    turns = list[tuple[str, list[Block]]]()
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = list(_blocks(message))
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:  # the provider refuses a message without any
            turns.append((role, blocks))
    return [{"role": role, "content": blocks} for role, blocks in turns]


def _blocks(message: Message) -> Iterator[Block]:
    results, rest = split(message)
    for result in results:
        yield _result(result)
    for part in rest:
        block = _block(part)
        if block is not None:
            yield block


def _result(part: ToolResultPart) -> Body:
    block: Body = {
        "type": "tool_result",
        "tool_use_id": _id(part.id),
        "content": part.text,
    }
    return {**block, "is_error": True} if part.failed else block


def _block(part: Part) -> Block | None:
    if isinstance(part, ReasoningPart):
        return given_back(PROTOCOL, part)
    if isinstance(part, ToolRequestPart):
        return {
            "type": "tool_use",
            "id": _id(part.id),
            "name": part.name,
            "input": _input(part.arguments),
        }
    if isinstance(part, ImagePart):
        return {"type": "image", "source": _source(part)}
    if isinstance(part, FilePart):
        block: Body = {"type": "document", "source": _source(part)}
        return {**block, "title": part.name} if part.name else block
    # A text of nothing but white space is refused, and models do write such.
    text = joined([part])
    return {"type": "text", "text": text} if text.strip() else None


def _id(given: str) -> str:
    """Return the id of a tool request, in the letters that the protocol takes.

    Another provider may have given it, before this one was asked in its place.
    """
    return _NOT_IN_AN_ID.sub(lambda found: f"-{ord(found[0]):x}-", given)


def _source(part: ImagePart | FilePart) -> Body:
    if not part.data:
        return {"type": "url", "url": address(part)}
    if part.media_type == "text/plain":
        text = part.data.decode("utf-8", "replace")
        return {"type": "text", "media_type": part.media_type, "data": text}
    data = base64_of(part)
    return {"type": "base64", "media_type": part.media_type, "data": data}


def _input(arguments: str) -> object:
    """Return arguments as the object that the protocol wants.

    A model may have written what is none; it is shown what it wrote.
    """
    return object_of(arguments or "{}") or {"invalid_json": arguments}
