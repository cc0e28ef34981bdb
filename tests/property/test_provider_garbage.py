"""Whatever a provider says, it is an answer or a `ModelError`, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import wire_answers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wire_requests import settings as wire_settings
from wire_streams import CODECS, REQUEST, SETTINGS, cut, in_bytes, told_or_failed

from understudy.providers.ratelimits import read_rate_limits
from understudy.providers.retry_after import retry_after
from understudy.providers.sse import ServerEvent
from understudy.providers.wire import Codec
from understudy_protocols.chat import (
    Finish,
    Finished,
    Message,
    ModelReply,
    ModelRequest,
    Part,
    ReasoningPart,
    TextPart,
    ToolRequestPart,
)
from understudy_protocols.failures import Cause, ModelError

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
PARTS: Sequence[Part] = (
    ReasoningPart("Hm."),
    TextPart("Hello."),
    ToolRequestPart("t", "look_up", '{"x":1}'),
)
WRITERS = (wire_answers.chat, wire_answers.responses, wire_answers.anthropic)
WHOLES = {
    codec.name: write(PARTS, [3]) for codec, write in zip(CODECS, WRITERS, strict=True)
}
# Mostly what a parser could take for what it knows.
WORDS = st.sampled_from(
    [
        *("choices", "delta", "message", "content", "tool_calls", "function", "index"),
        *("finish_reason", "usage", "error", "code", "type", "output", "response"),
        *("status", "item", "content_block", "text", "thinking", "partial_json"),
        *("id", "name", "arguments", "input", "stop_reason", "stop_details"),
        *("message_start", "message_delta", "content_block_delta", "message_stop"),
        *("content_block_start", "response.completed", "response.output_item.done"),
        *("completed", "prompt_tokens", "output_tokens", "input_tokens", "object"),
    ]
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4)
    ),
    max_leaves=12,
)
codecs = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


@st.composite
def damaged(draw: st.DrawFn, given_value: object) -> Any:
    """Return a value with something in it replaced, taken away or added."""
    value: Any = given_value
    if isinstance(given_value, dict) and given_value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        rest = {name: inner for name, inner in value.items() if name != key}
        return draw(
            st.just(rest)
            | damaged(value[key]).map(lambda inner: {**value, key: inner})
            | st.tuples(WORDS, VALUES).map(lambda item: {**value, item[0]: item[1]})
        )
    if isinstance(given_value, list) and given_value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        inner = draw(damaged(value[at]))
        return [*value[:at], inner, *value[at + 1 :]]
    return draw(VALUES)


@st.composite
def spliced(draw: st.DrawFn, data: bytes) -> bytes:
    """Return *data* with bytes replaced in a few places."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        piece = draw(st.binary(max_size=3) | st.sampled_from([b"\n\n", b'"', b"\\u"]))
        data = data[:at] + piece + data[at + draw(st.integers(0, 5)) :]
    return data


def bodies(codec: Codec) -> st.SearchStrategy[bytes]:
    body, _ = WHOLES[codec.name]
    return (
        VALUES.map(in_bytes)
        | damaged(json.loads(body)).map(in_bytes)
        | spliced(body)
        | st.binary(max_size=20)
    )


def streams(codec: Codec) -> st.SearchStrategy[list[bytes]]:
    """Return the events of a stream: cut, shuffled, repeated and damaged."""
    _, stream = WHOLES[codec.name]
    events = [event + b"\n\n" for event in stream.split(b"\n\n")]
    odd = VALUES.map(lambda value: b"data: " + in_bytes(value) + b"\n\n")
    damaged_ones = st.sampled_from(events).flatmap(spliced)
    some = st.lists(st.sampled_from(events) | odd | damaged_ones, max_size=12)
    return some | st.permutations(events) | spliced(stream).map(lambda data: [data])


def is_sound(codec: Codec, reply: ModelReply) -> None:
    """See that *reply* can be kept, and sent back."""
    assert reply.text == "".join(
        part.text for part in reply.parts if isinstance(part, TextPart)
    )
    reply.text.encode()
    assert reply.usage.calls == 1
    assert reply.usage.cached_tokens <= reply.usage.input_tokens
    assert reply.usage.reasoning_tokens <= reply.usage.output_tokens
    assert reply.finish is not Finish.FAILED
    turn = Message("assistant", reply.parts)
    sent = codec.encode(ModelRequest([turn]), wire_settings(), stream=False)
    json.loads(sent.body)


