"""From a checked workflow to nodes that move strands, and their actors.

Compiling goes from the end to the start: what follows a node exists before the
node does, so every node holds its follower and nothing is looked up while runs
flow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Never, cast

import msgspec

from understudy.engine.asking import ask
from understudy.engine.detours import CascadeOp, ChildOp, RepeatOp, RouteOp
from understudy.engine.fan_out import NO_ITEM, FanOut, Target
from understudy.engine.flow import Flow, Skip, Then
from understudy.engine.pauses import PauseOp
from understudy.engine.step_op import StepOp
from understudy.engine.strand import Fork, StepMessage, Strand
from understudy.workflows.context import Context
from understudy.workflows.inputs import admit
from understudy.workflows.nodes import (
    AnyWorkflow,
    Cascade,
    Child,
    Each,
    Parallel,
    Pause,
    Repeat,
    Route,
    Sequence,
    Workflow,
    is_grouping,
)
from understudy.workflows.plan import Plan, PlanNode
from understudy.workflows.policy import Decision, as_step
from understudy.workflows.step import Step
from understudy.workflows.types import NO_LISTS
from understudy_actors.mailbox import Mailbox
from understudy_protocols.articles import with_article
from understudy_protocols.failures import Cause, Failure, StepError
from understudy_protocols.frozen import freeze
from understudy_protocols.state import OrchestrationState

State = OrchestrationState[object]


class Compiled(msgspec.Struct, frozen=True):
    """A workflow ready to run.

    Args:
      entry: where a run begins.
      steps: its steps and routers; each gets an actor.
    """

    plan: Plan
    entry: Target
    steps: tuple[StepOp, ...]


def compile_plan(plan: Plan, flow: Flow, max_runs: int, complete: Then) -> Compiled:
    """Compile *plan* for at most *max_runs* runs at once.

    Args:
      complete: takes the run's strand, its last state and its value.
    """
    compiler = _Compiler(flow, max_runs)
    root = plan.root

    def at_end(strand: Strand, state: State, value: object) -> None:
        if not isinstance(root.node, Sequence):
            state = state.with_frozen_output(root.label, value)
        complete(strand, state, value)

    entry = compiler.node(
        root, at_end, lambda strand, state: complete(strand, state, None)
    )
    last = _last_step(root)
    for step in compiler.steps:
        step.last = step.path == last
    order = {node.path: ordinal for ordinal, node in enumerate(root.walk())}
    steps = sorted(compiler.steps, key=lambda op: order[op.path])
    return Compiled(plan, entry, tuple(steps))


def _last_step(root: PlanNode) -> str | None:
    """Return the path of the step whose value is all that the run waits for."""
    while isinstance(root.node, Sequence):
        root = root.children[-1]
    return root.path if isinstance(root.node, Step) else None


def _end_branch(strand: Strand, _state: State, value: object) -> None:
    """Follow the last node of a branch: its parent takes the value."""
    _fork_of(strand).ended(strand, value)


def _skip_branch(strand: Strand, _state: State) -> None:
    """Follow the last node of a branch when it did not run."""
    _fork_of(strand).skipped(strand)


def _fork_of(strand: Strand) -> Fork:
    parent = strand.parent
    assert parent is not None, "a branch has a parent"
    fork = parent.fork
    assert fork is not None, "the parent of a live branch has split"
    return fork


class _Compiler:
    def __init__(self, flow: Flow, max_runs: int) -> None:
        self.flow = flow
        self.max_runs = max_runs
        self.steps: list[StepOp] = []

    def node(self, plan: PlanNode, then: Then, skip: Skip) -> Target:
        """Compile one node, given what follows it."""
        node, flow, path = plan.node, self.flow, plan.path
        match node:
            case Step():
                return self._step(plan, node, then, skip)
            case Sequence():
                return self._sequence(plan, then, skip)
            case Parallel():
                return self._parallel(plan, node, then)
            case Each():
                return self._each(plan, node, then)
            case Route():
                return self._route(plan, node, then, skip)
            case Cascade():
                tiers = [(p.label, self._branch(p)) for p in plan.children]
                return CascadeOp(flow, path, tiers, node.accept, then, skip)
            case Repeat():
                assert node.max_rounds is not None, "the check refuses endless loops"
                body = self._branch(plan.children[0])
                return RepeatOp(
                    flow, path, body, node.until, node.max_rounds, then, skip
                )
            case Pause():
                return PauseOp(flow, path, node, then)
            case Child():
                body = self._branch(plan.children[0])
                label = plan.children[0].label
                source, asks = _child_source(plan, node), _asks(node.source)
                return ChildOp(flow, path, label, source, asks, body, then, skip)
            case _:
                raise AssertionError(f"no rule for {type(node).__name__}")

    def _branch(self, plan: PlanNode) -> Target:
        return self.node(plan, _end_branch, _skip_branch)

    def _step(
        self,
        plan: PlanNode,
        step: Step[Never, object, Never],
        then: Then,
        skip: Skip,
    ) -> StepOp:
        mailbox: Mailbox[StepMessage] = Mailbox(
            plan.path, self.max_runs * plan.multiplicity
        )
        op = StepOp(self.flow, plan.path, step, plan.needs, mailbox, then, skip)
        self.steps.append(op)
        return op

    def _sequence(self, plan: PlanNode, then: Then, skip: Skip) -> Target:
        *before, last = plan.children
        target = self.node(last, _storing_last(last, then), skip)
        for part in reversed(before):
            target = self.node(part, _storing(part, target), _going_on(target))
        return target

    def _parallel(
        self, plan: PlanNode, node: Parallel[Never, object, Never], then: Then
    ) -> Target:
        shape = _ParallelShape([(p.label, self._branch(p)) for p in plan.children])
        return FanOut(self.flow, plan.path, shape, node.join, node.max_concurrent, then)

    def _each(
        self, plan: PlanNode, node: Each[Never, object, Never], then: Then
    ) -> Target:
        items = _items(_source(node.over), plan.path)
        body = self._branch(plan.children[0])
        shape = _EachShape(plan.path, items, _asks(node.over), body)
        return FanOut(self.flow, plan.path, shape, node.join, node.max_concurrent, then)

    def _route(
        self,
        plan: PlanNode,
        node: Route[Never, object, Never],
        then: Then,
        skip: Skip,
    ) -> Target:
        branches = {p.label: self._branch(p) for p in plan.children}
        route = RouteOp(self.flow, plan.path, branches, then, skip)

        def take(strand: Strand, state: State, decision: object) -> None:
            assert isinstance(decision, Decision), "a router step gives decisions"
            if self.flow.observers:
                self.flow.tell("decided", strand, path=plan.path, detail=str(decision))
            route.take(strand, state, decision.route)

        router = as_step(node.name, node.policy, tuple(branches))
        return self._step(plan, router, take, _never_skipped)


def _never_skipped(_strand: Strand, _state: State) -> None:
    raise AssertionError("a router always decides")


def _storing(part: PlanNode, following: Target) -> Then:
    name, enter = part.label, following.enter
    if is_grouping(part.node):
        return lambda strand, state, value: enter(strand, state)

    def store(strand: Strand, state: State, value: object) -> None:
        enter(strand, state.with_frozen_output(name, value))

    return store


def _storing_last(part: PlanNode, then: Then) -> Then:
    name = part.label
    if is_grouping(part.node):
        return then

    def store(strand: Strand, state: State, value: object) -> None:
        then(strand, state.with_frozen_output(name, value), value)

    return store


def _going_on(following: Target) -> Skip:
    return following.enter


class _ParallelShape:
    asks = False

    def __init__(self, branches: list[tuple[str, Target]]) -> None:
        self._branches: list[tuple[str | int, Target, object]] = [
            (label, target, NO_ITEM) for label, target in branches
        ]

    def items(self, strand: Strand, state: State) -> tuple[object, ...]:
        return ()

    def branches(
        self, items: tuple[object, ...]
    ) -> list[tuple[str | int, Target, object]]:
        return self._branches

    def joined(self, results: dict[str | int, object]) -> object:
        return freeze({label: results[label] for label, _, _ in self._branches})


class _EachShape:
    def __init__(
        self,
        path: str,
        items: Callable[[Strand, State], tuple[object, ...]],
        asks: bool,
        body: Target,
    ) -> None:
        self.asks: bool = asks
        self._path = path
        self._items = items
        self._body = body

    def items(self, strand: Strand, state: State) -> tuple[object, ...] | Failure:
        # What is no failure is what the function gives.
        return cast(
            "tuple[object, ...] | Failure", ask(self._path, self._items, strand, state)
        )

    def branches(
        self, items: tuple[object, ...]
    ) -> list[tuple[str | int, Target, object]]:
        body = self._body
        return [(index, body, item) for index, item in enumerate(items)]

    def joined(self, results: dict[str | int, object]) -> object:
        return tuple(results[index] for index in range(len(results)))


Source = Callable[[Strand, State], object]
"""Reads what a node takes out of the state; raises what the user's code raises."""


