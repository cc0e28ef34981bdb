"""Row: what an actor that has nothing to do takes of memory.

Each contender has a process to itself, and each way of counting too.  Run as a
program, this is such a process: it starts so many actors, lets each handle one
message, and prints bytes per actor.
"""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import trio

from benchmarks import actor_workloads, bare_actors
from benchmarks.actor_crowds import MANY, VERY_MANY
from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Figures, Sample, Sizes
from benchmarks.memory import METHODS, RSS, TRACED, begin_counting

BARE = "bare: 10,000 actors"
OURS = "ours: 10,000 actors"
OURS_VERY_MANY = "ours: 100,000 actors"

CONTENDERS: Final = {
    BARE: ("bare", MANY),
    OURS: ("ours", MANY),
    OURS_VERY_MANY: ("ours", VERY_MANY),
}


@asynccontextmanager
async def _bare(count: int) -> AsyncGenerator[None]:
    actors = list[bare_actors.IdleActor]()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            actor = bare_actors.IdleActor()
            nursery.start_soon(actor.live)
            await actor.ready.wait()
            actors.append(actor)
        for actor in actors:
            await actor.answer()
        yield
        await bare_actors.stop_together(actors)


@asynccontextmanager
async def _ours(count: int) -> AsyncGenerator[None]:
    async with actor_workloads.one_by_one() as system:
        started = await actor_workloads.start_some(system, count)
        for number, ref in enumerate(started):
            await ref.ask(number)
        yield


Crowd = Callable[[int], AbstractAsyncContextManager[None]]


async def _footprint(crowd: Crowd, count: int, method: str) -> float:
    """Return bytes for each of *count* actors that have handled a message."""
    async with crowd(50):
        pass
    gc.collect()
    used = begin_counting(method)
    before = used()
    async with crowd(count):
        gc.collect()
        taken = used() - before
        tracemalloc.stop()
    return taken / count


def _measure(sizes: Sizes) -> Figures:
    figures: Figures = {}
    for (label, (contender, full)), (method, suffix) in itertools.product(
        CONTENDERS.items(), METHODS.items()
    ):
        command = [sys.executable, "-m", "benchmarks.actor_footprint"]
        command += [contender, str(sizes.count(full, 10)), method]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        figures[label + suffix] = [Sample.of(float(printed.stdout))]
    return figures


FOOTPRINT = Row(
    "actors-memory",
    "actors that have handled a message, and wait for the next; per actor",
    Unit.KILOBYTES,
    (
        Claim("an actor, resident set", OURS + RSS, None, 6_500.0),
        Claim("an actor, tracemalloc", OURS + TRACED, None, 6_500.0),
        Claim("beside plain trio, resident set", OURS + RSS, BARE + RSS),
        Claim("beside plain trio, tracemalloc", OURS + TRACED, BARE + TRACED),
        Claim(
            "100,000 beside 10,000, for each, resident set",
            OURS_VERY_MANY + RSS,
            OURS + RSS,
            1.05,
        ),
    ),
    _measure,
)

if __name__ == "__main__":
    of, number, how = sys.argv[1:]
    crowds: dict[str, Crowd] = {"bare": _bare, "ours": _ours}
    print(trio.run(_footprint, crowds[of], int(number), how))
