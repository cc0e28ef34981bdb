"""What is done twice after a kill, by DBOS and by us.

Workflows of sixty steps are killed at random moments, three times each, and brought
back.  A ledger outside of both has a line for each beginning of a step::

    uv run --with 'dbos==3.4.0' python -m benchmarks.dbos_kills 24
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import Final

import trio

from benchmarks import workloads
from benchmarks.dbos_chain import NAME, DbosChain
from understudy import Attempt, Context, step
from understudy.runtime import Runtime

STEPS = 60
TAKES = 0.02
KILLS_OF_ONE = 3


class Ledger:
    """A file that outlives its writer."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "ledger", os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def note(self, name: object) -> None:
        """Write a line, and return when it is on the disk."""
        os.write(self._file, f"{name}\n".encode())
        os.fsync(self._file)


def dbos(folder: Path) -> None:
    """Begin the chain of DBOS, or go on with it, until it ends."""
    ledger = Ledger(folder)

    def noted(number: int) -> int:
        ledger.note(number)
        time.sleep(TAKES)
        return number

    assert DbosChain(folder, noted, STEPS).live() == sum(range(STEPS))


def ours(folder: Path) -> None:
    """Begin our chain, or go on with it, until it ends."""
    ledger = Ledger(folder)

    @step
    async def noted(context: Context[int], attempt: Attempt[object]) -> int:
        ledger.note(attempt.key)
        await trio.sleep(TAKES)
        return 1

    async def main() -> None:
        chain = workloads.chain(STEPS, noted)
        async with Runtime(chain, journal=folder / "ours.db") as runtime:
            assert (await runtime.run(chain, 0, run_id=NAME)).ok

    trio.run(main)


LIVES: Final = {"dbos": dbos, "ours": ours}


def main(count: int) -> None:
    """Kill both at least so often, in turn, and print what was done again."""
    again: dict[str, list[int]] = {who: [] for who in LIVES}
    while min(map(len, again.values())) < count:
        for who, found in again.items():
            found += kill_some(who, random.Random())
    for who, found in again.items():
        of = f"{len(found)} kills, steps begun again after one"
        print(f"{who}: {of}: {mean(found):.2f} on average, {max(found)} at most")


def kill_some(who: str, chance: random.Random) -> list[int]:
    """Kill one workflow a few times; return how many steps began again after each."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
        folder, again, killed = Path(name), list[int](), True
        moments = sorted(chance.sample(range(5, STEPS, 5), KILLS_OF_ONE))
        for lines in (*moments, None):
            # Longer than a step takes: some are over, and not on record.
            killed, twice = _life(who, folder, lines, chance.uniform(0, 1.5 * TAKES))
            again.append(twice)
            if not killed:
                break
        assert not killed, f"{who} has not ended"
        assert len(set(_ledger(folder))) == STEPS, f"{who} has not run all steps"
        return again[1:]


def _life(who: str, folder: Path, lines: int | None, longer: float) -> tuple[bool, int]:
    """Let a process live, until the ledger has so many lines, and some seconds more.

    Return whether it was killed, and how many of its steps had begun before it.
    """
    before = _ledger(folder)
    with subprocess.Popen([sys.executable, "-m", __spec__.name, who, folder]) as life:
        if lines is not None:
            while life.poll() is None and len(_ledger(folder)) < lines:
                time.sleep(0.001)
            time.sleep(longer)
            life.kill()
    assert life.returncode in (0, -signal.SIGKILL), f"{who} failed"
    again = set(before) & set(_ledger(folder)[len(before) :])
    return life.returncode != 0, len(again)


def _ledger(folder: Path) -> list[str]:
    path = folder / "ledger"
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    match sys.argv[1:]:
        case [who, where]:
            LIVES[who](Path(where))
        case [kills]:
            main(int(kills))
        case _:
            sys.exit(__doc__)
