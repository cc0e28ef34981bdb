"""Chat Completions: what is sent, and what a whole answer is."""

from __future__ import annotations

import json

import pytest
from wire_requests import ALL, CONVERSATION, EVERYTHING, LOOK_UP, encoded, settings
from wire_streams import REQUEST, SETTINGS, Json, in_bytes

from understudy.providers.openai_chat import OpenAIChat
from understudy.providers.wire import Capabilities, Structured
from understudy_protocols.chat import (
    FilePart,
    Finish,
    ImagePart,
    Message,
    ModelReply,
    ModelRequest,
    Part,
    ReasoningPart,
    TextPart,
    Tool,
    ToolRequestPart,
    ToolResultPart,
)
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.usage import Usage

CHAT = OpenAIChat()

GOLDEN = """
{
  "model": "m",
  "messages": [
    {"role": "system", "content": "Be brief."},
    {
      "role": "user",
      "content": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.jpg"}},
        {
          "type": "file",
          "file": {
            "filename": "a.pdf",
            "file_data": "data:application/pdf;base64,JVBERg=="
          }
        }
      ]
    },
    {
      "role": "assistant",
      "content": "Let me look.",
      "tool_calls": [
        {
          "id": "call_1",
          "type": "function",
          "function": {"name": "look_up", "arguments": "{\\"name\\": \\"cat\\"}"}
        },
        {
          "id": "call_2",
          "type": "function",
          "function": {"name": "look_up", "arguments": "{}"}
        }
      ]
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "A cat."},
    {"role": "tool", "tool_call_id": "call_2", "content": "There is no name."},
    {"role": "user", "content": "And so?"}
  ],
  "max_completion_tokens": 100,
  "temperature": 0.5,
  "seed": 7,
  "reasoning_effort": "high",
  "response_format": {
    "type": "json_schema",
    "json_schema": {
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
      "function": {
        "name": "look_up",
        "description": "Finds a team.",
        "parameters": {
          "type": "object",
          "properties": {"name": {"type": "string"}},
          "required": ["name"]
        }
      }
    }
  ],
  "tool_choice": {"type": "function", "function": {"name": "look_up"}},
  "stream": true,
  "stream_options": {"include_usage": true}
}
"""


def test_a_request_with_everything_in_it() -> None:
    assert encoded(CHAT, EVERYTHING, stream=True) == json.loads(GOLDEN)


def test_what_is_not_asked_for_is_left_to_the_provider() -> None:
    assert encoded(CHAT, ModelRequest("hello")) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
    }


def test_where_and_with_which_headers_it_is_sent() -> None:
    plain = CHAT.encode(ModelRequest("hello"), settings(), stream=False)
    assert plain.path == "/chat/completions"
    assert plain.headers == {
        "content-type": "application/json",
        "accept": "application/json",
    }
    streamed = CHAT.encode(ModelRequest("hello"), settings(), stream=True)
    assert streamed.headers["accept"] == "text/event-stream"
    assert CHAT.authorization("k") == {"authorization": "Bearer k"}
    assert CHAT.name == "openai"


def test_a_wish_that_the_model_cannot_be_told_is_left_out() -> None:
    request = ModelRequest("x", temperature=1.0, seed=3, reasoning="low")
    none = Capabilities(temperature=False, seed=False, reasoning=False)
    assert encoded(CHAT, request, settings(none)).keys() == {"model", "messages"}
    sent = encoded(CHAT, request)
    assert (sent["temperature"], sent["seed"]) == (1.0, 3)
    assert sent["reasoning_effort"] == "low"


def test_a_temperature_of_nothing_is_one() -> None:
    assert encoded(CHAT, ModelRequest("x", temperature=0.0, seed=0)) == {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "temperature": 0.0,
        "seed": 0,
    }