def _source(source: AnyWorkflow | str | Callable[[Never], object]) -> Source:
    """Return what reads a node's value, or asks the user's function for it."""
    if isinstance(source, str):
        return lambda strand, state: state.get_output(source)
    if isinstance(source, Workflow):
        name = source.name
        return lambda strand, state: state.get_output(name)
    function = cast("Callable[[Context[object]], object]", source)
    return lambda strand, state: function(Context(state, None, strand))


def _asks(source: object) -> bool:
    """Whether a source is the user's code, and might say something else next time."""
    return source is not None and not isinstance(source, str | Workflow)


def _items(source: Source, path: str) -> Callable[[Strand, State], tuple[object, ...]]:
    """Return what gives the items of a fan-out, frozen."""

    def items(strand: Strand, state: State) -> tuple[object, ...]:
        found = source(strand, state)
        if isinstance(found, NO_LISTS) or not isinstance(found, Iterable):
            raise StepError(
                f"goes over {with_article(type(found).__name__)}, which is not a list of items",
                cause=Cause.SCHEMA,
            )
        listed = tuple(cast("Iterable[object]", found))
        return cast("tuple[object, ...]", freeze(listed, path))

    return items


def _child_source(
    plan: PlanNode, node: Child[Never, object, Never]
) -> Callable[[Strand, State], tuple[object]] | None:
    """Return what gives the input of a child workflow; see `ChildOp`."""
    if node.source is None:
        return None
    source, declared = _source(node.source), plan.input_type
    what = f"the input of {plan.path}"
    return lambda strand, state: (admit(source(strand, state), declared, what),)
