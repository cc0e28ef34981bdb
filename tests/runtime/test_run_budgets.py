"""Budgets of runs and of the runtime: reserved before a call, settled after it."""

from __future__ import annotations

import trio
from run_probe import failing, scripted, seeded

from understudy import (
    Attempt,
    Budget,
    Cause,
    Context,
    Price,
    RetryConfig,
    RunResult,
    RunStatus,
    Runtime,
    each,
    sequence,
    step,
)
from understudy.models.scripted import ScriptedModel
from understudy.testing import run_seeded

PRICED = Price(input_per_million_usd=1, output_per_million_usd=1)


def priced(latency: float = 1.0) -> ScriptedModel:
    return ScriptedModel(lambda request: "x" * 40, price=PRICED, latency=latency)


@step
async def items(context: Context[object]) -> tuple[int, ...]:
    return tuple(range(10))


@step(retry=RetryConfig(max_attempts=1))
async def asks(context: Context[object], attempt: Attempt[object]) -> str:
    return (await attempt.models["m"].complete("y" * 40, max_tokens=10)).value


wide = sequence(items, each(asks, over=items, max_concurrent=10))


@seeded
def test_a_cap_on_calls_stops_the_call_that_would_pass_it(seed: int) -> None:
    async def main() -> tuple[RunResult[object], int]:
        model = priced()
        async with Runtime(wide, models={"m": model}) as runtime:
            result = await runtime.run(wide, 0, budget=Budget(calls=4))
            return result, len(model.requests)

    result, sent = run_seeded(main, seed=seed)
    assert result.status is RunStatus.FAILED
    assert result.failure is not None
    assert result.failure.cause is Cause.BUDGET
    assert sent <= 4
    assert result.usage.calls == sent


@seeded
def test_the_runtime_has_a_budget_over_all_runs(seed: int) -> None:
    async def main() -> tuple[list[RunStatus], int]:
        model = priced()
        async with Runtime(
            asks, models={"m": model}, budget=Budget(calls=3)
        ) as runtime:
            many = runtime.run_many(
                asks, range(6), concurrency=6, budget=Budget(calls=2)
            )
            statuses = [result.status async for result in many]
            assert runtime._budget.spent.calls == 3
            return statuses, len(model.requests)

    statuses, sent = run_seeded(main, seed=seed)
    assert sent == 3
    assert statuses.count(RunStatus.COMPLETED) == 3
    assert statuses.count(RunStatus.FAILED) == 3


@seeded
def test_a_call_that_is_cut_off_stays_charged_at_its_worst(seed: int) -> None:
    async def main() -> RunResult[str]:
        async with Runtime(asks, models={"m": priced(latency=20)}) as runtime:
            return await runtime.run(asks, 0, deadline=5.0, budget=Budget(usd=1.0))

    result = run_seeded(main, seed=seed)
    assert result.status is RunStatus.EXPIRED
    assert result.usage.calls == 1
    # 40 letters and what may stand around them, and ten tokens at most.
    assert result.usage.tokens == 40 + 16 + 10
    assert result.usage.cost_micros == 66
    assert result.usage.estimated


@seeded
def test_a_call_that_is_settled_gives_back_what_it_did_not_use(seed: int) -> None:
    async def main() -> RunResult[str]:
        async with Runtime(twice, models={"m": priced()}) as runtime:
            return await runtime.run(twice, 0, budget=Budget(tokens=66 + 20))

    @step
    async def twice(context: Context[object], attempt: Attempt[object]) -> str:
        model = attempt.models["m"]
        await model.complete("y" * 40, max_tokens=10)
        return (await model.complete("y" * 40, max_tokens=10)).value

    result = run_seeded(main, seed=seed)
    assert result.ok
    assert result.usage.tokens == 40


@seeded
def test_a_call_that_was_turned_away_costs_a_call_and_nothing_else(seed: int) -> None:
    model = scripted(failing(Cause.AUTH))

    async def main() -> RunResult[str]:
        async with Runtime(asks, models={"m": model}) as runtime:
            return await runtime.run(asks, 0, budget=Budget(usd=1.0))

    result = run_seeded(main, seed=seed)
    assert (result.usage.calls, result.usage.cost_micros) == (1, 0)


@seeded
def test_a_call_that_broke_off_may_have_been_billed_and_the_worst_counts(
    seed: int,
) -> None:
    model = ScriptedModel([failing(Cause.TRANSPORT)], price=PRICED)

    async def main() -> RunResult[str]:
        async with Runtime(asks, models={"m": model}) as runtime:
            return await runtime.run(asks, 0, budget=Budget(usd=1.0))

    result = run_seeded(main, seed=seed)
    assert (result.usage.calls, result.usage.cost_micros) == (1, 66)
    assert result.usage.estimated


@seeded
def test_under_a_cap_a_call_without_a_bound_is_refused(seed: int) -> None:
    @step
    async def unbounded(context: Context[object], attempt: Attempt[object]) -> str:
        return (await attempt.models["m"].complete("?")).value

    async def main() -> None:
        model = priced()
        async with Runtime(unbounded, models={"m": model}) as runtime:
            result = await runtime.run(unbounded, 0, budget=Budget(usd=1.0))
            assert result.failure is not None
            assert result.failure.cause is Cause.BUDGET
            assert "max_tokens" in result.failure.message
            assert model.requests == ()
            assert (await runtime.run(unbounded, 0)).ok
            assert trio.current_time() == 1.0

    run_seeded(main, seed=seed)
