"""What a real server says, in three protocols, and what is made of it."""

from __future__ import annotations

from typing import Literal

import attrs
import msgspec
import pytest
import trio
from asking_engine import PROTOCOLS, asking, value_of
from server_process import Server, listening

from understudy import (
    BoundModel,
    Cause,
    Completion,
    Finish,
    Message,
    ModelError,
    ModelReply,
)
from understudy.models.structured import schema_of
from understudy_protocols.chat import (
    ModelRequest,
    Tool,
    ToolRequestPart,
    ToolResultPart,
)
from understudy_protocols.failures import Failure
from understudy_protocols.usage import Usage

MOST = 60
HELLO = ModelRequest("Hello", max_tokens=MOST, temperature=0.0)
STORY = ModelRequest("Tell me a long story.", max_tokens=6, temperature=0.0)

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


def replied(
    engine: Server, protocol: str, request: ModelRequest, *, stream: bool = False
) -> ModelReply:
    """Return what the engine replies to *request*."""

    async def ask(model: BoundModel) -> ModelReply:
        return await model.reply(request, stream=stream)

    return trio.run(value_of, engine.address, protocol, ask)


def said(
    engine: Server, protocol: str, request: ModelRequest, *, stream: bool = False
) -> tuple[str, list[str], Usage]:
    """Return an answer, or what there is of it, its pieces, and what it cost.

    A model this small does not always come to an end.
    """

    async def ask(model: BoundModel) -> str:
        try:
            reply = await model.reply(request, stream=stream)
        except ModelError as error:
            if error.cause is not Cause.TRUNCATED:
                raise
            return error.partial
        assert reply.finish is Finish.COMPLETE
        return reply.text

    async def main() -> tuple[str, list[str], Usage]:
        async with asking(engine.address, protocol, ask) as asked:
            result = await asked.run()
            assert result.ok, result.failure
            return asked.values[0], asked.shown, result.usage

    return trio.run(main)


def failed(engine: Server, protocol: str, request: ModelRequest) -> Failure:
    """Return how a run fails that asks for *request*."""

    async def ask(model: BoundModel) -> ModelReply:
        return await model.reply(request)

    async def main() -> Failure:
        async with asking(engine.address, protocol, ask) as asked:
            result = await asked.run()
            assert result.failure is not None
            return result.failure

    return trio.run(main)


def test_the_engine_listens_on_loopback_only(engine: Server) -> None:
    assert listening(engine.pid) == {engine.address}


@every_protocol
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_says_what_it_cost_and_why_it_ended(
    protocol: str, stream: bool, engine: Server
) -> None:
    text, pieces, usage = said(engine, protocol, HELLO, stream=stream)
    assert text
    assert "".join(pieces) == (text if stream else "")
    assert (usage.calls, usage.estimated) == (1, False)
    assert 0 < usage.output_tokens <= MOST
    assert len(pieces) <= usage.output_tokens
    assert usage.cached_tokens <= usage.input_tokens


def test_all_protocols_count_the_same_prompt_the_same(engine: Server) -> None:
    counts = {said(engine, name, STORY)[2].input_tokens for name in PROTOCOLS}
    assert len(counts) == 1, "cached tokens are counted in by all or by none"


@every_protocol
@pytest.mark.parametrize("stream", [False, True])
def test_half_an_answer_is_not_taken_for_a_whole_one(
    protocol: str, stream: bool, engine: Server
) -> None:
    async def ask(model: BoundModel) -> ModelReply:
        return await model.reply(STORY, stream=stream)

    async def main() -> tuple[Failure | None, Usage]:
        async with asking(engine.address, protocol, ask) as asked:
            result = await asked.run()
            return result.failure, result.usage

    failure, usage = trio.run(main)
    assert failure is not None
    assert failure.cause is Cause.TRUNCATED
    assert usage.output_tokens == 6


@pytest.mark.parametrize("protocol", ["chat", "anthropic"])
def test_an_answer_stops_at_the_texts_that_it_is_to_stop_at(
    protocol: str, engine: Server
) -> None:
    assert " " in said(engine, protocol, HELLO)[0]
    request = attrs.evolve(HELLO, stop=(".", " "))
    reply = replied(engine, protocol, request)
    assert reply.finish is Finish.COMPLETE
    assert reply.text
    assert not {".", " "} & set(reply.text)


