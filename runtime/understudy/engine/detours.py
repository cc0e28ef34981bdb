"""Nodes that lead through one inner strand at a time.

`route` leads through the branch chosen, `cascade` through its tiers, `repeat`
through its rounds, `child` through a workflow of its own.  The strand that
meets such a node splits into one; names made inside end with it, since what
follows sees the state from before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, cast

from understudy.engine.asking import ask, ask_if
from understudy.engine.fan_out import Target
from understudy.engine.flow import Flow, Skip, Then
from understudy.engine.strand import Branch, Strand
from understudy_protocols.failures import Failure
from understudy_protocols.state import OrchestrationState

State = OrchestrationState[object]


class _Detouring(Protocol):
    """A node that leads through inner strands."""

    def inner_ended(self, detour: Detour, value: object) -> None: ...
    def inner_skipped(self, detour: Detour) -> None: ...
    def inner_failed(self, detour: Detour, failure: Failure) -> None: ...


class Detour:
    """A strand that waits for one inner strand.

    Attributes:
      turn: how many inner strands there have been.
      value: that of the last round of a loop; None before.
    """

    __slots__ = ("inner", "op", "parent", "state", "turn", "value")

    def __init__(self, op: _Detouring, parent: Strand, state: State) -> None:
        self.op: _Detouring = op
        self.parent: Strand = parent
        self.state: State = state
        self.turn: int = 0
        self.value: object = None
        self.inner: Strand | None = None

    def live(self) -> Iterable[Strand]:
        """Return the inner strand, if there is one."""
        return () if self.inner is None else (self.inner,)

    def begin(self, label: str | int) -> Strand:
        """Split the parent into a fresh inner strand and return it."""
        self.parent.fork = self
        self.inner = Branch(self.parent, label)
        return self.inner

    def ended(self, strand: Strand, value: object) -> None:
        """Take the value of the inner strand."""
        strand.ended = True
        self.inner = None
        self.op.inner_ended(self, value)

    def skipped(self, strand: Strand) -> None:
        """Take note that the inner strand had nothing to run."""
        strand.ended = True
        self.inner = None
        self.op.inner_skipped(self)

    def failed(self, strand: Strand, failure: Failure) -> None:
        """Take the failure of the inner strand."""
        # Flow.fail has counted the inner strand out, and our parent goes on as
        # one in its place.
        strand.run.leaves += 1
        self.inner = None
        self.op.inner_failed(self, failure)

    def close(self) -> Strand:
        """Make the parent whole again and return it."""
        self.parent.fork = None
        return self.parent


class RouteOp:
    """A compiled `route`; its actor calls `take` once it has decided."""

    def __init__(
        self,
        flow: Flow,
        path: str,
        branches: dict[str, Target],
        then: Then,
        skip: Skip,
    ) -> None:
        self.flow = flow
        self.path = path
        self.branches = branches
        self.then = then
        self.skip = skip

    def take(self, strand: Strand, state: State, label: str) -> None:
        """Lead the strand through the branch called *label*."""
        inner = Detour(self, strand, state).begin(label)
        self.branches[label].enter(inner, state)

    def inner_ended(self, detour: Detour, value: object) -> None:
        """The branch has its value, which is the route's."""
        self.then(detour.close(), detour.state, value)

    def inner_skipped(self, detour: Detour) -> None:
        """The branch did not run, and so the route did not."""
        self.skip(detour.close(), detour.state)

    def inner_failed(self, detour: Detour, failure: Failure) -> None:
        """The branch has failed, and so has the route."""
        self.flow.fail(detour.close(), failure)


class CascadeOp:
    """A compiled `cascade`."""

    def __init__(
        self,
        flow: Flow,
        path: str,
        tiers: list[tuple[str, Target]],
        accept: Callable[..., object],
        then: Then,
        skip: Skip,
    ) -> None:
        self.flow = flow
        self.path = path
        self.tiers = tiers
        self.accept = accept
        self.then = then
        self.skip = skip

    def enter(self, strand: Strand, state: State) -> None:
        """Lead the strand through the first tier."""
        self._through(Detour(self, strand, state))

    def _through(self, detour: Detour) -> None:
        label, target = self.tiers[detour.turn]
        detour.turn += 1
        target.enter(detour.begin(label), detour.state)

    def inner_ended(self, detour: Detour, value: object) -> None:
        """Take the tier's value if it is good enough, else go to the next."""
        if detour.turn == len(self.tiers):
            self._judged(detour, value, True)
            return
        self.flow.decide(
            detour.parent,
            self.path,
            detour.turn,
            lambda: ask_if(f"{self.path}: accept", self.accept, value),
            lambda accepted: self._judged(detour, value, accepted),
        )

    def _judged(self, detour: Detour, value: object, accepted: object) -> None:
        if isinstance(accepted, Failure):
            self.flow.fail(detour.close(), accepted)
            return
        if self.flow.observers:
            tier = self.tiers[detour.turn - 1][0]
            self.flow.tell(
                "decided",
                detour.parent,
                path=self.path,
                detail=f"{tier} {'accepted' if accepted else 'not accepted'}",
            )
        if accepted:
            self.then(detour.close(), detour.state, value)
        else:
            self._through(detour)

    def inner_skipped(self, detour: Detour) -> None:
        """Go to the next tier; the cascade did not run if the last one did not."""
        if detour.turn < len(self.tiers):
            self._through(detour)
        else:
            self.skip(detour.close(), detour.state)

    def inner_failed(self, detour: Detour, failure: Failure) -> None:
        """Go to the next tier; the last one's failure is the cascade's."""
        if detour.turn < len(self.tiers):
            self._through(detour)
        else:
            self.flow.fail(detour.close(), failure)


