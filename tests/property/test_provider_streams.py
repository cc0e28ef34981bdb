"""A stream brings what the whole answer would, however its bytes come."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

import pytest
import wire_answers
from hypothesis import given
from hypothesis import strategies as st
from wire_requests import settings
from wire_streams import CODECS, REQUEST, SETTINGS, cut, told, told_or_failed

from understudy.providers.wire import Codec
from understudy_protocols.chat import (
    Finish,
    Finished,
    Message,
    ModelRequest,
    Part,
    ReasoningDelta,
    ReasoningPart,
    TextDelta,
    TextPart,
    ToolRequestPart,
)
from understudy_protocols.failures import Cause, ModelError

texts = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('\u2028\r\n\\"{}'),
    min_size=1,
    max_size=12,
)
arguments = st.dictionaries(texts, st.integers() | texts, max_size=2).map(
    lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
)
parts = st.lists(
    st.builds(TextPart, texts)
    | st.builds(ReasoningPart, texts)
    | st.builds(ToolRequestPart, st.just("t"), texts, arguments),
    max_size=4,
)
numbered = parts.map(
    lambda given: [
        ToolRequestPart(f"t{at}", part.name, part.arguments)
        if isinstance(part, ToolRequestPart)
        else part
        for at, part in enumerate(given)
    ]
)
places = st.lists(st.integers(0, 5_000), max_size=8)
writers = pytest.mark.parametrize(
    ("codec", "write"),
    list(
        zip(
            CODECS,
            (wire_answers.chat, wire_answers.responses, wire_answers.anthropic),
            strict=True,
        )
    ),
    ids=lambda value: getattr(value, "name", None),
)
Write = Callable[[Sequence[Part], Sequence[int]], wire_answers.Whole]


@writers
@given(numbered, places, places)
def test_a_stream_ends_with_the_reply_that_the_whole_body_is(
    codec: Codec, write: Write, given_parts: list[Part], at: list[int], cuts: list[int]
) -> None:
    body, stream = write(given_parts, at)
    reply = codec.decode(body, REQUEST, SETTINGS)
    events = told(codec.reader(REQUEST, SETTINGS), cut(stream, cuts))
    assert events == told(codec.reader(REQUEST, SETTINGS), [stream])
    assert events[-1] == Finished(reply)
    shown = [event for event in events if isinstance(event, TextDelta)]
    assert "".join(event.text for event in shown) == reply.text
    thought = "".join(
        event.text for event in events if isinstance(event, ReasoningDelta)
    )
    kept = [part.text for part in reply.parts if isinstance(part, ReasoningPart)]
    assert thought == "".join(kept)
    calls = [part for part in given_parts if isinstance(part, ToolRequestPart)]
    assert [part for part in reply.parts if isinstance(part, ToolRequestPart)] == calls
    assert reply.finish is (Finish.TOOL_REQUEST if calls else Finish.COMPLETE)
    assert not reply.usage.estimated


def in_two(event: bytes) -> bytes:
    """Return an event, or two if it is a delta with one character of two halves."""
    pair = re.compile(rb"(\\u[dD]8..)(\\u[dD][c-f]..)")
    if b"delta" not in event or len(pair.findall(event)) != 1:
        return event + b"\n\n"
    return b"".join(pair.sub(half, event) + b"\n\n" for half in (rb"\1", rb"\2"))


FACES = "\N{GRINNING FACE}\N{CAT}"


@writers
def test_a_server_may_cut_characters_in_two(codec: Codec, write: Write) -> None:
    given_parts: list[Part] = [
        TextPart(FACES),
        ReasoningPart(FACES),
        ToolRequestPart("t", "f", f'{{"x":"{FACES}"}}'),
    ]
    body, stream = write(given_parts, range(20))
    whole = codec.decode(body, REQUEST, SETTINGS)
    halved = b"".join(map(in_two, stream.split(b"\n\n")))
    assert halved.count(b"data:") >= stream.count(b"data:") + 6
    events = told(codec.reader(REQUEST, SETTINGS), [halved])
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.reply == whole
    shown = [event.text for event in events if isinstance(event, TextDelta)]
    assert "".join(shown) == FACES
    thought = [event.text for event in events if isinstance(event, ReasoningDelta)]
    assert "".join(thought) == FACES


@writers
@given(numbered, places, st.integers(0, 10_000))
def test_a_stream_that_is_cut_short_is_never_a_whole_answer(
    codec: Codec, write: Write, given_parts: list[Part], at: list[int], length: int
) -> None:
    body, stream = write(given_parts, at)
    whole = codec.decode(body, REQUEST, SETTINGS)
    short = stream[: length % len(stream)]
    reader = codec.reader(REQUEST, SETTINGS)
    outcome = told_or_failed(reader, [short])
    if isinstance(outcome, ModelError):
        assert outcome.cause is Cause.TRANSPORT
        assert whole.text.startswith(outcome.partial)
        so_far = reader.partial()
        assert (so_far.text, so_far.usage) == (outcome.partial, outcome.usage)
        assert so_far.finish is Finish.FAILED
        assert not reader.done
        return
    # All that counts has come, and at most the usage or the last word is missing.
    last = outcome[-1]
    assert isinstance(last, Finished)
    assert (last.reply.parts, last.reply.finish) == (whole.parts, whole.finish)


@writers
@given(numbered, places)
def test_what_a_model_thought_goes_back_as_it_came(
    codec: Codec, write: Write, given_parts: list[Part], at: list[int]
) -> None:
    body, _ = write(given_parts, at)
    turn = Message("assistant", codec.decode(body, REQUEST, SETTINGS).parts)
    sent = codec.encode(ModelRequest([turn]), settings(), stream=False)
    again = json.dumps(json.loads(sent.body))
    if codec.name == "openai":  # has no place for it
        return
    answer = json.loads(body)
    blocks = answer["output"] if codec.name == "responses" else answer["content"]
    for block in blocks:
        if block["type"] in ("reasoning", "thinking"):
            assert json.dumps(block) in again
