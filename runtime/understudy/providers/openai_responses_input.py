"""A conversation as the items that Responses takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

import msgspec

from understudy.providers.bodies import Body, address, joined, split
from understudy.providers.opaque import fields_back, given_back
from understudy_protocols.chat import (
    FilePart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolRequestPart,
)

PROTOCOL: Final = "responses"

OF_MESSAGE: Final = "responses.message"
"""What is kept under this name are fields of the message behind it."""

Item = Body | msgspec.Raw


def items(messages: Iterable[Message]) -> list[Item]:
    """Return all of a conversation, in its order."""
    return [item for message in messages for item in _items(message)]


def _items(message: Message) -> Iterator[Item]:
    results, rest = split(message)
    for result in results:
        yield {
            "type": "function_call_output",
            "call_id": result.id,
            "output": result.text,
        }
    fields: Body = {}
    # Calls and thoughts are items beside the messages: those cut a message in two.
    for is_said, group in groupby(rest, _is_said):
        parts = list(group)
        if is_said:
            yield {**_message(message, parts), **fields}
            fields = {}
        else:
            yield from filter(None, map(_beside, parts))
            last = parts[-1]
            if isinstance(last, ReasoningPart):
                fields = fields_back(OF_MESSAGE, last)


def _is_said(part: Part) -> bool:
    return not isinstance(part, ToolRequestPart | ReasoningPart)


def _beside(part: Part) -> Item | None:
    if isinstance(part, ReasoningPart):
        return given_back(PROTOCOL, part)
    assert isinstance(part, ToolRequestPart), "all else is said"
    return {
        "type": "function_call",
        "call_id": part.id,
        "name": part.name,
        "arguments": part.arguments or "{}",
    }


def _message(message: Message, parts: list[Part]) -> Body:
    role = "user" if message.role == "tool" else message.role
    if role == "assistant":
        # Some servers know what a model said by its type only, and by its parts'.
        said: Body = {"type": "output_text", "text": joined(parts)}
        return {"type": "message", "role": role, "content": [said]}
    if all(isinstance(part, TextPart) for part in parts):
        return {"role": role, "content": joined(parts)}
    return {"role": role, "content": [_content(part) for part in parts]}


def _content(part: Part) -> Body:
    if isinstance(part, ImagePart):
        return {"type": "input_image", "image_url": address(part)}
    if isinstance(part, FilePart):
        if not part.data:
            return {"type": "input_file", "file_url": part.url}
        return {
            "type": "input_file",
            "filename": part.name or "file",
            "file_data": address(part),
        }
    return {"type": "input_text", "text": joined([part])}
