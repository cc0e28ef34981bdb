"""The progress bar of a job, on a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

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

from understudy.cli.tally import Tally


class ProgressBar:
    """Shows how far a job is, on standard error; a context manager.

    Drawn only when `show` is called: no thread of its own.
    """

    def __init__(self) -> None:
        self._progress = Progress(
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TextColumn("{task.fields[done]:,} done"),
            _Others(),
            TextColumn("{task.fields[cost]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=None, done=0, others=0, cost="")

    def show(self, tally: Tally, part: float | None) -> None:
        """Show these counts.

        Args:
          part: how much of the input was read, from 0 to 1; None if not known.
        """
        self._progress.update(
            self._task,
            total=None if part is None else 1.0,
            completed=0.0 if part is None else _done_part(tally, part),
            done=tally.finished,
            others=tally.others.total(),
            cost=f"${tally.cost_micros / 1e6:.4f}" if tally.cost_micros else "",
        )
        self._progress.refresh()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()


class _Others(ProgressColumn):
    def render(self, task: Task) -> Text:
        count: int = task.fields["others"]
        return Text(f"{count:,} not completed", style="red" if count else "dim")


def _done_part(tally: Tally, part: float) -> float:
    """Return how much of the work is done, for a small file read in one go too."""
    return part * tally.finished / tally.read if tally.read else 0.0
