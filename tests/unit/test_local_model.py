"""`LocalModel` turns any Python function into a model."""

from __future__ import annotations

import pytest
import trio

from understudy.models.local import LocalModel
from understudy.testing import run_seeded
from understudy_protocols.chat import (
    Finish,
    Message,
    Model,
    ModelReply,
    ModelRequest,
    Price,
)
from understudy_protocols.failures import Cause, ModelError

REQUEST = ModelRequest(
    [
        Message.of("system", "be brief"),
        Message.of("user", "hello"),
        Message.of("assistant", "yes?"),
    ]
)


def shout(text: str) -> str:
    return text.upper()


def answer_of(model: Model, request: ModelRequest = REQUEST) -> ModelReply:
    return run_seeded(model.complete, request, seed=1)


def test_a_plain_function_answers_the_last_message_of_the_user() -> None:
    reply = answer_of(LocalModel(shout))
    assert reply.text == "HELLO"
    assert reply.finish is Finish.COMPLETE
    assert reply.model == "shout"


def test_an_async_function_is_awaited() -> None:
    async def slow(text: str) -> str:
        await trio.sleep(3)
        return f"{text} after {trio.current_time():g} s"

    assert answer_of(LocalModel(slow)).text == "hello after 3 s"


def test_without_a_user_all_text_is_given() -> None:
    request = ModelRequest([Message.of("system", "a"), Message.of("tool", "b")])
    assert answer_of(LocalModel(shout), request).text == "A\nB"


def test_a_function_may_take_the_whole_request() -> None:
    model = LocalModel(lambda request: len(request.messages), takes="request", name="n")
    assert answer_of(model).text == "3"


def test_values_are_answered_as_json_and_replies_as_they_are() -> None:
    def classify(_: str) -> dict[str, object]:
        return {"label": "billing"}

    reply = ModelReply("no", finish=Finish.REFUSED)
    assert answer_of(LocalModel(classify)).text == '{"label":"billing"}'
    assert answer_of(LocalModel(lambda _: reply)) is reply


def test_a_call_has_a_price() -> None:
    price = Price(per_call_usd=0.001, input_per_million_usd=1)
    model = LocalModel(shout, name="rules", price=price)
    assert model.name == "rules"
    assert model.price is price
    usage = answer_of(model).usage
    assert usage.calls == 1
    assert usage.cost_micros == 1000 + usage.input_tokens


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (KeyError("a bug"), Cause.STEP_ERROR),
        (TimeoutError("late"), Cause.TIMEOUT),
        (ConnectionResetError("gone"), Cause.TRANSPORT),
    ],
)
def test_what_the_function_raises_becomes_a_model_error_of_the_same_cause(
    error: Exception, cause: Cause
) -> None:
    def fails(_: str) -> str:
        raise error

    async def fails_later(_: str) -> str:
        await trio.sleep(1)
        raise error

    for model in (LocalModel(fails), LocalModel(fails_later)):
        with pytest.raises(ModelError) as caught:
            answer_of(model)
        assert caught.value.cause is cause
        assert caught.value.model == model.name
        assert caught.value.__cause__ is error
        assert f"{model.name!r} raised {type(error).__name__}" in str(caught.value)


def test_a_model_error_is_raised_as_it_is() -> None:
    error = ModelError("slow down", cause=Cause.RATE_LIMIT, retry_after=3)

    def fails(_: str) -> str:
        raise error

    with pytest.raises(ModelError) as caught:
        answer_of(LocalModel(fails))
    assert caught.value is error
    assert error.__cause__ is None


def test_an_answer_without_json_is_an_error_that_names_the_type() -> None:
    with pytest.raises(ModelError, match="an object cannot be written as JSON"):
        answer_of(LocalModel(lambda _: object(), name="odd"))


def test_a_cancelled_call_does_not_begin() -> None:
    calls: list[str] = []

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await LocalModel(calls.append).complete(REQUEST)
        assert scope.cancelled_caught

    run_seeded(main, seed=1)
    assert calls == []


def test_a_callable_object_is_named_by_its_class() -> None:
    class Rules:
        def __call__(self, text: str) -> str:
            return text

    assert LocalModel(Rules()).name == "Rules"


def test_it_streams() -> None:
    async def main() -> int:
        model: Model = LocalModel(lambda _: "two words", name="m")
        return len([event async for event in model.stream(REQUEST)])

    assert run_seeded(main, seed=1) == 3
