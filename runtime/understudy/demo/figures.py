"""What the demo's figures are made of, and the figures; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from understudy.demo.extraction import Extraction
from understudy.demo.labels import Category, Gold, Urgency
from understudy.demo.messages import Message
from understudy.demo.tiers import Tier
from understudy.demo.workflow import Reply
from understudy.result import RunResult
from understudy.workflows.check import check
from understudy.workflows.nodes import AnyWorkflow
from understudy.workflows.plan import PlanNode


@attrs.frozen
class Ran:
    """A message, and how its run ended."""

    message: Message
    result: RunResult[object]

    @property
    def is_right(self) -> bool:
        """Whether the run completed with the gold categories and urgency."""
        said = found(self.result)
        gold = self.message.gold
        return said is not None and (said.categories, said.urgency) == (
            gold.categories,
            gold.urgency,
        )


def found(result: RunResult[object]) -> Gold | None:
    """Return the categories and urgency that a run found; None if it did not."""
    if not result.ok:
        return None
    value = result.value
    assert isinstance(value, Extraction | Reply), "the demo runs two workflows"
    # The order of issues is the tier's; that of gold is the scheme's.
    categories = tuple(each for each in Category if each in value.categories)
    return Gold(categories, Urgency(value.urgency))


@attrs.frozen
class StepFigures:
    """How long one step took; seconds.

    Args:
      times: how often it ran; skipped ones not counted.
    """

    path: str
    times: int
    p50: float
    p99: float


@attrs.frozen
class TierFigures:
    """What one tier answered: how many messages, and how many of them rightly."""

    tier: Tier
    answered: int
    right: int


@attrs.frozen
class Figures:
    """What is to be said of a number of runs of one workflow.

    Args:
      completed: runs with a value; a count, as is *right*.
      failed_by: the causes of the other runs' failures, the most frequent first.
      calls: requests sent to models.
      attempts: attempts at steps that call models, those made in place included.
      p50: median of the runs' durations; seconds.
      p99: of 100 runs one takes longer; seconds.
      cost_micros: at the assumed prices; micro-USD.
    """

    runs: int
    completed: int
    right: int
    failed_by: Mapping[str, int]
    calls: int
    attempts: int
    p50: float
    p99: float
    cost_micros: int
    steps: tuple[StepFigures, ...]
    tiers: tuple[TierFigures, ...]


def step_paths(workflow: AnyWorkflow) -> tuple[str, ...]:
    """Return the paths of all nodes of *workflow*, in the order in which they run."""

    def walk(node: PlanNode) -> Iterator[str]:
        yield node.path
        for inner in node.children:
            yield from walk(inner)

    return tuple(walk(check(workflow).root))


def figures(ran: Sequence[Ran], paths: Sequence[str]) -> Figures:
    """Return the figures of *ran*; one run or more.

    Args:
      paths: the steps to tell of, in their order, if they ran.
    """
    durations = [each.result.duration for each in ran]
    steps = [step for each in ran for step in each.result.steps]
    causes = Counter(
        each.result.failure.cause.value
        for each in ran
        if each.result.failure is not None
    )
    return Figures(
        runs=len(ran),
        completed=sum(each.result.ok for each in ran),
        right=sum(each.is_right for each in ran),
        failed_by=dict(causes.most_common()),
        calls=sum(each.result.usage.calls for each in ran),
        attempts=sum(step.number for step in steps if step.usage.calls),
        p50=percentile(durations, 50),
        p99=percentile(durations, 99),
        cost_micros=sum(each.result.usage.cost_micros for each in ran),
        steps=_steps(ran, paths),
        tiers=_tiers(ran),
    )


def percentile(values: Iterable[float], share: float) -> float:
    """Return the least of *values* that *share* per cent of them do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 100)
    return ordered[max(0, int(rank) - 1)]


def _steps(ran: Sequence[Ran], paths: Sequence[str]) -> tuple[StepFigures, ...]:
    durations: defaultdict[str, list[float]] = defaultdict(list)
    for each in ran:
        for step in each.result.steps:
            if step.status != "skipped":
                durations[step.path].append(step.duration)
    return tuple(
        StepFigures(path, len(took), percentile(took, 50), percentile(took, 99))
        for path in paths
        if (took := durations.get(path))
    )


def _tiers(ran: Sequence[Ran]) -> tuple[TierFigures, ...]:
    answered: Counter[Tier] = Counter()
    right: Counter[Tier] = Counter()
    for each in ran:
        if each.result.ok and isinstance(each.result.value, Reply):
            answered[each.result.value.tier] += 1
            right[each.result.value.tier] += each.is_right
    return tuple(TierFigures(t, answered[t], right[t]) for t in Tier if answered[t])
