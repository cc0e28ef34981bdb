"""The workflow of the golden journals, and the program that has made them.

``golden_flow.py FOLDER`` makes ``format-1.db``: a run that completed, one that failed, one
that waits for an answer, one that was left in the middle; and ``format-2.db``, which
a later release might have made.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import tempfile
from pathlib import Path

import attrs
import trio

from understudy import (
    Attempt,
    Cause,
    Context,
    RetryConfig,
    RunStatus,
    Runtime,
    StepError,
    Workflow,
    best_effort,
    cascade,
    child,
    each,
    parallel,
    pause,
    repeat,
    route,
    sequence,
    step,
)

LONG = "a text that is kept by itself " * 100


@attrs.frozen
class Order:
    """What a run is about."""

    number: int
    words: tuple[str, ...]


@attrs.frozen
class Price:
    """What an order costs."""

    euros: int


@step(retry=RetryConfig(max_attempts=2, backoff_base=0.0))
async def price(context: Context[Order], attempt: Attempt[object]) -> Price:
    """Give a price, at the second attempt; none for the order number 13."""
    if attempt.number == 1:
        raise StepError("not at once", cause=Cause.SERVER)
    if context.input.number == 13:
        raise StepError("no price for that", cause=Cause.STEP_ERROR)
    return Price(context.input.number * 2)


@step
async def letters(context: Context[Order]) -> int:
    """Count the letters of a word."""
    return len(str(context.item))


@step
async def text(context: Context[Order]) -> str:
    """Give a long text."""
    return LONG


@step
async def once_more(context: Context[Order]) -> int:
    """Give the number of the round."""
    return context.round


@step(replay_safe=False)
async def pay(context: Context[Order]) -> str:
    """Do what must not be done twice."""
    return "paid"


@step
async def last(context: Context[Order]) -> str:
    """Wait very long, for the order number 4, until that is over."""
    if context.input.number == 4 and not context.input.words:
        await trio.sleep(LEFT)
    return "done"


LEFT = 3600.0
"""How long the last step takes of the run that is left in the middle; seconds."""


def words(context: Context[Order]) -> tuple[str, ...]:
    """Give what to go over."""
    return context.input.words


def is_second(value: object) -> bool:
    """Whether that was the second round."""
    return value == 2


def is_dear(value: object) -> bool:
    """Whether a price is high."""
    return isinstance(value, Price) and value.euros > 1000


def short_or_long(context: Context[Order]) -> str:
    """Choose a way."""
    return "long" if len(context.input.words) > 5 else "short"


flow: Workflow[Order, bool, object] = sequence(
    price,
    cascade(price.named("low"), price.named("high"), accept=is_dear, name="better"),
    each(letters, over=words, name="counts"),
    parallel(a=text, b=text.named("again"), join=best_effort(), name="texts"),
    repeat(once_more, until=is_second, max_rounds=3, name="rounds"),
    route(short_or_long, short=pay, long=text.named("prose"), name="way"),
    child(sequence(text, last, name="inner"), name="within"),
    pause("approve", output=bool),
    name="golden",
)

ORDERS = {
    "completed": Order(1, ("one", "three")),
    "failed": Order(13, ("x",)),
    "paused": Order(3, ("five", "six", "seven")),
    "left": Order(4, ()),
}


async def make(path: Path) -> None:
    """Make the journal."""
    async with Runtime(flow, journal=path) as runtime:
        handles = {
            run_id: await runtime.submit(flow, order, run_id=run_id)
            for run_id, order in ORDERS.items()
        }
        await handles["completed"].wait(RunStatus.PAUSED)
        runtime.answer("completed", "approve", True)
        await handles["completed"].result()
        await handles["failed"].result()
        await handles["paused"].wait(RunStatus.PAUSED)
        await trio.sleep(0.5)
        raise InterruptedError


def release(source: Path, target: Path, number: int) -> None:
    """Write a journal as one file, in a version of the records."""
    with sqlite3.connect(source) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute(f"VACUUM INTO '{target}'")
    connection.close()
    with sqlite3.connect(target) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("UPDATE meta SET value = ? WHERE name = 'format'", (number,))
    connection.close()


def main(folder: Path) -> None:
    """Make both files."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "runs.db"
        with contextlib.suppress(InterruptedError):
            trio.run(make, path)
        for number in (1, 2):
            target = folder / f"format-{number}.db"
            target.unlink(missing_ok=True)
            release(path, target, number)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
