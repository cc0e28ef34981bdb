"""Responses: what is sent, and what an answer is, whole or as a stream."""

from __future__ import annotations

import json

import attrs
import pytest
from wire_requests import ALL, CONVERSATION, EVERYTHING, LOOK_UP, encoded, settings
from wire_streams import REQUEST, SETTINGS, Json, in_bytes, named_stream, replied, told

from understudy.providers.openai_responses import OpenAIResponses
from understudy.providers.wire import Capabilities, Structured
from understudy_protocols.chat import (
    FilePart,
    Finish,
    Finished,
    Message,
    ModelReply,
    ModelRequest,
    ReasoningDelta,
    ReasoningPart,
    StreamEvent,
    TextDelta,
    TextPart,
    ToolRequestPart,
)
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.usage import Usage

RESPONSES = OpenAIResponses()

GOLDEN = """
{
  "model": "m",
  "input": [
    {"role": "system", "content": "Be brief."},
    {
      "role": "user",
      "content": [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw=="},
        {"type": "input_image", "image_url": "https://example.org/cat.jpg"},
        {
          "type": "input_file",
          "filename": "a.pdf",
          "file_data": "data:application/pdf;base64,JVBERg=="
        }
      ]
    },
    {
      "type": "message",
      "role": "assistant",
      "content": [{"type": "output_text", "text": "Let me look."}]
    },
    {
      "type": "function_call",
      "call_id": "call_1",
      "name": "look_up",
      "arguments": "{\\"name\\": \\"cat\\"}"
    },
    {
      "type": "function_call",
      "call_id": "call_2",
      "name": "look_up",
      "arguments": "{}"
    },
    {"type": "function_call_output", "call_id": "call_1", "output": "A cat."},
    {
      "type": "function_call_output",
      "call_id": "call_2",
      "output": "There is no name."
    },
    {"role": "user", "content": "And so?"}
  ],
  "max_output_tokens": 100,
  "temperature": 0.5,
  "reasoning": {"effort": "high"},
  "include": ["reasoning.encrypted_content"],
  "store": false,
  "text": {
    "format": {
      "type": "json_schema",
      "name": "Point_int_",
      "schema": {
        "type": "object",
        "properties": {
          "x": {"type": "integer"},
          "y": {"type": "integer", "description": "default: 0"}
        },
        "required": ["x", "y"],
        "additionalProperties": false
      },
      "strict": true
    }
  },
  "tools": [
    {
      "type": "function",
      "name": "look_up",
      "description": "Finds a team.",
      "parameters": {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"]
      },
      "strict": false
    }
  ],
  "tool_choice": {"type": "function", "name": "look_up"},
  "stream": true
}
"""


def test_a_request_with_everything_in_it() -> None:
    assert encoded(RESPONSES, EVERYTHING, stream=True) == json.loads(GOLDEN)


def test_what_is_not_asked_for_is_left_to_the_provider() -> None:
    plain = settings(Capabilities())
    assert encoded(RESPONSES, ModelRequest("hello"), plain) == {
        "model": "m",
        "input": [{"role": "user", "content": "hello"}],
        "store": False,
    }
    sent = RESPONSES.encode(ModelRequest("hello"), plain, stream=False)
    assert sent.path == "/responses"
    assert RESPONSES.authorization("k") == {"authorization": "Bearer k"}
    assert RESPONSES.name == "responses"


def test_a_wish_that_the_model_cannot_be_told_is_left_out() -> None:
    request = ModelRequest("x", temperature=1.0, seed=3, reasoning="low")
    none = settings(Capabilities(temperature=False, reasoning=False))
    assert encoded(RESPONSES, request, none).keys() == {"model", "input", "store"}


def test_there_is_no_field_for_texts_to_stop_at() -> None:
    with pytest.raises(ModelError) as caught:
        encoded(RESPONSES, ModelRequest("x", stop=("\n",)))
    assert caught.value.cause is Cause.BAD_REQUEST


@pytest.mark.parametrize(
    ("choice", "sent"), [("auto", None), ("none", "none"), ("required", "required")]
)
def test_the_choice_of_tools_is_sent_if_there_are_tools(
    choice: str, sent: str | None
) -> None:
    request = ModelRequest("x", tools=(LOOK_UP,), tool_choice=choice)
    assert encoded(RESPONSES, request).get("tool_choice") == sent
    without = attrs.evolve(request, tools=())
    assert "tool_choice" not in encoded(RESPONSES, without)


def test_a_promise_of_json_has_a_field_too() -> None:
    request = ModelRequest("x", output_schema=EVERYTHING.output_schema)
    how = settings(Capabilities(structured=Structured.JSON))
    assert encoded(RESPONSES, request, how)["text"] == {
        "format": {"type": "json_object"}
    }