@pytest.mark.parametrize(
    ("request_", "able"),
    [
        (ModelRequest("x", tools=(LOOK_UP,)), Capabilities(tools=False)),
        (ModelRequest("x", stop=("\n",)), Capabilities(stop=False)),
        (
            ModelRequest(Message("user", (ImagePart(url="u"),))),
            Capabilities(images=False),
        ),
        (
            ModelRequest(Message("user", (FilePart(b"x", media_type="t/x"),))),
            Capabilities(files=False),
        ),
        (ModelRequest(Message("assistant", (ImagePart(url="u"),))), ALL),
        (ModelRequest(Message("user", (ImagePart(),))), ALL),
        (ModelRequest(Message("user", (ImagePart(b"x"),))), ALL),
        (ModelRequest(Message("user", (FilePart(url="u"),))), ALL),
    ],
)
def test_what_would_mean_something_else_is_not_sent(
    request_: ModelRequest, able: Capabilities
) -> None:
    with pytest.raises(ModelError) as caught:
        CHAT.encode(request_, settings(able), stream=False)
    assert caught.value.cause is Cause.BAD_REQUEST


@pytest.mark.parametrize(
    ("choice", "sent"), [("auto", None), ("none", "none"), ("required", "required")]
)
def test_the_choice_of_tools_is_sent_if_there_are_tools(
    choice: str, sent: str | None
) -> None:
    request = ModelRequest("x", tools=(LOOK_UP,), tool_choice=choice)
    assert encoded(CHAT, request).get("tool_choice") == sent
    without = ModelRequest("x", tool_choice=choice)
    assert "tool_choice" not in encoded(CHAT, without)


@pytest.mark.parametrize(
    ("asked", "usual", "able", "sent"),
    [
        (None, None, None, None),
        (None, None, 50, None),
        (10, None, None, 10),
        (None, 20, None, 20),
        (10, 20, None, 10),
        (100, 20, 50, 50),
        (None, 100, 50, 50),
    ],
)
def test_the_bound_on_tokens_is_that_of_the_request_or_the_settings(
    asked: int | None, usual: int | None, able: int | None, sent: int | None
) -> None:
    how = settings(Capabilities(max_output=able), max_tokens=usual)
    body = encoded(CHAT, ModelRequest("x", max_tokens=asked), how)
    assert body.get("max_completion_tokens") == sent


def test_the_bound_may_have_another_name() -> None:
    how = settings(max_tokens=5, max_tokens_name="max_tokens")
    body = encoded(CHAT, ModelRequest("x"), how)
    assert body["max_tokens"] == 5
    assert "max_completion_tokens" not in body


def test_further_fields_go_first_and_none_takes_one_out() -> None:
    how = settings(extra={"top_p": 0.1, "temperature": 2, "stream_options": None})
    body = encoded(CHAT, ModelRequest("x", temperature=1.0), how, stream=True)
    assert (body["top_p"], body["temperature"]) == (0.1, 2)
    assert "stream_options" not in body


def test_a_schema_that_the_model_cannot_be_held_to_goes_in_words() -> None:
    json_only = settings(Capabilities(structured=Structured.JSON))
    request = ModelRequest("x", output_schema=EVERYTHING.output_schema)
    body = encoded(CHAT, request, json_only)
    assert body["response_format"] == {"type": "json_object"}
    assert "JSON schema" in json.dumps(body["messages"])
    words = settings(Capabilities(structured=Structured.PROMPT))
    assert "response_format" not in encoded(CHAT, request, words)