class RepeatOp:
    """A compiled `repeat`."""

    def __init__(
        self,
        flow: Flow,
        path: str,
        body: Target,
        until: Callable[..., object],
        max_rounds: int,
        then: Then,
        skip: Skip,
    ) -> None:
        self.flow = flow
        self.path = path
        self.body = body
        self.until = until
        self.max_rounds = max_rounds
        self.then = then
        self.skip = skip

    def enter(self, strand: Strand, state: State) -> None:
        """Lead the strand through the first round."""
        self._round(Detour(self, strand, state))

    def _round(self, detour: Detour) -> None:
        detour.turn += 1
        inner = detour.begin(detour.turn)
        inner.previous = detour.value
        inner.round = detour.turn
        self.body.enter(inner, detour.state)

    def inner_ended(self, detour: Detour, value: object) -> None:
        """End the loop if the value is good or no round is left."""
        self.flow.decide(
            detour.parent,
            self.path,
            detour.turn,
            lambda: ask_if(f"{self.path}: until", self.until, value),
            lambda done: self._judged(detour, value, done),
        )

    def _judged(self, detour: Detour, value: object, done: object) -> None:
        if isinstance(done, Failure):
            self.flow.fail(detour.close(), done)
        elif done or detour.turn == self.max_rounds:
            self.then(detour.close(), detour.state, value)
        else:
            detour.value = value
            self._round(detour)

    def inner_skipped(self, detour: Detour) -> None:
        """A round that does not run ends the loop with the value before."""
        if detour.turn == 1:
            self.skip(detour.close(), detour.state)
        else:
            self.then(detour.close(), detour.state, detour.value)

    def inner_failed(self, detour: Detour, failure: Failure) -> None:
        """A round that fails ends the loop badly."""
        self.flow.fail(detour.close(), failure)


class ChildOp:
    """A compiled `child`.

    Args:
      source: gives what its workflow is about, alone in a tuple: it may well be a
        `Failure` that was recorded; None if it is the run's own input.
      asks: whether the source is the user's code.
    """

    def __init__(
        self,
        flow: Flow,
        path: str,
        label: str,
        source: Callable[[Strand, State], tuple[object]] | None,
        asks: bool,
        body: Target,
        then: Then,
        skip: Skip,
    ) -> None:
        self.flow = flow
        self.path = path
        self.label = label
        self.source = source
        self.asks = asks
        self.body = body
        self.then = then
        self.skip = skip

    def enter(self, strand: Strand, state: State) -> None:
        """Lead the strand through the workflow, with a state of its own."""
        source = self.source
        if source is None:
            self._begin(strand, state, (state.inputs,))
        elif self.asks:
            self.flow.decide(
                strand,
                self.path,
                0,
                lambda: ask(self.path, source, strand, state),
                lambda given: self._begin(strand, state, given),
            )
        else:
            self._begin(strand, state, ask(self.path, source, strand, state))

    def _begin(self, strand: Strand, state: State, given: object) -> None:
        if strand.ended:
            return
        if isinstance(given, Failure):
            self.flow.fail_soon(strand, self.path, given)
            return
        (inputs,) = cast("tuple[object]", given)
        inner = Detour(self, strand, state).begin(self.label)
        inner.item = inner.previous = None
        inner.round = 0
        self.body.enter(inner, state.with_inputs(inputs))

    def inner_ended(self, detour: Detour, value: object) -> None:
        """The workflow has its value, which is the child's."""
        self.then(detour.close(), detour.state, value)

    def inner_skipped(self, detour: Detour) -> None:
        """The workflow did not run, and so the child did not."""
        self.skip(detour.close(), detour.state)

    def inner_failed(self, detour: Detour, failure: Failure) -> None:
        """The workflow has failed, and so has the child."""
        self.flow.fail(detour.close(), failure)
