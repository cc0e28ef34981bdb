"""`with_faults` makes a stated share of the requests fail, the same ones each time."""

from __future__ import annotations

import itertools
import json
import random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from understudy.models import faults
from understudy.models.faults import Fault, FaultMix, with_faults
from understudy.models.scripted import ScriptedModel
from understudy.testing import run_seeded
from understudy_protocols.chat import (
    Finish,
    Finished,
    Model,
    ModelRequest,
    Price,
    TextPart,
)
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, FailureMode, ModelError

GOOD = '{"urgent": true}'


FREE = Price()


def inner(price: Price = FREE) -> ScriptedModel:
    return ScriptedModel(itertools.repeat(GOOD), name="inner", price=price)


def always(fault: Fault, **more: float) -> Model:
    return with_faults(
        inner(), FaultMix(**{fault.value: 1.0, **more}), random.Random(1)
    )


def fate(model: Model, text: str) -> str:
    async def main() -> str:
        try:
            return (await model.complete(ModelRequest(text))).text
        except ModelError as error:
            return error.cause.value

    return run_seeded(main, seed=1)


@pytest.mark.parametrize(
    ("fault", "cause", "mode"),
    [
        (Fault.TIMEOUT, Cause.TIMEOUT, FailureMode.TIMEOUT),
        (Fault.RATE_LIMIT, Cause.RATE_LIMIT, FailureMode.RATE_LIMIT),
        (Fault.OVERLOADED, Cause.OVERLOADED, FailureMode.RATE_LIMIT),
        (Fault.TRANSPORT, Cause.TRANSPORT, FailureMode.UNEXPECTED),
        (Fault.SERVER, Cause.SERVER, FailureMode.UNEXPECTED),
    ],
)
def test_a_fault_is_the_error_a_provider_would_give(
    fault: Fault, cause: Cause, mode: FailureMode
) -> None:
    with pytest.raises(ModelError, match=r"\(injected fault\)") as caught:
        run_seeded(always(fault).complete, ModelRequest("x"), seed=1)
    assert caught.value.cause is cause
    assert caught.value.cause.mode is mode
    assert caught.value.model == "inner"


def test_a_malformed_answer_is_paid_for_and_does_not_parse() -> None:
    price = Price(output_per_million_usd=1)
    model = with_faults(inner(price), FaultMix(malformed=1.0), random.Random(1))
    reply = run_seeded(model.complete, ModelRequest("x"), seed=1)
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.text)
    assert reply.parts == (TextPart(reply.text),)
    assert reply.usage.cost_micros > 0
    assert model.price is price


def test_a_refusal_is_an_answer_that_says_so() -> None:
    reply = run_seeded(always(Fault.REFUSED).complete, ModelRequest("x"), seed=1)
    assert reply.finish is Finish.REFUSED


def test_a_timeout_takes_its_time_unless_it_is_cut() -> None:
    model = always(Fault.TIMEOUT, timeout_after=50.0)

    async def main(patience: float) -> float:
        with trio.move_on_after(patience), pytest.raises(ModelError):
            await model.complete(ModelRequest("x"))
        return trio.current_time()

    assert run_seeded(main, 100.0, seed=1) == 50.0
    assert run_seeded(main, 5.0, seed=1) == 5.0


def test_a_rate_limit_says_how_long_to_wait_if_the_mix_does() -> None:
    with pytest.raises(ModelError) as caught:
        run_seeded(
            always(Fault.RATE_LIMIT, retry_after=3.0).complete,
            ModelRequest("x"),
            seed=1,
        )
    assert caught.value.retry_after == 3.0


async def ask_all(model: Model, texts: list[str]) -> dict[str, str]:
    """Ask all at once, in an order that the schedule decides."""
    fates: dict[str, str] = {}

    async def one(text: str) -> None:
        try:
            fates[text] = (await model.complete(ModelRequest(text))).text
        except ModelError as error:
            fates[text] = error.cause.value

    async with trio.open_nursery() as nursery:
        for text in texts:
            nursery.start_soon(one, text)
    return fates


