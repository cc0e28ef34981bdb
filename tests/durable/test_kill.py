"""kill -9, at any moment and at every named one: each run ends once, nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from images import key

from understudy.journal.reader import SqliteReader
from understudy_protocols.errors import JournalError
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import Ended, Finished, decode_record

PROGRAM = Path(__file__).with_name("killed_program.py")

KILLS = int(os.environ.get("UNDERSTUDY_KILLS", "8"))
"""300 were made by hand; so many are made each time."""

RUNS = 12
BOUND = 60.0


class World:
    """What is left when the program is gone: its journal, and the ledger."""

    def __init__(self, folder: Path, runs: int = RUNS) -> None:
        self.runs = runs
        self.journal, self.ledger = folder / "runs.db", folder / "ledger"
        self.ledger.touch()
        self.flights: Counter[str] = Counter()
        self.lives = 0

    def live(self, *point: str, kill_after: float | None = None) -> int:
        """Let the program live once; return its exit code."""
        done = self.finished()
        before = self.lines()
        command = [sys.executable, str(PROGRAM), str(self.journal), str(self.ledger)]
        process = subprocess.Popen([*command, str(self.runs), *point])
        try:
            code = process.wait(timeout=kill_after or BOUND)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            code = process.wait()
        self.lives += 1
        new = self.lines()[len(before) :]
        assert not done & set(new), "a finished step ran again"
        assert max(Counter(new).values(), default=1) == 1, "a step ran twice in a life"
        return code

    def lines(self) -> list[str]:
        return self.ledger.read_text().splitlines()

    def finished(self) -> set[str]:
        """Return the ledger lines of the steps that are on record as finished."""
        if not self.journal.exists():
            return set()
        found: set[str] = set()
        try:
            reader = SqliteReader(self.journal)
        except JournalError as error:
            # It was killed while it made the file.
            if "nothing has been written" in str(error):
                return set()
            raise
        with reader:
            for run in reader.runs():
                for content in reader.records(run.row):
                    record = decode_record(content)
                    if isinstance(record, Finished):
                        path = reader.fingerprint(record.node).decode()
                        at = key(run.run_id, path, record.position)
                        found.add(f"{run.run_id} {at}")
        return found

    def check(self) -> None:
        """See that every run ended once, and completed."""
        with SqliteReader(self.journal) as reader:
            runs = list(reader.runs())
            assert len(runs) == (self.runs or 1)
            for run in runs:
                assert run.status is RunStatus.COMPLETED
                records = [decode_record(one) for one in reader.records(run.row)]
                assert sum(isinstance(one, Ended) for one in records) == 1
        for line, count in Counter(self.lines()).items():
            assert count <= self.lives, line


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("count", [1, 2, 4, 9, 20])
def test_a_process_that_dies_around_a_write_loses_nothing_and_repeats_nothing(
    point: str, count: int, tmp_path: Path
) -> None:
    world = World(tmp_path)
    assert world.live(point, str(count)) == -signal.SIGKILL
    world.live(point, str(count))
    assert world.live() == 0
    world.check()


@pytest.mark.parametrize("point", ["before", "after"])
def test_of_sixty_steps_at_most_the_one_in_flight_is_done_again(
    point: str, tmp_path: Path
) -> None:
    """Which is what other durable runtimes redo of it as well."""
    world = World(tmp_path, runs=0)
    assert world.live(point, "31") == -signal.SIGKILL
    assert world.live() == 0
    world.check()
    lines = world.lines()
    assert len(set(lines)) == 60
    assert len(lines) <= 61


def test_a_process_that_is_killed_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    chance = random.Random(time.time_ns())
    killed = number = 0
    while killed < KILLS:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        world = World(folder)
        # Four deaths in a row at most: after the fifth a run is held.
        for _ in range(4):
            if world.live(kill_after=chance.uniform(0.2, 1.2)) == 0:
                break
            killed += 1
        else:
            assert world.live() == 0
        world.check()
