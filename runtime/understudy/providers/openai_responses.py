"""OpenAI's Responses, without state at the provider: what it says comes back whole.

There is no field for texts to stop at, nor for a seed.  `ToolResultPart.failed`
has none either; its text says that it failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from understudy.providers.bodies import Body, check, sent, unable
from understudy.providers.held import Held, held, schema_name
from understudy.providers.openai_responses_input import items
from understudy.providers.openai_responses_replies import ResponsesReader, decoded
from understudy.providers.schemas import OPENAI
from understudy.providers.usages import most_asked
from understudy.providers.wire import WireRequest, WireSettings
from understudy.providers.wire_errors import response_failure
from understudy_protocols.chat import ModelReply, ModelRequest, Tool
from understudy_protocols.failures import ModelError


class OpenAIResponses:
    """Responses.  The base address ends in the version, as in ``/v1``."""

    name = "responses"

    def authorization(self, key: str) -> Mapping[str, str]:
        """Return the headers that carry *key*."""
        return {"authorization": f"Bearer {key}"}

    def encode(
        self, request: ModelRequest, settings: WireSettings, *, stream: bool
    ) -> WireRequest:
        """Return *request* as the provider takes it; see `Codec`."""
        able = settings.capabilities
        check(request, able)
        if request.stop:
            raise unable("this protocol has no texts to stop at")
        bound = held(request, able, OPENAI)
        tokens = settings.max_tokens_name or "max_output_tokens"
        effort = request.reasoning if able.reasoning else ""
        body: Body = {
            "model": settings.model,
            "input": items(bound.messages),
            tokens: most_asked(request, settings),
            "temperature": request.temperature if able.temperature else None,
            "reasoning": {"effort": effort} if effort else None,
            # Without these thoughts are kept at the provider, or lost.
            "include": ["reasoning.encrypted_content"] if able.reasoning else None,
            "store": False,
            "text": _format(bound, request),
            "tools": [_tool(tool) for tool in request.tools] or None,
            "tool_choice": _choice(request),
            "stream": stream or None,
        }
        return sent("/responses", body, settings)

    def decode(
        self, body: bytes, request: ModelRequest, settings: WireSettings
    ) -> ModelReply:
        """Return the answer in *body*; see `Codec`."""
        return decoded(body, request, settings)

    def reader(self, request: ModelRequest, settings: WireSettings) -> ResponsesReader:
        """Return what reads the stream that answers *request*."""
        return ResponsesReader(request, settings)

    def failure(
        self, status: int, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ModelError:
        """Return what a response that is no success means; see `Codec`."""
        return response_failure(status, headers, body, now)


def _tool(tool: Tool) -> Body:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        # Left out, it would be true, and change what the schema means.
        "strict": False,
    }


def _choice(request: ModelRequest) -> object:
    if not request.tools or request.tool_choice == "auto":
        return None
    if request.tool_choice in ("none", "required"):
        return request.tool_choice
    return {"type": "function", "name": request.tool_choice}


def _format(bound: Held, request: ModelRequest) -> Body | None:
    if bound.schema is not None:
        described: Body = {
            "type": "json_schema",
            "name": schema_name(request),
            "schema": bound.schema,
            "strict": bound.strict,
        }
        return {"format": described}
    return {"format": {"type": "json_object"}} if bound.json else None
