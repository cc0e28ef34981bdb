"""Row: a hundred branches, ten at a time, and the join of them."""

from __future__ import annotations

import trio

from benchmarks import bare, workloads
from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Contender, Figures, Sizes, alternate, timed
from understudy.runtime import Runtime

BRANCHES = 100
LIMIT = 10

POOL = "bare: 10 workers on one iterator"
TASKS = "bare: a task for each branch"
POOL_AT_ONCE = "bare: 10 workers, no checkpoint in a branch"
OURS = "ours: each()"
OURS_AT_ONCE = "ours: each(), no checkpoint in a branch"


async def _measure(sizes: Sizes) -> Figures:
    joins = sizes.count(20)
    items = range(BRANCHES)
    yielding = workloads.fan_out(BRANCHES, LIMIT, workloads.yielding)
    at_once = workloads.fan_out(BRANCHES, LIMIT, workloads.no_op)

    async def pool(body: bare.Body) -> None:
        for _ in range(joins):
            await bare.worker_pool(items, LIMIT, body)

    async def tasks() -> None:
        for _ in range(joins):
            await bare.task_per_item(items, LIMIT, bare.yielding)

    async with Runtime(yielding, at_once) as runtime:

        async def ours(workflow: workloads.IntWorkflow) -> None:
            await workloads.run_one_by_one(runtime, workflow, joins)

        contenders: dict[str, Contender] = {
            POOL: lambda: timed(lambda: pool(bare.yielding), joins),
            TASKS: lambda: timed(tasks, joins),
            POOL_AT_ONCE: lambda: timed(lambda: pool(bare.no_op), joins),
            OURS: lambda: timed(lambda: ours(yielding), joins),
            OURS_AT_ONCE: lambda: timed(lambda: ours(at_once), joins),
        }
        return await alternate(contenders, sizes.count(11), sizes)


FAN_OUT = Row(
    "fan-out",
    "100 branches, 10 at a time, each with one checkpoint, joined by all_of; per join",
    Unit.MILLISECONDS,
    (
        Claim("each() beside a worker pool", OURS, POOL, 2.0),
        Claim("each() beside a task for each branch", OURS, TASKS),
        Claim("the same without the checkpoint", OURS_AT_ONCE, POOL_AT_ONCE),
    ),
    lambda sizes: trio.run(_measure, sizes),
)
