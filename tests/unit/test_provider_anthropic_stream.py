"""The stream of Messages."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from wire_requests import settings
from wire_streams import (
    REQUEST,
    SETTINGS,
    Json,
    events_in,
    in_bytes,
    named_stream,
    replied,
    told,
)

from understudy.providers.anthropic import AnthropicMessages
from understudy_protocols.chat import (
    Finish,
    Finished,
    Message,
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

ANTHROPIC = AnthropicMessages()


def start(**usage: int) -> dict[str, object]:
    message: Json = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [],
        "stop_reason": None,
        "usage": usage or {"input_tokens": 9, "output_tokens": 1},
    }
    return {"type": "message_start", "message": message}


def begins(index: int, block: Mapping[str, object]) -> dict[str, object]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def piece(index: int, kind: str, **delta: str) -> dict[str, object]:
    return {
        "type": "content_block_delta",
        "index": index,
        "delta": {"type": kind, **delta},
    }


def text(index: int, words: str) -> dict[str, object]:
    return piece(index, "text_delta", text=words)


def json_piece(index: int, words: str) -> dict[str, object]:
    return piece(index, "input_json_delta", partial_json=words)


def ends(index: int) -> dict[str, object]:
    return {"type": "content_block_stop", "index": index}


def stops(reason: str = "end_turn", **more: object) -> dict[str, object]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return {
        "type": "message_delta",
        "delta": delta,
        "usage": {"output_tokens": 4},
        **more,
    }


EMPTY: Json = {"type": "text", "text": ""}
PING: Json = {"type": "ping"}
END: Json = {"type": "message_stop"}
HELLO: list[Json] = [
    start(),
    begins(0, EMPTY),
    PING,
    text(0, "Hel"),
    {"type": "something_new", "delta": 3},
    piece(0, "citations_delta", citation="odd"),
    text(0, "lo."),
    ends(0),
    stops(),
    END,
]


def brought(*events: Mapping[str, object]) -> list[StreamEvent]:
    return told(ANTHROPIC.reader(REQUEST, SETTINGS), [named_stream(events)])


def failed(data: bytes) -> ModelError:
    with pytest.raises(ModelError) as caught:
        told(ANTHROPIC.reader(REQUEST, SETTINGS), [data])
    return caught.value


def test_pieces_come_as_they_are_and_the_whole_at_the_end() -> None:
    assert brought(*HELLO, PING) == [
        TextDelta("Hel"),
        TextDelta("lo."),
        Finished(
            ModelReply(
                "Hello.",
                usage=Usage(calls=1, input_tokens=9, output_tokens=4),
                finish=Finish.COMPLETE,
                model="m-1",
                raw_finish="end_turn",
                id="msg_1",
            )
        ),
    ]


def test_the_arguments_of_a_tool_are_joined_by_the_place_of_their_block() -> None:
    call: Json = {"type": "tool_use", "id": "t1", "name": "look_up", "input": {}}
    reply = replied(
        ANTHROPIC,
        named_stream(
            [
                start(),
                begins(0, call),
                begins(1, {**call, "id": "t2"}),
                json_piece(0, ""),
                json_piece(0, '{"x"'),
                json_piece(1, '{"y'),
                json_piece(0, ": 1}"),
                begins(2, {**call, "id": "t3"}),
                json_piece(2, ""),
                begins(3, {**call, "id": "t4", "input": {"z": 1}}),
                stops("tool_use"),
                END,
            ]
        ),
    )
    assert reply.finish is Finish.TOOL_REQUEST
    assert reply.parts == (
        ToolRequestPart("t1", "look_up", '{"x": 1}'),
        ToolRequestPart("t2", "look_up", '{"y'),
        ToolRequestPart("t3", "look_up", "{}"),
        ToolRequestPart("t4", "look_up", '{"z":1}'),
    )


def test_thoughts_are_shown_apart_and_can_go_back() -> None:
    thinking: Json = {"type": "thinking", "thinking": "", "signature": ""}
    search: Json = {
        "type": "server_tool_use",
        "id": "s",
        "name": "web_search",
        "input": {},
    }
    events = brought(
        start(),
        begins(0, thinking),
        piece(0, "thinking_delta", thinking="H"),
        piece(0, "thinking_delta", thinking="m."),
        piece(0, "signature_delta", signature="EqQB"),
        begins(1, {"type": "redacted_thinking", "data": "EmwK"}),
        begins(2, search),
        json_piece(2, '{"q":'),
        json_piece(2, "1}"),
        begins(3, {"type": "text", "text": "A"}),
        text(3, "h."),
        stops("pause_turn"),
        END,
    )
    assert events[:-1] == [
        ReasoningDelta("H"),
        ReasoningDelta("m."),
        TextDelta("A"),
        TextDelta("h."),
    ]
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.reply.finish is Finish.PAUSED
    whole = {
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
            {"type": "redacted_thinking", "data": "EmwK"},
            {**search, "input": {"q": 1}},
            {"type": "text", "text": "Ah."},
        ]
    }
    expected = ANTHROPIC.decode(in_bytes(whole), REQUEST, SETTINGS)
    assert last.reply.parts == expected.parts


def test_a_refusal_says_what_it_is_about() -> None:
    delta = {
        "stop_reason": "refusal",
        "stop_details": {"category": "bio", "explanation": "No."},
    }
    reply = replied(ANTHROPIC, named_stream([*HELLO[:7], stops(delta=delta), END]))
    assert (reply.finish, reply.raw_finish) == (Finish.REFUSED, "refusal/bio")
    assert reply.refusal == "No."


@pytest.mark.parametrize("last", range(len(HELLO)))
def test_a_stream_without_its_last_event_is_broken_off(last: int) -> None:
    error = failed(named_stream(HELLO[:last]))
    assert error.cause is Cause.TRANSPORT
    assert "Hello.".startswith(error.partial)
    assert error.usage is not None
    assert error.usage.estimated is (last < 9)
    assert error.usage.input_tokens == 9 or last == 0


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("overloaded_error", Cause.OVERLOADED),
        ("rate_limit_error", Cause.RATE_LIMIT),
        ("api_error", Cause.SERVER),
        ("invalid_request_error", Cause.BAD_REQUEST),
    ],
)
def test_a_failure_in_the_middle_is_one_with_what_came_before_it(
    kind: str, cause: Cause
) -> None:
    error: Json = {"type": "error", "error": {"type": kind, "message": "x"}}
    caught = failed(named_stream([*HELLO[:4], error]))
    assert (caught.cause, caught.partial, caught.code) == (cause, "Hel", kind)
    unnamed = failed(named_stream([*HELLO[:4], {"error": {"type": kind}}]))
    assert unnamed.cause is cause
    bare = named_stream(HELLO[:4]) + b"event: error\ndata: {}\n\n"
    assert failed(bare).cause is Cause.SERVER


def test_usage_counts_from_the_beginning_and_is_not_added_up() -> None:
    late = stops(usage={"input_tokens": 9, "output_tokens": 7})
    events: list[Json] = [start(), begins(0, EMPTY), stops(), late, END]
    assert replied(ANTHROPIC, named_stream(events)).usage == Usage(1, 9, 7)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (
            {"input_tokens": 31, "cache_read_input_tokens": 60, "output_tokens": 1},
            {"output_tokens": 20},
        ),
        (
            {"input_tokens": 0, "output_tokens": 0},
            {"input_tokens": 31, "cache_read_input_tokens": 60, "output_tokens": 20},
        ),
        (
            {"input_tokens": 31, "cache_read_input_tokens": 60, "output_tokens": 1},
            {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 20},
        ),
    ],
)
def test_usage_may_be_said_with_the_first_event_or_with_the_last(
    first: dict[str, int], last: dict[str, int]
) -> None:
    events: list[Json] = [start(**first), begins(0, EMPTY), stops(usage=last), END]
    assert replied(ANTHROPIC, named_stream(events)).usage == Usage(1, 91, 20, 60)


def test_nothing_read_is_nothing_read_whatever_is_left_out_later() -> None:
    first = {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
    last = {"output_tokens": 3}
    events: list[Json] = [start(**first), begins(0, EMPTY), stops(usage=last), END]
    assert replied(ANTHROPIC, named_stream(events)).usage == Usage(1, 0, 3)


@pytest.mark.parametrize("late", [True, False])
def test_what_was_thought_may_be_said_with_either(late: bool) -> None:
    details = {"output_tokens_details": {"thinking_tokens": 3}}
    first = {"input_tokens": 9, "output_tokens": 1, **({} if late else details)}
    last = {"output_tokens": 7, **(details if late else {})}
    message: Json = {"content": [], "usage": first}
    begun: Json = {"type": "message_start", "message": message}
    reply = replied(ANTHROPIC, named_stream([begun, stops(usage=last), END]))
    assert reply.usage == Usage(1, 9, 7, reasoning_tokens=3)


def test_usage_that_is_never_said_is_the_most_it_can_be() -> None:
    silent: list[Json] = [start(), *HELLO[1:8], stops(usage=None), END]
    reply = replied(ANTHROPIC, named_stream(silent))
    assert reply.usage.estimated
    assert reply.usage.input_tokens == 9
    assert reply.usage.output_tokens >= len("Hello.")
    thinking = replied(ANTHROPIC, named_stream(silent), settings=settings())
    assert thinking.usage.output_tokens == 4096


def test_what_has_come_so_far_is_no_whole_answer_and_asks_for_nothing() -> None:
    reader = ANTHROPIC.reader(REQUEST, SETTINGS)
    events: list[Json] = [
        start(),
        begins(0, {"type": "thinking", "thinking": ""}),
        piece(0, "thinking_delta", thinking="hm"),
        begins(1, EMPTY),
        text(1, "Hel"),
        begins(2, {"type": "tool_use", "id": "t", "name": "f", "input": {}}),
        json_piece(2, '{"x'),
    ]
    for event in events_in([named_stream(events)]):
        reader.feed(event)
    so_far = reader.partial()
    assert so_far.parts == (ReasoningPart("hm"), TextPart("Hel"))
    assert so_far.finish is Finish.FAILED
    assert not reader.done
    assert (so_far.usage.input_tokens, so_far.usage.estimated) == (9, True)


@pytest.mark.parametrize(
    "events",
    [
        [END],
        [stops(), END],
        [start(), text(0, "a")],
        [start(), begins(0, {}), stops(), END],
        [start(), {"type": "content_block_start", "index": 0}],
        [start(), {"type": "message_delta"}],
        [{"type": "message_start", "message": 3}],
        [start(), begins(0, EMPTY), piece(0, "text_delta", text=3)],  # type: ignore[arg-type]
        [
            start(),
            begins(0, {"type": "server_tool_use", "input": {}}),
            json_piece(0, '{"q'),
            stops(),
            END,
        ],
    ],
)
def test_a_stream_that_makes_no_sense_is_malformed(
    events: list[Json],
) -> None:
    assert failed(named_stream(events)).cause is Cause.MALFORMED


def test_an_end_without_a_reason_is_one_that_nobody_knows() -> None:
    reply = replied(ANTHROPIC, named_stream([*HELLO[:8], END]))
    assert (reply.text, reply.finish) == ("Hello.", Finish.OTHER)


def test_a_reason_stays_one_whatever_is_said_of_the_usage_later() -> None:
    later: Json = {
        "type": "message_delta",
        "delta": {"stop_reason": None},
        "usage": {"output_tokens": 8},
    }
    cut = {**stops(), "delta": {"stop_reason": "max_tokens"}}
    reply = replied(ANTHROPIC, named_stream([*HELLO[:8], cut, later, END]))
    assert (reply.finish, reply.usage.output_tokens) == (Finish.TRUNCATED, 8)


def test_blocks_stand_in_the_order_of_their_numbers() -> None:
    one, two = ({"type": "text", "text": said} for said in ("one", "two"))
    events = [start(), begins(1, two), begins(0, one), stops(), END]
    assert replied(ANTHROPIC, named_stream(events)).text == "onetwo"


def test_a_thought_that_is_not_whole_does_not_go_back() -> None:
    events: list[Json] = [
        start(),
        begins(0, {"type": "thinking", "thinking": "", "signature": ""}),
    ]
    reader = ANTHROPIC.reader(REQUEST, SETTINGS)
    for event in events_in(
        [named_stream([*events, piece(0, "thinking_delta", thinking="a")])]
    ):
        reader.feed(event)
    assert Message("assistant", reader.partial().parts).parts == (ReasoningPart("a"),)
