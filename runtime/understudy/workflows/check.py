"""The check of a whole workflow, before anything runs.

`check` walks the tree once, in the order in which nodes run, and keeps track
of which names are visible where.  It makes a `Plan`, or raises the error that
names the place and says what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Never

import msgspec

from understudy.workflows.hints import UNDECLARED
from understudy.workflows.marks import check_marks
from understudy.workflows.nodes import (
    AnyWorkflow,
    Cascade,
    Child,
    Each,
    Need,
    Parallel,
    Pause,
    Repeat,
    Route,
    Sequence,
    is_grouping,
)
from understudy.workflows.plan import Plan, PlanNode
from understudy.workflows.scope import Scope, Visible
from understudy.workflows.step import Step
from understudy.workflows.types import item_tuple, narrower, type_name
from understudy.workflows.wiring import (
    check_default,
    check_distinct,
    check_input,
    check_items,
    check_labels,
    check_question,
    check_quorum,
    source_type,
)
from understudy_protocols.errors import (
    DuplicateNameError,
    TooLargeError,
    TypeMismatchError,
    UnboundedLoopError,
)
from understudy_protocols.frozen import FrozenMap

MAX_DEPTH = 100
"""Nodes inside nodes; deeper than anybody reads."""

MAX_MULTIPLICITY = 100_000
"""Messages of one run at one node at once; nested fan-outs multiply."""


def check(workflow: AnyWorkflow) -> Plan:
    """Check *workflow* whole.

    Raises:
      WorkflowError: it cannot run; one class for each kind of mistake.
    """
    everything = frozenset(node.name for node in _all_nodes(workflow))
    inside = _Inside()
    top = _Place(workflow.name, "", Scope(everything), inside, 1)
    root = _visit(workflow, top)
    _distinct_paths(root)
    check_marks(root)
    return Plan(workflow, root, inside.input_type, tuple(inside.deps_types))


class _Inside(msgspec.Struct, eq=False):
    """What the steps of one workflow declare together; a child has its own."""

    input_type: object = UNDECLARED
    deps_types: list[object] = msgspec.field(default_factory=list[object])


class _Place(msgspec.Struct, frozen=True, eq=False):
    """Where the walk is.

    Args:
      path: of the node itself.
      below: the path that those of its parts begin with, with the slash.
      multiplicity: the most messages that one run can have here at once.
    """

    path: str
    below: str
    scope: Scope
    inside: _Inside
    multiplicity: int

    def part(self, label: str, scope: Scope, times: int = 1) -> _Place:
        """Return the place of a part called *label*."""
        path = f"{self.below}{label}"
        return _Place(path, f"{path}/", scope, self.inside, self.multiplicity * times)

    def same_level(self) -> _Place:
        """Return the place of a grouping, which adds nothing to the paths."""
        return msgspec.structs.replace(self, path=f"{self.below}sequence")


def _all_nodes(workflow: AnyWorkflow) -> Iterator[AnyWorkflow]:
    stack: list[tuple[AnyWorkflow, int]] = [(workflow, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise TooLargeError(
                node.name,
                f"nodes are nested more than {MAX_DEPTH} deep; "
                "put parts side by side, or into a workflow that runs by itself",
            )
        yield node
        stack.extend((part, depth + 1) for _, part in node.parts)


def _distinct_paths(root: PlanNode) -> None:
    """Refuse two actors of one path: no event could tell them apart."""
    seen: set[str] = set()
    for plan in root.walk():
        if not isinstance(plan.node, Step | Route | Pause):
            continue
        if plan.path in seen:
            raise DuplicateNameError(
                plan.path,
                "this is the path of two nodes; give one of them, or the node "
                "around it, another name with .named()",
            )
        seen.add(plan.path)


def _visit(node: AnyWorkflow, place: _Place) -> PlanNode:
    if place.multiplicity > MAX_MULTIPLICITY:
        raise TooLargeError(
            place.path,
            f"one run could have {place.multiplicity:,} messages here at once "
            f"(at most {MAX_MULTIPLICITY:,}); lower max_concurrent of the "
            "fan-outs around it",
        )
    match node:
        case Step():
            return _step(node, place)
        case Sequence():
            return _sequence(node, place)
        case Parallel():
            check_quorum(node, place.path)
            return _made(node, place, _branches(node, place))
        case Each():
            return _each(node, place)
        case Route():
            check_labels(node, place.path)
            parts = _branches(node, place)
            certain = all(part.certain for part in parts)
            return _made(node, place, parts, _common(parts), certain=certain)
        case Cascade():
            return _cascade(node, place)
        case Repeat():
            return _repeat(node, place)
        case Pause():
            check_default(node, place.path)
            return _made(node, place, (), node.output)
        case Child():
            return _child(node, place)
        case _:
            raise AssertionError(f"no rule for {type(node).__name__}")


def _made(
    node: AnyWorkflow,
    place: _Place,
    children: tuple[PlanNode, ...],
    output_type: object = UNDECLARED,
    *,
    certain: bool = True,
    needs: FrozenMap[str, bool] | None = None,
    input_type: object = UNDECLARED,
) -> PlanNode:
    return PlanNode(
        node,
        place.path,
        place.path.rpartition("/")[2],
        needs,
        input_type,
        output_type,
        certain,
        place.multiplicity,
        children,
    )


def _branches(
    node: Parallel[Never, object, Never]
    | Route[Never, object, Never]
    | Cascade[Never, object, Never],
    place: _Place,
) -> tuple[PlanNode, ...]:
    return tuple(
        _visit(part, place.part(label, place.scope.inside()))
        for label, part in node.parts
    )


def _step(node: Step[Never, object, Never], place: _Place) -> PlanNode:
    _declare(node.input_type, place)
    if node.deps_type is not UNDECLARED:
        place.inside.deps_types.append(node.deps_type)
    return _made(
        node,
        place,
        (),
        node.output_type,
        certain=node.when is None,
        needs=None if node.needs is None else _needs(node.needs, place),
    )


def _needs(needs: tuple[Need, ...], place: _Place) -> FrozenMap[str, bool]:
    found = [place.scope.resolve(need, place.path) for need in needs]
    return FrozenMap({name: must_exist for name, _, must_exist in found})


def _declare(input_type: object, place: _Place) -> None:
    """Take note of the input that a step, or a child without its own, takes."""
    both = narrower(place.inside.input_type, input_type)
    if both is None:
        raise TypeMismatchError(
            place.path,
            f"takes {type_name(input_type)} as its input, but another step of the "
            f"workflow takes {type_name(place.inside.input_type)}; "
            "wrap one of them with child(..., input=...)",
        )
    place.inside.input_type = both


def _sequence(node: Sequence[Never, object, Never], place: _Place) -> PlanNode:
    parts = tuple(_in_sequence(node, place))
    last = parts[-1]
    return _made(node, place, parts, last.output_type, certain=last.certain)


def _in_sequence(
    node: Sequence[Never, object, Never], place: _Place
) -> Iterator[PlanNode]:
    scope = place.scope
    for inner in node.nodes:
        if is_grouping(inner):
            yield _visit(inner, place.same_level())
            continue
        scope.must_be_free(inner.name, place.path)
        part = _visit(inner, place.part(inner.name, scope))
        # Again: a sequence may have made its own name visible from inside.
        scope.must_be_free(inner.name, part.path)
        scope.add(inner.name, Visible(part.output_type, part.certain))
        yield part


def _each(node: Each[Never, object, Never], place: _Place) -> PlanNode:
    check_items(node, place.path, source_type(node.over, place.path, place.scope))
    inside = place.part(node.body.name, place.scope.inside(), node.max_concurrent)
    body = _visit(node.body, inside)
    return _made(node, place, (body,), item_tuple(node.join, body.output_type))


def _cascade(node: Cascade[Never, object, Never], place: _Place) -> PlanNode:
    check_distinct((tier.name for tier in node.tiers), place.path)
    tiers = _branches(node, place)
    asked = (tier.output_type for tier in tiers[:-1])
    check_question("accept", node.accept, asked, place.path)
    return _made(node, place, tiers, _common(tiers), certain=tiers[-1].certain)


def _repeat(node: Repeat[Never, object, Never], place: _Place) -> PlanNode:
    if node.max_rounds is None:
        raise UnboundedLoopError(
            place.path, "the loop has no largest number of rounds; give max_rounds"
        )
    body = _visit(node.body, place.part(node.body.name, place.scope.inside()))
    check_question("until", node.until, (body.output_type,), place.path)
    return _made(node, place, (body,), body.output_type, certain=body.certain)


def _child(node: Child[Never, object, Never], place: _Place) -> PlanNode:
    inside = _Inside(deps_types=place.inside.deps_types)
    given: object = UNDECLARED
    if node.source is not None:
        given = source_type(node.source, place.path, place.scope)
    at = place.part(node.workflow.name, place.scope.apart())
    inner = _visit(node.workflow, msgspec.structs.replace(at, inside=inside))
    if node.source is None:
        _declare(inside.input_type, place)
    check_input(given, inside.input_type, place.path)
    return _made(
        node,
        place,
        (inner,),
        inner.output_type,
        certain=inner.certain,
        input_type=inside.input_type,
    )


def _common(parts: tuple[PlanNode, ...]) -> object:
    """Return the type that all parts give, if it is one."""
    types = [part.output_type for part in parts]
    return types[0] if all(one == types[0] for one in types) else UNDECLARED
