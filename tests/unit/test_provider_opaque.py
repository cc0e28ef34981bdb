"""What must go back to a model unchanged, and to no other one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest
from wire_requests import encoded
from wire_streams import REQUEST, SETTINGS, Json, chat_stream, in_bytes, replied

from understudy.providers.anthropic import AnthropicMessages
from understudy.providers.opaque import signed, without_others
from understudy.providers.openai_chat import OpenAIChat
from understudy.providers.openai_responses import OpenAIResponses
from understudy_protocols.chat import (
    Message,
    ModelReply,
    ModelRequest,
    ReasoningPart,
    TextPart,
    ToolRequestPart,
    ToolResultPart,
)

CHAT, RESPONSES, ANTHROPIC = OpenAIChat(), OpenAIResponses(), AnthropicMessages()


def answered(message: Json) -> ModelReply:
    """Return what comes of a message of Chat Completions."""
    choice = {"message": message, "finish_reason": "stop"}
    return CHAT.decode(in_bytes({"choices": [choice]}), REQUEST, SETTINGS)


def streamed(*deltas: Json) -> ModelReply:
    """Return what comes of it in pieces."""
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return replied(CHAT, chat_stream(chunks))


def sent_again(reply: ModelReply) -> Mapping[str, object]:
    """Return the message in which a reply goes back."""
    turns = [Message("assistant", reply.parts)]
    (message,) = cast("list[Json]", encoded(CHAT, ModelRequest(turns))["messages"])
    return message


# --- what servers add to Chat Completions

CALL: Json = {
    "id": "a",
    "type": "function",
    "function": {"name": "look", "arguments": "{}"},
}
SIGNATURE: Json = {"google": {"thought_signature": "c2lnbmVk"}}
DETAILS: list[Json] = [
    {"type": "reasoning.text", "text": "Hm. Ah.", "signature": "s", "index": 0},
    {"type": "reasoning.encrypted", "data": "x", "id": "a", "index": 1},
    {"type": "reasoning.encrypted", "data": "y", "id": "b", "index": 1},
    {"type": "reasoning.summary", "summary": "In short.", "index": 2},
]


@pytest.mark.parametrize(
    "added",
    [
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm."},
        {"reasoning_details": DETAILS},
        {"reasoning_details": [DETAILS[0], DETAILS[0]]},
        {"extra_content": SIGNATURE},
        {"reasoning_content": "Hm.", "extra_content": SIGNATURE},
    ],
)
def test_what_a_server_adds_to_its_answer_goes_back_to_it(added: Json) -> None:
    reply = answered({"role": "assistant", "content": "Hi.", **added})
    assert sent_again(reply) == {"role": "assistant", "content": "Hi.", **added}


def test_a_text_that_the_details_say_too_does_not_go_back_twice() -> None:
    reply = answered(
        {"content": "Hi.", "reasoning": "Hm.", "reasoning_details": DETAILS}
    )
    assert reply.parts[0] == ReasoningPart("Hm.", getattr(reply.parts[0], "opaque", ""))
    assert "reasoning" not in sent_again(reply)


def test_details_that_come_in_pieces_go_back_as_a_whole() -> None:
    """A signature is that of the whole text."""
    start = {"type": "reasoning.text", "format": "f", "index": 0}
    reply = streamed(
        {"reasoning_details": [{**start, "text": "Hm.", "signature": None}]},
        {"reasoning_details": [{**start, "text": " Ah."}]},
        {"reasoning_details": [{**start, "signature": "s"}]},
        {"reasoning_details": [{**start, "signature": None, "format": None}]},
        {"reasoning_details": [DETAILS[1]]},
        {"reasoning_details": [DETAILS[2]]},
        {"reasoning_details": [{**DETAILS[3], "summary": "In "}]},
        {"reasoning_details": [{**DETAILS[3], "summary": "short."}]},
        {"reasoning_details": [{"type": "other"}, {"type": "other"}]},
        {"content": "Hi."},
    )
    details = [{**DETAILS[0], "format": "f"}, *DETAILS[1:]]
    other: list[Json] = [{"type": "other"}, {"type": "other"}]
    assert sent_again(reply)["reasoning_details"] == details + other


def test_half_a_character_in_a_detail_finds_its_other_half() -> None:
    place = {"type": "reasoning.text", "index": 0}
    halves = ("\ud83d", "\ude00")
    reply = streamed(
        *({"reasoning_details": [{**place, "text": half}]} for half in halves),
        {"content": "Hi."},
    )
    (detail,) = cast("list[Json]", sent_again(reply)["reasoning_details"])
    assert detail["text"] == "\N{GRINNING FACE}"


@pytest.mark.parametrize("in_pieces", [False, True])
def test_the_signature_of_a_tool_request_goes_back_with_it(in_pieces: bool) -> None:
    calls = [{**CALL, "extra_content": SIGNATURE}, {**CALL, "id": "b"}]
    if in_pieces:
        arguments = {"index": 0, "function": {"arguments": "{}"}}
        begun = {"name": "look", "arguments": ""}
        reply = streamed(
            {"tool_calls": [{**calls[0], "function": begun, "index": 0}]},
            {"tool_calls": [arguments]},
            {"tool_calls": [{**calls[1], "index": 1}]},
        )
    else:
        reply = answered({"content": None, "tool_calls": calls})
    assert sent_again(reply) == {
        "role": "assistant",
        "content": None,
        "tool_calls": calls,
    }


def test_what_goes_back_to_a_server_says_nothing_in_place_of_the_answer() -> None:
    for block in (
        '{"message":{"content":"x","role":"system"},"calls":{"a":{"id":1}}}',
        '{"text":"content","message":3,"calls":{"a":3}}',
        '{"text":3,"calls":[]}',
    ):
        thought = ReasoningPart("x", f"openai:{block}")
        parts = (thought, TextPart("Hi."), ToolRequestPart("a", "f", ""))
        message = sent_again(ModelReply("Hi.", parts=parts))
        assert (message["role"], message["content"]) == ("assistant", "Hi.")
        assert cast("list[Json]", message["tool_calls"])[0]["id"] == "a"


# --- Responses


def test_the_phase_of_what_was_said_goes_back_with_it() -> None:
    def said(text: str, phase: str) -> dict[str, object]:
        content = [{"type": "output_text", "text": text}]
        return {
            "type": "message",
            "role": "assistant",
            "phase": phase,
            "content": content,
        }

    thought: Json = {"type": "reasoning", "encrypted_content": "x"}
    output: list[Json] = [
        said("Let me look.", "commentary"),
        said("A moment.", "commentary"),
        thought,
        said("A cat.", "final_answer"),
    ]
    body = in_bytes({"status": "completed", "output": output})
    reply = RESPONSES.decode(body, REQUEST, SETTINGS)
    assert reply.text == "Let me look.A moment.A cat."
    turns = [Message("assistant", reply.parts), Message.of("user", "More.")]
    sent = cast("list[Json]", encoded(RESPONSES, ModelRequest(turns))["input"])
    assert sent[:-1] == output
    assert "phase" not in sent[-1]


# --- others


def test_what_a_model_has_thought_goes_back_to_that_model_alone() -> None:
    thought = ReasoningPart("Hm.", "responses:{}")
    said = (thought, ReasoningPart("Oh."), TextPart("Hi."))
    reply = signed(ModelReply("Hi.", parts=said), "m@https://a")
    turns = ModelRequest([Message.of("user", "x"), Message("assistant", reply.parts)])
    own = without_others(turns, "m@https://a")
    assert own.messages[1].parts == said
    for other in ("m@https://b", "m@https://", "n@https://a", ""):
        foreign = without_others(turns, other).messages[1]
        assert foreign.parts == (ReasoningPart("Hm."), *said[1:])
    plain = ModelRequest([Message("assistant", said[1:])])
    assert without_others(plain, "m") is plain


def test_ids_of_another_provider_are_put_into_the_letters_that_this_one_takes() -> None:
    ids = ("functions.look:0", "functions.look:1", "call-a_b")
    turns = [
        Message("assistant", tuple(ToolRequestPart(id_, "look", "") for id_ in ids)),
        Message("tool", tuple(ToolResultPart(id_, "a cat") for id_ in ids)),
    ]
    asked, told = cast(
        "list[Json]", encoded(ANTHROPIC, ModelRequest(turns))["messages"]
    )
    asked_ids = [block["id"] for block in cast("list[Json]", asked["content"])]
    told_ids = [block["tool_use_id"] for block in cast("list[Json]", told["content"])]
    assert asked_ids == told_ids
    assert len(set(asked_ids)) == 3
    assert asked_ids[2] == "call-a_b"
    assert all(
        str(id_).replace("-", "").replace("_", "").isalnum() for id_ in asked_ids
    )


def test_white_space_that_a_model_has_said_is_not_said_again() -> None:
    """The provider refuses a text of nothing else."""
    parts = (TextPart("\n\n"), ToolRequestPart("a", "look", "{}"))
    turns = [Message("assistant", parts), Message.of("user", " \n")]
    (message,) = cast("list[Json]", encoded(ANTHROPIC, ModelRequest(turns))["messages"])
    assert [block["type"] for block in cast("list[Json]", message["content"])] == [
        "tool_use"
    ]