@codecs
@settings(max_examples=300)
@given(data=st.data())
def test_a_body_is_an_answer_or_a_model_error(
    codec: Codec, data: st.DataObject
) -> None:
    body = data.draw(bodies(codec))
    try:
        reply = codec.decode(body, REQUEST, SETTINGS)
    except ModelError:
        return
    is_sound(codec, reply)


@codecs
@given(VALUES)
@example("[" * 100_000)
@example({"choices": [{"message": {"content": "x", "reasoning": [[[]]]}}]})
def test_what_names_no_error_is_malformed_or_the_server_failed(
    codec: Codec, value: object
) -> None:
    body = value.encode() if isinstance(value, str) else in_bytes(value)
    if b"error" in body or b"code" in body:
        return
    try:
        codec.decode(body, REQUEST, SETTINGS)
    except ModelError as error:
        assert error.cause in (Cause.MALFORMED, Cause.SERVER)  # noqa: PT017 - or an answer


@codecs
@settings(max_examples=300)
@given(data=st.data(), cuts=st.lists(st.integers(0, 5_000), max_size=5))
def test_a_stream_is_an_answer_or_a_model_error(
    codec: Codec, data: st.DataObject, cuts: list[int]
) -> None:
    stream = b"".join(data.draw(streams(codec)))
    reader = codec.reader(REQUEST, SETTINGS)
    outcome = told_or_failed(reader, cut(stream, cuts))
    so_far = reader.partial()
    assert so_far.finish is Finish.FAILED
    assert not any(isinstance(part, ToolRequestPart) for part in so_far.parts)
    if isinstance(outcome, ModelError):
        assert outcome.partial == so_far.text
        assert outcome.usage is not None
        assert not reader.done
        return
    assert reader.done
    assert [isinstance(event, Finished) for event in outcome].count(True) == 1
    last = outcome[-1]
    assert isinstance(last, Finished)
    is_sound(codec, last.reply)


@codecs
@given(
    st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "x-should-retry"]), st.text()
    ),
    st.binary(max_size=30) | VALUES.map(in_bytes),
)
@example(500, {}, b"[" * 100_000)
@example(500, {}, b'{"error": {"code": ' + b"9" * 4_000 + b"}}")
def test_a_response_that_is_no_success_is_a_model_error(
    codec: Codec, status: int, headers: dict[str, str], body: bytes
) -> None:
    error = codec.failure(status, headers, body, NOW)
    assert type(error) is ModelError
    assert error.retry_after is None or error.retry_after > 0


@codecs
@given(st.text(), st.text())
@example("message", "\ud800")
@example("error", "\ud800")
def test_an_event_of_any_text_is_understood_or_a_model_error(
    codec: Codec, name: str, data: str
) -> None:
    reader = codec.reader(REQUEST, SETTINGS)
    try:
        assert not reader.feed(ServerEvent(name, data))
    except ModelError as error:
        assert error.usage is not None  # noqa: PT017 - or nothing


HEADERS = [
    *("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"),
    *("x-ratelimit-reset-tokens", "anthropic-ratelimit-requests-limit"),
    *("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    *("retry-after", "retry-after-ms"),
]
NUMERALS = st.from_regex(r"-?[0-9]{1,5}(\.[0-9])?(ms|s|m|h)?", fullmatch=True)
DATES = st.datetimes().map(lambda moment: moment.isoformat()) | st.datetimes().map(
    lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
)


@given(st.dictionaries(st.sampled_from(HEADERS), NUMERALS | DATES | st.text()))
@example({"retry-after": "Mon, 01 Jan 0001 00:00:00 +2359"})
@example({"retry-after": "99999999999999999999 Dec 00:00:00 2026"})
@example({"retry-after": "9" * 400})
@example({"x-ratelimit-reset-tokens": "9" * 400 + "s", "x-ratelimit-limit-tokens": "1"})
@example({"anthropic-ratelimit-requests-limit": "1e400"})
def test_headers_of_any_text_are_understood_or_passed_over(
    headers: dict[str, str],
) -> None:
    wait = retry_after(headers, NOW)
    assert wait is None or 0 < wait < float("inf")
    limits = read_rate_limits(headers, NOW)
    if limits is not None:
        assert (limits.tokens_limit or 1) > 0
        assert (limits.tokens_left or 0) >= 0
        assert 0 <= (limits.tokens_reset or 0) < float("inf")
        assert 0 <= (limits.requests_reset or 0) < float("inf")
