"""The stream of Chat Completions, as OpenAI writes it and as others do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from wire_streams import REQUEST, SETTINGS, Json, chat_stream, events_in, replied, told

from understudy.providers.openai_chat import OpenAIChat
from understudy.providers.sse import ServerEvent
from understudy_protocols.chat import (
    Finish,
    Finished,
    ModelReply,
    ReasoningDelta,
    ReasoningPart,
    StreamEvent,
    TextDelta,
    TextPart,
    ToolRequestPart,
)
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.usage import Usage

CHAT = OpenAIChat()
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def chunk(
    delta: Mapping[str, object] | None = None,
    finish: str | None = None,
    **more: object,
) -> dict[str, object]:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    start = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m-1"}
    return {**start, "choices": [choice], "usage": None, **more}


def text(piece: str) -> dict[str, object]:
    return chunk({"content": piece})


def calls(*said: Mapping[str, object]) -> dict[str, object]:
    return chunk({"tool_calls": list(said)})


def piece(
    arguments: str,
    index: int | None = None,
    id: str = "",  # noqa: A002 - its name there
    name: str = "",
) -> dict[str, object]:
    function = {"name": name} if name else {}
    said: dict[str, object] = {"function": {**function, "arguments": arguments}}
    if index is not None:
        said["index"] = index
    return {**said, "id": id} if id else said


LAST = chunk({}, "stop")
COUNTED: Json = {"id": "chatcmpl-1", "model": "m-1", "choices": [], "usage": USAGE}
HELLO: list[Json] = [
    chunk({"role": "assistant", "content": "", "refusal": None}, obfuscation="x"),
    text("Hel"),
    text("lo."),
    LAST,
    COUNTED,
]


def brought(*chunks: Mapping[str, object], done: bool = True) -> list[StreamEvent]:
    reader = CHAT.reader(REQUEST, SETTINGS)
    return told(reader, [chat_stream(chunks, done=done)])


def failed(data: bytes) -> ModelError:
    with pytest.raises(ModelError) as caught:
        told(CHAT.reader(REQUEST, SETTINGS), [data])
    return caught.value


def test_pieces_come_as_they_are_and_the_whole_at_the_end() -> None:
    assert brought(*HELLO) == [
        TextDelta("Hel"),
        TextDelta("lo."),
        Finished(
            ModelReply(
                "Hello.",
                usage=Usage(calls=1, input_tokens=9, output_tokens=4),
                finish=Finish.COMPLETE,
                model="m-1",
                raw_finish="stop",
                id="chatcmpl-1",
            )
        ),
    ]


def test_the_stream_is_done_with_its_last_event_and_hears_no_more() -> None:
    reader = CHAT.reader(REQUEST, SETTINGS)
    *events, last = events_in([chat_stream(HELLO)])
    for event in events:
        reader.feed(event)
        assert not reader.done
    assert isinstance(reader.feed(last)[-1], Finished)
    assert reader.done
    assert reader.feed(last) == ()
    assert reader.feed(ServerEvent("message", "garbage")) == ()
    assert reader.end() == ()


def test_a_stream_that_ends_without_a_reason_is_broken_off() -> None:
    error = failed(chat_stream(HELLO[:3], done=False))
    assert error.cause is Cause.TRANSPORT
    assert error.partial == "Hello."
    assert error.usage is not None
    assert error.usage.estimated


@pytest.mark.parametrize("last", [3, 4, 5])
def test_after_the_reason_the_end_of_the_body_may_be_that_of_the_answer(
    last: int,
) -> None:
    events = brought(*HELLO[:last], LAST, done=False)
    reply = events[-1]
    assert isinstance(reply, Finished)
    assert reply.reply.text == "Hello."
    assert reply.reply.usage.estimated is (last < 5)


def test_an_end_without_a_reason_is_one_that_nobody_knows() -> None:
    reply = replied(CHAT, chat_stream(HELLO[:3]))
    assert (reply.text, reply.finish) == ("Hello.", Finish.OTHER)


def test_a_stream_of_nothing_is_no_answer() -> None:
    nothing: list[list[Json]] = [[], [COUNTED]]
    for chunks in nothing:
        assert failed(chat_stream(chunks)).cause is Cause.MALFORMED
    assert failed(b"").cause is Cause.TRANSPORT


@pytest.mark.parametrize(
    "said",
    [
        # As the protocol has it.
        [
            [piece("", 0, "a", "one"), piece("", 1, "b", "two")],
            [piece('{"x"', 0)],
            [piece("[1", 1)],
            [piece(": 1}", 0), piece("]", 1)],
        ],
        # Without numbers.
        [
            [piece('{"x"', None, "a", "one")],
            [piece(": 1}")],
            [piece("[1]", None, "b", "two")],
        ],
        # Without numbers, with ids in each piece.
        [
            [piece('{"x"', None, "a", "one")],
            [piece("[1", None, "b", "two")],
            [piece(": 1}", None, "a")],
            [piece("]", None, "b", "two")],
        ],
        # All with the same number.
        [
            [piece('{"x": 1}', 0, "a", "one")],
            [piece("[1", 0, "b", "two")],
            [piece("]", 0)],
        ],
        # With everything in each piece.
        [
            [piece('{"x"', 0, "a", "one")],
            [piece(": 1}", 0, "a", "one")],
            [piece("[1]", 1, "b", "two")],
        ],
    ],
)
def test_the_arguments_of_tools_are_joined_however_they_are_marked(
    said: list[list[dict[str, object]]],
) -> None:
    stream = chat_stream(
        [*(calls(*pieces) for pieces in said), chunk({}, "tool_calls")]
    )
    reply = replied(CHAT, stream)
    assert reply.finish is Finish.TOOL_REQUEST
    assert reply.parts == (
        ToolRequestPart("a", "one", '{"x": 1}'),
        ToolRequestPart("b", "two", "[1]"),
    )


def test_tools_without_ids_are_given_some() -> None:
    stream = chat_stream(
        [calls(piece("{}", 0, "", "one"), piece("", 1, "", "two")), LAST]
    )
    assert replied(CHAT, stream).parts == (
        ToolRequestPart("call_0", "one", "{}"),
        ToolRequestPart("call_1", "two", "{}"),
    )


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_shown_apart(name: str) -> None:
    events = brought(chunk({name: "hm"}), text("a"), LAST)
    assert events[:2] == [ReasoningDelta("hm"), TextDelta("a")]
    last = events[-1]
    assert isinstance(last, Finished)
    thought, answer = last.reply.parts
    assert isinstance(thought, ReasoningPart)
    assert (thought.text, answer) == ("hm", TextPart("a"))


def test_a_refusal_comes_in_pieces_too() -> None:
    events = brought(chunk({"refusal": "I "}), chunk({"refusal": "cannot."}), LAST)
    assert events[:2] == [TextDelta("I "), TextDelta("cannot.")]
    last = events[-1]
    assert isinstance(last, Finished)
    assert (last.reply.finish, last.reply.text) == (Finish.REFUSED, "I cannot.")
    halves = [chunk({"refusal": "\ud83d"}), chunk({"refusal": "\ude00"}), LAST]
    assert replied(CHAT, chat_stream(halves)).text == "\N{GRINNING FACE}"


def test_a_failure_in_the_middle_is_one_with_what_came_before_it() -> None:
    errors: list[tuple[Json, Cause]] = [
        ({"error": {"code": "rate_limit_exceeded"}}, Cause.RATE_LIMIT),
        ({"error": {"type": "overloaded_error"}}, Cause.OVERLOADED),
        ({"error": {"code": 400}, "choices": []}, Cause.BAD_REQUEST),
        ({"object": "error", "code": 503, "message": "x"}, Cause.SERVER),
    ]
    for said, cause in errors:
        error = failed(chat_stream([text("Hel"), said]))
        assert (error.cause, error.partial) == (cause, "Hel")
    named = chat_stream([text("Hel")], done=False) + b"event: error\ndata: oops\n\n"
    assert failed(named).cause is Cause.SERVER
    assert failed(chat_stream([text("Hel"), chunk({}, "error")])).partial == "Hel"


def test_garbage_in_the_middle_is_malformed_with_what_came_before_it() -> None:
    for garbage in (b"{", b"[]", b'{"choices": 3}', b"\xff"):
        start = chat_stream([text("Hel")], done=False)
        error = failed(start + b"data: " + garbage + b"\n\n")
        assert (error.cause, error.partial) == (Cause.MALFORMED, "Hel")
        assert error.usage is not None
        assert error.usage.output_tokens == 3


def test_what_has_come_so_far_is_no_whole_answer_and_asks_for_nothing() -> None:
    reader = CHAT.reader(REQUEST, SETTINGS)
    told_so_far = chat_stream(
        [text("Hel"), calls(piece('{"x', 0, "a", "one"))], done=False
    )
    for event in events_in([told_so_far]):
        reader.feed(event)
    so_far = reader.partial()
    assert (so_far.text, so_far.finish) == ("Hel", Finish.FAILED)
    assert so_far.parts == (TextPart("Hel"),)
    assert so_far.usage.output_tokens == len('Helone{"x')
    assert so_far.usage.estimated


def test_usage_may_come_with_each_chunk_and_the_last_counts() -> None:
    early = {**text("Hel"), "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
    reply = replied(CHAT, chat_stream([early, text("lo."), LAST, COUNTED]))
    assert reply.usage == Usage(calls=1, input_tokens=9, output_tokens=4)
    counted = replied(CHAT, chat_stream([text("Hel"), {**LAST, "usage": USAGE}]))
    assert counted.usage == reply.usage


def test_usage_that_was_said_too_early_is_not_all_of_it() -> None:
    early = {**text("Hel"), "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
    most = Usage(calls=1, input_tokens=9, output_tokens=6, estimated=True)
    assert replied(CHAT, chat_stream([early, text("lo."), LAST])).usage == most
    broken = failed(chat_stream([early, text("lo.")], done=False))
    assert broken.usage == most


def test_a_server_may_send_chunks_without_a_delta() -> None:
    odd: list[Json] = [
        {"choices": [{"index": 0}]},
        {"choices": [{"delta": None}]},
        {"ping": 1},
    ]
    assert replied(CHAT, chat_stream([text("a"), *odd, LAST])).text == "a"
