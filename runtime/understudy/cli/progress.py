"""How far a job is, on a terminal: a bar, and the supervision tree above it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import trio
from rich.console import Console, Group
from rich.live import Live
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

from understudy.cli.job_spec import Show
from understudy.cli.tally import Tally, usd
from understudy.cli.tree import AT_WORK, tree_view
from understudy_protocols.supervision_records import TreeSnapshot

_BESIDES = 2
"""Lines that the tree leaves to others: the bar, and the cursor's."""


@contextmanager
def progress_bar(*, with_tree: bool) -> Generator[Show]:
    """Show how far a job is, on standard error; gives the function that does.

    Drawn only when that is called: there is no thread behind it.
    """
    console = Console(stderr=True)
    progress = Progress(
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        TextColumn("{task.fields[done]:,} done"),
        _Others(),
        TextColumn("{task.fields[cost]}"),
        TimeElapsedColumn(),
        console=console,
        auto_refresh=False,
    )
    bar = progress.add_task("", total=None, done=0, others=0, cost="")

    def show(
        tally: Tally, part: float | None, tree: Callable[[], TreeSnapshot]
    ) -> None:
        progress.update(
            bar,
            total=None if part is None else 1.0,
            completed=part or 0.0,
            done=tally.finished,
            others=tally.others.total(),
            cost=usd(tally.cost_micros) if tally.cost_micros else "",
        )
        parts = [progress.get_renderable()]
        if with_tree:
            width, height = console.size
            view = tree_view(
                tree(),
                trio.current_time(),
                AT_WORK,
                width=width,
                height=height - _BESIDES,
            )
            parts.insert(0, view)
        live.update(Group(*parts), refresh=True)

    with Live(console=console, auto_refresh=False) as live:
        yield show


class _Others(ProgressColumn):
    def render(self, task: Task) -> Text:
        count: int = task.fields["others"]
        return Text(f"{count:,} not completed", style="red" if count else "dim")
