"""Rows: very many actors are started, listed, asked, and stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from benchmarks import actor_workloads, bare_actors
from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import (
    Contender,
    Figures,
    Sample,
    Sizes,
    Stopwatch,
    alternate,
    timed,
)

FEW = 1_000
MANY = 10_000
VERY_MANY = 100_000

BARE_FEW = "bare: 1,000 actors"
BARE_MANY = "bare: 10,000 actors"
BARE_VERY_MANY = "bare: 100,000 actors"
OURS_FEW = "ours: 1,000 actors"
OURS_MANY = "ours: 10,000 actors"
OURS_VERY_MANY = "ours: 100,000 actors"
LISTING = "ours: the listing"
COUNTING = "ours: the counts"

Crowd = Callable[[int], Awaitable[None]]


async def _static(sizes: Sizes) -> Figures:
    return await _few_and_many(
        bare_actors.in_order, actor_workloads.in_order, sizes, rounds=5
    )


async def _dynamic(sizes: Sizes) -> Figures:
    return await _few_and_many(
        bare_actors.stopped_together,
        actor_workloads.stopped_together,
        sizes,
        rounds=5,
    )


async def _few_and_many(bare: Crowd, ours: Crowd, sizes: Sizes, rounds: int) -> Figures:
    few, many = sizes.count(FEW), sizes.count(MANY)
    contenders: dict[str, Contender] = {
        BARE_FEW: lambda: _in_crowds(bare, few, many),
        BARE_MANY: lambda: _in_crowds(bare, many, many),
        OURS_FEW: lambda: _in_crowds(ours, few, many),
        OURS_MANY: lambda: _in_crowds(ours, many, many),
    }
    return await alternate(contenders, sizes.count(rounds), sizes)


async def _in_crowds(start_and_stop: Crowd, crowd: int, actors: int) -> Sample:
    """Start and stop *actors*, so many at a time; per actor."""

    async def work() -> None:
        for _ in range(actors // crowd):
            await start_and_stop(crowd)

    return await timed(work, actors)


async def _listing(sizes: Sizes) -> Figures:
    figures: Figures = {LISTING: [], COUNTING: []}
    many = sizes.count(MANY)
    async with actor_workloads.one_by_one() as system:
        await actor_workloads.start_some(system, many)
        for _ in range(sizes.count(11)):
            with Stopwatch() as watch:
                listed = system.root.children()
            figures[LISTING].append(watch.taken)
            with Stopwatch() as watch:
                counted = system.root.count()
            figures[COUNTING].append(watch.taken)
            assert len(listed) == counted.active == many
    return figures


async def _very_many(sizes: Sizes) -> Figures:
    many, very_many = sizes.count(MANY), sizes.count(VERY_MANY)

    async def bare(count: int) -> None:
        await bare_actors.stopped_together(count, answering=True)

    async def ours(count: int) -> None:
        await actor_workloads.stopped_together(count, answering=True)

    contenders: dict[str, Contender] = {
        BARE_VERY_MANY: lambda: _in_crowds(bare, very_many, very_many),
        OURS_MANY: lambda: _in_crowds(ours, many, very_many),
        OURS_VERY_MANY: lambda: _in_crowds(ours, very_many, very_many),
    }
    return await alternate(contenders, 1, sizes, warm_up=0)


_GROWTH_CLAIMS = (
    Claim("10,000 beside 1,000, for each", OURS_MANY, OURS_FEW, 1.5),
    Claim("the same in plain trio", BARE_MANY, BARE_FEW),
    Claim("1,000 beside plain trio", OURS_FEW, BARE_FEW),
    Claim("10,000 beside plain trio", OURS_MANY, BARE_MANY),
)

STATIC = Row(
    "actors-static",
    "actors start in order and stop in reverse, one by one; per actor",
    Unit.MICROSECONDS,
    _GROWTH_CLAIMS,
    lambda sizes: trio.run(_static, sizes),
)

DYNAMIC = Row(
    "actors-dynamic",
    "actors are started by hand and stop all at once; per actor",
    Unit.MICROSECONDS,
    _GROWTH_CLAIMS,
    lambda sizes: trio.run(_dynamic, sizes),
)

LISTED = Row(
    "actors-listed",
    "10,000 children of one supervisor are listed, and counted",
    Unit.MILLISECONDS,
    (
        Claim("the listing", LISTING, None, 0.05),
        Claim("the counts", COUNTING, None),
    ),
    lambda sizes: trio.run(_listing, sizes),
)

VERY_MANY_ROW = Row(
    "actors-100000",
    "actors start, answer a message each, and stop; per actor",
    Unit.MICROSECONDS,
    (
        Claim("100,000 beside 10,000, for each", OURS_VERY_MANY, OURS_MANY, 1.5),
        Claim("100,000 beside plain trio", OURS_VERY_MANY, BARE_VERY_MANY),
    ),
    lambda sizes: trio.run(_very_many, sizes),
)
