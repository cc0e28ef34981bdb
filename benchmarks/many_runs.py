"""Rows: a thousand and ten thousand runs of five steps that wait 50 ms each."""

from __future__ import annotations

import functools

import trio

from benchmarks import bare, workloads
from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Figures, Sizes, alternate, timed
from understudy.runtime import Runtime

STEPS = 5
IDLE = STEPS * 0.05

PLAIN = "bare: a task for each run"
STREAM = "ours: run_many()"
TASKS = "ours: a task for each run()"


async def _measure(runs: int, rounds: int, sizes: Sizes) -> Figures:
    workflow = workloads.chain(STEPS, workloads.sleeping)
    async with Runtime(workflow, max_runs=runs) as runtime:

        async def warm_up() -> None:
            few = min(runs, 100)
            await bare.task_per_run(few, STEPS, bare.sleeping)
            await workloads.run_in_bursts(runtime, workflow, few, few)
            await workloads.run_as_stream(runtime, workflow, few, few)

        await warm_up()
        contenders = {
            PLAIN: lambda: timed(
                lambda: bare.task_per_run(runs, STEPS, bare.sleeping), 1
            ),
            STREAM: lambda: timed(
                lambda: workloads.run_as_stream(runtime, workflow, runs, runs), 1
            ),
            TASKS: lambda: timed(
                lambda: workloads.run_in_bursts(runtime, workflow, runs, runs), 1
            ),
        }
        return await alternate(contenders, rounds, sizes, warm_up=0)


def _thousand(sizes: Sizes) -> Figures:
    return trio.run(
        functools.partial(_measure, sizes.count(1_000), sizes.count(3), sizes)
    )


def _ten_thousand(sizes: Sizes) -> Figures:
    return trio.run(functools.partial(_measure, sizes.count(10_000), 1, sizes))


RUNS_1000 = Row(
    "runs-1000",
    "1,000 runs of 5 steps that sleep 50 ms",
    Unit.SECONDS,
    (
        Claim("run_many beside plain trio", STREAM, PLAIN, 1.1, "wall", IDLE),
        Claim(
            "a task for each run() beside plain trio", TASKS, PLAIN, None, "wall", IDLE
        ),
    ),
    _thousand,
)

RUNS_10000 = Row(
    "runs-10000",
    "10,000 runs of 5 steps that sleep 50 ms",
    Unit.SECONDS,
    (
        Claim("run_many beside plain trio", STREAM, PLAIN, 1.3, "wall", IDLE),
        Claim(
            "a task for each run() beside plain trio", TASKS, PLAIN, None, "wall", IDLE
        ),
    ),
    _ten_thousand,
)