def test_the_shares_are_met_over_many_requests() -> None:
    mix = FaultMix(timeout=0.1, rate_limit=0.1, malformed=0.05)
    model = with_faults(inner(), mix, random.Random(7))
    run_seeded(ask_all, model, [str(number) for number in range(4000)], seed=1)
    met = model.met
    assert 320 < met[Fault.TIMEOUT] < 480
    assert 320 < met[Fault.RATE_LIMIT] < 480
    assert 140 < met[Fault.MALFORMED] < 260
    assert met[Fault.SERVER] == 0


def test_the_same_requests_meet_the_same_faults_in_any_order() -> None:
    texts = [str(number) for number in range(60)]
    fates = [
        run_seeded(
            ask_all,
            with_faults(inner(), FaultMix(timeout=0.3, server=0.3), random.Random(7)),
            texts,
            seed=seed,
        )
        for seed in range(5)
    ]
    assert all(fate == fates[0] for fate in fates)
    other = with_faults(inner(), FaultMix(timeout=0.3, server=0.3), random.Random(8))
    assert run_seeded(ask_all, other, texts, seed=1) != fates[0]


def test_a_request_sent_again_may_fare_otherwise() -> None:
    model = with_faults(inner(), FaultMix(server=0.5), random.Random(1))
    assert {fate(model, "same") for _ in range(20)} == {GOOD, "server"}


def test_memory_of_requests_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_MAX_REQUESTS_KNOWN", 2)
    model = with_faults(inner(), FaultMix(server=0.5), random.Random(1))
    first = [fate(model, "same") for _ in range(6)]
    for other in "ab":
        fate(model, other)
    assert [fate(model, "same") for _ in range(6)] == first


def test_without_faults_the_model_is_as_it_was() -> None:
    model = with_faults(inner(), FaultMix(), random.Random(1))
    assert model.name == "inner"
    assert {fate(model, str(number)) for number in range(50)} == {GOOD}


@pytest.mark.parametrize(
    ("fault", "events"), [(None, 3), (Fault.MALFORMED, 2), (Fault.REFUSED, 2)]
)
def test_a_stream_fails_as_a_whole_answer_does(
    fault: Fault | None, events: int
) -> None:
    mix = FaultMix() if fault is None else FaultMix(**{fault.value: 1.0})
    model: Model = with_faults(inner(), mix, random.Random(1))

    async def main() -> list[object]:
        return [event async for event in model.stream(ModelRequest("x"))]

    seen = run_seeded(main, seed=1)
    assert len(seen) == events
    assert isinstance(seen[-1], Finished)


def test_a_stream_that_fails_shows_nothing_before() -> None:
    model = always(Fault.TRANSPORT)

    shown: list[object] = []

    async def main() -> None:
        async for event in model.stream(ModelRequest("x")):
            shown.append(event)  # noqa: PERF401 - it is to break off

    with pytest.raises(ModelError):
        run_seeded(main, seed=1)
    assert shown == []


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ({"timeout": -0.1}, "timeout is -0.1"),
        ({"server": 1.5}, "server is 1.5"),
        ({"refused": float("nan")}, "refused is nan"),
        ({"timeout": 0.6, "server": 0.6}, "1.2 together"),
        ({"timeout_after": -1.0}, "timeout_after is -1.0"),
    ],
)
def test_an_impossible_mix_is_refused(shares: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        FaultMix(**shares)


def test_shares_of_one_in_all_are_accepted() -> None:
    mix = FaultMix(0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1)
    assert mix.total == pytest.approx(1.0)


@given(
    shares=st.lists(st.floats(0, 1 / 7), min_size=7, max_size=7),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_chance_falls_on_each_fault_by_its_share(
    shares: list[float], chance: float
) -> None:
    bounds = list(itertools.accumulate(shares))
    fault = FaultMix(*shares).fault_at(chance)
    if any(abs(chance - bound) < 1e-9 for bound in bounds):
        return  # on the edge, where sums and differences may round apart
    below = [one for one, bound in zip(Fault, bounds, strict=True) if chance < bound]
    assert fault is (below[0] if below else None)
