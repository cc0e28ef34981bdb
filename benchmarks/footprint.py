"""Row: what a run that waits in a step takes of memory.

Each contender has a process to itself, and each way of counting too: one
changes the other.  Run as a program, this is such a process: it lets so many
runs fall asleep in their last step, in virtual time, and prints bytes per run.
"""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Final

import trio
from trio.testing import MockClock

from benchmarks import bare, workloads
from benchmarks.claims import Claim, Row, Unit
from benchmarks.many_runs import PLAIN, STEPS, STREAM, TASKS
from benchmarks.measure import Figures, Sample, Sizes
from benchmarks.memory import METHODS, RSS, TRACED, begin_counting
from understudy.runtime import Runtime

RUNS = 10_000
WARM_UP = 50

CONTENDERS: Final = {"plain": PLAIN, "stream": STREAM, "tasks": TASKS}

Start = Callable[[int], Awaitable[None]]


async def _footprint(start: Start, runs: int, method: str, clock: MockClock) -> float:
    """Return bytes for each of *runs*, when all of them sleep in the last step."""
    clock.autojump_threshold = 0
    await start(WARM_UP)
    clock.autojump_threshold = float("inf")
    gc.collect()
    used = begin_counting(method)
    async with trio.open_nursery() as nursery:
        before = used()
        nursery.start_soon(start, runs)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(STEPS - 1):
            clock.jump(0.0501)
            await trio.testing.wait_all_tasks_blocked()
        after = used()
        tracemalloc.stop()
        clock.autojump_threshold = 0
    return (after - before) / runs


async def _main(contender: str, runs: int, method: str, clock: MockClock) -> float:
    workflow = workloads.chain(STEPS, workloads.sleeping)
    async with Runtime(workflow, max_runs=RUNS) as runtime:
        starts: dict[str, Start] = {
            "plain": lambda n: bare.task_per_run(n, STEPS, bare.sleeping),
            "stream": lambda n: workloads.run_as_stream(runtime, workflow, n, n),
            "tasks": lambda n: workloads.run_in_bursts(runtime, workflow, n, n),
        }
        return await _footprint(starts[contender], runs, method, clock)


def _measure(sizes: Sizes) -> Figures:
    figures: Figures = {}
    runs = str(sizes.count(RUNS, 10))
    for (contender, label), (method, suffix) in itertools.product(
        CONTENDERS.items(), METHODS.items()
    ):
        command = [sys.executable, "-m", "benchmarks.footprint"]
        command += [contender, runs, method]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        figures[label + suffix] = [Sample.of(float(printed.stdout))]
    return figures


MEMORY = Row(
    "memory",
    "10,000 runs that wait in their fifth step; per run",
    Unit.KILOBYTES,
    (
        Claim("run_many, resident set", STREAM + RSS, None, 6_000.0),
        Claim("run_many beside plain trio, resident set", STREAM + RSS, PLAIN + RSS),
        Claim(
            "run_many beside plain trio, tracemalloc", STREAM + TRACED, PLAIN + TRACED
        ),
        Claim(
            "a task for each run() beside plain trio, resident set",
            TASKS + RSS,
            PLAIN + RSS,
        ),
    ),
    _measure,
)

if __name__ == "__main__":
    of, count, how = sys.argv[1:]
    mock = MockClock()
    print(trio.run(_main, of, int(count), how, mock, clock=mock))
