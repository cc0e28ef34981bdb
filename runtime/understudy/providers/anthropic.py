"""Anthropic's Messages.

The version is pinned here and can be set; what a version refuses is not sent.
Where the provider cannot be held to a schema in its own field, words do it: it
has no promise of JSON without a schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import attrs

from understudy.providers.anthropic_messages import conversation, system_text
from understudy.providers.anthropic_replies import AnthropicReader, decoded
from understudy.providers.bodies import Body, check, sent
from understudy.providers.held import held
from understudy.providers.schemas import ANTHROPIC
from understudy.providers.usages import most_asked
from understudy.providers.wire import WireRequest, WireSettings
from understudy.providers.wire_errors import response_failure
from understudy_protocols.chat import ModelReply, ModelRequest, Tool
from understudy_protocols.failures import ModelError

VERSION: Final = "2026-10-21"
"""What this was written for; a later one may refuse what is sent."""

_NO_SAMPLING: Final = "2026-10-21"
"""From this version on, a temperature is refused."""

_MAX_TOKENS: Final = 4096
"""The protocol wants a bound; this one all models take."""


class AnthropicMessages:
    """Messages.  The base address has no version in it."""

    name = "anthropic"

    def authorization(self, key: str) -> Mapping[str, str]:
        """Return the headers that carry *key*."""
        return {"x-api-key": key}

    def encode(
        self, request: ModelRequest, settings: WireSettings, *, stream: bool
    ) -> WireRequest:
        """Return *request* as the provider takes it; see `Codec`."""
        able = settings.capabilities
        check(request, able)
        bound = held(request, able, ANTHROPIC)
        version = settings.version or VERSION
        effort = request.reasoning if able.reasoning else ""
        thinking = _thinking(effort, request)
        # Who thinks takes no temperature, whatever the version.
        warm = able.temperature and version < _NO_SAMPLING and thinking is None
        output: Body = {}
        if effort and effort != "none":
            output["effort"] = "low" if effort == "minimal" else effort
        if bound.schema is not None:
            output["format"] = {"type": "json_schema", "schema": bound.schema}
        body: Body = {
            "model": settings.model,
            "max_tokens": most_asked(request, _bounded(settings)),
            "system": system_text(bound.messages) or None,
            "messages": conversation(bound.messages),
            "temperature": request.temperature if warm else None,
            "stop_sequences": request.stop or None,
            "thinking": thinking,
            "output_config": output or None,
            "tools": [_tool(tool) for tool in request.tools] or None,
            "tool_choice": _choice(request),
            "stream": stream or None,
        }
        headers = {"anthropic-version": version}
        if settings.anthropic_beta:
            headers["anthropic-beta"] = ",".join(settings.anthropic_beta)
        return sent("/v1/messages", body, settings, headers)

    def decode(
        self, body: bytes, request: ModelRequest, settings: WireSettings
    ) -> ModelReply:
        """Return the answer in *body*; see `Codec`."""
        return decoded(body, request, _bounded(settings))

    def reader(self, request: ModelRequest, settings: WireSettings) -> AnthropicReader:
        """Return what reads the stream that answers *request*."""
        return AnthropicReader(request, _bounded(settings))

    def failure(
        self, status: int, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> ModelError:
        """Return what a response that is no success means; see `Codec`."""
        return response_failure(status, headers, body, now)


def _bounded(settings: WireSettings) -> WireSettings:
    """Return *settings* with the bound that the protocol wants."""
    return attrs.evolve(settings, max_tokens=settings.max_tokens or _MAX_TOKENS)


def _thinking(effort: str, request: ModelRequest) -> Body | None:
    if not effort:
        return None
    if effort == "none":
        return {"type": "disabled"}
    # Who must ask for a tool cannot think first.
    forced = request.tools and request.tool_choice not in ("auto", "none")
    return None if forced else {"type": "adaptive"}


def _tool(tool: Tool) -> Body:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": tool.parameters,
    }


def _choice(request: ModelRequest) -> Body | None:
    choice = request.tool_choice
    if not request.tools or choice == "auto":
        return None
    words = {"none": "none", "required": "any"}
    if choice in words:
        return {"type": words[choice]}
    return {"type": "tool", "name": choice}
