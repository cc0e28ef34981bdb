"""Rows: what one retry costs, and what the restart of an actor costs."""

from __future__ import annotations

import math

import trio

from benchmarks import bare, workloads
from benchmarks.chain import HOP, STEPS
from benchmarks.claims import REFERENCE_HOP, Claim, Row, Unit
from benchmarks.measure import Contender, Figures, Sample, Sizes, alternate, timed
from understudy.runtime import Runtime
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.restart_policy import NO_BACKOFF
from understudy_protocols.supervision import SupervisorSpec

LOOP = "bare: one more turn of a try in a loop"
RETRY = "ours: one retry without backoff"
CRASH = "bare: a task that crashes, and the next"
RESTART = "ours: an actor that crashes, and its next life"


async def _retry(sizes: Sizes) -> Figures:
    runs = sizes.count(500)
    failing = workloads.chain(1, workloads.failing_once)
    steady = workloads.chain(1, workloads.failing_never)
    async with (
        bare.channel_actors(STEPS) as hop,
        Runtime(failing, steady) as runtime,
    ):

        async def loop() -> Sample:
            with_one = await timed(lambda: bare.retry_loop(runs, 1), 1)
            with_none = await timed(lambda: bare.retry_loop(runs, 0), 1)
            return with_one.minus(with_none, runs)

        async def ours() -> Sample:
            with_one = await timed(
                lambda: workloads.run_one_by_one(runtime, failing, runs), 1
            )
            with_none = await timed(
                lambda: workloads.run_one_by_one(runtime, steady, runs), 1
            )
            return with_one.minus(with_none, runs)

        contenders: dict[str, Contender] = {
            HOP: lambda: timed(lambda: hop.run(runs), runs * STEPS),
            LOOP: loop,
            RETRY: ours,
        }
        return await alternate(contenders, sizes.count(11), sizes)


class _Fragile(Behaviour[int, None]):
    """Crashes on every message; its next life takes the next one."""

    async def handle(self, message: int, actor: Actor[int, None]) -> None:
        if message == 0:
            last.set()
            return
        raise ValueError("broken")


last = trio.Event()
"""Set by the actor that has got to the last message; renewed for each burst."""


async def _restart(sizes: Sizes) -> Figures:
    times = sizes.count(500)
    ref = Ref[int, None]("fragile", capacity=math.inf)
    # The window is as short as can be: this many restarts are the point here.
    spec = SupervisorSpec(
        (actor_child(ref, _Fragile),), period=1e-9, backoff=NO_BACKOFF
    )

    async def crash() -> None:
        global last
        last = trio.Event()
        for number in range(times, -1, -1):
            ref.tell_nowait(number)
        await last.wait()

    async with bare.channel_actors(STEPS) as hop, ActorSystem(spec):
        contenders: dict[str, Contender] = {
            HOP: lambda: timed(lambda: hop.run(times), times * STEPS),
            CRASH: lambda: timed(lambda: bare.spawn_and_crash(times), times),
            RESTART: lambda: timed(crash, times),
        }
        return await alternate(contenders, sizes.count(11), sizes)


RETRY_ROW = Row(
    "retry",
    "a step that fails once, less one that does not; per retry",
    Unit.MICROSECONDS,
    (
        Claim(
            "a retry, in channel hops (8 us where a hop is 7.7 us)",
            RETRY,
            HOP,
            8e-6 / REFERENCE_HOP,
        ),
        Claim("a retry beside a loop around a try", RETRY, LOOP),
    ),
    lambda sizes: trio.run(_retry, sizes),
)

RESTART_ROW = Row(
    "restart",
    "an actor breaks on a message, its next life takes the next one; per restart",
    Unit.MICROSECONDS,
    (
        Claim(
            "a restart, in channel hops (30 us where a hop is 7.7 us)",
            RESTART,
            HOP,
            30e-6 / REFERENCE_HOP,
        ),
        Claim("a restart beside a task that crashes", RESTART, CRASH),
    ),
    lambda sizes: trio.run(_restart, sizes),
)
