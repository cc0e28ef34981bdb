"""What a step costs, of DBOS and of ours, both with a file of SQLite.

Chains of ten steps that do nothing, in turn, each time in a process and a file of its
own; the clock runs when both have begun and are warm::

    uv run --with 'dbos==3.4.0' python -m benchmarks.dbos_speed 5
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import trio

from benchmarks import workloads
from benchmarks.dbos_chain import DbosChain
from understudy.runtime import Runtime

STEPS = 10
SIZES: Final = ((1, 20), (50, 200))
"""How many runs at once, and in all."""


def dbos(folder: Path, runs: int, together: int, *, tuned: bool = False) -> float:
    """Return how long a step of DBOS takes; seconds."""
    chain = DbosChain(folder, lambda number: number, STEPS, tuned=tuned)
    # Workflows that are called in threads; coroutines and queues were not quicker.
    with ThreadPoolExecutor(together) as pool:
        list(pool.map(chain.run, range(together)))
        start = time.perf_counter()
        list(pool.map(chain.run, range(runs)))
        return (time.perf_counter() - start) / (runs * STEPS)


def ours(folder: Path, runs: int, together: int) -> float:
    """Return how long a step of ours takes; seconds."""

    async def main() -> float:
        chain = workloads.chain(STEPS)
        async with Runtime(chain, journal=folder / "ours.db") as runtime:
            await workloads.run_as_stream(runtime, chain, together, together)
            start = time.perf_counter()
            await workloads.run_as_stream(runtime, chain, runs, together)
            return (time.perf_counter() - start) / (runs * STEPS)

    return trio.run(main)


CONTENDERS: Final[dict[str, Callable[[Path, int, int], float]]] = {
    "dbos": dbos,
    "dbos, WAL, one connection": partial(dbos, tuned=True),
    "ours": ours,
}


def main(rounds: int) -> None:
    """Time all in turn, and print what a step takes."""
    for together, runs in SIZES:
        taken: dict[str, list[float]] = {who: [] for who in CONTENDERS}
        for _ in range(rounds):
            for who, found in taken.items():
                found.append(sample(who, runs, together))
        for who, found in taken.items():
            times = f"{median(found) * 1e6:,.0f} us, {min(found) * 1e6:,.0f} at least"
            print(f"{together} at once, {who}: a step takes {times}")


def sample(who: str, runs: int, together: int) -> float:
    """Return how long a step of one of them takes, in a process of its own; seconds."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        command = [sys.executable, "-m", __spec__.name, who, folder]
        command += [str(runs), str(together)]
        return float(subprocess.check_output(command))


if __name__ == "__main__":
    match sys.argv[1:]:
        case [who, folder, runs, together]:
            print(CONTENDERS[who](Path(folder), int(runs), int(together)))
        case [rounds]:
            main(int(rounds))
        case _:
            sys.exit(__doc__)