def test_a_file_may_be_an_address() -> None:
    message = Message("user", (FilePart(url="https://example.org/a.pdf"),))
    assert encoded(RESPONSES, ModelRequest(message))["input"] == [
        {
            "role": "user",
            "content": [
                {"type": "input_file", "file_url": "https://example.org/a.pdf"}
            ],
        }
    ]


# ---------------------------------------------------------------------- answers


def said(*texts: str, **more: object) -> dict[str, object]:
    content: list[Json] = [{"type": "output_text", "text": text} for text in texts]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content}


REFUSAL = {"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "look_up",
    "arguments": '{"x": 1}',
    "status": "completed",
}
THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [
        {"type": "summary_text", "text": "Hm."},
        {"type": "summary_text", "text": "Ah."},
    ],
    "encrypted_content": "gAAAA",
}
SEARCH = {"type": "web_search_call", "id": "ws_1", "action": {"query": "cat"}}
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 9},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 120,
}


def answer(*output: Json, **more: object) -> dict[str, object]:
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "m-1",
        "output": list(output),
        "usage": USAGE,
        "error": None,
        "incomplete_details": None,
        **more,
    }


def decoded(body: object) -> ModelReply:
    return RESPONSES.decode(in_bytes(body), REQUEST, SETTINGS)


def test_an_answer_is_its_text_and_what_it_cost() -> None:
    assert decoded(answer(said("Hel", "lo."))) == ModelReply(
        "Hello.",
        usage=Usage(1, 100, 20, 60, 9, 5),
        finish=Finish.COMPLETE,
        model="m-1",
        raw_finish="completed",
        id="resp_1",
        parts=(TextPart("Hel"), TextPart("lo.")),
    )


def test_an_answer_may_ask_for_tools() -> None:
    reply = decoded(answer(said("Let me look."), CALL))
    assert reply.finish is Finish.TOOL_REQUEST
    assert reply.parts[1] == ToolRequestPart("call_1", "look_up", '{"x": 1}')
    bare = decoded(answer({"type": "function_call", "id": "fc_1", "name": "now"}))
    assert bare.parts == (ToolRequestPart("fc_1", "now", "{}"),)


@pytest.mark.parametrize(
    ("more", "finish", "word"),
    [
        ({}, Finish.COMPLETE, "completed"),
        (
            {
                "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
            },
            Finish.TRUNCATED,
            "incomplete/max_output_tokens",
        ),
        (
            {
                "status": "incomplete",
                "incomplete_details": {"reason": "content_filter"},
            },
            Finish.FILTERED,
            "incomplete/content_filter",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "steered"}},
            Finish.TRUNCATED,
            "incomplete/steered",
        ),
        ({"status": "incomplete"}, Finish.TRUNCATED, "incomplete"),
        ({"status": "queued"}, Finish.PAUSED, "queued"),
        ({"status": "in_progress"}, Finish.PAUSED, "in_progress"),
        ({"status": "something_new"}, Finish.OTHER, "something_new"),
        ({"status": None}, Finish.OTHER, ""),
    ],
)
def test_the_reason_why_it_stopped(more: Json, finish: Finish, word: str) -> None:
    reply = decoded(answer(said("Hel"), **more))
    assert (reply.finish, reply.raw_finish) == (finish, word)
    assert reply.text == "Hel"


@pytest.mark.parametrize("item", [said("Hello."), CALL])
@pytest.mark.parametrize(
    ("most", "usage", "cut_off"),
    [
        (20, USAGE, True),
        (19, USAGE, True),
        (21, USAGE, False),
        (None, USAGE, False),
        (5, None, False),
    ],
)
def test_an_answer_that_came_up_to_its_bound_is_cut_off_whatever_is_said_of_it(
    item: Json, most: int | None, usage: object, cut_off: bool
) -> None:
    request = ModelRequest("hello", max_tokens=most)
    body = answer(item, usage=usage)
    reply = RESPONSES.decode(in_bytes(body), request, SETTINGS)
    assert (reply.finish is Finish.TRUNCATED) is cut_off
    assert reply.raw_finish == "completed"
    stream = named_stream([event("completed", response=body)])
    streamed = replied(RESPONSES, stream, request)
    assert streamed.finish is reply.finish


