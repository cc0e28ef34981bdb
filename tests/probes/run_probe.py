"""What the tests of runs share: one run under a seed, and models that fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Never, TypeVar, cast

import pytest
import trio

from understudy import (
    Attempt,
    Cause,
    Context,
    Model,
    ModelError,
    RunResult,
    Runtime,
    Workflow,
    step,
)
from understudy.models.scripted import ScriptedModel
from understudy.testing import run_seeded

SEEDS = range(4)
seeded = pytest.mark.parametrize("seed", SEEDS)

I = TypeVar("I")
O = TypeVar("O")
D = TypeVar("D")


def failing(cause: Cause, retry_after: float | None = None) -> ModelError:
    """Return what a model raises that fails so."""
    return ModelError("it did not work", cause=cause, retry_after=retry_after)


def scripted(*answers: object, latency: float = 0.0) -> ScriptedModel:
    """Return a model with these answers."""
    return ScriptedModel(answers, latency=latency)


@step
async def asking(context: Context[object], attempt: Attempt[object]) -> str:
    """Ask the model ``m`` once."""
    return (await attempt.models["m"].complete("hello")).value


def run_one(
    workflow: Workflow[I, O, Never],
    seed: int,
    *,
    models: Mapping[str, Model] | None = None,
    deadline: float | None = None,
    input: I | None = None,  # noqa: A002 - the field's own word
) -> RunResult[O]:
    """Run *workflow* once in a runtime of its own; time starts at 0."""

    given = cast("I", 0) if input is None else input

    async def main() -> RunResult[O]:
        async with Runtime(workflow, models=models, seed=seed) as runtime:
            return await runtime.run(workflow, given, deadline=deadline)

    return run_seeded(main, seed=seed)


async def let_out_cancelled() -> trio.Cancelled:
    """Return a Cancelled whose scope is over: nobody is there to catch it."""
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            return error
    raise AssertionError("a cancelled scope cancels")


def numbers(result: RunResult[object]) -> list[int]:
    """Return the numbers of the failed attempts of the first step."""
    return [record.number for record in result.steps[0].attempts]


def starts(result: RunResult[object]) -> list[float]:
    """Return when the failed attempts of the first step began; seconds."""
    return [record.started for record in result.steps[0].attempts]


def workers(runtime: Runtime[D]) -> Iterable[str]:
    """Return the names of the runtime's worker tasks."""
    tasks = runtime._system.nursery.child_tasks
    return [task.name for task in tasks if "_work" in task.name]


def nothing_is_left(runtime: Runtime[object]) -> bool:
    """Whether no permit, worker, wait or hold of any run is out."""
    return not runtime.list() and runtime._door._inside == 0
