"""The progress bar of a job, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from understudy.cli.tally import Tally, usd


@contextmanager
def progress_bar() -> Generator[Callable[[Tally, float | None], None]]:
    """Show how far a job is, on standard error; gives the function that does.

    Drawn only when that is called: there is no thread behind it.  It takes the
    counts, and how much of the input is done, from 0 to 1, or None.
    """
    progress = Progress(
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        TextColumn("{task.fields[done]:,} done"),
        _Others(),
        TextColumn("{task.fields[cost]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        auto_refresh=False,
    )
    bar = progress.add_task("", total=None, done=0, others=0, cost="")

    def show(tally: Tally, part: float | None) -> None:
        progress.update(
            bar,
            total=None if part is None else 1.0,
            completed=part or 0.0,
            done=tally.finished,
            others=tally.others.total(),
            cost=usd(tally.cost_micros) if tally.cost_micros else "",
        )
        progress.refresh()

    with progress:
        yield show


class _Others(ProgressColumn):
    def render(self, task: Task) -> Text:
        count: int = task.fields["others"]
        return Text(f"{count:,} not completed", style="red" if count else "dim")
