"""Fan-outs: `parallel` and `each`, as a window of strands over what is to do.

No worker waits for the branches.  The fork stands in the strand that has
split; each branch that ends is counted there, by whoever ended it, and starts
the next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, cast

from understudy.engine.flow import Flow, Then
from understudy.engine.strand import Branch, Strand
from understudy.workflows.joins import AllOf, Join, Verdict
from understudy_protocols.failures import Cause, Failure
from understudy_protocols.outcomes import Outcome
from understudy_protocols.state import OrchestrationState


class Target(Protocol):
    """A compiled node.  Entering it never ends the strand in the same breath."""

    def enter(self, strand: Strand, state: OrchestrationState[object]) -> None:
        """Bring the strand to this node."""
        ...


class Shape(Protocol):
    """What tells one kind of fan-out from another."""

    @property
    def asks(self) -> bool:
        """Whether the user's code says what to go over."""
        ...

    def items(
        self, strand: Strand, state: OrchestrationState[object]
    ) -> tuple[object, ...] | Failure:
        """Return what to go over."""
        ...

    def branches(
        self, items: tuple[object, ...]
    ) -> list[tuple[str | int, Target, object]]:
        """Return label, node and item of every branch."""
        ...

    def joined(self, results: dict[str | int, object]) -> object:
        """Return the node's value, made of the branches'."""
        ...


class FanOut:
    """A compiled `parallel` or `each`."""

    def __init__(
        self,
        flow: Flow,
        path: str,
        shape: Shape,
        join: Join,
        limit: int | None,
        then: Then,
    ) -> None:
        self.flow = flow
        self.path = path
        self.shape = shape
        self.join = join
        self.limit = limit
        self.then = then
        self.plain: bool = isinstance(join, AllOf)

    def enter(self, strand: Strand, state: OrchestrationState[object]) -> None:
        """Split the strand, and start as many branches as may run at once."""
        if self.shape.asks:
            self.flow.decide(
                strand,
                self.path,
                0,
                lambda: self.shape.items(strand, state),
                lambda items: self._split(strand, state, items),
            )
        else:
            self._split(strand, state, self.shape.items(strand, state))

    def _split(
        self, strand: Strand, state: OrchestrationState[object], items: object
    ) -> None:
        if strand.ended:
            return
        if isinstance(items, Failure):
            self.flow.fail_soon(strand, self.path, items)
            return
        branches = self.shape.branches(cast("tuple[object, ...]", items))
        verdict = self.join.verdict(branches=len(branches), succeeded=0, failed=0)
        if verdict is Verdict.DONE:
            value = self.shape.joined({})
            self.flow.pass_on(self.then, strand, self.path, state, value)
        elif verdict is Verdict.FAILED:
            failure = self.not_met(len(branches), ())
            self.flow.fail_soon(strand, self.path, failure)
        else:
            fork = FanOutFork(self, strand, state, branches)
            strand.fork = fork
            strand.run.leaves -= 1
            fork.start(min(self.limit or len(branches), len(branches)))

    def not_met(self, branches: int, failures: tuple[Failure, ...]) -> Failure:
        """Return the failure of a join that cannot be met any more."""
        causes = "; ".join(str(failure) for failure in failures[:3])
        return Failure.of(
            failures[-1].cause if failures else Cause.STEP_ERROR,
            f"{self.join.needed} of {branches} branches were to succeed"
            + (f", but {len(failures)} failed: {causes}" if failures else ""),
            where=self.path,
        )


class FanOutFork:
    """One fan-out under way.

    Attributes:
      started: how many branches have been started; they start in order.
      results: values, or outcomes, of the branches that have ended.
    """

    __slots__ = (
        "_live",
        "branches",
        "failures",
        "op",
        "parent",
        "results",
        "started",
        "state",
        "succeeded",
    )

    def __init__(
        self,
        op: FanOut,
        parent: Strand,
        state: OrchestrationState[object],
        branches: list[tuple[str | int, Target, object]],
    ) -> None:
        self.op: FanOut = op
        self.parent: Strand = parent
        self.state: OrchestrationState[object] = state
        self.branches: list[tuple[str | int, Target, object]] = branches
        self.started: int = 0
        self.succeeded: int = 0
        self.failures: list[Failure] = []
        self.results: dict[str | int, object] = {}
        self._live: dict[str | int, Strand] = {}

    def live(self) -> Iterable[Strand]:
        """Return the branches that have not ended."""
        return tuple(self._live.values())

    def start(self, count: int) -> None:
        """Start the next *count* branches."""
        parent = self.parent
        # All count before the first is entered: with one of them in a pause it
        # must not look as if the whole run waited.
        parent.run.leaves += count
        for _ in range(count):
            self._start_one()
            if parent.ended:
                return

    def _start_one(self) -> None:
        label, target, item = self.branches[self.started]
        self.started += 1
        strand = Branch(self.parent, label)
        if item is not NO_ITEM:
            strand.item = item
        self._live[label] = strand
        target.enter(strand, self.state)

    def ended(self, strand: Strand, value: object) -> None:
        """Count a branch that has its value, and go on."""
        strand.ended = True
        strand.run.leaves -= 1
        del self._live[strand.label]
        self.succeeded += 1
        if not self.op.plain:
            value = Outcome(value)
        elif self.started < len(self.branches):
            # All are needed and some have not begun: nothing to be decided.
            self.results[strand.label] = value
            strand.run.leaves += 1
            self._start_one()
            return
        self.results[strand.label] = value
        self._decide(None)

    def skipped(self, strand: Strand) -> None:
        """Count a branch that had nothing to run: it has ended well, with None."""
        self.ended(strand, None)

    def failed(self, strand: Strand, failure: Failure) -> None:
        """Count a branch that has failed, and go on."""
        del self._live[strand.label]
        self.failures.append(failure)
        self.results[strand.label] = Outcome[object](failure=failure)
        self._decide(failure)

    def _decide(self, failure: Failure | None) -> None:
        verdict = self.op.join.verdict(
            branches=len(self.branches),
            succeeded=self.succeeded,
            failed=len(self.failures),
        )
        op, parent = self.op, self.parent
        run = parent.run
        if verdict is Verdict.WAIT:
            if self.started < len(self.branches):
                self.start(1)
            elif run.paused and run.paused == run.leaves:
                op.flow.stop_clock(run)
            return
        for strand in self.live():
            op.flow.call_off(strand)
        parent.fork = None
        parent.run.leaves += 1
        if verdict is Verdict.DONE:
            op.then(parent, self.state, op.shape.joined(self._all_results()))
        elif op.plain and failure is not None:
            op.flow.fail(parent, failure)
        else:
            failures = tuple(self.failures)
            op.flow.fail(parent, op.not_met(len(self.branches), failures))

    def _all_results(self) -> dict[str | int, object]:
        """Return the results in the branches' order, losers included."""
        if len(self.results) == len(self.branches) and self.op.plain:
            return self.results
        return {label: self.results.get(label, _LOSER) for label, _, _ in self.branches}


NO_ITEM: object = object()
"""Stands for the item of a branch that has none of its own."""

_LOSER = Outcome[object](
    failure=Failure.of(Cause.CANCELLED, "the join was met without it")
)
