"""What a server of others says in providers' formats, faults among it."""

from __future__ import annotations

import pytest
import trio
from asking_engine import PROTOCOLS, asking, value_of
from server_process import Server, listening

from understudy import BoundModel, Cause, Finish, ModelReply
from understudy.models.conversation import Conversation, converse
from understudy_protocols.chat import ModelRequest
from understudy_protocols.failures import Failure
from understudy_protocols.usage import Usage

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
both_ways = pytest.mark.parametrize("stream", [False, True])


def outcome(
    mock: Server, protocol: str, prompt: str, *, stream: bool
) -> ModelReply | Failure:
    """Return what a run comes to that asks for *prompt* once."""

    async def ask(model: BoundModel) -> ModelReply:
        request = ModelRequest(prompt, max_tokens=64)
        return await model.reply(request, stream=stream)

    async def main() -> ModelReply | Failure:
        async with asking(mock.address, protocol, ask) as asked:
            failure = (await asked.run()).failure
            return failure or asked.values[0]

    return trio.run(main)


def cause(mock: Server, protocol: str, prompt: str, *, stream: bool) -> Cause:
    """Return why a run fails that asks for *prompt*."""
    failure = outcome(mock, protocol, prompt, stream=stream)
    assert isinstance(failure, Failure)
    return failure.cause


def test_aimock_listens_on_loopback_only(mock: Server) -> None:
    assert listening(mock.pid) == {mock.address}


@every_protocol
@both_ways
def test_an_answer_comes_whole_in_every_protocol(
    protocol: str, stream: bool, mock: Server
) -> None:
    reply = outcome(mock, protocol, "greet", stream=stream)
    assert isinstance(reply, ModelReply)
    assert reply.text == "Hello, Ada. It is good to see you here."
    assert reply.finish is Finish.COMPLETE
    assert reply.usage.output_tokens == 9 or reply.usage.estimated


@every_protocol
@both_ways
@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("too long", Cause.TRUNCATED),
        ("rate limit", Cause.RATE_LIMIT),
        ("overloaded", Cause.OVERLOADED),
        ("quota", Cause.QUOTA),
        ("key", Cause.AUTH),
        ("vanish", Cause.TRANSPORT),
        ("garbage", Cause.MALFORMED),
        ("fail", Cause.SERVER),
    ],
)
def test_a_failure_is_known_by_its_status_and_type(
    prompt: str, expected: Cause, protocol: str, stream: bool, mock: Server
) -> None:
    assert cause(mock, protocol, prompt, stream=stream) is expected


@every_protocol
def test_a_stream_that_breaks_off_is_no_answer(protocol: str, mock: Server) -> None:
    assert cause(mock, protocol, "break off", stream=True) is Cause.TRANSPORT


@every_protocol
@both_ways
def test_a_model_that_asks_for_functions_is_told_what_they_return(
    protocol: str, stream: bool, mock: Server
) -> None:
    cities = list[str]()

    async def weather(city: str) -> str:
        """Say how the weather is."""
        cities.append(city)
        return f"It rains in {city}."

    async def ask(model: BoundModel) -> Conversation:
        return await converse(model, "How is the weather?", [weather], stream=stream)

    conversation = trio.run(value_of, mock.address, protocol, ask)
    assert sorted(cities) == ["Paris", "Rome"]
    assert (conversation.text, conversation.rounds) == ("It rains in both.", 1)


def test_a_broken_stream_is_charged_by_estimate(mock: Server) -> None:
    async def ask(model: BoundModel) -> ModelReply:
        return await model.reply(ModelRequest("break off", max_tokens=64), stream=True)

    async def main() -> Usage:
        async with asking(mock.address, "chat", ask) as asked:
            return (await asked.run()).usage

    usage = trio.run(main)
    assert usage.estimated
    assert usage.output_tokens > 0
