"""OpenAI's Chat Completions, which many servers copy.

What is read is taken leniently: a server may leave out ids, indices, usage and
the reason why the model stopped.  Of one thing this is strict: an answer that is
cut off is never a whole one.

`ToolResultPart.failed` has no field here; its text says that it failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from understudy.providers.bodies import (
    Body,
    address,
    check,
    joined,
    sent,
    split,
    unable,
)
from understudy.providers.error_bodies import told_by_body
from understudy.providers.held import Held, held, schema_name
from understudy.providers.openai_chat_opaque import Fields, going_back
from understudy.providers.openai_chat_replies import ChatAnswer, Growing
from understudy.providers.openai_chat_stream import ChatReader
from understudy.providers.reading import read
from understudy.providers.schemas import OPENAI
from understudy.providers.usages import most_asked
from understudy.providers.wire import WireRequest, WireSettings
from understudy.providers.wire_errors import response_failure, told_failure
from understudy_protocols.chat import (
    FilePart,
    ImagePart,
    Message,
    ModelReply,
    ModelRequest,
    Part,
    ReasoningPart,
    TextPart,
    Tool,
    ToolRequestPart,
)
from understudy_protocols.failures import ModelError


class OpenAIChat:
    """Chat Completions.  The base address ends in the version, as in ``/v1``."""

    name = "openai"

    def authorization(self, key: str) -> Mapping[str, str]:
        """Return the headers that carry *key*."""
        return {"authorization": f"Bearer {key}"}

    def encode(
        self, request: ModelRequest, settings: WireSettings, *, stream: bool
    ) -> WireRequest:
        """Return *request* as the provider takes it; see `Codec`."""
        able = settings.capabilities
        check(request, able)
        bound = held(request, able, OPENAI)
        tokens = settings.max_tokens_name or "max_completion_tokens"
        body: Body = {
            "model": settings.model,
            "messages": [told for message in bound.messages for told in _told(message)],
            tokens: most_asked(request, settings),
            "temperature": request.temperature if able.temperature else None,
            "stop": request.stop or None,
            "seed": request.seed if able.seed else None,
            "reasoning_effort": (request.reasoning or None) if able.reasoning else None,
            "response_format": _format(bound, request),
            "tools": [_tool(tool) for tool in request.tools] or None,
            "tool_choice": _choice(request),
        }
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return sent("/chat/completions", body, settings)

    def decode(
        self, body: bytes, request: ModelRequest, settings: WireSettings
    ) -> ModelReply:
        """Return the answer in *body*; see `Codec`."""
        answer = read(body, ChatAnswer)
        if answer.failed:
            raise told_failure(told_by_body(body))
        growing = Growing(request, settings)
        growing.add(answer)
        return growing.reply()

    def reader(self, request: ModelRequest, settings: WireSettings) -> ChatReader:
        """Return what reads the stream that answers *request*."""
        return ChatReader(request, settings)

    def failure(
        self, status: int, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ModelError:
        """Return what a response that is no success means; see `Codec`."""
        return response_failure(status, headers, body, now)


def _told(message: Message) -> Iterator[Body]:
    """Yield one message as the provider's, of which there may be several."""
    results, rest = split(message)
    for result in results:
        yield {"role": "tool", "tool_call_id": result.id, "content": result.text}
    shown = [part for part in rest if not isinstance(part, ReasoningPart)]
    if shown or not message.parts:
        fields, by_call = going_back(message.parts)
        yield {**fields, **_turn(message, shown, by_call)}


def _turn(
    message: Message, parts: Sequence[Part], by_call: Mapping[str, Fields]
) -> Body:
    role = "user" if message.role == "tool" else message.role
    calls = [
        {**by_call.get(part.id, {}), **_call(part)}
        for part in parts
        if isinstance(part, ToolRequestPart)
    ]
    if calls:
        return {"role": role, "content": joined(parts) or None, "tool_calls": calls}
    # A plain text where that will do: some servers read nothing else.
    if all(isinstance(part, TextPart) for part in parts):
        return {"role": role, "content": joined(parts)}
    return {"role": role, "content": [_content(part) for part in parts]}


def _content(part: Part) -> Body:
    if isinstance(part, ImagePart):
        return {"type": "image_url", "image_url": {"url": address(part)}}
    if isinstance(part, FilePart):
        if not part.data:
            raise unable("this protocol takes the data of a file, not its address")
        file = {"filename": part.name or "file", "file_data": address(part)}
        return {"type": "file", "file": file}
    return {"type": "text", "text": joined([part])}


def _call(part: ToolRequestPart) -> Body:
    function = {"name": part.name, "arguments": part.arguments or "{}"}
    return {"id": part.id, "type": "function", "function": function}


def _tool(tool: Tool) -> Body:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }


def _choice(request: ModelRequest) -> object:
    if not request.tools or request.tool_choice == "auto":
        return None
    if request.tool_choice in ("none", "required"):
        return request.tool_choice
    return {"type": "function", "function": {"name": request.tool_choice}}


def _format(bound: Held, request: ModelRequest) -> Body | None:
    if bound.schema is not None:
        described = {
            "name": schema_name(request),
            "schema": bound.schema,
            "strict": bound.strict,
        }
        return {"type": "json_schema", "json_schema": described}
    return {"type": "json_object"} if bound.json else None