def test_a_schema_that_cannot_be_strict_is_sent_as_it_is() -> None:
    words: Json = {"type": "object", "additionalProperties": {"type": "integer"}}
    request = ModelRequest("x", output_schema=words)
    assert encoded(CHAT, request)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": words, "strict": False},
    }


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (Message("user", ()), [{"role": "user", "content": ""}]),
        (Message("assistant", (ReasoningPart("hm"),)), []),
        (
            Message("user", (TextPart("a"), TextPart("b"))),
            [{"role": "user", "content": "ab"}],
        ),
        (
            Message("user", (TextPart("a"), ToolResultPart("1", "b"))),
            [
                {"role": "tool", "tool_call_id": "1", "content": "b"},
                {"role": "user", "content": "a"},
            ],
        ),
        (Message.of("tool", "a"), [{"role": "user", "content": "a"}]),
        (
            Message("assistant", (ToolRequestPart("1", "f", "{"),)),
            [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "1",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{"},
                        }
                    ],
                }
            ],
        ),
    ],
)
def test_messages_of_every_kind(message: Message, sent: list[Json]) -> None:
    assert encoded(CHAT, ModelRequest([message]))["messages"] == sent


def test_what_cannot_be_written_as_json_is_a_bad_request() -> None:
    odd = settings(extra={"odd": object()})
    for text, how in (("half \ud800 of a character", settings()), ("x", odd)):
        with pytest.raises(ModelError) as caught:
            CHAT.encode(ModelRequest(text), how, stream=False)
        assert caught.value.cause is Cause.BAD_REQUEST


# ---------------------------------------------------------------------- answers


def answer(
    message: Json, finish: str | None = "stop", **more: object
) -> dict[str, object]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m-1",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
        **more,
    }


def decoded(body: object) -> ModelReply:
    return CHAT.decode(in_bytes(body), REQUEST, SETTINGS)


def call(id: str | None, arguments: object, **more: object) -> dict[str, object]:  # noqa: A002 - its name there
    function = {"name": "look_up", "arguments": arguments}
    return {"id": id, "type": "function", "function": function, **more}


def test_an_answer_is_its_text_and_what_it_cost() -> None:
    reply = decoded(answer({"role": "assistant", "content": "Hello.", "refusal": None}))
    assert reply == ModelReply(
        "Hello.",
        usage=Usage(calls=1, input_tokens=9, output_tokens=4),
        finish=Finish.COMPLETE,
        model="m-1",
        raw_finish="stop",
        id="chatcmpl-1",
    )


def test_an_answer_may_ask_for_tools() -> None:
    calls = [call("a", '{"x": 1}'), call("b", '{"x"')]
    reply = decoded(answer({"content": None, "tool_calls": calls}, "tool_calls"))
    assert reply.finish is Finish.TOOL_REQUEST
    assert reply.parts == (
        ToolRequestPart("a", "look_up", '{"x": 1}'),
        ToolRequestPart("b", "look_up", '{"x"'),
    )
    assert reply.text == ""


def test_a_refusal_is_one_although_the_reason_is_stop() -> None:
    reply = decoded(answer({"content": None, "refusal": "I cannot."}))
    assert (reply.finish, reply.text) == (Finish.REFUSED, "I cannot.")
    assert reply.refusal == "I cannot."


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("stop", Finish.COMPLETE),
        ("length", Finish.TRUNCATED),
        ("content_filter", Finish.FILTERED),
        ("tool_calls", Finish.OTHER),
        ("eos_token", Finish.COMPLETE),
        ("model_length", Finish.CONTEXT_FULL),
        ("refusal", Finish.REFUSED),
        ("something_new", Finish.OTHER),
        (None, Finish.OTHER),
    ],
)
def test_the_reason_why_it_stopped(word: str | None, finish: Finish) -> None:
    reply = decoded(answer({"content": "Hel"}, word))
    assert (reply.finish, reply.raw_finish) == (finish, word or "")


@pytest.mark.parametrize("word", ["stop", "tool_calls", "function_call", None, "odd"])
def test_whatever_the_reason_tools_that_are_asked_for_are(word: str | None) -> None:
    message = {"tool_calls": [call("a", "{}")]}
    assert decoded(answer(message, word)).finish is Finish.TOOL_REQUEST