def test_responses_refuses_a_stop_that_it_could_not_send(engine: Server) -> None:
    request = ModelRequest("Count to ten.", stop=("four",))
    assert failed(engine, "responses", request).cause is Cause.BAD_REQUEST


class Ball(msgspec.Struct):
    """What the model is to describe."""

    colour: Literal["red", "blue"]
    size: int


def described(
    engine: Server, protocol: str, *, stream: bool, **extra: object
) -> Completion[Ball]:
    """Return a ball as the model describes it."""

    async def ask(model: BoundModel) -> Completion[Ball]:
        return await model.complete(
            "Describe a ball: its colour, and its size from 1 to 9.",
            output=Ball,
            max_tokens=60,
            temperature=0.0,
            stream=stream,
        )

    return trio.run(lambda: value_of(engine.address, protocol, ask, extra=extra))


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_held_to_its_schema_as_it_is_written(
    stream: bool, engine: Server
) -> None:
    completion = described(engine, "chat", stream=stream)
    assert completion.value.colour in ("red", "blue")
    assert (completion.repairs, completion.mended) == (0, False)


def test_a_field_of_ones_own_holds_responses_to_a_schema_there(engine: Server) -> None:
    # The engine passes over the protocol's own field, but knows that of another.
    schema = {"name": "ball", "schema": schema_of(Ball), "strict": True}
    held = {"type": "json_schema", "json_schema": schema}
    completion = described(engine, "responses", stream=False, response_format=held)
    assert completion.value.colour in ("red", "blue")
    assert completion.repairs == 0


@pytest.mark.parametrize("protocol", ["responses", "anthropic"])
def test_a_model_that_is_not_held_to_the_schema_is_asked_to_mend_or_fails(
    protocol: str, engine: Server
) -> None:
    async def ask(model: BoundModel) -> Completion[Ball]:
        return await model.complete(
            "A ball.", output=Ball, max_tokens=40, max_repairs=1
        )

    async def main() -> tuple[Failure | None, list[Completion[Ball]]]:
        async with asking(engine.address, protocol, ask) as asked:
            return (await asked.run()).failure, asked.values

    failure, values = trio.run(main)
    if failure is None:
        assert isinstance(values[0].value, Ball)
    else:
        assert failure.cause in (Cause.MALFORMED, Cause.SCHEMA, Cause.TRUNCATED)


LOOK_UP = Tool(
    "look_up",
    "Says what the weather is.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)


@every_protocol
def test_a_conversation_with_tools_and_every_role_is_taken(
    protocol: str, engine: Server
) -> None:
    # The template of this model knows no tools: it cannot ask for one.
    call = ToolRequestPart("call_1", "look_up", '{"city": "Paris"}')
    request = ModelRequest(
        (
            Message.of("system", "Be brief."),
            Message.of("user", "How is the weather in Paris?"),
            Message(
                "assistant", (*Message.of("assistant", "Let me look.").parts, call)
            ),
            Message("tool", (ToolResultPart("call_1", "It rains."),)),
            Message.of("assistant", "It rains."),
            Message.of("user", "Thank you. Say goodbye."),
        ),
        tools=(LOOK_UP,),
        max_tokens=60,
        stop=() if protocol == "responses" else (".", "!", "\n"),
    )

    async def ask(model: BoundModel) -> ModelReply:
        return await model.reply(request)

    async def main() -> Failure | None:
        async with asking(engine.address, protocol, ask) as asked:
            return (await asked.run()).failure

    failure = trio.run(main)
    assert failure is None or failure.cause is Cause.TRUNCATED


@every_protocol
def test_a_prompt_that_is_too_long_is_known_as_that(
    protocol: str, engine: Server
) -> None:
    long = ModelRequest("word " * 1200, max_tokens=4)
    assert failed(engine, protocol, long).cause is Cause.CONTEXT_TOO_LONG
