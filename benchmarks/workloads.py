"""The same work as `bare`, written as a user of the library would."""

from __future__ import annotations

import trio

from understudy import Attempt, Context, RetryConfig, each, repeat, sequence, step
from understudy.runtime import Runtime
from understudy.workflows.nodes import Workflow
from understudy_protocols.failures import Cause

IntWorkflow = Workflow[int, object, object]

NO_BACKOFF = RetryConfig(backoff_base=0.0, retry_on=(Cause.STEP_ERROR,))


@step
async def no_op(context: Context[int]) -> int:
    """Do nothing, without a checkpoint."""
    return 1


@step
async def yielding(context: Context[int]) -> int:
    """Do nothing, but let others run."""
    await trio.lowlevel.checkpoint()
    return 1


@step
async def sleeping(context: Context[int]) -> int:
    """Wait as long as a quick model call takes."""
    await trio.sleep(0.05)
    return 1


@step(retry=NO_BACKOFF)
async def failing_once(context: Context[int], attempt: Attempt[object]) -> int:
    """Fail at the first attempt."""
    if attempt.number == 1:
        raise ValueError("not yet")
    return 1


@step(retry=NO_BACKOFF)
async def failing_never(context: Context[int], attempt: Attempt[object]) -> int:
    """Look at the attempt, and do not fail."""
    if attempt.number == 0:
        raise ValueError("not yet")
    return 1


def chain(steps: int, body: Workflow[int, int, object] = no_op) -> IntWorkflow:
    """Return a sequence of *steps* times the same step."""
    return sequence(*[body.named(f"step_{number}") for number in range(steps)])


def fan_out(branches: int, limit: int, body: Workflow[int, int, object]) -> IntWorkflow:
    """Return an `each` of so many branches, joined by `all_of`."""
    items = tuple(range(branches))

    def over(_: Context[int]) -> tuple[int, ...]:
        return items

    return each(body, over=over, max_concurrent=limit)


def loop(rounds: int) -> IntWorkflow:
    """Return a loop of so many rounds of one step."""

    def never(_: object) -> bool:
        return False

    return repeat(no_op, until=never, max_rounds=rounds)


async def run_one_by_one(
    runtime: Runtime[object], workflow: IntWorkflow, runs: int
) -> None:
    """Run *workflow* so many times, with a deadline, one after another."""
    for number in range(runs):
        result = await runtime.run(workflow, number, deadline=60.0)
        assert result.ok, result


async def run_in_bursts(
    runtime: Runtime[object], workflow: IntWorkflow, runs: int, together: int
) -> None:
    """Run it *together* at a time, each awaited by a task of its own."""

    async def one(number: int) -> None:
        result = await runtime.run(workflow, number, deadline=60.0)
        assert result.ok, result

    for _ in range(runs // together):
        async with trio.open_nursery() as nursery:
            for number in range(together):
                nursery.start_soon(one, number)


async def run_as_stream(
    runtime: Runtime[object], workflow: IntWorkflow, runs: int, together: int
) -> None:
    """Run it *together* at a time, the results taken by one task, in order."""
    results = runtime.run_many(
        workflow, range(runs), concurrency=together, deadline=60.0
    )
    async for result in results:
        assert result.ok, result