def test_a_refusal_is_one_although_the_answer_is_completed() -> None:
    reply = decoded(answer(REFUSAL))
    assert (reply.finish, reply.text) == (Finish.REFUSED, "I cannot.")
    assert reply.refusal == "I cannot."


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"code": "server_error"}, Cause.SERVER),
        ({"code": "rate_limit_exceeded"}, Cause.RATE_LIMIT),
        ({"code": "invalid_prompt"}, Cause.BAD_REQUEST),
        ({"code": "bio_policy"}, Cause.FILTERED),
        ({"code": "vector_store_timeout"}, Cause.TIMEOUT),
        ({"code": "invalid_image_url"}, Cause.BAD_REQUEST),
        (None, Cause.SERVER),
    ],
)
def test_a_failed_answer_has_a_cause_and_may_have_cost_something(
    error: object, cause: Cause
) -> None:
    for status in ("failed", "cancelled"):
        with pytest.raises(ModelError) as caught:
            decoded(answer(said("Hel"), status=status, error=error))
        assert caught.value.cause is cause
        assert caught.value.usage == Usage(1, 100, 20, 60, 9, 5)


def test_a_success_may_hold_a_failure() -> None:
    with pytest.raises(ModelError) as caught:
        decoded({"error": {"code": "insufficient_quota"}})
    assert caught.value.cause is Cause.QUOTA


NO_ANSWERS: list[object] = [
    {},
    {"output": None},
    {"output": ["hello"]},
    {"output": [{}]},
    {"output": 3},
    [],
    "hello",
]


@pytest.mark.parametrize("body", NO_ANSWERS)
def test_what_is_no_answer_is_malformed(body: object) -> None:
    with pytest.raises(ModelError) as caught:
        decoded(body)
    assert caught.value.cause is Cause.MALFORMED


def test_usage_that_is_not_said_is_the_most_it_can_be() -> None:
    for usage in (None, {}, "x", {"output_tokens": 3}):
        reply = decoded(answer(said("Hello."), usage=usage))
        assert reply.usage.estimated
        assert reply.usage.output_tokens >= len("Hello.")


def said_before(text: str) -> Json:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content}


def test_thoughts_and_items_without_a_part_go_back_unchanged() -> None:
    reply = decoded(answer(THOUGHT, SEARCH, said("Hi."), CALL))
    thought = reply.parts[0]
    assert isinstance(thought, ReasoningPart)
    assert thought.text == "Hm.\n\nAh."
    sent = encoded(RESPONSES, ModelRequest([Message("assistant", reply.parts)]))
    assert sent["input"] == [
        THOUGHT,
        SEARCH,
        said_before("Hi."),
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "look_up",
            "arguments": '{"x": 1}',
        },
    ]


def test_a_thought_that_is_only_an_id_does_not_go_back() -> None:
    bare: Json = {"type": "reasoning", "id": "rs_1", "summary": []}
    reply = decoded(answer(bare, said("Hi.")))
    assert reply.parts == (TextPart("Hi."),)
    told_why = {**bare, "summary": [{"text": "hm"}]}
    assert decoded(answer(told_why)).parts == (ReasoningPart("hm"),)


def test_the_thoughts_of_others_do_not_go_there() -> None:
    for opaque in (
        "anthropic:{}",
        "responses:no json",
        "responses:[]",
        "responses",
        "",
    ):
        turn = Message("assistant", (ReasoningPart("hm", opaque), TextPart("a")))
        sent = encoded(RESPONSES, ModelRequest([turn]))
        assert sent["input"] == [said_before("a")]


# ---------------------------------------------------------------------- streams


def event(kind: str, **more: object) -> dict[str, object]:
    return {"type": f"response.{kind}", "sequence_number": 1, **more}


def delta(kind: str, text: str) -> dict[str, object]:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return event(f"{kind}.delta", delta=text, **place)


COMPLETED = event("completed", response=answer(said("Hello.")))
HELLO = [
    event("created", response=answer(status="in_progress", usage=None)),
    event("in_progress", response=answer(status="in_progress", usage=None)),
    event("output_item.added", output_index=0, item={"type": "message", "content": []}),
    event("content_part.added", part={"type": "output_text", "text": ""}),
    delta("output_text", "Hel"),
    event("something.new", delta={"odd": 1}, item=3),
    delta("output_text", "lo."),
    event("output_text.done", text="Hello."),
    event("output_item.done", output_index=0, item=said("Hello.")),
    COMPLETED,
]


def brought(*events: Json) -> list[StreamEvent]:
    return told(RESPONSES.reader(REQUEST, SETTINGS), [named_stream(events)])


def failed(data: bytes) -> ModelError:
    with pytest.raises(ModelError) as caught:
        told(RESPONSES.reader(REQUEST, SETTINGS), [data])
    return caught.value


def test_pieces_come_as_they_are_and_the_whole_at_the_end() -> None:
    whole = decoded(answer(said("Hello.")))
    assert brought(*HELLO) == [TextDelta("Hel"), TextDelta("lo."), Finished(whole)]
    assert brought(*HELLO, event("created"))[-1] == Finished(whole)


