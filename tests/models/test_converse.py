"""Conversations: functions that a model asks for are run, strictly, and told back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest
import trio

from understudy import (
    Attempt,
    Cause,
    ConfigError,
    Context,
    Message,
    ModelReply,
    RunResult,
    Runtime,
    step,
)
from understudy.models.conversation import Conversation, converse
from understudy.models.functions import FunctionCall, FunctionError, model_function
from understudy.models.scripted import Line, ScriptedModel
from understudy.testing import run_seeded
from understudy_protocols.chat import Finish, TextPart, ToolRequestPart, ToolResultPart

T = TypeVar("T")


def asks(*calls: tuple[str, str]) -> ModelReply:
    """Return a reply that asks for functions by name, with these arguments."""
    parts = tuple(
        ToolRequestPart(f"id{place}", name, arguments)
        for place, (name, arguments) in enumerate(calls)
    )
    return ModelReply("", finish=Finish.TOOL_REQUEST, parts=parts)


def talk(
    script: Sequence[Line],
    *functions: Callable[..., Awaitable[object]],
    max_rounds: int = 8,
    seed: int = 0,
) -> tuple[RunResult[Conversation], ScriptedModel]:
    """Run a step that converses with a scripted model."""
    model = ScriptedModel(script)

    @step
    async def talking(context: Context[str], attempt: Attempt[object]) -> Conversation:
        return await converse(
            attempt.models["m"], context.input, functions, max_rounds=max_rounds
        )

    async def main() -> RunResult[Conversation]:
        async with Runtime(talking, models={"m": model}) as runtime:
            return await runtime.run(talking, "what is the weather?", run_id="r")

    return run_seeded(main, seed=seed), model


def results(conversation: Conversation) -> list[ToolResultPart]:
    return [
        part
        for message in conversation.messages
        for part in message.parts
        if isinstance(part, ToolResultPart)
    ]


async def weather(city: str, days: int = 1) -> str:
    """Say what the weather will be."""
    await trio.sleep(1)
    if city == "Atlantis":
        raise FunctionError("nobody knows that city")
    return f"rain in {city} for {days}"


@pytest.mark.parametrize("seed", range(5))
def test_functions_are_run_side_by_side_and_their_results_told(seed: int) -> None:
    script = [
        asks(
            ("weather", '{"city": "Ulm"}'), ("weather", '{"city": "Bonn", "days": 2}')
        ),
        "It will rain.",
    ]
    result, model = talk(script, weather, seed=seed)
    talked = result.value
    assert talked.text == "It will rain."
    assert talked.rounds == 1
    assert result.duration == 1.0
    assert results(talked) == [
        ToolResultPart("id0", "rain in Ulm for 1"),
        ToolResultPart("id1", "rain in Bonn for 2"),
    ]
    assert [message.role for message in talked.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    first, second = model.requests
    assert first.messages == (Message.of("user", "what is the weather?"),)
    assert second.messages == talked.messages[:-1]
    (tool,) = first.tools
    assert tool.name == "weather"
    assert tool.description == "Say what the weather will be."
    assert dict(tool.parameters) == {
        "title": "weather",
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "default": 1},
        },
        "required": ("city",),
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("wether", "{}", "there is no function 'wether'; there are: weather"),
        ("weather", "{}", "missing required field `city`"),
        ("weather", '{"city": 3}', "Expected `str`, got `int`"),
        ("weather", '{"city": "Ulm", "more": 1}', "contains unknown field `more`"),
        ("weather", '{"city"', "the arguments cannot be used"),
        ("weather", "", "missing required field `city`"),
        ("weather", '{"city": "Atlantis"}', "nobody knows that city"),
    ],
)
def test_what_a_model_gets_wrong_it_is_told(
    name: str, arguments: str, told: str
) -> None:
    result, _ = talk([asks((name, arguments)), "Never mind."], weather)
    (part,) = results(result.value)
    assert part.failed
    assert told in part.text
    assert result.value.text == "Never mind."


def test_an_exception_of_a_function_is_the_steps() -> None:
    cancelled: list[str] = []

    async def breaks() -> str:
        await trio.sleep(1)
        raise LookupError("the table is gone")

    async def waits() -> str:
        try:
            await trio.sleep(9)
        except trio.Cancelled:
            cancelled.append("waits")
            raise
        return "never"

    result, _ = talk([asks(("breaks", ""), ("waits", ""))], breaks, waits)
    assert result.failure is not None
    assert result.failure.cause is Cause.STEP_ERROR
    assert result.failure.message == "the table is gone"
    assert cancelled == ["waits"]


def test_a_model_that_never_answers_is_stopped() -> None:
    script: list[Line] = [asks(("weather", '{"city": "Ulm"}')) for _ in range(3)]
    result, model = talk(script, weather, max_rounds=2)
    assert result.failure is not None
    assert "asked for functions 3 times and gave no answer" in result.failure.message
    assert len(model.requests) == 3
    assert result.duration == 2.0


def test_each_call_has_a_key_of_its_own_that_does_not_change() -> None:
    seen: list[FunctionCall] = []

    async def pay(amount: int, call: FunctionCall) -> str:
        seen.append(call)
        return f"paid {amount}"

    script = [
        asks(("pay", '{"amount": 1}'), ("pay", '{"amount": 1}')),
        asks(("pay", '{"amount": 1}')),
        "Paid.",
    ]
    for _ in range(2):
        talk(list(script), pay)
    first, second = seen[:3], seen[3:]
    assert first == second
    assert len({call.key for call in first}) == 3
    assert [call.round for call in first] == [1, 1, 2]


async def plain(*cities: str) -> str:
    return ""


def not_async(city: str) -> str:
    return city


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (plain, "'cities' of plain cannot be given by name"),
        (not_async, "not_async is not async"),
    ],
)
def test_a_function_that_cannot_be_described_is_refused(
    function: Callable[..., Awaitable[object]], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        model_function(function)


def test_a_parameter_without_a_type_is_refused() -> None:
    async def unsaid(city: object) -> str:
        return str(city)

    del unsaid.__annotations__["city"]
    with pytest.raises(ConfigError, match="'city' of unsaid has no annotation"):
        model_function(unsaid)


def test_two_functions_of_one_name_are_refused() -> None:
    result, _ = talk(["Hello."], weather, weather)
    assert result.failure is not None
    assert "two functions are called 'weather'" in result.failure.message


def test_words_beside_a_request_are_kept() -> None:
    reply = ModelReply(
        "Let me see.",
        finish=Finish.TOOL_REQUEST,
        parts=(
            TextPart("Let me see."),
            ToolRequestPart("id0", "weather", '{"city": "Ulm"}'),
        ),
    )
    result, _ = talk([reply, "Rain."], weather)
    assert result.value.messages[1].text == "Let me see."
