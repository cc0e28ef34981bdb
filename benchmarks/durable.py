"""Rows: the chain of ten steps with a journal, and what is left of it on the disk."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import trio

from benchmarks import workloads
from benchmarks.bare_journal import GroupCommit, Tables, sync_latency
from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Figures, Sample, Sizes, Stopwatch, alternate, timed
from understudy import RunStatus, pause, sequence
from understudy.journal.sqlite import SqliteStore
from understudy.runtime import Runtime

STEPS = 10
TOGETHER = 50

RECORDS = STEPS + 2
"""Of a run: that it was accepted, what each step gave, that it ended."""

LOG_PAGES = 1200
"""More than SQLite writes into its log before it begins it anew, a page a commit.

While the log grows, to make it safe takes twice as long.
"""

BARE_TOGETHER = "bare: SQLite, 50 rows a commit"
BARE_TASKS = "bare: 50 tasks and a thread that commits"
BARE_TASK = "bare: a task and a thread that commits"
BARE_ALONE = "bare: SQLite, a row a commit, in a loop"
BARE_IN_TURN = "bare: SQLite, a row a commit, other tasks in between"
SYNC = "bare: an fsync of a page"
OURS_TOGETHER = "ours: run_many(concurrency=50)"
OURS_ALONE = "ours: run(), one at a time"
OURS_IN_PLACE = "ours: the same, with in_place=True"
PLAIN = "ours: without a journal"
IDLE = "ours: beside a runtime with a journal that is idle"
SIZE = "ours: the file, for each step"
FEW, MANY = "ours: 10,000 runs resumed", "ours: 100,000 runs resumed"


@contextmanager
def _folder() -> Generator[Path]:
    # Beside the program: the folder for temporary files may be memory.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        yield Path(folder)


async def _together(sizes: Sizes) -> Figures:
    runs = TOGETHER * sizes.count(20)
    workflow = workloads.chain(STEPS)
    with _folder() as folder:
        tables, group = Tables(folder / "bare.db"), GroupCommit(folder / "group.db")
        async with Runtime(workflow, journal=folder / "ours.db") as runtime:
            figures = await alternate(
                {
                    BARE_TASKS: lambda: timed(
                        lambda: group.write(runs, RECORDS, TOGETHER), runs * STEPS
                    ),
                    BARE_TOGETHER: lambda: timed(
                        lambda: tables.write(runs, RECORDS, TOGETHER), runs * STEPS
                    ),
                    OURS_TOGETHER: lambda: timed(
                        lambda: workloads.run_as_stream(
                            runtime, workflow, runs, TOGETHER
                        ),
                        runs * STEPS,
                    ),
                },
                sizes.count(5),
                sizes,
            )
        tables.close()
        figures[SYNC] = list(map(Sample.of, sync_latency(folder, 20)))
        return figures


async def _alone(sizes: Sizes, *, worn: bool) -> Figures:
    runs = sizes.count(20)
    workflow = workloads.chain(STEPS)
    with _folder() as folder:
        tables, group = Tables(folder / "bare.db"), GroupCommit(folder / "group.db")
        in_place = SqliteStore(folder / "place.db", in_place=True)
        async with (
            Runtime(workflow, journal=folder / "ours.db") as runtime,
            Runtime(workflow, journal=in_place) as quick,
        ):
            contenders: dict[str, Callable[[int], Awaitable[None]]] = {
                BARE_TASK: lambda runs: group.write(runs, RECORDS, 1),
                OURS_ALONE: lambda runs: workloads.run_one_by_one(
                    runtime, workflow, runs
                ),
                BARE_ALONE: lambda runs: tables.write(runs, RECORDS, 1),
                BARE_IN_TURN: lambda runs: tables.write_in_turn(runs, RECORDS),
                OURS_IN_PLACE: lambda runs: workloads.run_one_by_one(
                    quick, workflow, runs
                ),
            }
            if worn:
                for write in contenders.values():
                    await write(LOG_PAGES // RECORDS)
            figures = await alternate(
                {
                    name: partial(timed, partial(write, runs), runs * STEPS)
                    for name, write in contenders.items()
                },
                sizes.count(5),
                sizes,
            )
        tables.close()
        figures[SYNC] = list(map(Sample.of, sync_latency(folder, 20)))
        return figures


async def _size(sizes: Sizes) -> Figures:
    runs = TOGETHER * sizes.count(40, least=10)
    workflow = workloads.chain(STEPS)
    with _folder() as folder:
        async with Runtime(workflow, journal=folder / "ours.db") as runtime:
            await workloads.run_as_stream(runtime, workflow, runs, TOGETHER)
        size = sum(file.stat().st_size for file in folder.iterdir())
    return {SIZE: [Sample.of(size / (runs * STEPS))]}


async def _idle(sizes: Sizes) -> Figures:
    runs = sizes.count(300)
    workflow, other = workloads.chain(STEPS), workloads.chain(1)
    with _folder() as folder:
        async with Runtime(workflow) as runtime:

            async def alone() -> Sample:
                return await timed(
                    lambda: workloads.run_one_by_one(runtime, workflow, runs),
                    runs * STEPS,
                )

            async def beside() -> Sample:
                async with Runtime(other, journal=folder / "idle.db"):
                    return await alone()

            return await alternate({PLAIN: alone, IDLE: beside}, sizes.count(20), sizes)


async def _resume(runs: int) -> Sample:
    """Return how long it takes until so many runs wait again where they waited."""
    workflow = sequence(workloads.no_op, pause("answer", output=int))
    with _folder() as folder:
        path = folder / "ours.db"
        try:
            async with Runtime(workflow, journal=path, max_runs=runs) as runtime:
                async with trio.open_nursery() as nursery:
                    for number in range(runs):
                        nursery.start_soon(runtime.submit, workflow, number)
                await _all_paused(runtime)
                raise _Left
        except _Left:
            pass
        runtime = Runtime(workflow, journal=path, max_runs=runs)
        with Stopwatch() as watch:
            await runtime.__aenter__()
            await _all_paused(runtime)
        await runtime.__aexit__(None, None, None)
        return watch.taken


async def _all_paused(runtime: Runtime[object]) -> None:
    for handle in runtime.list():
        await handle.wait(RunStatus.PAUSED)


class _Left(Exception):
    """The runtime is left before its runs are over."""


async def _resumes(sizes: Sizes) -> Figures:
    few, many = sizes.count(10_000), sizes.count(100_000)
    return {FEW: [await _resume(few)], MANY: [await _resume(many)]}


_ALONE = (
    Claim(
        "run() in place beside a commit in process for each row",
        OURS_IN_PLACE,
        BARE_ALONE,
        1.3,
        "wall",
    ),
    Claim(
        "run() as it is by default, beside the same",
        OURS_ALONE,
        BARE_ALONE,
        1.3,
        "wall",
    ),
    Claim(
        "run() in place beside commits that let other tasks go on",
        OURS_IN_PLACE,
        BARE_IN_TURN,
        None,
        "wall",
    ),
    Claim(
        "run() as it is by default, beside a task and a thread",
        OURS_ALONE,
        BARE_TASK,
        None,
        "wall",
    ),
)

DURABLE_ROWS = (
    Row(
        "durable-50",
        "10 no-op steps in a row with a journal, 50 runs at once; per step",
        Unit.MICROSECONDS,
        (
            Claim(
                "run_many beside tasks that commit the same rows in groups",
                OURS_TOGETHER,
                BARE_TASKS,
                1 / 0.75,
                "wall",
            ),
            Claim(
                "the same beside SQLite alone, in a loop",
                OURS_TOGETHER,
                BARE_TOGETHER,
                None,
                "wall",
            ),
        ),
        lambda sizes: trio.run(_together, sizes),
    ),
    Row(
        "durable-1",
        "the same, one run at a time; per step",
        Unit.MICROSECONDS,
        _ALONE,
        lambda sizes: trio.run(partial(_alone, sizes, worn=False)),
    ),
    Row(
        "durable-1-worn",
        "the same in files whose logs have been begun anew; per step",
        Unit.MICROSECONDS,
        _ALONE,
        lambda sizes: trio.run(partial(_alone, sizes, worn=True)),
    ),
    Row(
        "durable-size",
        "bytes of the file for each step that gives a small number",
        Unit.KILOBYTES,
        (Claim("the file, for each step", SIZE, None, 90.0),),
        lambda sizes: trio.run(_size, sizes),
    ),
    Row(
        "durable-idle",
        "the chain without a journal, beside a runtime that has one and is idle",
        Unit.MICROSECONDS,
        (Claim("with it beside without it", IDLE, PLAIN, 1.02),),
        lambda sizes: trio.run(_idle, sizes),
    ),
    Row(
        "durable-resume",
        "runs that were left in the middle, until all are where they were",
        Unit.SECONDS,
        (
            Claim("100,000 runs", MANY, None, 10.0, "wall"),
            Claim("100,000 beside 10,000", MANY, FEW),
        ),
        lambda sizes: trio.run(_resumes, sizes),
    ),
)
