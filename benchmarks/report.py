"""From samples to the table: pure arithmetic and text."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import attrs

from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Figures, Sample


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
      best: the least of the subject divided by the least of the other.
      limit: the most that *value* may be; None if nothing is promised.
    """

    value: float
    low: float
    high: float
    wall: float
    cpu: float
    best: float
    limit: float | None

    @property
    def verdict(self) -> str:
        """Whether the target was met, and if not, by how much it was missed."""
        if self.limit is None:
            return "no target"
        if self.value <= self.limit:
            return "met"
        if self.limit == 0:
            return "MISSED"
        return f"MISSED by {self.value / self.limit - 1:.0%}"


def judge(claim: Claim, processes: Sequence[Figures]) -> Outcome:
    """Hold *claim* against what its row measured in each of *processes*.

    Samples that were taken one after the other are divided by one another, so
    that noise which lasts longer than a measurement falls on both.
    """
    wall = [_ratios(claim, figures, "wall") for figures in processes]
    cpu = [_ratios(claim, figures, "cpu") for figures in processes]
    deciding = wall if claim.clock == "wall" else cpu
    medians = [statistics.median(ratios) for ratios in deciding]
    subject = _least(claim.subject, processes, claim.clock)
    against = (
        1.0 if claim.against is None else _least(claim.against, processes, claim.clock)
    )
    return Outcome(
        value=statistics.median(_flat(deciding)),
        low=min(medians),
        high=max(medians),
        wall=statistics.median(_flat(wall)),
        cpu=statistics.median(_flat(cpu)),
        best=_quotient(subject, against),
        limit=claim.limit,
    )


def _ratios(claim: Claim, figures: Figures, clock: str) -> list[float]:
    subject = [_read(sample, clock) for sample in figures[claim.subject]]
    if claim.against is None:
        return subject
    against = [_read(sample, clock) for sample in figures[claim.against]]
    return [_quotient(*pair) for pair in zip(subject, against, strict=True)]


def _quotient(subject: float, against: float) -> float:
    # A difference of two times can come out at nothing or less, when there is
    # so little to measure that only noise is left.
    return subject / against if against > 0 else float("inf")


def _least(label: str, processes: Sequence[Figures], clock: str) -> float:
    return min(_read(s, clock) for figures in processes for s in figures[label])


def _read(sample: Sample, clock: str) -> float:
    return sample.wall if clock == "wall" else sample.cpu


def _flat(lists: Iterable[list[float]]) -> list[float]:
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
            alike = claim.against is None
            lines.append(
                f"| {row.name} | {claim.text} | {show(outcome.value)} | {limit} "
                f"| {outcome.verdict} | {show(outcome.low)} to {show(outcome.high)} "
                f"| {'' if alike else show(outcome.cpu)} "
                f"| {'' if alike else show(outcome.wall)} | {show(outcome.best)} |"
            )
    return "\n".join(lines)


def _as_ratio(value: float) -> str:
    return f"{value:.2f} x"


def figure_table(measured: Iterable[tuple[Row, Sequence[Figures]]]) -> str:
    """Return what each contender took as a Markdown table."""
    lines = [
        "| row | contender | cpu, median | cpu, least | wall, median | wall, least |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
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
        return [unit.show(statistics.median(cpu)), unit.show(min(cpu)), "", ""]
    return [
        unit.show(figure)
        for times in (cpu, wall)
        for figure in (statistics.median(times), min(times))
    ]
