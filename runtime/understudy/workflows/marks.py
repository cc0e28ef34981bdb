"""Marks of what is sensitive that would hide nothing: refused before anything runs."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator

from understudy.workflows.attempt import Attempt
from understudy.workflows.hints import plain_function, written_of
from understudy.workflows.nodes import (
    AnyWorkflow,
    Cascade,
    Child,
    Each,
    Pause,
    Repeat,
    Route,
)
from understudy.workflows.plan import PlanNode
from understudy.workflows.policy import RoutingPolicy
from understudy.workflows.step import Step
from understudy_protocols.errors import UnheededMarkError
from understudy_protocols.sensitive import unheeded_mark


def check_marks(root: PlanNode) -> None:
    """Refuse a mark that is on no field of a record, in what a workflow declares.

    Raises:
      UnheededMarkError: there is one.
    """
    # Large workflows are made of few functions: each is looked at once.
    seen = set[int]()
    for plan in root.walk():
        for what, hint in _declared(plan.node, seen):
            problem = unheeded_mark(hint)
            if problem is not None:
                raise UnheededMarkError(plan.path, f"{what} {problem}")


def _declared(node: AnyWorkflow, seen: set[int]) -> Iterator[tuple[str, object]]:
    """Yield what a node declares, as it is written, each with what it is.

    Args:
      seen: the identities of types and functions that are passed over; those of
        this node are added.
    """
    if isinstance(node, Step | Pause):
        output = node.output_type if isinstance(node, Step) else node.output
        if id(output) not in seen:
            seen.add(id(output))
            yield "its output", output
    for role, function in _functions(node):
        plain = plain_function(function)
        if id(plain) in seen:
            continue
        seen.add(id(plain))
        for name, hint in written_of(plain).items():
            # What a step depends on is neither shown nor written down.
            if typing.get_origin(hint) is not Attempt:
                returned = name == "return"
                yield f"what {role} gives" if returned else f"{name!r} of {role}", hint


def _functions(node: AnyWorkflow) -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield the functions of a node, each with what it is to it."""
    given: list[tuple[str, object]] = []
    match node:
        case Step(call=call, factory=factory, when=when):
            execute: object = getattr(factory, "execute", None)
            given = [("its function", call), ("execute", execute), ("when", when)]
        case Each(over=over):
            given = [("over", over)]
        case Child(source=source):
            given = [("input", source)]
        case Route(policy=policy):
            decide = policy.decide if isinstance(policy, RoutingPolicy) else policy
            given = [("its policy", decide)]
        case Cascade(accept=accept):
            given = [("accept", accept)]
        case Repeat(until=until):
            given = [("until", until)]
        case _:
            pass
    for role, function in given:
        if callable(function):
            yield role, function
