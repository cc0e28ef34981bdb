"""When the power goes, what was said to be safe is there, and nothing by halves.

The statements of the store are carried out on a disk that remembers what was safe.
``UNDERSTUDY_CRASHES`` says after how many crashes the store is opened; by hand, 20,000.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from crash_disk import Files, Op, crashes, recorded
from journal_probe import accepts, adds, ends, keeps, opened

from understudy.journal.connection import SAFETY, Connection
from understudy.journal.opening import (
    check_pages,
    check_tables,
    log_of,
    make_room,
    prepare,
)
from understudy.journal.references import references
from understudy.journal.writing import ask, keep_fingerprint, raise_epoch, write_batch
from understudy_protocols.errors import JournalError
from understudy_protocols.journal import Batch
from understudy_protocols.records import Finished

CRASHES = int(os.environ.get("UNDERSTUDY_CRASHES", "240"))
SESSIONS = 4
"""Each goes on from what a crash has left of the one before."""

State = list[tuple[str, str, list[bytes]]]
"""Of each run its id, status and records."""


class Model:
    """What must be there after so many writes; the first state is before any."""

    def __init__(self, states: list[State]) -> None:
        self.states = states

    def write(self, batch: Batch) -> None:
        runs = {
            run_id: (status, records) for run_id, status, records in self.states[-1]
        }
        for run in batch.runs:
            runs[run.run_id] = (run.status.value, [])
        for row, _, content in batch.records:
            status, records = runs[f"run-{row}"]
            runs[f"run-{row}"] = (status, [*records, content])
        for row, (ended, _) in batch.statuses.items():
            runs[f"run-{row}"] = (ended.value, runs[f"run-{row}"][1])
        rows = sorted(int(run_id.removeprefix("run-")) for run_id in runs)
        self.states.append([(f"run-{row}", *runs[f"run-{row}"]) for row in rows])


def _batches(first: int, dice: random.Random) -> list[Batch]:
    """Make a few runs that go on side by side, with small and large values."""
    batches: list[Batch] = []
    at = dict.fromkeys(range(first, first + 6), 0)
    while at:
        batch = Batch()
        for row in dice.sample(sorted(at), dice.randint(1, len(at))):
            number = at[row]
            at[row] += 1
            if number == 0:
                accepts(batch, row)
            elif number == 6:
                ends(batch, row, number)
                del at[row]
            else:
                value: object = number
                if dice.random() < 0.3:
                    value = keeps(batch, dice.randbytes(dice.randint(1500, 9000)))
                adds(batch, row, number, Finished(number, "", 1, 1, value))
        batches.append(batch)
    return batches


ROOM = 100_000
"""Bytes of the log from the beginning; in the end it may be longer."""


def _take_over(
    connection: Connection, place: Path, pragmas: tuple[str, ...], ops: list[Op]
) -> int:
    for pragma in pragmas:
        connection.execute(pragma)
    prepare(connection)
    check_tables(connection)
    check_pages(connection)
    # So often that crashes hit it.
    connection.execute("PRAGMA wal_autocheckpoint = 20")
    epoch = raise_epoch(connection)
    log = log_of(place)
    size = log.stat().st_size
    make_room(connection, place, ROOM)
    ops += [Op("write", log.name, size, bytes(ROOM - size)), Op("sync", log.name)]
    return epoch


def _session(
    folder: Path, before: Files, first: int, model: Model, pragmas: tuple[str, ...]
) -> list[Op]:
    """Write to what *before* has left, and return what was done to the files."""
    _put(folder, before)
    ops: list[Op] = []
    done = len(model.states) - 1
    with recorded(folder / "runs.db", ops) as connection:
        epoch = _take_over(connection, folder / "runs.db", pragmas, ops)
        keep_fingerprint(connection, b"the shape of w", epoch)
        for batch in _batches(first, random.Random(first)):
            write_batch(connection, batch, epoch)
            done += 1
            model.write(batch)
            ops.append(Op("safe", at=done))
            ask(connection, "run-1", "cancel", b"{}")
        # What it does when it is closed belongs to it as well.
    return ops


def _put(folder: Path, files: Files) -> None:
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _found(path: Path) -> State:
    """Open a journal by the production code, and return what is in it."""
    with opened(path) as store:
        found: State = []
        for row in range(1, store.next_row):
            run = store.find(f"run-{row}")
            if run is not None:
                records = store.records(row)
                for record in records:
                    for digest in references(record):
                        store.blob(digest)
                found.append((run.run_id, run.status.value, records))
        return found


def _lost(folder: Path, points: int, pragmas: tuple[str, ...], seed: int) -> list[str]:
    """Return what was wrong after crashes, each in a few words."""
    dice = random.Random(seed)
    model = Model([[]])
    before: Files = {}
    lost: list[str] = []
    for session in range(SESSIONS):
        start = len(model.states) - 1
        ops = _session(folder, before, 1 + 6 * session, model, pragmas)
        chosen = dice.randrange(points // SESSIONS)
        following: tuple[Files, int] | None = None
        for number, crash in enumerate(crashes(ops, before, points // SESSIONS, dice)):
            _put(folder, crash.files)
            safe = max(crash.safe, start)
            place = _place_of(folder / "runs.db", model.states, safe)
            if isinstance(place, str):
                lost.append(place)
            elif number >= chosen and following is None:
                following = crash.files, place
        if following is None:
            return lost
        before, place = following
        model = Model(model.states[: place + 1])
    return lost


def _place_of(path: Path, states: list[State], safe: int) -> int | str:
    """Return which state a journal is in, or why that cannot be."""
    try:
        found = _found(path)
    except JournalError as error:
        return f"after {safe}: {error}"
    if found in states[safe:]:
        return states.index(found, safe)
    return f"after {safe}: not what was safe, but {found}"


@pytest.mark.parametrize("seed", range(2))
def test_after_a_crash_all_that_was_safe_is_there_and_no_write_by_halves(
    seed: int, tmp_path: Path
) -> None:
    assert _lost(tmp_path, CRASHES // 2, SAFETY, seed) == []


def test_without_syncing_writes_are_lost_and_it_shows(tmp_path: Path) -> None:
    assert _lost(tmp_path, 40, ("PRAGMA synchronous = OFF",), 0)
