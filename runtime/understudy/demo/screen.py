"""What the demo prints: progress while it runs, and the figures at its end."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from understudy.demo.figures import Figures
from understudy.demo.tier_models import TERMS
from understudy.demo.tiers import Tier
from understudy.models.faults import Fault, FaultMix

WIDTH = 78
"""Columns of the tables at most."""


class Advance(Protocol):
    """Called after each run."""

    def __call__(self, completed: bool) -> None:
        """Count a run; *completed* says how it ended."""
        ...


def opening(console: Console, runs: int, mix: FaultMix, seed: int) -> None:
    """Say what is about to happen."""
    parts = ", ".join(f"{share:.0%} {_plain(f)}" for f, share in _shares(mix).items())
    console.print(
        f"[bold]Understudy[/]: {runs} real customer messages, twice: each as a single "
        "call",
        "of a model, then each as a run of an orchestrated workflow.",
        f"[yellow]Injected faults[/] in {mix.total:.0%} of model calls (seed {seed}):",
        f"{parts}.",
        "No network, no API key: the models are rules and two classifiers, fitted on",
        "other messages.",
        "",
        sep="\n",
        highlight=False,
    )


@contextmanager
def progress(console: Console, name: str, total: int) -> Generator[Advance]:
    """Show how far a batch of runs is: a bar, or plain lines without a terminal."""
    if console.is_terminal:
        with _bar(console) as bar:
            task = bar.add_task(name, total=total, good=0)
            yield _BarAdvance(bar, task)
    else:
        yield _LineAdvance(console, name, total)


class _BarAdvance:
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task
        self._good = 0

    def __call__(self, completed: bool) -> None:
        self._good += completed
        self._bar.update(self._task, advance=1, good=self._good)


class _LineAdvance:
    def __init__(self, console: Console, name: str, total: int) -> None:
        self._console = console
        self._name = name
        self._total = total
        self._done = self._good = 0

    def __call__(self, completed: bool) -> None:
        self._done += 1
        self._good += completed
        if self._done == self._total or self._done % max(1, self._total // 4) == 0:
            self._console.print(
                f"{self._name}: {self._done} of {self._total} done, "
                f"{self._good} completed",
                highlight=False,
            )


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<13}"),
        BarColumn(bar_width=26),
        MofNCompleteColumn(),
        TextColumn("[green]{task.fields[good]} completed[/]"),
        TimeElapsedColumn(),
        console=console,
    )


def closing(
    console: Console,
    single: Figures,
    orchestrated: Figures,
    met: Mapping[Fault, int],
    restarts: int,
    results: Path,
) -> None:
    """Print all figures, and where the results are."""
    tables = (comparison(single, orchestrated), latencies(orchestrated))
    for table in (*tables, tier_shares(orchestrated)):
        console.print()
        console.print(table)
    faults = ", ".join(f"{count} {_plain(fault)}" for fault, count in met.items())
    console.print(
        "",
        f"Injected faults met: {faults}.",
        f"Supervised restarts: {restarts}. The connection to the team directory "
        "broke (injected",
        "too): its worker was replaced, and what it had in hand was tried again.",
        highlight=False,
        sep="\n",
    )
    console.print("\nResults, one line a run:", style="bold")
    console.print(str(results), soft_wrap=True, highlight=False, style="cyan")
    console.print(
        "\nTo put a real LLM in the last tier (of understudy.demo.workflow):",
        style="bold",
    )
    console.print(
        'llm = LocalModel(ask_your_llm, takes="request")  # async, gives text',
        'Runtime(feedback, models={**models, "large": llm}, deps=deps)',
        sep="\n",
        highlight=False,
        markup=False,
        style="cyan",
    )


def comparison(single: Figures, orchestrated: Figures) -> Table:
    """Return the table that sets both ways side by side."""
    table = _table("", "single call", "orchestrated")
    both = (single, orchestrated)
    rows: list[tuple[str, list[str]]] = [
        (
            "[bold]completed[/] [yellow](injected faults)[/]",
            [f"[bold]{_share(each.completed, each.runs)}[/]" for each in both],
        ),
        ("right, of the completed", [_share(f.right, f.completed) for f in both]),
        ("right, of all", [_share(f.right, f.runs) for f in both]),
        ("not completed because of", [_causes(f) for f in both]),
        ("model calls", [f"{f.calls}" for f in both]),
        ("attempts at model steps", [f"{f.attempts}" for f in both]),
        ("a run takes, p50", [_ms(f.p50) for f in both]),
        ("a run takes, p99", [_ms(f.p99) for f in both]),
        (
            "cost [yellow](assumed prices)[/]",
            [f"${f.cost_micros / 1_000_000:.4f}" for f in both],
        ),
    ]
    for name, cells in rows:
        table.add_row(name, *cells)
    return table


def latencies(of: Figures) -> Table:
    """Return the table of the workflow's steps."""
    table = _table("step [yellow](assumed delays)[/]", "times", "p50", "p99")
    for step in of.steps:
        table.add_row(step.path, f"{step.times}", _ms(step.p50), _ms(step.p99))
    return table


def tier_shares(of: Figures) -> Table:
    """Return the table of what each tier answered."""
    table = _table(
        "tier",
        "answered",
        "share",
        "right",
        "[yellow]assumed[/] price of 1M tokens, delay",
    )
    for tier in of.tiers:
        table.add_row(
            tier.tier.value,
            f"{tier.answered}",
            f"{tier.answered / max(1, of.completed):.0%}",
            f"{tier.right / tier.answered:.0%}",
            _terms(tier.tier),
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, width=WIDTH, padding=(0, 1))
    table.add_column(first, justify="left", no_wrap=True)
    for other in others:
        table.add_column(other, justify="right")
    return table


def _terms(tier: Tier) -> str:
    terms = TERMS[tier]
    price = terms.price
    money = (
        f"${price.input_per_million_usd:.2f} in, ${price.output_per_million_usd:.2f} out"
        if price.input_per_million_usd
        else "free"
    )
    return f"{money}, {terms.delay * 1000:g} ms"


def _share(part: int, whole: int) -> str:
    return f"{part / max(1, whole):.1%} ({part} of {whole})"


def _causes(of: Figures) -> str:
    shown = (
        f"{count} {cause.replace('_', ' ')}" for cause, count in of.failed_by.items()
    )
    return ", ".join(shown) or "-"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _plain(fault: Fault) -> str:
    return {
        Fault.TIMEOUT: "time out",
        Fault.RATE_LIMIT: "rate-limited",
        Fault.MALFORMED: "malformed",
    }.get(fault, fault.value)


def _shares(mix: FaultMix) -> dict[Fault, float]:
    return {fault: share for fault, share in mix.shares.items() if share}
