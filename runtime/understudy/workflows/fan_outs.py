"""`parallel` and `each`: how nodes are made to run side by side.

As all combinators they are plain functions that return a frozen node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Never, TypeAlias, TypeVar, overload

from understudy.workflows.arguments import (
    checked_count,
    labelled_branches,
    plain_function,
)
from understudy.workflows.context import Context
from understudy.workflows.joins import AllOf, Join, Tolerant, all_of
from understudy.workflows.nodes import Each, Parallel, Workflow
from understudy.workflows.seed_steps import Foreign, Runnable, as_node
from understudy_protocols.outcomes import Outcome

I = TypeVar("I")
O = TypeVar("O")
D = TypeVar("D")

DEFAULT_FAN_OUT = 5
"""Branches of one fan-out under way at once, unless it says otherwise."""

Over: TypeAlias = (
    Workflow[Never, Iterable[object], Never]
    | str
    | Callable[[Context[I]], Iterable[object]]
)
"""Where the items of a fan-out come from."""


@overload
def parallel(
    *nodes: Workflow[I, O, D],
    join: AllOf = ...,
    max_concurrent: int | None = ...,
    name: str = ...,
    **branches: Workflow[I, O, D],
) -> Parallel[I, Mapping[str, O], D]: ...
@overload
def parallel(
    *nodes: Workflow[I, O, D],
    join: Tolerant,
    max_concurrent: int | None = ...,
    name: str = ...,
    **branches: Workflow[I, O, D],
) -> Parallel[I, Mapping[str, Outcome[O]], D]: ...
@overload
def parallel(
    *nodes: Runnable,
    join: Join = ...,
    max_concurrent: int | None = ...,
    name: str = ...,
    **branches: Runnable,
) -> Parallel[Never, Mapping[str, object], Never]: ...
def parallel(
    *nodes: Runnable,
    join: Join | None = None,
    max_concurrent: int | None = None,
    name: str = "parallel",
    **branches: Runnable,
) -> Parallel[Never, Mapping[str, object], Never]:
    """Run branches side by side; the value maps each branch to its value.

    Args:
      nodes: branches labelled with their own names.
      join: what the end of one branch means for the others; `all_of()` if not
        given.  Under any other join the values are outcomes.
      max_concurrent: branches under way at once; all of them if not given.
      branches: branches with labels of their own.  One that does not run has
        ended well, with None.
    """
    made = [as_node(node) for node in nodes]
    labelled = [(node.name, node) for node in made]
    labelled += [(label, as_node(node)) for label, node in branches.items()]
    return Parallel(
        name=name,
        branches=labelled_branches("parallel(extract, check)", labelled),
        join=all_of() if join is None else join,
        max_concurrent=checked_count("max_concurrent", max_concurrent),
    )


@overload
def each(
    body: Workflow[I, O, D],
    *,
    over: Over[I],
    join: AllOf = ...,
    max_concurrent: int = ...,
    name: str = ...,
) -> Each[I, tuple[O, ...], D]: ...
@overload
def each(
    body: Workflow[I, O, D],
    *,
    over: Over[I],
    join: Tolerant,
    max_concurrent: int = ...,
    name: str = ...,
) -> Each[I, tuple[Outcome[O], ...], D]: ...
@overload
def each(
    body: Workflow[I, O, D],
    *,
    over: Over[I],
    join: Join,
    max_concurrent: int = ...,
    name: str = ...,
) -> Each[I, tuple[object, ...], D]: ...
@overload
def each(
    body: Foreign,
    *,
    over: Over[I],
    join: Join = ...,
    max_concurrent: int = ...,
    name: str = ...,
) -> Each[I, tuple[object, ...], Never]: ...
def each(
    body: Runnable,
    *,
    over: Over[Never],
    join: Join | None = None,
    max_concurrent: int = DEFAULT_FAN_OUT,
    name: str = "each",
) -> Each[Never, tuple[object, ...], Never]:
    """Run *body* once for every item; the value is a tuple in item order.

    Args:
      over: the node whose value is the list, or a function of the context that
        gives it.  The body finds its item as `context.item`.
      join: what the end of one item means for the others; `all_of()` if not
        given.  Under any other join the values are outcomes.
      max_concurrent: items under way at once.
    """
    return Each(
        name=name,
        body=as_node(body),
        over=plain_function("over of each()", over),
        join=all_of() if join is None else join,
        max_concurrent=checked_count("max_concurrent", max_concurrent)
        or DEFAULT_FAN_OUT,
    )