def test_tools_asked_for_in_an_answer_cut_off_are_not_to_be_called() -> None:
    message = {"tool_calls": [call("a", '{"x')]}
    assert decoded(answer(message, "length")).finish is Finish.TRUNCATED


@pytest.mark.parametrize("word", ["error", "abort", "insufficient_system_resource"])
def test_a_provider_that_broke_off_has_failed(word: str) -> None:
    with pytest.raises(ModelError) as caught:
        decoded(answer({"content": "Hel"}, word))
    assert (caught.value.cause, caught.value.code) == (Cause.SERVER, word)
    assert caught.value.usage == Usage(calls=1, input_tokens=9, output_tokens=4)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 9},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(1, 100, 20, 60, 9, 5),
        ),
        # Reasoning left out of what was written, but not of the total.
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 150,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(1, 100, 50, reasoning_tokens=30),
        ),
        (
            {"prompt_tokens": 1.0, "completion_tokens": 2, "total_tokens": None},
            Usage(1, 1, 2),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 9},
            },
            Usage(1, 10, 2, 6, 4),
        ),
        (
            {
                "prompt_tokens": -5,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 7},
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            Usage(1, 0, 2, reasoning_tokens=2),
        ),
    ],
)
def test_usage_is_counted_as_for_all_protocols(usage: object, expected: Usage) -> None:
    assert decoded(answer({"content": "x"}, usage=usage)).usage == expected


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": 3}, "many", {"prompt_tokens": "x"}, []]
)
def test_usage_that_is_not_said_is_the_most_it_can_be(usage: object) -> None:
    reply = decoded(answer({"content": "\N{EURO SIGN}" * 10}, usage=usage))
    assert reply.usage.estimated
    assert reply.usage.output_tokens == 30
    assert reply.usage.input_tokens >= len("hello")
    assert reply.usage.calls == 1


def test_usage_that_is_not_said_is_within_the_bound_or_all_of_it_if_it_may_have_thought() -> (
    None
):
    request = ModelRequest("hello", max_tokens=20)
    body = in_bytes(answer({"content": "x" * 100}, usage=None))
    for able, written in ((Capabilities(), 20), (Capabilities(reasoning=True), 20)):
        reply = CHAT.decode(body, request, settings(able))
        assert reply.usage.output_tokens == written
    seven = settings(Capabilities(max_output=7))
    assert CHAT.decode(body, REQUEST, seven).usage.output_tokens == 7
    short = in_bytes(answer({"content": "x"}, usage=None))
    thinking = CHAT.decode(short, request, settings(Capabilities(reasoning=True)))
    assert thinking.usage.output_tokens == 20
    assert CHAT.decode(short, request, SETTINGS).usage.output_tokens == 1


def thought(text: str, name: str) -> ReasoningPart:
    """Return a thought that goes back as the field *name*."""
    return ReasoningPart(text, f'openai:{{"text":"{name}"}}')


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": ""}, ()),
        ({}, ()),
        (
            {"content": [{"type": "text", "text": "a"}, {"text": "b"}]},
            (TextPart("ab"),),
        ),
        (
            {"content": "a", "reasoning_content": "hm"},
            (thought("hm", "reasoning_content"), TextPart("a")),
        ),
        (
            {"content": "a", "reasoning": "hm"},
            (thought("hm", "reasoning"), TextPart("a")),
        ),
        ({"content": "a", "reasoning": {"effort": 1}}, (TextPart("a"),)),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "a"},
                ]
            },
            (ReasoningPart("hm"), TextPart("a")),
        ),
        (
            {"tool_calls": [call(None, {"x": 1}), call("", "{}")]},
            (
                ToolRequestPart("call_0", "look_up", '{"x":1}'),
                ToolRequestPart("call_1", "look_up", "{}"),
            ),
        ),
        (
            {"tool_calls": [call("same", "{}"), call("same", "[]")]},
            (
                ToolRequestPart("same", "look_up", "{}"),
                ToolRequestPart("same_1", "look_up", "[]"),
            ),
        ),
        (
            {"tool_calls": [call(name, "{}") for name in ("a_2", "a", "a", "a_2")]},
            tuple(
                ToolRequestPart(name, "look_up", "{}")
                for name in ("a_2", "a", "a_2_2", "a_2_3")
            ),
        ),
        ({"content": "a", "tool_calls": None, "audio": {"odd": 1}}, (TextPart("a"),)),
        ({"tool_calls": [{"id": "a"}]}, (ToolRequestPart("a", "", "{}"),)),
    ],
)
def test_servers_that_copy_the_protocol_are_understood(
    message: Json, parts: tuple[Part, ...]
) -> None:
    body = {"choices": [{"message": message}]}
    assert decoded(body).parts == parts
    assert decoded({**body, "id": None, "model": None}).parts == parts


