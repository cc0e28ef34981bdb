"""One answer in the words of each protocol, whole and as a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from wire_streams import Json, chat_stream, cut, in_bytes, named_stream

from understudy_protocols.chat import (
    Part,
    ReasoningPart,
    TextPart,
    ToolRequestPart,
)

Whole = tuple[bytes, bytes]
"""The body of an answer, and the stream that says the same."""


def chat(parts: Sequence[Part], at: Sequence[int]) -> Whole:
    """Return the answer as Chat Completions gives it: a thought, a text, calls."""
    thought = "".join(part.text for part in parts if isinstance(part, ReasoningPart))
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    calls = [part for part in parts if isinstance(part, ToolRequestPart)]
    start = {"id": "c1", "model": "m-1"}
    finish = "tool_calls" if calls else "stop"
    usage = {"prompt_tokens": 9, "completion_tokens": 4}
    message = {
        "content": text,
        "reasoning_content": thought,
        "tool_calls": [
            {
                "id": call.id,
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in calls
        ],
    }
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {**start, "choices": [choice], "usage": usage}

    def chunks() -> Iterator[Json]:
        deltas: list[Json] = [{"reasoning_content": one} for one in cut(thought, at)]
        deltas += [{"content": one} for one in cut(text, at)]
        for index, call in enumerate(calls):
            function = {"name": call.name, "arguments": ""}
            deltas.append(
                {"tool_calls": [{"index": index, "id": call.id, "function": function}]}
            )
            deltas += [
                {"tool_calls": [{"index": index, "function": {"arguments": one}}]}
                for one in cut(call.arguments, at)
            ]
        for delta in deltas:
            yield {**start, "choices": [{"delta": delta, "finish_reason": None}]}
        yield {**start, "choices": [{"delta": {}, "finish_reason": finish}]}
        yield {**start, "choices": [], "usage": usage}

    return in_bytes(body), chat_stream(chunks())


def responses(parts: Sequence[Part], at: Sequence[int]) -> Whole:
    """Return the answer as Responses gives it: an item for each part."""
    items = list[Json]()
    events = list[Json]()
    for index, part in enumerate(parts):
        kind, text = "response.output_text.delta", ""
        if isinstance(part, ToolRequestPart):
            kind, text = "response.function_call_arguments.delta", part.arguments
            item: Json = {
                "type": "function_call",
                "call_id": part.id,
                "name": part.name,
                "arguments": part.arguments,
            }
        elif isinstance(part, ReasoningPart):
            kind, text = "response.reasoning_text.delta", part.text
            said = [{"type": "reasoning_text", "text": part.text}]
            item = {"type": "reasoning", "content": said, "encrypted_content": "x"}
        else:
            assert isinstance(part, TextPart)
            text = part.text
            item = {
                "type": "message",
                "content": [{"type": "output_text", "text": text}],
            }
        items.append(item)
        events += [
            {"type": kind, "output_index": index, "delta": one} for one in cut(text, at)
        ]
        done = {
            "type": "response.output_item.done",
            "output_index": index,
            "item": item,
        }
        events.append(done)
    body = {
        "id": "r1",
        "model": "m-1",
        "status": "completed",
        "output": items,
        "usage": {"input_tokens": 9, "output_tokens": 4},
    }
    last = {"type": "response.completed", "response": body}
    return in_bytes(body), named_stream([*events, last])


def anthropic(parts: Sequence[Part], at: Sequence[int]) -> Whole:
    """Return the answer as Messages gives it: a block for each part."""
    blocks = list[Json]()
    events = list[Json]()
    for index, part in enumerate(parts):
        if isinstance(part, ToolRequestPart):
            start: Json = {"type": "tool_use", "id": part.id, "name": part.name}
            blocks.append({**start, "input": json.loads(part.arguments)})
            start = {**start, "input": {}}
            kind, name, text = "input_json_delta", "partial_json", part.arguments
        elif isinstance(part, ReasoningPart):
            start = {"type": "thinking", "thinking": "", "signature": "x"}
            blocks.append({**start, "thinking": part.text})
            kind, name, text = "thinking_delta", "thinking", part.text
        else:
            assert isinstance(part, TextPart)
            start = {"type": "text", "text": ""}
            blocks.append({**start, "text": part.text})
            kind, name, text = "text_delta", "text", part.text
        begins = {"type": "content_block_start", "index": index, "content_block": start}
        events.append(begins)
        events += [
            {
                "type": "content_block_delta",
                "index": index,
                "delta": {"type": kind, name: one},
            }
            for one in cut(text, at)
        ]
        events.append({"type": "content_block_stop", "index": index})
    calls = any(isinstance(part, ToolRequestPart) for part in parts)
    stop = {"stop_reason": "tool_use" if calls else "end_turn"}
    message = {"type": "message", "id": "m1", "model": "m-1"}
    body = {
        **message,
        **stop,
        "content": blocks,
        "usage": {"input_tokens": 9, "output_tokens": 4},
    }
    first: Json = {
        "type": "message_start",
        "message": {
            **message,
            "content": [],
            "usage": {"input_tokens": 9, "output_tokens": 1},
        },
    }
    last = {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 4}}
    return in_bytes(body), named_stream(
        [first, *events, last, {"type": "message_stop"}]
    )
