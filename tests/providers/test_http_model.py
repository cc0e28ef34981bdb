"""A model over HTTP: whole answers, broken ones, and what each of them cost."""

from __future__ import annotations

import json
import traceback
from collections.abc import Awaitable, Callable

import pytest
import trio
from call_probe import ADDRESS, KEY, NOTHING, client, gate, left, model, request
from fault_script import (
    Answer,
    Content,
    End,
    Framing,
    Kind,
    Terminal,
    event,
)
from memory_network import MemoryNetwork, memory_network

from understudy.gates.limits import Limits
from understudy.gates.line import Need
from understudy.providers.http import Client
from understudy.providers.http_model import HttpModel
from understudy.providers.openai_responses import OpenAIResponses
from understudy.providers.secret import Secret
from understudy.providers.wire import WireSettings
from understudy.testing import run_seeded
from understudy_protocols.chat import (
    Finished,
    Message,
    ModelRequest,
    StreamEvent,
    TextDelta,
)
from understudy_protocols.failures import Cause, ModelError

TEXTS = ("one ", "two ", "three")


def events(terminal: Terminal = Terminal.DONE) -> Content:
    return Content(Kind.EVENTS, TEXTS, terminal)


def with_network(
    answer: Answer, test: Callable[[MemoryNetwork], Awaitable[None]]
) -> None:
    async def main() -> None:
        async with memory_network(lambda seen: answer) as network:
            await test(network)

    run_seeded(main, seed=0)


async def broken_stream(to: Client) -> tuple[list[StreamEvent], ModelError]:
    """Return what a stream brings until it fails, and how."""
    brought: list[StreamEvent] = []
    stream = model(to).stream(request(0))
    while True:
        try:
            brought.append(await anext(stream))
        except ModelError as error:
            return brought, error


async def ask(to: Client, *, streamed: bool) -> object:
    """Ask in one way or the other; return the first that comes."""
    if streamed:
        return await anext(model(to).stream(request(0)))
    return await model(to).complete(request(0))


@pytest.mark.parametrize("framing", Framing)
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET, None])
def test_a_stream_without_its_terminal_event_is_a_failure_and_no_answer(
    framing: Framing, end: End | None
) -> None:
    """Also if HTTP says that the body has ended as it should."""
    whole = Answer(content=events(Terminal.NOTHING), framing=framing)
    cut = None if end is None else len(whole.wire) - 3
    answer = Answer(
        content=events(Terminal.NOTHING if cut is None else Terminal.DONE),
        framing=framing,
        cut=cut,
        end=end or End.CLOSE,
    )

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            brought, error = await broken_stream(to)
        assert not any(isinstance(told, Finished) for told in brought)
        shown = "".join(told.text for told in brought if isinstance(told, TextDelta))
        assert error.partial == shown != ""
        assert error.cause is Cause.TRANSPORT
        assert error.usage is not None
        assert error.usage.estimated
        assert (error.usage.calls, error.usage.input_tokens) == (1, 7)
        assert error.usage.output_tokens == len(shown)

    with_network(answer, main)


def test_an_error_in_a_stream_says_what_it_cost_itself() -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            brought, error = await broken_stream(to)
        assert [type(told) for told in brought] == [TextDelta] * 3
        assert (error.cause, error.partial) == (Cause.OVERLOADED, "one two three")
        assert error.model == "m"

    with_network(Answer(content=events(Terminal.ERROR)), main)


@pytest.mark.parametrize("media_type", [None, "Application/JSON ; charset=utf-8"])
def test_a_server_that_does_not_stream_is_understood(media_type: str | None) -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            told = [told async for told in model(to).stream(request(0))]
        (last,) = told
        assert isinstance(last, Finished)
        assert last.reply.text == "hello"

    with_network(Answer(media_type=media_type), main)


@pytest.mark.parametrize(
    ("media_type", "cause"),
    [("text/html", Cause.MALFORMED), ("text/event-stream", Cause.TRANSPORT)],
)
def test_a_page_for_people_is_no_stream(media_type: str, cause: Cause) -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            _, error = await broken_stream(to)
        assert error.cause is cause

    with_network(Answer(content=Content(Kind.HTML), media_type=media_type), main)


def test_events_are_read_whatever_the_body_is_called() -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            told = [told async for told in model(to).stream(request(0))]
        assert isinstance(told[-1], Finished)

    with_network(Answer(content=events(), media_type="text/plain"), main)


