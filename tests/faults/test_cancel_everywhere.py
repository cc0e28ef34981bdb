"""Cancel a host at its first, second, ... last checkpoint: nothing is left behind."""

from __future__ import annotations

import pytest
import trio
from fault_probe import Ledger, check_at_rest

from understudy import (
    Attempt,
    Budget,
    Cause,
    Context,
    ModelError,
    Price,
    RetryConfig,
    RunStatus,
    Runtime,
    best_effort,
    each,
    first_success,
    parallel,
    repeat,
    sequence,
    step,
)
from understudy.models.scripted import ScriptedModel
from understudy.testing import run_seeded


@step
async def items(context: Context[object]) -> tuple[int, ...]:
    await trio.sleep(0.1)
    return (1, 2, 3)


@step(max_concurrent=2)
async def asks(context: Context[object], attempt: Attempt[object]) -> str:
    reply = await attempt.models["m"].complete("hello", max_tokens=10)
    try:
        await trio.sleep(0.2)
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.05)
    return reply.value


@step(retry=RetryConfig(backoff_base=0.5))
async def flaky(context: Context[object], attempt: Attempt[object]) -> int:
    await trio.sleep(0.1)
    if attempt.number < 3:
        raise ConnectionError("gone")
    return 1


@step
async def slow(context: Context[object]) -> int:
    await trio.sleep(50)
    return 2


flow = sequence(
    items,
    parallel(
        many=each(asks, over=items, max_concurrent=2),
        again=repeat(flaky, until=lambda value: False, max_rounds=2),
        raced=parallel(
            quick=flaky.named("quick"), slow=slow, join=first_success()
        ).named("race"),
    ),
    each(asks.named("more"), over=items, join=best_effort()),
)


def _model() -> ScriptedModel:
    def answer(request: object) -> object:
        if len(model.requests) % 3 == 1:
            return ModelError("busy", cause=Cause.OVERLOADED, retry_after=0.7)
        return "yes"

    model = ScriptedModel(answer, latency=0.3, price=Price(1, 1))
    return model


class Checkpoints(trio.abc.Instrument):
    """Cancels a scope before a task's n-th step, counted over all tasks."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.scope: trio.CancelScope | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.scope is not None:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()


async def _scenario(at: int, inner: bool) -> bool:
    """Run the flow twice side by side, one of them cut; whether it was."""
    counter = Checkpoints(at)
    runtime = Runtime(flow, models={"m": _model()}, budget=Budget(usd=1))
    ledger = Ledger(runtime)
    with trio.CancelScope() as whole:
        async with runtime:
            trio.lowlevel.add_instrument(counter)
            counter.scope = trio.CancelScope() if inner else whole
            async with trio.open_nursery() as nursery:
                other = await runtime.submit(flow, 0)
                nursery.start_soon(_cut, runtime, counter)
            counter.scope = None
            trio.lowlevel.remove_instrument(counter)
            result = await other.result()
            assert result.ok
            await check_at_rest(runtime, ledger)
    if counter.scope is not None:
        trio.lowlevel.remove_instrument(counter)
    ledger.check()
    assert {run.status for run in ledger.runs} <= {
        RunStatus.COMPLETED,
        RunStatus.CANCELLED,
    }
    assert trio.lowlevel.current_task().child_nurseries == []
    return counter.left <= 0


async def _cut(runtime: Runtime[object], counter: Checkpoints) -> None:
    scope = counter.scope
    assert scope is not None
    if scope.cancel_called or scope._has_been_entered:
        await runtime.run(flow, 1)
    else:
        with scope:
            await runtime.run(flow, 1)


@pytest.mark.parametrize("inner", [True, False], ids=["a run", "the host"])
@pytest.mark.parametrize("seed", range(2))
def test_a_cancel_at_any_checkpoint_leaves_nothing_behind(
    seed: int, inner: bool
) -> None:
    at = 1
    while run_seeded(_scenario, at, inner, seed=seed):
        at += 1
    # As many as there are: the scenario has well over a hundred steps of tasks.
    assert at > 100
