"""Row: whether the cost of a step stays the same when there are very many."""

from __future__ import annotations

import trio

from benchmarks import workloads
from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Contender, Figures, Sizes, alternate, timed
from understudy.runtime import Runtime

CHAIN = 10

SHORT_LOOP = "ours: a loop of 1,000 rounds"
LONG_LOOP = "ours: a loop of 100,000 rounds"
SHORT_EACH = "ours: each() over 1,000 items"
LONG_EACH = "ours: each() over 100,000 items"
FEW_RUNS = "ours: 100 runs at once"
MANY_RUNS = "ours: 10,000 runs at once"


async def _measure(sizes: Sizes) -> Figures:
    few, many = sizes.count(1_000), sizes.count(100_000)
    together, all_at_once = sizes.count(100), sizes.count(10_000)
    short_loop, long_loop = workloads.loop(few), workloads.loop(many)
    short_each = workloads.fan_out(few, 10, workloads.no_op)
    long_each = workloads.fan_out(many, 10, workloads.no_op)
    chain = workloads.chain(CHAIN)
    async with (
        Runtime(short_loop, long_loop, short_each, long_each) as runtime,
        Runtime(chain, max_runs=all_at_once) as crowded,
    ):

        def once(workflow: workloads.IntWorkflow, steps: int) -> Contender:
            runs = many // steps
            return lambda: timed(
                lambda: workloads.run_one_by_one(runtime, workflow, runs), many
            )

        def at_once(runs: int) -> Contender:
            return lambda: timed(
                lambda: workloads.run_as_stream(crowded, chain, all_at_once, runs),
                all_at_once * CHAIN,
            )

        contenders: dict[str, Contender] = {
            SHORT_LOOP: once(short_loop, few),
            LONG_LOOP: once(long_loop, many),
            SHORT_EACH: once(short_each, few),
            LONG_EACH: once(long_each, many),
            FEW_RUNS: at_once(together),
            MANY_RUNS: at_once(all_at_once),
        }
        return await alternate(contenders, 1, sizes, warm_up=0)


GROWTH = Row(
    "growth",
    "no-op steps, few and very many; per step",
    Unit.MICROSECONDS,
    (
        Claim("100,000 rounds beside 1,000", LONG_LOOP, SHORT_LOOP, 1.5),
        Claim("100,000 items beside 1,000", LONG_EACH, SHORT_EACH, 1.5),
        Claim("10,000 runs at once beside 100", MANY_RUNS, FEW_RUNS, 1.5),
    ),
    lambda sizes: trio.run(_measure, sizes),
)
