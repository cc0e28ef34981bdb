"""From samples to the table: pure arithmetic and text."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import TypeVar

import attrs

from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Figures, Sample

HINDERED = 1.25
"""A measurement on the wall counts if it took no more than this times its work
and its waiting; the rest was spent waiting for a processor."""


@attrs.frozen
class Outcome:
    """What became of one claim.

    Args:
      value: the median on the clock that decides; a ratio, or the bare figure
        of a claim that has nothing to be divided by.
      low: the lowest of the processes' medians.
      high: the highest of them.
      wall: the median on the clock on the wall.
      cpu: the median on the process's own clock.
      best: the least of the subject divided by the least of the other; None
        where one is a difference of two times, and so small that it came out
        at nothing or less.
      limit: the most that *value* may be; None if nothing is promised.
      pairs: how many measurements decide.
      discarded: how many do not, since the machine was busy.
    """

    value: float
    low: float
    high: float
    wall: float
    cpu: float
    best: float | None
    limit: float | None
    pairs: int
    discarded: int

    @property
    def verdict(self) -> str:
        """Whether the target was met, and if not, by how much it was missed."""
        if self.limit is None:
            return "no target"
        if self.pairs == 0:
            return "undecided: busy machine"
        if self.value <= self.limit:
            return "met"
        if self.limit == 0:
            return "MISSED"
        return f"MISSED by {self.value / self.limit - 1:.0%}"


@attrs.frozen
class _Pair:
    """The subject's sample and the other's, taken one after the other."""

    subject: Sample
    against: Sample

    @property
    def cpu(self) -> float:
        return _quotient(self.subject.cpu, self.against.cpu)

    @property
    def wall(self) -> float:
        return _quotient(self.subject.wall, self.against.wall)

    def hindered(self, idle: float) -> bool:
        return any(
            sample.wall > HINDERED * (sample.cpu + idle)
            for sample in (self.subject, self.against)
        )


_ONE = Sample.of(1.0)


def judge(claim: Claim, processes: Sequence[Figures]) -> Outcome:
    """Hold *claim* against what its row measured in each of *processes*.

    Samples that were taken one after the other are divided by one another, so
    that noise which lasts longer than a measurement falls on both.
    """
    every = [_pairs(claim, figures) for figures in processes]
    by_wall = claim.clock == "wall"
    sound = [
        [pair for pair in pairs if not (by_wall and pair.hindered(claim.idle))]
        for pairs in every
    ]
    count = sum(map(len, sound))
    deciding = [pairs for pairs in (sound if count else every) if pairs]
    ratios = [
        [pair.wall if by_wall else pair.cpu for pair in pairs] for pairs in deciding
    ]
    medians = [statistics.median(of_one) for of_one in ratios]
    return Outcome(
        value=statistics.median(_flat(ratios)),
        low=min(medians),
        high=max(medians),
        wall=statistics.median(pair.wall for pair in _flat(every)),
        cpu=statistics.median(pair.cpu for pair in _flat(every)),
        best=_best(claim, processes),
        limit=claim.limit,
        pairs=count,
        discarded=sum(map(len, every)) - count,
    )


def _pairs(claim: Claim, figures: Figures) -> list[_Pair]:
    subject = figures[claim.subject]
    against = [_ONE] * len(subject) if claim.against is None else figures[claim.against]
    return [_Pair(*pair) for pair in zip(subject, against, strict=True)]


def _quotient(subject: float, against: float) -> float:
    # A difference of two times can come out at nothing or less, when there is
    # so little to measure that only noise is left.
    return subject / against if against > 0 else float("inf")


def _best(claim: Claim, processes: Sequence[Figures]) -> float | None:
    subject = _least(claim, claim.subject, processes)
    if claim.against is None:
        return subject
    against = _least(claim, claim.against, processes)
    return subject / against if subject > 0 and against > 0 else None


def _least(claim: Claim, label: str, processes: Sequence[Figures]) -> float:
    samples = _flat(figures[label] for figures in processes)
    return min(s.wall if claim.clock == "wall" else s.cpu for s in samples)


_T = TypeVar("_T")


def _flat(lists: Iterable[Iterable[_T]]) -> list[_T]:
    return [value for values in lists for value in values]


def claim_table(judged: Iterable[tuple[Row, Sequence[Outcome]]]) -> str:
    """Return the outcome of every claim as a Markdown table."""
    lines = [
        "| row | claim | measured | target | | spread | cpu | wall | best |",
        "| --- | --- | ---: | ---: | --- | --- | ---: | ---: | ---: |",
    ]
    for row, outcomes in judged:
        for claim, outcome in zip(row.claims, outcomes, strict=True):
            show = _as_ratio if claim.against else row.unit.show
            limit = "" if outcome.limit is None else f"<= {show(outcome.limit)}"
            best = "" if outcome.best is None else show(outcome.best)
            alike = claim.against is None
            lines.append(
                f"| {row.name} | {claim.text} | {show(outcome.value)} | {limit} "
                f"| {outcome.verdict} | {show(outcome.low)} to {show(outcome.high)} "
                f"| {'' if alike else show(outcome.cpu)} "
                f"| {'' if alike else show(outcome.wall)} | {best} |"
            )
    return "\n".join(lines)


def _as_ratio(value: float) -> str:
    return f"{value:.2f} x"


def figure_table(measured: Iterable[tuple[Row, Sequence[Figures]]]) -> str:
    """Return what each contender took as a Markdown table."""
    columns = "cpu, median | cpu, least | wall, median | wall, least | a second"
    lines = [
        f"| row | contender | {columns} |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row, processes in measured:
        for label in processes[0]:
            samples = [sample for figures in processes for sample in figures[label]]
            shown = _figures(samples, row.unit)
            lines.append(f"| {row.name} | {label} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _figures(samples: Sequence[Sample], unit: Unit) -> list[str]:
    cpu = [sample.cpu for sample in samples]
    wall = [sample.wall for sample in samples]
    if cpu == wall:
        return [unit.show(statistics.median(cpu)), unit.show(min(cpu)), "", "", ""]
    shown = [
        unit.show(figure)
        for times in (cpu, wall)
        for figure in (statistics.median(times), min(times))
    ]
    each = statistics.median(cpu)
    return [*shown, f"{1 / each:,.0f}" if each > 0 else ""]
