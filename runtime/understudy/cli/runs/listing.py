"""Many runs on a terminal: a table, newest first."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from understudy.cli.runs.ages import MICROS, rough_age
from understudy.cli.runs.screen import STYLES, console_for
from understudy.cli.runs.story import Story
from understudy.cli.runs.values import printable
from understudy_protocols.errors import CodecError, JournalError
from understudy_protocols.journal import StoredRun
from understudy_protocols.outcomes import RunStatus

_GAP = 2
_TITLES = ("run", "workflow", "status", "age")
_MOST = (36, 20, 9, 6)
"""So wide is a column at most; characters."""


def runs_text(
    runs: Iterable[StoredRun],
    most: int,
    now: int,
    story_of: Callable[[StoredRun], Story],
    damaged: Callable[[str], None],
    file: TextIO,
) -> str:
    """Return runs as they are to be written to *file*.

    Args:
      runs: in the order in which they were accepted.
      most: so many are shown; a count.
      now: the time of day; microseconds since 1970.
      story_of: tells what happened in a run; asked for those that are shown.
      damaged: told of each of these that cannot be read, and why.
    """
    counts: Counter[RunStatus] = Counter()
    last: deque[StoredRun] = deque(maxlen=most)
    for run in runs:
        counts[run.status] += 1
        last.append(run)
    console = console_for(file)
    with console.capture() as captured:
        if last:
            newest = tuple(reversed(last))
            abouts = [_about(run, story_of, damaged) for run in newest]
            console.print(_table(newest, abouts, now, console.width))
        console.print(Text(_summary(counts, len(last)), "dim"))
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _table(
    runs: Sequence[StoredRun], abouts: Sequence[str], now: int, width: int
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, _GAP, 0, 0))
    rows = [
        (
            printable(run.run_id),
            printable(run.workflow),
            run.status.value,
            rough_age((now - run.created_at) / MICROS),
        )
        for run in runs
    ]
    left = width
    for title, most, *cells in zip(_TITLES, _MOST, *rows, strict=True):
        # Fixed: a long sentence in the last column takes nothing from the others.
        fits = min(most, max(map(cell_len, [title, *cells])))
        table.add_column(title, no_wrap=True, overflow="ellipsis", width=fits)
        left -= fits + _GAP
    table.add_column("", no_wrap=True, overflow="ellipsis", width=max(1, left))
    for run, about, (run_id, workflow, status, age) in zip(
        runs, abouts, rows, strict=True
    ):
        style = STYLES.get(run.status, "")
        told = Text(printable(about), "dim")
        table.add_row(Text(run_id), Text(workflow), Text(status, style), age, told)
    return table


def _about(
    run: StoredRun,
    story_of: Callable[[StoredRun], Story],
    damaged: Callable[[str], None],
) -> str:
    """Return what one has to know of a run that did not simply complete."""
    try:
        return _what_stops(run, story_of)
    except (JournalError, CodecError) as error:
        # One that is damaged, or was deleted just now, hides no other.
        damaged(f"run {run.run_id}: {error}")
        return "cannot be read"


def _what_stops(run: StoredRun, story_of: Callable[[StoredRun], Story]) -> str:
    match run.status:
        case RunStatus.PAUSED:
            pauses = ", ".join(pause.name for pause in story_of(run).open_pauses)
            return f"waits for {pauses}"
        case RunStatus.HELD:
            held = story_of(run).held
            return "" if held is None else f"{held.reason}: {held.detail}"
        case RunStatus.FAILED:
            failure = story_of(run).failure
            return "" if failure is None else str(failure)
        case _:
            return ""


def _summary(counts: Counter[RunStatus], shown: int) -> str:
    total = counts.total()
    if not total:
        return "no such runs"
    parts = ", ".join(f"{n:,} {status.value}" for status, n in counts.most_common())
    said = f"{total:,} run{'s' if total != 1 else ''}: {parts}"
    if shown < total:
        said += f"; the newest {shown:,} are shown (--limit)"
    return said