def test_the_type_of_an_event_may_be_its_name_alone() -> None:
    data = b"event: response.output_text.delta\ndata: " + in_bytes({"delta": "a"})
    stream = data + b"\n\n" + named_stream([COMPLETED])
    assert told(RESPONSES.reader(REQUEST, SETTINGS), [stream])[0] == TextDelta("a")


def test_thoughts_and_refusals_come_in_pieces_too() -> None:
    events = brought(
        delta("reasoning_summary_text", "hm"),
        delta("reasoning_text", "ah"),
        delta("refusal", "I cannot."),
        delta("function_call_arguments", '{"x'),
        event("completed", response=answer(REFUSAL)),
    )
    assert events[:-1] == [
        ReasoningDelta("hm"),
        ReasoningDelta("ah"),
        TextDelta("I cannot."),
    ]
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.reply.finish is Finish.REFUSED


def test_an_incomplete_answer_ends_its_stream() -> None:
    details = {"reason": "max_output_tokens"}
    response = answer(said("Hel"), status="incomplete", incomplete_details=details)
    reply = replied(RESPONSES, named_stream([event("incomplete", response=response)]))
    assert (reply.finish, reply.text) == (Finish.TRUNCATED, "Hel")


def test_a_failed_answer_ends_its_stream_as_a_failure() -> None:
    error = {"code": "rate_limit_exceeded", "message": "later"}
    response = answer(status="failed", error=error)
    caught = failed(named_stream([*HELLO[:5], event("failed", response=response)]))
    assert (caught.cause, caught.partial) == (Cause.RATE_LIMIT, "Hel")
    assert caught.usage == Usage(1, 100, 20, 60, 9, 5)
    bare = failed(named_stream([event("failed", response={})]))
    assert bare.cause is Cause.SERVER


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "code": "insufficient_quota", "message": "x", "param": None},
        {"type": "error", "error": {"code": "insufficient_quota", "message": "x"}},
        {"error": {"code": "insufficient_quota"}},
    ],
)
def test_a_failure_in_the_middle_is_one_with_what_came_before_it(
    error: Json,
) -> None:
    caught = failed(named_stream([*HELLO[:5], error]))
    assert (caught.cause, caught.partial) == (Cause.QUOTA, "Hel")
    assert caught.usage is not None
    assert caught.usage.estimated


@pytest.mark.parametrize("last", range(len(HELLO)))
def test_a_stream_without_its_last_event_is_broken_off(last: int) -> None:
    caught = failed(named_stream(HELLO[:last]) + b"data: [DONE]\n\n")
    assert caught.cause is Cause.TRANSPORT
    assert "Hello.".startswith(caught.partial)


def test_what_the_last_event_leaves_out_was_said_before() -> None:
    empty = event("completed", response={"status": None, "output": [], "usage": USAGE})
    reply = replied(RESPONSES, named_stream([*HELLO[:-1], empty]))
    assert (reply.text, reply.finish) == ("Hello.", Finish.COMPLETE)
    bare = replied(RESPONSES, named_stream([*HELLO[:7], empty]))
    assert bare.parts == (TextPart("Hello."),)
    items = [
        event("output_item.done", output_index=1, item=CALL),
        event("output_item.done", output_index=0, item=THOUGHT),
    ]
    kept = replied(RESPONSES, named_stream([*items, empty]))
    assert [type(part) for part in kept.parts] == [ReasoningPart, ToolRequestPart]
    assert kept.finish is Finish.TOOL_REQUEST


def test_what_has_come_so_far_is_no_whole_answer() -> None:
    reader = RESPONSES.reader(REQUEST, SETTINGS)
    stream = named_stream([delta("reasoning_text", "hm"), *HELLO[:5]])
    with pytest.raises(ModelError):
        told(reader, [stream])
    so_far = reader.partial()
    assert so_far.finish is Finish.FAILED
    assert so_far.parts == (ReasoningPart("hm"), TextPart("Hel"))
    assert so_far.usage.output_tokens == 5
    assert so_far.usage.estimated


def test_garbage_in_the_middle_is_malformed() -> None:
    for garbage in (b"{", b"[]", b'{"type": 3}', b'{"type": "response.completed"}'):
        caught = failed(named_stream(HELLO[:5]) + b"data: " + garbage + b"\n\n")
        assert (caught.cause, caught.partial) == (Cause.MALFORMED, "Hel")


def test_a_conversation_with_everything_can_be_sent_to_a_model_that_does_not_think() -> (
    None
):
    able = attrs.evolve(ALL, reasoning=False)
    body = encoded(RESPONSES, ModelRequest(CONVERSATION), settings(able))
    assert "include" not in body
