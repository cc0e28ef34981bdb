"""What a call used, counted the same way for all protocols.

`Usage.input_tokens` has cached tokens in it and `Usage.output_tokens` has
reasoning in it, whatever the provider counts apart.
"""

from __future__ import annotations

import msgspec

from understudy.models.worst_case import most_read
from understudy.providers.reading import read_or_none
from understudy.providers.wire import WireSettings
from understudy_protocols.chat import ModelRequest
from understudy_protocols.usage import Usage

Count = int | float | None
"""Tokens, as a provider writes them; nothing if it does not."""


class _OpenAIDetails(msgspec.Struct):
    cached_tokens: Count = None
    cache_write_tokens: Count = None
    reasoning_tokens: Count = None


class ChatUsage(msgspec.Struct):
    """Usage as Chat Completions says it."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_tokens_details: _OpenAIDetails | None = None
    completion_tokens_details: _OpenAIDetails | None = None


class ResponsesUsage(msgspec.Struct):
    """Usage as Responses says it."""

    input_tokens: Count = None
    output_tokens: Count = None
    total_tokens: Count = None
    input_tokens_details: _OpenAIDetails | None = None
    output_tokens_details: _OpenAIDetails | None = None


class _AnthropicDetails(msgspec.Struct):
    thinking_tokens: Count = None


class AnthropicUsage(msgspec.Struct, frozen=True):
    """Usage as Messages says it: cached input is not part of the input."""

    input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_read_input_tokens: Count = None
    output_tokens: Count = None
    output_tokens_details: _AnthropicDetails | None = None


def chat_usage(said: msgspec.Raw) -> Usage | None:
    """Return what a Chat Completions answer used; None if it does not say."""
    usage = read_or_none(said, ChatUsage)
    if usage is None:
        return None
    return _openai(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        usage.prompt_tokens_details,
        usage.completion_tokens_details,
    )


def responses_usage(said: msgspec.Raw) -> Usage | None:
    """Return what a Responses answer used; None if it does not say."""
    usage = read_or_none(said, ResponsesUsage)
    if usage is None:
        return None
    return _openai(
        usage.input_tokens,
        usage.output_tokens,
        usage.total_tokens,
        usage.input_tokens_details,
        usage.output_tokens_details,
    )


def _openai(
    read: Count,
    written: Count,
    total: Count,
    read_details: _OpenAIDetails | None,
    written_details: _OpenAIDetails | None,
) -> Usage | None:
    if read is None or written is None:
        return None
    details = read_details or _OpenAIDetails()
    # Some servers leave reasoning out of what was written, but not of the total.
    output = max(_count(written), _count(total) - _count(read))
    thought = (written_details or _OpenAIDetails()).reasoning_tokens
    return _usage(
        _count(read),
        output,
        _count(details.cached_tokens),
        _count(details.cache_write_tokens),
        _count(thought),
    )


def anthropic_usage(usage: AnthropicUsage | None) -> Usage | None:
    """Return what a Messages answer used; None if it does not say."""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = _count(usage.cache_read_input_tokens)
    put = _count(usage.cache_creation_input_tokens)
    details = usage.output_tokens_details or _AnthropicDetails()
    return _usage(
        _count(usage.input_tokens) + cached + put,
        _count(usage.output_tokens),
        cached,
        put,
        _count(details.thinking_tokens),
    )


def later_usage(before: AnthropicUsage, said: AnthropicUsage | None) -> AnthropicUsage:
    """Return what is known after *said* came, which counts from the beginning.

    Some servers say the input with the first event, some with the last, and send
    zeros otherwise.
    """
    if said is None:
        return before
    return AnthropicUsage(
        _larger(before.input_tokens, said.input_tokens),
        _larger(before.cache_creation_input_tokens, said.cache_creation_input_tokens),
        _larger(before.cache_read_input_tokens, said.cache_read_input_tokens),
        _larger(before.output_tokens, said.output_tokens),
        said.output_tokens_details or before.output_tokens_details,
    )


def most_used(
    request: ModelRequest,
    settings: WireSettings,
    received: int,
    said: Usage | None = None,
) -> Usage:
    """Return the most that an answer can have used, of which not all was said.

    Where a model may have thought unseen, that is all that it may write.

    Args:
      received: the bytes of what it wrote, as no token is less than a byte; a count.
      said: what the provider has said so far, of an answer that went on.
    """
    limit = most_asked(request, settings) or settings.capabilities.max_output
    if limit is None:
        written = received
    elif settings.capabilities.reasoning:
        written = limit
    else:
        written = min(received, limit)
    if said is None:
        said = Usage(input_tokens=most_read(request, settings.capabilities.part_bounds))
    return msgspec.structs.replace(
        said,
        calls=1,
        output_tokens=max(written, said.output_tokens),
        estimated=True,
    )


def most_asked(request: ModelRequest, settings: WireSettings) -> int | None:
    """Return the most tokens to ask for; None to leave it to the provider."""
    asked = request.max_tokens or settings.max_tokens
    able = settings.capabilities.max_output
    return asked if asked is None or able is None else min(asked, able)


def _usage(read: int, written: int, cached: int, put: int, thought: int) -> Usage:
    cached = min(cached, read)
    return Usage(
        calls=1,
        input_tokens=read,
        output_tokens=written,
        cached_tokens=cached,
        cache_write_tokens=min(put, read - cached),
        reasoning_tokens=min(thought, written),
    )


def _count(said: Count) -> int:
    return max(0, int(said or 0))


def _larger(one: Count, other: Count) -> Count:
    return other if one is None else max(one, other or 0)
