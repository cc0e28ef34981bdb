"""What the tests of this folder share: one run, seeded, and steps that take notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Never, TypeVar, cast

import trio

from understudy import (
    Cause,
    Context,
    RetryConfig,
    RunResult,
    Runtime,
    Step,
    StepError,
    Workflow,
    parallel,
    step,
)
from understudy.testing import run_seeded
from understudy.workflows.nodes import AnyWorkflow, Parallel

O = TypeVar("O")

SEEDS = range(5)

ONCE = RetryConfig(max_attempts=1)


def run(
    workflow: Workflow[Never, O, Never],
    given: object = "input",
    *,
    seed: int = 0,
    deadline: float | None = None,
) -> RunResult[O]:
    """Run *workflow* once, in a runtime of its own, under a seeded schedule."""

    async def main() -> RunResult[O]:
        hosted = cast("Workflow[object, O, object]", workflow)
        async with Runtime(hosted) as runtime:
            return await runtime.run(hosted, given, deadline=deadline)

    return run_seeded(main, seed=seed)


def value_of(workflow: Workflow[Never, O, Never], given: object = "input") -> O:
    """Return the value of one run under each of several seeds: the same one."""
    values = [run(workflow, given, seed=seed).value for seed in SEEDS]
    assert all(value == values[0] for value in values), values
    return values[0]


def gives(
    name: str,
    value: object = None,
    *,
    after: float = 0.0,
    notes: list[str] | None = None,
    when: Callable[[Context[object]], bool] | None = None,
) -> Step[object, object, object]:
    """Return a step that gives *value*, or its own name, *after* some seconds."""

    async def body(context: Context[object]) -> object:
        if notes is not None:
            notes.append(f"{name} begins")
        if after:
            await trio.sleep(after)
        if notes is not None:
            notes.append(f"{name} ends")
        return name if value is None else value

    return step(name=name, output=object, when=when)(body)


def fails(
    name: str, *, after: float = 0.0, cause: Cause = Cause.STEP_ERROR
) -> Step[object, object, object]:
    """Return a step that fails, *after* some seconds."""

    async def body(context: Context[object]) -> object:
        if after:
            await trio.sleep(after)
        raise StepError(f"{name} was to fail", cause=cause)

    return step(name=name, output=object, retry=ONCE)(body)


def shows(
    name: str, look: Callable[[Context[object]], object], needs: tuple[str, ...] = ()
) -> Step[object, object, object]:
    """Return a step that gives what *look* makes of its context."""

    async def body(context: Context[object]) -> object:
        return look(context)

    return step(name=name, output=object, needs=needs)(body)


def side_by_side(
    branches: Mapping[str, AnyWorkflow],
    *,
    max_concurrent: int | None = None,
    name: str = "parallel",
) -> Parallel[Never, Mapping[str, object], Never]:
    """Return a parallel whose labels are made at run time."""
    labelled: dict[str, AnyWorkflow] = {**branches}
    made = parallel(max_concurrent=max_concurrent, name=name, **labelled)  # type: ignore[call-overload]  # labels look like options
    return cast("Parallel[Never, Mapping[str, object], Never]", made)
