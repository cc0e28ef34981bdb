"""Rows: a chain of ten steps that do nothing, one run at a time and fifty at once."""

from __future__ import annotations

import trio

from benchmarks import bare, workloads
from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Figures, Sizes, alternate, timed
from understudy.runtime import Runtime

STEPS = 10
TOGETHER = 50

HOP = "bare: channel hop, await send"
HOP_NOWAIT = "bare: channel hop, send_nowait"
AWAITS = "bare: plain await and a checkpoint"
HOP_TOGETHER = "bare: channel hop, 50 at once"
OURS = "ours: run(), one at a time"
BURSTS = "ours: 50 tasks in run()"
STREAM = "ours: run_many(concurrency=50)"


async def _one_by_one(sizes: Sizes) -> Figures:
    runs = sizes.count(200)
    workflow = workloads.chain(STEPS)
    async with (
        bare.channel_actors(STEPS) as hop,
        bare.channel_actors(STEPS, nowait=True) as hop_nowait,
        Runtime(workflow) as runtime,
    ):
        contenders = {
            HOP: lambda: timed(lambda: hop.run(runs), runs * STEPS),
            HOP_NOWAIT: lambda: timed(lambda: hop_nowait.run(runs), runs * STEPS),
            AWAITS: lambda: timed(lambda: bare.plain_awaits(STEPS, runs), runs * STEPS),
            OURS: lambda: timed(
                lambda: workloads.run_one_by_one(runtime, workflow, runs),
                runs * STEPS,
            ),
        }
        return await alternate(contenders, sizes.count(11), sizes)


async def _together(sizes: Sizes) -> Figures:
    runs = TOGETHER * sizes.count(8)
    alone = sizes.count(200)
    workflow = workloads.chain(STEPS)
    async with (
        bare.channel_actors(STEPS) as hop,
        bare.channel_actors(STEPS, TOGETHER) as crowded_hop,
        Runtime(workflow) as runtime,
    ):
        contenders = {
            HOP: lambda: timed(lambda: hop.run(alone), alone * STEPS),
            HOP_TOGETHER: lambda: timed(
                lambda: crowded_hop.run_together(runs, TOGETHER), runs * STEPS
            ),
            BURSTS: lambda: timed(
                lambda: workloads.run_in_bursts(runtime, workflow, runs, TOGETHER),
                runs * STEPS,
            ),
            STREAM: lambda: timed(
                lambda: workloads.run_as_stream(runtime, workflow, runs, TOGETHER),
                runs * STEPS,
            ),
        }
        return await alternate(contenders, sizes.count(11), sizes)


CHAIN = Row(
    "chain",
    "10 no-op steps in a row, one run at a time; per step",
    Unit.MICROSECONDS,
    (
        Claim("a step beside a channel hop", OURS, HOP, 1.3),
        Claim("the same beside send_nowait", OURS, HOP_NOWAIT),
        Claim("the same beside plain awaits", OURS, AWAITS),
    ),
    lambda sizes: trio.run(_one_by_one, sizes),
)

CHAIN_50 = Row(
    "chain-50",
    "the same chain, 50 runs at once; per step",
    Unit.MICROSECONDS,
    (
        Claim("run_many beside one lone hop", STREAM, HOP, 0.4),
        Claim("50 tasks in run() beside one lone hop", BURSTS, HOP, 0.4),
        Claim("run_many beside a hop, 50 at once", STREAM, HOP_TOGETHER),
    ),
    lambda sizes: trio.run(_together, sizes),
)
