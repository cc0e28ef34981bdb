"""`ScriptedModel` says what it was told to say, when it was told to say it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import attrs
import pytest
import trio

from understudy.models.scripted import ScriptedModel
from understudy.testing import run_seeded
from understudy_protocols.chat import (
    Finish,
    Finished,
    Message,
    Model,
    ModelReply,
    ModelRequest,
    Price,
    TextDelta,
)
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.frozen import FrozenMap


@attrs.frozen
class Verdict:
    urgent: bool
    issues: tuple[str, ...] = ()


async def ask(model: Model, text: str = "hello") -> ModelReply:
    return await model.complete(ModelRequest(text))


def texts(script: Iterable[object], count: int) -> list[str]:
    model: Model = ScriptedModel(script)

    async def main() -> list[str]:
        return [(await ask(model)).text for _ in range(count)]

    return run_seeded(main, seed=1)


def test_answers_come_in_the_order_of_the_script() -> None:
    assert texts(["one", "two"], 2) == ["one", "two"]


def test_a_script_without_end_never_runs_out() -> None:
    assert texts(itertools.repeat("yes"), 5) == ["yes"] * 5


def test_values_are_answered_as_json() -> None:
    script: list[object] = [{"a": [1, None]}, Verdict(True), FrozenMap({"b": 2}), 7]
    assert texts([*script, frozenset({"x"})], 5) == [
        '{"a":[1,null]}',
        '{"issues":[],"urgent":true}',
        '{"b":2}',
        "7",
        '["x"]',
    ]


def test_a_reply_is_passed_on_as_it_is() -> None:
    reply = ModelReply("no", finish=Finish.REFUSED)
    assert run_seeded(ask, ScriptedModel([reply]), seed=1) is reply


def test_an_exception_in_the_script_is_raised() -> None:
    error = ModelError("slow down", cause=Cause.RATE_LIMIT)
    with pytest.raises(ModelError) as caught:
        run_seeded(ask, ScriptedModel([error]), seed=1)
    assert caught.value is error


def test_a_function_answers_by_the_request() -> None:
    model = ScriptedModel(lambda request: request.text.upper())
    assert run_seeded(ask, model, seed=1).text == "HELLO"


def test_requests_are_remembered_in_order() -> None:
    model = ScriptedModel(["a", "b"])

    async def main() -> None:
        await ask(model, "first")
        await ask(model, "second")

    run_seeded(main, seed=1)
    assert [request.text for request in model.requests] == ["first", "second"]


def test_a_script_that_ran_out_says_so() -> None:
    with pytest.raises(ConfigError, match=r"has 1 answer\(s\), and this is request 2"):
        texts(["only"], 2)


def test_an_answer_that_has_no_json_is_refused() -> None:
    with pytest.raises(ConfigError, match="an object cannot be written as JSON"):
        texts([object()], 1)


def test_usage_is_estimated_and_priced() -> None:
    price = Price(input_per_million_usd=1, output_per_million_usd=10)
    model = ScriptedModel(["12345678"], name="m", price=price)
    reply = run_seeded(ask, model, "1234", seed=1)
    usage = reply.usage
    assert (usage.calls, usage.input_tokens, usage.output_tokens) == (1, 1, 2)
    assert usage.cost_micros == 21
    assert usage.estimated
    assert reply.model == model.name == "m"
    assert model.price is price


def test_a_text_over_max_tokens_is_cut_and_ends_as_truncated() -> None:
    model = ScriptedModel(itertools.repeat("12345678"))

    async def main(most: int) -> ModelReply:
        return await model.complete(ModelRequest("hello", max_tokens=most))

    cut, whole = run_seeded(main, 1, seed=1), run_seeded(main, 2, seed=1)
    assert (cut.text, cut.finish, cut.usage.output_tokens) == (
        "1234",
        Finish.TRUNCATED,
        1,
    )
    assert (whole.text, whole.finish) == ("12345678", Finish.COMPLETE)


def test_latency_is_virtual_time_and_may_depend_on_the_request() -> None:
    async def main(model: Model) -> float:
        await ask(model)
        return trio.current_time()

    assert run_seeded(main, ScriptedModel(["a"], latency=2.5), seed=1) == 2.5
    by_length = ScriptedModel(["a"], latency=lambda request: len(request.text))
    assert run_seeded(main, by_length, seed=1) == 5.0


def test_answers_follow_the_order_of_the_requests_not_of_their_ends() -> None:
    model = ScriptedModel(
        ["to a", "to b"], latency=lambda request: 2 if request.text == "a" else 1
    )
    got: dict[str, str] = {}

    async def ask_later(text: str, start: float) -> None:
        await trio.sleep(start)
        got[text] = (await ask(model, text)).text

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_later, "a", 0.1)
            nursery.start_soon(ask_later, "b", 0.2)

    run_seeded(main, seed=1)
    assert got == {"a": "to a", "b": "to b"}


def test_a_stream_is_the_words_and_then_the_reply() -> None:
    model = ScriptedModel([" a few  words", ""])

    async def main() -> list[object]:
        return [event async for event in model.stream(ModelRequest("hello"))]

    *pieces, end = run_seeded(main, seed=1)
    assert [piece.text for piece in pieces if isinstance(piece, TextDelta)] == [
        " ",
        "a ",
        "few  ",
        "words",
    ]
    assert isinstance(end, Finished)
    assert end.reply.text == " a few  words"
    assert len(run_seeded(main, seed=1)) == 1


def test_every_call_is_a_checkpoint() -> None:
    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await ask(ScriptedModel(["a"]))
        assert scope.cancelled_caught

    run_seeded(main, seed=1)


def test_without_a_user_the_usage_still_counts_all_messages() -> None:
    async def main() -> ModelReply:
        request = ModelRequest([Message.of("system", "12345678")])
        return await ScriptedModel(["a"]).complete(request)

    assert run_seeded(main, seed=1).usage.input_tokens == 2