def test_an_event_larger_than_any_model_sends_is_malformed() -> None:
    huge = b"data: " + b"x" * (17 * 1024 * 1024)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            brought, error = await broken_stream(to)
            assert error.cause is Cause.MALFORMED
            assert error.partial == "begun"
            assert len(brought) == 1
            assert network.streams == set()

    with_network(Answer(garbage=head + event({"text": "begun"}) + huge), main)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("end", End)
def test_a_status_is_believed_even_if_its_words_break_off(
    end: End, streamed: bool
) -> None:
    whole = Answer(
        status=429, headers=(("retry-after", "7"),), content=Content(Kind.ERROR)
    )
    answer = Answer(
        status=429,
        headers=whole.headers,
        content=whole.content,
        cut=len(whole.wire) - 3,
        end=end,
    )

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            with pytest.raises(ModelError) as caught:
                await ask(to, streamed=streamed)
        assert caught.value.cause is Cause.RATE_LIMIT
        assert caught.value.retry_after == 7

    with_network(answer, main)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_key_that_the_server_repeats_is_not_shown(streamed: bool) -> None:
    said = f'{{"error": "{KEY}"}}'.encode()
    head = b"HTTP/1.1 401 No\r\ncontent-length: %d\r\n\r\n" % len(said)

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            with pytest.raises(ModelError) as caught:
                await ask(to, streamed=streamed)
        error = caught.value
        assert error.cause is Cause.AUTH
        shown = "".join(traceback.format_exception(error))
        assert KEY not in shown + repr(error) + str(error.args)

    with_network(Answer(garbage=head + said), main)


def test_what_a_model_has_thought_goes_back_to_it_and_to_no_other() -> None:
    thought = {"type": "reasoning", "encrypted_content": "planted"}
    whole = json.dumps({"status": "completed", "output": [thought]}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    wire = head + b"content-length: %d\r\n\r\n" % len(whole) + whole

    async def main(network: MemoryNetwork) -> None:
        def thinker(name: str, to: Client) -> HttpModel:
            how = WireSettings(model=name, max_tokens=50)
            codec = OpenAIResponses()
            return HttpModel(name, codec, how, client=to, key=Secret(KEY), gate=gate())

        async with client(network) as to, client(network, address=f"{ADDRESS}1") as no:
            first = await thinker("a", to).complete(request(0))
            turns = (Message("assistant", first.parts), Message.of("user", "more"))
            for model in (thinker("a", to), thinker("b", to), thinker("a", no)):
                await model.complete(ModelRequest(turns))
                async for _ in model.stream(ModelRequest(turns)):
                    pass
        told = [b"planted" in seen.body for seen in network.server.seen]
        assert told == [False, True, True, False, False, False, False]

    with_network(Answer(garbage=wire), main)


def test_what_a_provider_says_of_its_limits_reaches_the_gate() -> None:
    said = (
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "1"),
        ("x-ratelimit-limit-tokens", "6000"),
        ("x-ratelimit-remaining-tokens", "50"),
    )

    async def main(network: MemoryNetwork) -> None:
        through = gate(limits=Limits())
        to = client(network)
        async with to:
            asked = model(to, through)
            ticket = await through.enter(Need(40), latest=1, key=request(0).key)
            reply = await asked.complete(request(0))
            through.succeeded(ticket, reply.usage.tokens)
            # It is left as the provider said: this request is in its numbers.
            assert through.blocked(Need(50)) is None
            blocked = through.blocked(Need(51))
            assert blocked is not None
            assert blocked.cause is Cause.RATE_LIMIT
            assert blocked.until - trio.current_time() == pytest.approx(0.01)
            assert left(through, to) == NOTHING

    with_network(Answer(headers=said), main)


def test_who_waits_for_a_probe_waits_until_its_answer_begins() -> None:
    through, began = gate(), list[float]()
    slow = Answer(content=events(), framing=Framing.CHUNKED, piece=40, gap=1.0)

    async def main(network: MemoryNetwork) -> None:
        async def ask(to: Client, number: int) -> None:
            asked = request(number)
            ticket = await through.enter(Need(1), latest=100, key=asked.key)
            began.append(trio.current_time())
            async for _ in model(to, through).stream(asked):
                pass
            through.succeeded(ticket, 1)

        refused = await through.enter(Need(1), latest=1)
        through.failed(refused, Cause.RATE_LIMIT, 2.0, 0)
        async with client(network) as to, trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(ask, to, number)
        assert began[0] == pytest.approx(2)
        takes = trio.current_time() - began[1]
        assert began[1] == began[2] < began[0] + takes - 1

    with_network(slow, main)
