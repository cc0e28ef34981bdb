"""One conversation with everything in it, for the request bodies of all protocols."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from understudy.providers.wire import Capabilities, Codec, WireRequest, WireSettings
from understudy_protocols.chat import (
    FilePart,
    ImagePart,
    Message,
    ModelRequest,
    ReasoningPart,
    TextPart,
    Tool,
    ToolRequestPart,
    ToolResultPart,
)

POINT: Mapping[str, object] = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}},
    "required": ["x"],
}
LOOK_UP = Tool(
    "look_up",
    "Finds a team.",
    {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
    },
)
CONVERSATION = (
    Message.of("system", "Be brief."),
    Message(
        "user",
        (
            TextPart("What is this?"),
            ImagePart(data=b"\x89PNG", media_type="image/png"),
            ImagePart(url="https://example.org/cat.jpg"),
            FilePart(data=b"%PDF", media_type="application/pdf", name="a.pdf"),
        ),
    ),
    Message(
        "assistant",
        (
            ReasoningPart("Hm.", "elsewhere:{}"),
            TextPart("Let me look."),
            ToolRequestPart("call_1", "look_up", '{"name": "cat"}'),
            ToolRequestPart("call_2", "look_up", ""),
        ),
    ),
    Message(
        "tool",
        (
            ToolResultPart("call_1", "A cat."),
            ToolResultPart("call_2", "There is no name.", failed=True),
        ),
    ),
    Message.of("user", "And so?"),
)
EVERYTHING = ModelRequest(
    CONVERSATION,
    output_schema=POINT,
    output_name="Point[int]",
    max_tokens=100,
    temperature=0.5,
    seed=7,
    tools=(LOOK_UP,),
    tool_choice="look_up",
    reasoning="high",
    key="run-1",
)
ALL = Capabilities(reasoning=True)


def settings(able: Capabilities = ALL, **more: object) -> WireSettings:
    """Return settings for the model ``m``."""
    return WireSettings(model="m", capabilities=able, **more)  # type: ignore[arg-type]


def body_of(request: WireRequest) -> dict[str, object]:
    """Return what is sent."""
    return cast("dict[str, object]", json.loads(request.body))


def encoded(
    codec: Codec,
    request: ModelRequest,
    how: WireSettings | None = None,
    *,
    stream: bool = False,
) -> dict[str, object]:
    """Return the body that *codec* sends."""
    return body_of(codec.encode(request, how or settings(), stream=stream))
