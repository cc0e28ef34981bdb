"""What the demo with a real model prints: its figures beside those of the classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from understudy.demo.engine import Engine
from understudy.demo.figures import Ran, found, percentile
from understudy.demo.labels import Gold
from understudy.demo.screen import WIDTH

SHOWN = 3
"""Messages that are shown with their answers."""


def opening(console: Console, served: Engine, count: int) -> None:
    """Say what is about to happen."""
    console.print(
        "[bold]Understudy[/]: the last tier of the demo's workflow as a real model,",
        f"{served.weights},",
        "in a process of its own on this machine: no network, no API key.",
        f"It gets {count} of the 200 messages: the first of those of which no cheaper "
        "tier is",
        "sure. No faults are injected: what goes wrong goes wrong by itself.",
        "",
        sep="\n",
        highlight=False,
    )


@attrs.frozen
class Rightness:
    """How right the runs of one way are; counts.

    Args:
      runs: of all.
      completed: with an answer.
      categories: with exactly the gold categories.
      urgency: with the gold urgency.
      both: with both.
    """

    runs: int
    completed: int
    categories: int
    urgency: int
    both: int


def rightness(ran: Iterable[Ran]) -> Rightness:
    """Compare what runs found with the gold labels of their messages."""
    pairs = [(found(one.result), one.message.gold) for one in ran]
    said = [(answer, gold) for answer, gold in pairs if answer is not None]
    return Rightness(
        runs=len(pairs),
        completed=len(said),
        categories=sum(a.categories == gold.categories for a, gold in said),
        urgency=sum(a.urgency is gold.urgency for a, gold in said),
        both=sum(a == gold for a, gold in said),
    )


def always_the_same(ran: Sequence[Ran]) -> int:
    """Return how many messages the best single answer to all would be right about."""
    return max(Counter(one.message.gold for one in ran).values())


def closing(
    console: Console,
    served: Engine,
    usual: Sequence[Ran],
    real: Sequence[Ran],
    results: Path,
) -> None:
    """Print both ways side by side, some answers, and what they amount to."""
    console.print()
    console.print(comparison(usual, real))
    console.print()
    for ordinary, one in list(zip(usual, real, strict=True))[:SHOWN]:
        console.print(
            f'"{one.message.text}"',
            f"  gold:       {_words(one.message.gold)}",
            f"  classifier: {_words(found(ordinary.result))}",
            f"  real model: {_words(found(one.result))}",
            sep="\n",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    console.print()
    for line in conclusion(real):
        console.print(line, highlight=False)
    console.print("\nResults, one line a run:", style="bold")
    console.print(str(results), soft_wrap=True, highlight=False, style="cyan")


def conclusion(real: Sequence[Ran]) -> tuple[str, ...]:
    """Return what the figures of the real model amount to; lines."""
    same, its = always_the_same(real), rightness(real)
    figures = (
        f"One and the same answer to all would be right about {same} of {its.runs};",
        f"the real model is right about {its.both}.",
    )
    guessing = (
        "Its answers have the right form, because a grammar holds it to one; what",
        "they mean it does not know. That is this model, asked in this way: it shows the",
        "runtime at work with a real server, and not what LLMs can do.",
    )
    more = () if its.both > same else guessing
    return (*figures, *more, "For others: --weights FILE.gguf.")


def comparison(usual: Sequence[Ran], real: Sequence[Ran]) -> Table:
    """Return the table that sets both ways side by side."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, width=WIDTH, padding=(0, 1))
    table.add_column("the last tier is", justify="left", no_wrap=True)
    table.add_column("the classifier", justify="right")
    table.add_column("the real model", justify="right")
    both = (rightness(usual), rightness(real))
    durations = [[one.result.duration for one in ran] for ran in (usual, real)]
    tokens = [sum(one.result.usage.tokens for one in ran) for ran in (usual, real)]
    costs = [sum(one.result.usage.cost_micros for one in ran) for ran in (usual, real)]
    rows: tuple[tuple[str, list[str]], ...] = (
        ("[bold]completed[/]", [_share(b.completed, b.runs) for b in both]),
        ("right category", [_share(b.categories, b.runs) for b in both]),
        ("right urgency", [_share(b.urgency, b.runs) for b in both]),
        ("both right", [_share(b.both, b.runs) for b in both]),
        ("not completed because of", [_causes(ran) for ran in (usual, real)]),
        ("a run takes, p50", [_ms(percentile(took, 50)) for took in durations]),
        ("a run takes, p99", [_ms(percentile(took, 99)) for took in durations]),
        ("tokens, all tiers", [f"{count:,}" for count in tokens]),
        (
            "cost [yellow](assumed for the classifiers)[/]",
            [f"${cost / 1_000_000:.4f}" for cost in costs],
        ),
    )
    for name, cells in rows:
        table.add_row(name, *cells)
    return table


def _words(gold: Gold | None) -> str:
    if gold is None:
        return "no answer"
    return f"{', '.join(gold.categories)}; urgency {gold.urgency}"


def _causes(ran: Iterable[Ran]) -> str:
    causes = Counter(
        one.result.failure.cause.value for one in ran if one.result.failure is not None
    )
    return ", ".join(f"{n} {cause}" for cause, n in causes.most_common()) or "-"


def _share(part: int, whole: int) -> str:
    return f"{part / max(1, whole):.0%} ({part} of {whole})"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"
