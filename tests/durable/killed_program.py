"""A program that is killed: runs with a journal, and a ledger of what they did.

``killed_program.py JOURNAL LEDGER RUNS [POINT COUNT]``: at the POINT (``before`` or
``after`` a batch is safe) of its COUNT-th batch it kills itself.  With 0 RUNS there is
one, of sixty steps in a row.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping

import trio

from understudy import (
    Attempt,
    Context,
    RunStatus,
    Runtime,
    best_effort,
    cascade,
    child,
    each,
    parallel,
    pause,
    quorum,
    repeat,
    route,
    sequence,
    step,
)
from understudy.journal.sqlite import SqliteStore
from understudy.workflows.nodes import Workflow
from understudy_protocols.journal import Batch

TAKES = 0.004


class Ledger:
    """A file that outlives its writer: a line for each beginning of a step."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def write(self, key: str) -> None:
        os.write(self._file, f"{key}\n".encode())


class Dying(SqliteStore):
    """A store that is killed with its process at one of its batches."""

    def __init__(self, path: str, point: str, count: int) -> None:
        super().__init__(path)
        self._point, self._left = point, count

    def write(self, batch: Batch) -> None:
        self._left -= 1
        if self._left == 0 and self._point == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().write(batch)
        if self._left == 0 and self._point == "after":
            os.kill(os.getpid(), signal.SIGKILL)


def noted(
    ledger: Ledger, name: str, safe: bool = True
) -> Workflow[object, str, object]:
    """Return a step that takes a moment, and is in the ledger."""

    async def body(context: Context[object], attempt: Attempt[object]) -> str:
        ledger.write(f"{attempt.run_id} {attempt.key}")
        await trio.sleep(TAKES)
        return f"{name} {context.item} {context.round}"

    return step(name=name, output=str, replay_safe=safe)(body)


def never(value: object) -> bool:
    """Say no."""
    return False


def second(context: Context[object]) -> str:
    """Choose the second way."""
    return "right"


def items(context: Context[object]) -> tuple[int, ...]:
    """Give some items."""
    return tuple(range(6))


def given(context: Context[object]) -> object:
    """Give what a child is about."""
    return context.input


def workflow(ledger: Ledger) -> Workflow[object, object, object]:
    """Return a workflow with every kind of node."""

    def note(name: str) -> Workflow[object, str, object]:
        return noted(ledger, name)

    return sequence(
        note("first"),
        parallel(a=note("a"), b=note("b"), c=note("c"), name="all"),
        parallel(a=note("d"), b=note("e"), join=best_effort(), name="some"),
        parallel(a=note("f"), b=note("g"), join=quorum(1), name="one"),
        each(note("item"), over=items, max_concurrent=2, name="each"),
        route(second, left=note("left"), right=note("right"), name="way"),
        cascade(note("low"), note("high"), accept=never, name="better"),
        repeat(note("round"), until=never, max_rounds=3, name="again"),
        child(sequence(note("x"), note("y"), name="inner"), input=given, name="within"),
        pause("wait", output=str, timeout=0.01, default="nobody"),
        note("last"),
    )


def chain(ledger: Ledger) -> Workflow[object, object, object]:
    """Return sixty steps in a row."""
    return sequence(*[noted(ledger, f"s{number}") for number in range(60)])


async def main(store: SqliteStore, ledger: Ledger, runs: int) -> int:
    """Bring all runs to their end; return how many did not complete."""
    whole = workflow(ledger) if runs else chain(ledger)
    names = 11 if runs else 60
    bad = 0
    async with Runtime(whole, journal=store) as runtime, trio.open_nursery() as nursery:

        async def one(number: int) -> None:
            nonlocal bad
            result = await runtime.run(whole, number, run_id=f"run {number}")
            outputs: Mapping[str, object] = result.outputs
            bad += result.status is not RunStatus.COMPLETED or len(outputs) != names

        for number in range(runs or 1):
            nursery.start_soon(one, number)
    return bad


if __name__ == "__main__":
    journal, notes, count, *point = sys.argv[1:]
    where = Dying(journal, point[0], int(point[1])) if point else SqliteStore(journal)
    sys.exit(trio.run(main, where, Ledger(notes), int(count)))
