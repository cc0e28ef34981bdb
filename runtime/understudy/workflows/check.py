"""The check of a whole workflow, before anything runs.

`check` walks the tree once, in the order in which nodes run, and keeps track
of which names are visible where.  It makes a `Plan`, or raises the error that
names the place and says what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Never

import attrs

from understudy.workflows.nodes import (
    AnyWorkflow,
    Cascade,
    Child,
    Each,
    Maybe,
    Need,
    Parallel,
    Pause,
    Repeat,
    Route,
    Sequence,
    Workflow,
    is_grouping,
)
from understudy.workflows.plan import Plan, PlanNode
from understudy.workflows.step import UNDECLARED, Step
from understudy.workflows.types import (
    fits,
    is_iterable_type,
    item_tuple,
    narrower,
    type_name,
    value_map,
)
from understudy_protocols.errors import (
    DuplicateNameError,
    MissingInputError,
    TooLargeError,
    TypeMismatchError,
    UnboundedLoopError,
    UnknownStepError,
    UnreachableBranchError,
)
from understudy_protocols.frozen import FrozenMap

MAX_DEPTH = 100
"""Nodes inside nodes; deeper than anybody reads."""

MAX_MULTIPLICITY = 100_000
"""Messages of one run at one node at once; nested fan-outs multiply."""


@attrs.frozen
class _Visible:
    """A name that nodes further on may need."""

    node: AnyWorkflow
    type: object
    certain: bool


@attrs.define(eq=False)
class _Scope:
    """The names visible at one place; branches look through to what is around."""

    names: dict[str, _Visible] = attrs.field(factory=dict)
    outer: _Scope | None = None

    def find(self, name: str) -> _Visible | None:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return None

    def all(self) -> dict[str, _Visible]:
        around = {} if self.outer is None else self.outer.all()
        return {**around, **self.names}


@attrs.define(eq=False)
class _Around:
    """What does not change from a node to its parts, but within a child."""

    everything: frozenset[str]
    input_type: object = UNDECLARED
    deps_types: list[object] = attrs.field(factory=list)


def check(workflow: AnyWorkflow) -> Plan:
    """Check *workflow* whole.

    Raises:
      WorkflowError: it cannot run; one class for each kind of mistake.
    """
    around = _Around(frozenset(node.name for node in _all_nodes(workflow)))
    root = _visit(workflow, workflow.name, "", _Scope(), around, 1, 0)
    return Plan(workflow, root, around.input_type, tuple(around.deps_types))


def _all_nodes(workflow: AnyWorkflow) -> Iterator[AnyWorkflow]:
    stack: list[tuple[AnyWorkflow, int]] = [(workflow, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise TooLargeError(
                node.name,
                f"nodes are nested more than {MAX_DEPTH} deep; "
                "put parts into workflows of their own",
            )
        yield node
        stack.extend((part, depth + 1) for _, part in node.parts)


def _visit(
    node: AnyWorkflow,
    label: str,
    above: str,
    scope: _Scope,
    around: _Around,
    multiplicity: int,
    depth: int,
) -> PlanNode:
    path = f"{above}/{label}" if above else label
    if multiplicity > MAX_MULTIPLICITY:
        raise TooLargeError(
            path,
            f"one run could have {multiplicity:,} messages here at once "
            f"(at most {MAX_MULTIPLICITY:,}); lower max_concurrent of the "
            "fan-outs around it",
        )

    def part(
        inner: AnyWorkflow,
        label: str,
        inside: _Scope,
        times: int = 1,
        within: _Around = around,
    ) -> PlanNode:
        # The workflow's own name is not in the paths of its parts.
        below = path if depth else ""
        return _visit(
            inner, label, below, inside, within, multiplicity * times, depth + 1
        )

    def made(
        children: tuple[PlanNode, ...],
        output_type: object,
        needs: Mapping[str, bool] = FrozenMap({}),
        certain: bool = True,
    ) -> PlanNode:
        return PlanNode(
            node, path, label, needs, output_type, certain, multiplicity, children
        )

    match node:
        case Step():
            _declare(node, path, around)
            needs = _resolve_needs(node, path, scope, around)
            return made((), node.output_type, needs, certain=node.when is None)
        case Sequence():
            parts = tuple(_in_sequence(node, path, scope, part))
            return made(parts, parts[-1].output_type, certain=parts[-1].certain)
        case Parallel():
            _quorum_possible(node, path)
            parts = tuple(
                part(branch, name, _Scope(outer=scope))
                for name, branch in node.branches.items()
            )
            return made(parts, value_map(node.join, [p.output_type for p in parts]))
        case Each():
            _over(node, path, scope, around)
            body = part(
                node.body, node.body.name, _Scope(outer=scope), node.max_concurrent
            )
            return made((body,), item_tuple(node.join, body.output_type))
        case Route():
            _reachable(node, path)
            parts = tuple(
                part(branch, name, _Scope(outer=scope))
                for name, branch in node.branches.items()
            )
            return made(parts, _common(parts), _all_visible(scope))
        case Cascade():
            _distinct(path, [tier.name for tier in node.tiers])
            parts = tuple(
                part(tier, tier.name, _Scope(outer=scope)) for tier in node.tiers
            )
            return made(parts, _common(parts))
        case Repeat():
            if node.max_rounds is None:
                raise UnboundedLoopError(
                    path, "the loop has no largest number of rounds; give max_rounds"
                )
            body = part(node.body, node.body.name, _Scope(outer=scope))
            return made((body,), body.output_type)
        case Pause():
            return made((), node.output)
        case Child():
            return _child(node, path, scope, around, part, made)
        case _:
            raise AssertionError(f"no rule for {type(node).__name__}")


_Part = Callable[..., PlanNode]


def _in_sequence(
    node: Sequence[Never, object, Never], path: str, scope: _Scope, part: _Part
) -> Iterator[PlanNode]:
    for inner in node.nodes:
        silent = is_grouping(inner)
        if not silent and scope.find(inner.name) is not None:
            raise DuplicateNameError(
                path,
                f"{inner.name!r} is already the name of another node that is visible "
                f"here; give this one another with .named({inner.name + '_2'!r})",
            )
        made: PlanNode = part(inner, inner.name, scope)
        if not silent:
            scope.names[inner.name] = _Visible(inner, made.output_type, made.certain)
        yield made


def _declare(node: Step[Never, object, Never], path: str, around: _Around) -> None:
    """Take note of the input and the dependencies that a step declares."""
    if node.input_type is not UNDECLARED:
        both = narrower(around.input_type, node.input_type)
        if both is None:
            raise TypeMismatchError(
                path,
                f"takes {type_name(node.input_type)} as its input, but another step "
                f"of the workflow takes {type_name(around.input_type)}; "
                "wrap one of them with child(..., input=...)",
            )
        around.input_type = both
    if node.deps_type is not UNDECLARED:
        around.deps_types.append(node.deps_type)


def _resolve_needs(
    node: Step[Never, object, Never], path: str, scope: _Scope, around: _Around
) -> Mapping[str, bool]:
    if node.needs is None:
        return _all_visible(scope)
    return FrozenMap(dict(_resolve(need, path, scope, around) for need in node.needs))


def _all_visible(scope: _Scope) -> Mapping[str, bool]:
    return FrozenMap({n: v.certain for n, v in scope.all().items()})


def _resolve(need: Need, path: str, scope: _Scope, around: _Around) -> tuple[str, bool]:
    """Return the name of a need, and whether its value must exist."""
    optional = isinstance(need, Maybe)
    target = need.node if isinstance(need, Maybe) else need
    name = target.name if isinstance(target, Workflow) else target
    found = scope.find(name)
    if found is None:
        visible = sorted(scope.all())
        if name not in around.everything:
            close = difflib.get_close_matches(name, around.everything, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UnknownStepError(
                path, f"needs {name!r}, which is nowhere in the workflow{hint}"
            )
        raise MissingInputError(
            path,
            f"needs {name!r}, which runs later, or inside a branch of its own; "
            f"visible here: {', '.join(visible) or 'nothing but the input'}",
        )
    if not found.certain and not optional:
        raise MissingInputError(
            path,
            f"needs {name!r}, which may not have run; need maybe({name}) instead, "
            "and expect None",
        )
    if isinstance(target, Workflow) and not fits(
        found.type, getattr(target, "output_type", UNDECLARED)
    ):
        raise TypeMismatchError(
            path,
            f"needs the {name!r} that gives "
            f"{type_name(getattr(target, 'output_type', UNDECLARED))}, but the one in "
            f"scope gives {type_name(found.type)}",
        )
    return name, not optional


def _over(
    node: Each[Never, object, Never], path: str, scope: _Scope, around: _Around
) -> None:
    if not isinstance(node.over, Workflow | str):
        return
    name, _ = _resolve(node.over, path, scope, around)
    found = scope.find(name)
    assert found is not None, "a resolved need is in scope"
    if not is_iterable_type(found.type):
        raise TypeMismatchError(
            path,
            f"goes over {name!r}, which gives {type_name(found.type)} and not a list; "
            "give a function that takes the list out: over=lambda context: ...",
        )


def _child(
    node: Child[Never, object, Never],
    path: str,
    scope: _Scope,
    around: _Around,
    part: _Part,
    made: Callable[..., PlanNode],
) -> PlanNode:
    given: object = around.input_type if node.source is None else UNDECLARED
    needs: dict[str, bool] = {}
    if isinstance(node.source, Workflow | str):
        name, certain = _resolve(node.source, path, scope, around)
        found = scope.find(name)
        assert found is not None, "a resolved need is in scope"
        given, needs[name] = found.type, certain
    within = _Around(around.everything, deps_types=around.deps_types)
    inner: PlanNode = part(node.workflow, node.workflow.name, _Scope(), 1, within)
    if not fits(given, within.input_type):
        raise TypeMismatchError(
            path,
            f"takes {type_name(within.input_type)} as its input, "
            f"but is given {type_name(given)}",
        )
    if node.source is None:
        around.input_type = narrower(around.input_type, within.input_type)
    return made((inner,), inner.output_type, FrozenMap(needs))


def _reachable(node: Route[Never, object, Never], path: str) -> None:
    labels: object = getattr(node.policy, "labels", None)
    if not isinstance(labels, tuple):
        return
    unreachable = [name for name in node.branches if name not in labels]
    if unreachable:
        raise UnreachableBranchError(
            path,
            f"the policy never chooses {', '.join(map(repr, unreachable))}; "
            f"it chooses among {', '.join(map(repr, labels))}",
        )
    missing = [name for name in labels if name not in node.branches]
    if missing:
        raise UnknownStepError(
            path,
            f"the policy may choose {', '.join(map(repr, missing))}, "
            "for which there is no branch",
        )


def _quorum_possible(node: Parallel[Never, object, Never], path: str) -> None:
    needed = node.join.needed
    if needed is not None and needed > len(node.branches):
        raise UnreachableBranchError(
            path, f"a quorum of {needed} cannot be met by {len(node.branches)} branches"
        )


def _distinct(path: str, names: list[str]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DuplicateNameError(
            path,
            f"two of its parts are called {', '.join(map(repr, sorted(twice)))}; "
            "give one another name with .named()",
        )


def _common(parts: tuple[PlanNode, ...]) -> object:
    types = {part.output_type for part in parts}
    return types.pop() if len(types) == 1 else UNDECLARED
