"""Faults put into a model behind a gate: the gate stays, and hears of them."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import pytest
import trio
from call_probe import gate
from gated_probe import Say, Told
from hypothesis import given
from hypothesis import strategies as st

from understudy import (
    Attempt,
    Budget,
    Cause,
    ConfigError,
    Context,
    ModelRequest,
    RetryConfig,
    RunResult,
    Runtime,
    step,
)
from understudy.gates.limits import Limits
from understudy.models.faults import FaultMix, FaultyModel, with_faults
from understudy.models.gated import GatedModel
from understudy.models.part_bounds import PartBounds
from understudy.testing import run_seeded
from understudy_protocols.chat import StreamEvent, TextDelta


def faulty(model: Told, mix: FaultMix | None = None) -> GatedModel:
    made = with_faults(model, mix or FaultMix(), random.Random(1))
    assert isinstance(made, GatedModel)
    return made


def test_all_that_is_known_of_the_model_inside_is_kept() -> None:
    model = Told(name="inside", hedge_after=3.0, fits=lambda request: False)
    model.fallbacks, model.context_window = ("other",), 9_000
    model.part_bounds = PartBounds(image=5)
    around = faulty(model)
    for name in GatedModel.__annotations__:
        assert getattr(around, name) == getattr(model, name), name
    assert not around.can(ModelRequest("x"))


def test_a_gate_is_not_gone_round() -> None:
    with pytest.raises(ConfigError, match="m is asked through its gate only"):
        FaultyModel(Told(), FaultMix(), 1)


@step(retry=RetryConfig(max_attempts=2, backoff_base=0.0))
async def ask(context: Context[str], attempt: Attempt[object]) -> str:
    return (await attempt.models["m"].complete(context.input)).value


def ran(model: GatedModel, count: int = 1) -> list[RunResult[str]]:
    async def main() -> list[RunResult[str]]:
        budget = Budget(usd=1, tokens=10**6)
        async with Runtime(ask, models={"m": model}, budget=budget) as runtime:
            texts = [f"text {number}" for number in range(count)]
            many = runtime.run_many(ask, texts, concurrency=count)
            return [result async for result in many]

    return run_seeded(main, seed=0)


def test_no_more_are_under_way_than_the_gate_lets_in() -> None:
    model = Told(Say("yes", after=1), through=gate(limits=Limits(max_concurrent=1)))
    results = ran(faulty(model), 3)
    assert sorted(result.duration for result in results) == [1, 2, 3]
    assert all(result.usage.calls == 1 for result in results)


def test_a_rate_limit_that_is_put_in_shuts_the_gate() -> None:
    model = Told(Say("yes"))
    around = faulty(model, FaultMix(rate_limit=1.0, retry_after=7.0))
    (result,) = ran(around)
    assert result.failure is not None
    assert result.failure.cause is Cause.RATE_LIMIT
    assert result.duration == 7.0  # the second try waited for what the first was told
    assert (around.gate.under_way, around.gate.waiting) == (0, 0)
    assert model.sent == []


@given(seed=st.integers(0, 100), count=st.integers(1, 6))
def test_nothing_is_held_at_the_gate_after_faults(seed: int, count: int) -> None:
    model = Told(Say("yes"))
    share = 1 / 7
    mix = FaultMix(*(share,) * 7, timeout_after=2.0)
    around = with_faults(model, mix, random.Random(seed))
    assert isinstance(around, GatedModel)
    ran(around, count)
    assert (around.gate.under_way, around.gate.waiting) == (0, 0)


def test_leaving_a_stream_closes_the_one_inside_at_once() -> None:
    closed: list[float] = []

    class Endless(Told):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
            try:
                while True:
                    yield TextDelta("x")
            finally:
                closed.append(trio.current_time())

    async def main() -> int:
        events = faulty(Endless()).stream(ModelRequest("x"))
        async with aclosing(cast("AsyncGenerator[StreamEvent]", events)) as stream:
            async for _ in stream:
                break
        return len(closed)

    assert run_seeded(main, seed=0) == 1
