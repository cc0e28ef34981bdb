"""Messages: what is sent, and what a whole answer is."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs
import pytest
from wire_requests import ALL, EVERYTHING, LOOK_UP, encoded, settings
from wire_streams import REQUEST, SETTINGS, in_bytes

from understudy.providers.anthropic import AnthropicMessages
from understudy.providers.wire import Capabilities, Structured
from understudy_protocols.chat import (
    FilePart,
    Finish,
    ImagePart,
    Message,
    ModelReply,
    ModelRequest,
    ReasoningPart,
    TextPart,
    ToolRequestPart,
    ToolResultPart,
)
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.usage import Usage

ANTHROPIC = AnthropicMessages()
OLD = "2023-06-01"

GOLDEN = """
{
  "model": "m",
  "max_tokens": 100,
  "system": "Be brief.",
  "messages": [
    {
      "role": "user",
      "content": [
        {"type": "text", "text": "What is this?"},
        {
          "type": "image",
          "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
        },
        {
          "type": "image",
          "source": {"type": "url", "url": "https://example.org/cat.jpg"}
        },
        {
          "type": "document",
          "source": {
            "type": "base64",
            "media_type": "application/pdf",
            "data": "JVBERg=="
          },
          "title": "a.pdf"
        }
      ]
    },
    {
      "role": "assistant",
      "content": [
        {"type": "text", "text": "Let me look."},
        {
          "type": "tool_use",
          "id": "call_1",
          "name": "look_up",
          "input": {"name": "cat"}
        },
        {"type": "tool_use", "id": "call_2", "name": "look_up", "input": {}}
      ]
    },
    {
      "role": "user",
      "content": [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "A cat."},
        {
          "type": "tool_result",
          "tool_use_id": "call_2",
          "content": "There is no name.",
          "is_error": true
        },
        {"type": "text", "text": "And so?"}
      ]
    }
  ],
  "thinking": {"type": "adaptive"},
  "output_config": {
    "effort": "high",
    "format": {
      "type": "json_schema",
      "schema": {
        "type": "object",
        "properties": {
          "x": {"type": "integer"},
          "y": {"type": "integer", "description": "default: 0"}
        },
        "required": ["x"],
        "additionalProperties": false
      }
    }
  },
  "tools": [
    {
      "name": "look_up",
      "description": "Finds a team.",
      "input_schema": {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"]
      }
    }
  ],
  "stream": true
}
"""


def test_a_request_with_everything_in_it() -> None:
    request = attrs.evolve(EVERYTHING, tool_choice="auto")
    assert encoded(ANTHROPIC, request, stream=True) == json.loads(GOLDEN)


def test_what_is_not_asked_for_is_left_to_the_provider_but_for_the_bound() -> None:
    assert encoded(ANTHROPIC, ModelRequest("hello")) == {
        "model": "m",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }


def test_where_and_with_which_headers_it_is_sent() -> None:
    plain = ANTHROPIC.encode(ModelRequest("hello"), settings(), stream=False)
    assert plain.path == "/v1/messages"
    assert plain.headers == {
        "content-type": "application/json",
        "accept": "application/json",
        "anthropic-version": "2026-10-21",
    }
    how = settings(version=OLD)
    older = ANTHROPIC.encode(ModelRequest("hello"), how, stream=True)
    assert older.headers["anthropic-version"] == OLD
    assert older.headers["accept"] == "text/event-stream"
    trial = settings(anthropic_beta=("context-1m", "fast-mode"))
    tried = ANTHROPIC.encode(ModelRequest("hello"), trial, stream=False)
    assert tried.headers["anthropic-beta"] == "context-1m,fast-mode"
    assert ANTHROPIC.authorization("k") == {"x-api-key": "k"}
    assert ANTHROPIC.name == "anthropic"


@pytest.mark.parametrize(
    ("version", "able", "effort", "sent"),
    [
        (OLD, Capabilities(), "", 0.5),
        ("2026-10-20", Capabilities(), "", 0.5),
        ("", Capabilities(), "", None),
        ("2026-10-21", Capabilities(), "", None),
        ("2027-01-01", Capabilities(), "", None),
        (OLD, Capabilities(temperature=False), "", None),
        (OLD, Capabilities(reasoning=True), "high", None),
        (OLD, Capabilities(reasoning=True), "none", None),
        (OLD, Capabilities(reasoning=False), "high", 0.5),
    ],
)
def test_a_temperature_is_sent_only_where_it_is_taken(
    version: str, able: Capabilities, effort: str, sent: float | None
) -> None:
    request = ModelRequest("x", temperature=0.5, reasoning=effort)
    body = encoded(ANTHROPIC, request, settings(able, version=version))
    assert body.get("temperature") == sent


@pytest.mark.parametrize(
    ("effort", "thinking", "output"),
    [
        ("", None, None),
        ("none", {"type": "disabled"}, None),
        ("minimal", {"type": "adaptive"}, {"effort": "low"}),
        ("max", {"type": "adaptive"}, {"effort": "max"}),
    ],
)
def test_how_much_to_think_has_two_fields(
    effort: str, thinking: object, output: object
) -> None:
    body = encoded(ANTHROPIC, ModelRequest("x", reasoning=effort))
    assert (body.get("thinking"), body.get("output_config")) == (thinking, output)
    plain = encoded(
        ANTHROPIC, ModelRequest("x", reasoning=effort), settings(Capabilities())
    )
    assert plain.keys() == {"model", "max_tokens", "messages"}


@pytest.mark.parametrize(
    ("choice", "sent", "thinks"),
    [
        ("auto", None, True),
        ("none", {"type": "none"}, True),
        ("required", {"type": "any"}, False),
        ("look_up", {"type": "tool", "name": "look_up"}, False),
    ],
)
def test_who_must_ask_for_a_tool_does_not_think_first(
    choice: str, sent: object, thinks: bool
) -> None:
    request = ModelRequest("x", tools=(LOOK_UP,), tool_choice=choice, reasoning="low")
    body = encoded(ANTHROPIC, request)
    assert body.get("tool_choice") == sent
    assert ("thinking" in body) is thinks
    assert "tool_choice" not in encoded(ANTHROPIC, attrs.evolve(request, tools=()))


@pytest.mark.parametrize(
    ("asked", "usual", "able", "sent"),
    [
        (None, None, None, 4096),
        (None, None, 1000, 1000),
        (10, None, None, 10),
        (None, 20, None, 20),
        (100, 20, 50, 50),
    ],
)
def test_there_is_always_a_bound_on_tokens(
    asked: int | None, usual: int | None, able: int | None, sent: int
) -> None:
    how = settings(Capabilities(max_output=able), max_tokens=usual)
    assert (
        encoded(ANTHROPIC, ModelRequest("x", max_tokens=asked), how)["max_tokens"]
        == sent
    )


def test_texts_to_stop_at_are_sent() -> None:
    assert encoded(ANTHROPIC, ModelRequest("x", stop=("\n",)))["stop_sequences"] == [
        "\n"
    ]


def test_a_schema_that_cannot_be_sent_goes_in_words() -> None:
    loose = {"type": "object", "additionalProperties": {"type": "integer"}}
    for able in (ALL, Capabilities(structured=Structured.JSON)):
        body = encoded(
            ANTHROPIC, ModelRequest("x", output_schema=loose), settings(able)
        )
        assert "output_config" not in body
        assert "JSON schema" in str(body["system"])


def sent(*messages: Message) -> object:
    return encoded(ANTHROPIC, ModelRequest(messages))["messages"]


def test_messages_of_one_side_in_a_row_are_one() -> None:
    assert sent(
        Message.of("user", "a"),
        Message.of("system", "b"),
        Message.of("user", ""),
        Message("tool", (TextPart("c"), ToolResultPart("1", "d"))),
        Message("assistant", ()),
        Message.of("assistant", "e"),
    ) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "tool_result", "tool_use_id": "1", "content": "d"},
                {"type": "text", "text": "c"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "e"}]},
    ]


def test_all_that_the_system_says_stands_in_one_place() -> None:
    body = encoded(
        ANTHROPIC,
        ModelRequest(
            [
                Message.of("system", "a"),
                Message.of("user", "b"),
                Message.of("system", "c"),
            ]
        ),
    )
    assert body["system"] == "a\n\nc"
    assert "system" not in encoded(ANTHROPIC, ModelRequest([Message.of("system", "")]))


def test_a_text_file_goes_as_text() -> None:
    part = FilePart("é".encode(), media_type="text/plain")
    source = {"type": "text", "media_type": "text/plain", "data": "é"}
    assert sent(Message("user", (part,))) == [
        {"role": "user", "content": [{"type": "document", "source": source}]}
    ]
    linked = FilePart(url="https://example.org/a.pdf")
    source = {"type": "url", "url": "https://example.org/a.pdf"}
    assert sent(Message("user", (linked,))) == [
        {"role": "user", "content": [{"type": "document", "source": source}]}
    ]


def test_pictures_and_files_stand_in_messages_of_the_user_only() -> None:
    for part in (ImagePart(url="u"), FilePart(url="u")):
        with pytest.raises(ModelError) as caught:
            sent(Message("assistant", (part,)))
        assert caught.value.cause is Cause.BAD_REQUEST


@pytest.mark.parametrize("written", ['{"x', "[1]", "3", "\ufeff{}", '{"a": NaN}'])
def test_arguments_that_are_no_object_are_shown_as_they_were_written(
    written: str,
) -> None:
    assert sent(Message("assistant", (ToolRequestPart("1", "f", written),))) == [
        {
            "role": "assistant",
            "content": [
                {
                    "type": "tool_use",
                    "id": "1",
                    "name": "f",
                    "input": {"invalid_json": written},
                }
            ],
        }
    ]


# ---------------------------------------------------------------------- answers


def answer(
    *content: Mapping[str, object], stop: str | None = "end_turn", **more: object
) -> dict[str, object]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 4},
        **more,
    }


def decoded(body: object) -> ModelReply:
    return ANTHROPIC.decode(in_bytes(body), REQUEST, SETTINGS)


def text(words: str) -> dict[str, object]:
    return {"type": "text", "text": words}


THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}
HIDDEN = {"type": "redacted_thinking", "data": "EmwK"}
SEARCH = {
    "type": "server_tool_use",
    "id": "s1",
    "name": "web_search",
    "input": {"q": 1},
}
CALL = {"type": "tool_use", "id": "t1", "name": "look_up", "input": {"x": 1}}


def test_an_answer_is_its_text_and_what_it_cost() -> None:
    assert decoded(answer(text("Hel"), text("lo."))) == ModelReply(
        "Hello.",
        usage=Usage(calls=1, input_tokens=9, output_tokens=4),
        finish=Finish.COMPLETE,
        model="m-1",
        raw_finish="end_turn",
        id="msg_1",
        parts=(TextPart("Hel"), TextPart("lo.")),
    )


def test_an_answer_may_ask_for_tools() -> None:
    reply = decoded(answer(text("Let me look."), CALL, stop="tool_use"))
    assert reply.finish is Finish.TOOL_REQUEST
    assert reply.parts[1] == ToolRequestPart("t1", "look_up", '{"x":1}')


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", Finish.COMPLETE),
        ("stop_sequence", Finish.COMPLETE),
        ("max_tokens", Finish.TRUNCATED),
        ("tool_use", Finish.OTHER),
        ("pause_turn", Finish.PAUSED),
        ("refusal", Finish.REFUSED),
        ("model_context_window_exceeded", Finish.CONTEXT_FULL),
        ("something_new", Finish.OTHER),
        (None, Finish.OTHER),
    ],
)
def test_the_reason_why_it_stopped(stop: str | None, finish: Finish) -> None:
    reply = decoded(answer(text("Hel"), stop=stop))
    assert (reply.finish, reply.raw_finish, reply.text) == (finish, stop or "", "Hel")


def test_a_refusal_says_what_it_is_about() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    reply = decoded(answer(stop="refusal", stop_details=details))
    assert (reply.finish, reply.raw_finish) == (Finish.REFUSED, "refusal/cyber")
    assert reply.refusal == "No."
    bare = decoded(answer(stop="refusal", stop_details={"category": None}))
    assert (bare.raw_finish, bare.refusal) == ("refusal", "")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "input_tokens": 31,
                "cache_read_input_tokens": 60,
                "cache_creation_input_tokens": 9,
                "output_tokens": 20,
                "output_tokens_details": {"thinking_tokens": 5},
                "server_tool_use": {"web_search_requests": 1},
            },
            Usage(1, 100, 20, 60, 9, 5),
        ),
        (
            {
                "input_tokens": 3,
                "cache_read_input_tokens": None,
                "cache_creation_input_tokens": -2,
                "output_tokens": 2,
            },
            Usage(1, 3, 2),
        ),
    ],
)
def test_cached_input_is_part_of_the_input_as_for_all_protocols(
    usage: object, expected: Usage
) -> None:
    assert decoded(answer(text("x"), usage=usage)).usage == expected


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": 3}, "many", []])
def test_usage_that_is_not_said_is_the_most_it_can_be(usage: object) -> None:
    reply = decoded(answer(text("x" * 50), usage=usage))
    assert reply.usage.estimated
    assert reply.usage.output_tokens >= 50


def test_a_model_that_may_have_thought_has_used_all_that_it_may() -> None:
    body = in_bytes(answer(text("x"), usage=None))
    reply = ANTHROPIC.decode(body, REQUEST, settings())
    assert reply.usage.output_tokens == 4096


def test_thoughts_and_blocks_without_a_part_go_back_unchanged() -> None:
    reply = decoded(answer(THOUGHT, HIDDEN, SEARCH, text("Hi."), CALL, stop="tool_use"))
    assert [part.text for part in reply.parts if isinstance(part, ReasoningPart)] == [
        "Hm.",
        "",
        "",
    ]
    assert sent(Message("assistant", reply.parts)) == [
        {"role": "assistant", "content": [THOUGHT, HIDDEN, SEARCH, text("Hi."), CALL]}
    ]


def test_the_thoughts_of_others_do_not_go_there() -> None:
    for opaque in (
        "responses:{}",
        "anthropic:no json",
        "anthropic:[]",
        "anthropic",
        "",
    ):
        turn = Message("assistant", (ReasoningPart("hm", opaque), TextPart("a")))
        assert sent(turn) == [{"role": "assistant", "content": [text("a")]}]


NO_ANSWERS: list[object] = [
    {},
    {"content": None},
    {"content": ["hello"]},
    {"content": [{}]},
    {"content": "hello"},
    {"content": [], "stop_details": {"category": 3}},
    [],
    "hello",
]


@pytest.mark.parametrize("body", NO_ANSWERS)
def test_what_is_no_answer_is_malformed(body: object) -> None:
    with pytest.raises(ModelError) as caught:
        decoded(body)
    assert caught.value.cause is Cause.MALFORMED


def test_a_success_may_hold_a_failure() -> None:
    said = {"error": {"type": "overloaded_error"}}
    for body in (said, {"type": "error", **said}):
        with pytest.raises(ModelError) as caught:
            decoded(body)
        assert caught.value.cause is Cause.OVERLOADED
    with pytest.raises(ModelError) as caught:
        decoded({"type": "error"})
    assert caught.value.cause is Cause.SERVER


def test_an_empty_answer_is_one() -> None:
    reply = decoded(answer(text("")))
    assert (reply.text, reply.parts, reply.finish) == ("", (), Finish.COMPLETE)