def test_only_the_first_of_several_answers_is_read() -> None:
    choices = [
        {"index": 1, "message": {"content": "b"}, "finish_reason": "length"},
        {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"},
    ]
    reply = decoded({"choices": choices})
    assert (reply.text, reply.finish) == ("a", Finish.COMPLETE)


NO_ANSWERS: list[object] = [
    {},
    {"choices": []},
    {"choices": None},
    {"choices": [{}]},
    {"choices": [{"message": "hello"}]},
    {"choices": [{"message": {"content": 3}}]},
    {"choices": [{"index": 1, "message": {"content": "b"}}]},
    [],
    "hello",
    None,
]


@pytest.mark.parametrize("body", NO_ANSWERS)
def test_what_is_no_answer_is_malformed(body: object) -> None:
    with pytest.raises(ModelError) as caught:
        decoded(body)
    assert caught.value.cause is Cause.MALFORMED


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ({"error": {"code": "insufficient_quota"}}, Cause.QUOTA),
        ({"error": {"code": 429, "message": "later"}}, Cause.RATE_LIMIT),
        ({"error": "broken"}, Cause.SERVER),
        ({"object": "error", "code": 400, "message": "no"}, Cause.BAD_REQUEST),
        ({"choices": [{"error": {"code": 502}, "message": {}}]}, Cause.SERVER),
    ],
)
def test_a_success_may_hold_a_failure(body: object, cause: Cause) -> None:
    with pytest.raises(ModelError) as caught:
        decoded(body)
    assert caught.value.cause is cause


def test_a_byte_order_mark_and_halves_of_characters_are_read_past() -> None:
    body = b'\xef\xbb\xbf{"choices": [{"message": {"content": "a\\ud83db\\\\ud83d"}}]}'
    reply = CHAT.decode(body, REQUEST, SETTINGS)
    assert reply.text == "a\N{REPLACEMENT CHARACTER}b\\ud83d"
    whole = b'{"choices": [{"message": {"content": "\\ud83d\\ude00 \\ude00"}}]}'
    reply = CHAT.decode(whole, REQUEST, SETTINGS)
    assert reply.text == "\N{GRINNING FACE} \N{REPLACEMENT CHARACTER}"


def test_all_of_a_conversation_can_be_sent_again_with_its_answer() -> None:
    reply = decoded(answer({"content": "a", "tool_calls": [call("a", "{}")]}))
    turns = (*CONVERSATION, Message("assistant", reply.parts))
    messages = encoded(CHAT, ModelRequest(turns))["messages"]
    assert isinstance(messages, list)
    assert messages[-1] == {
        "role": "assistant",
        "content": "a",
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "function": {"name": "look_up", "arguments": "{}"},
            }
        ],
    }


def test_a_tool_without_arguments_is_described_as_it_is() -> None:
    request = ModelRequest("x", tools=(Tool("now", "", {}),))
    tools = encoded(CHAT, request)["tools"]
    function: Json = {"name": "now", "description": "", "parameters": {}}
    assert tools == [{"type": "function", "function": function}]
