"""The combinators: how nodes are put together into workflows.

Each is a plain function that returns a frozen node.  Nothing is checked here
but what one call can see by itself; the whole is checked before it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import UnionType
from typing import Never, TypeVar, overload

from understudy.workflows.arguments import (
    checked_count,
    labelled_branches,
    plain_function,
)
from understudy.workflows.context import Context
from understudy.workflows.nodes import (
    GROUPING,
    AnyWorkflow,
    Cascade,
    Child,
    Maybe,
    Pause,
    Repeat,
    Route,
    Sequence,
    Workflow,
)
from understudy.workflows.policy import Policy
from understudy.workflows.seed_steps import Foreign, Runnable, as_node
from understudy_protocols.errors import ConfigError

I = TypeVar("I")
O = TypeVar("O")
D = TypeVar("D")
T = TypeVar("T")
J = TypeVar("J")


def maybe(node: Workflow[Never, T, Never] | str) -> Maybe[T]:
    """Need a value that may not exist; the step then sees None."""
    return Maybe(node)


@overload
def sequence(
    last: Workflow[I, O, D],
    /,
    *,
    name: str = ...,
) -> Sequence[I, O, D]: ...
@overload
def sequence(
    a: Workflow[I, object, D],
    last: Workflow[I, O, D],
    /,
    *,
    name: str = ...,
) -> Sequence[I, O, D]: ...
@overload
def sequence(
    a: Workflow[I, object, D],
    b: Workflow[I, object, D],
    last: Workflow[I, O, D],
    /,
    *,
    name: str = ...,
) -> Sequence[I, O, D]: ...
@overload
def sequence(
    a: Workflow[I, object, D],
    b: Workflow[I, object, D],
    c: Workflow[I, object, D],
    last: Workflow[I, O, D],
    /,
    *,
    name: str = ...,
) -> Sequence[I, O, D]: ...
@overload
def sequence(
    a: Workflow[I, object, D],
    b: Workflow[I, object, D],
    c: Workflow[I, object, D],
    d: Workflow[I, object, D],
    last: Workflow[I, O, D],
    /,
    *,
    name: str = ...,
) -> Sequence[I, O, D]: ...
@overload
def sequence(
    a: Workflow[I, object, D],
    b: Workflow[I, object, D],
    c: Workflow[I, object, D],
    d: Workflow[I, object, D],
    e: Workflow[I, object, D],
    last: Workflow[I, O, D],
    /,
    *,
    name: str = ...,
) -> Sequence[I, O, D]: ...
@overload
def sequence(
    a: Workflow[I, object, D],
    b: Workflow[I, object, D],
    c: Workflow[I, object, D],
    d: Workflow[I, object, D],
    e: Workflow[I, object, D],
    f: Workflow[I, object, D],
    last: Workflow[I, O, D],
    /,
    *,
    name: str = ...,
) -> Sequence[I, O, D]: ...
@overload
def sequence(
    a: Workflow[I, object, D],
    b: Workflow[I, object, D],
    c: Workflow[I, object, D],
    d: Workflow[I, object, D],
    e: Workflow[I, object, D],
    f: Workflow[I, object, D],
    g: Workflow[I, object, D],
    last: Workflow[I, O, D],
    /,
    *,
    name: str = ...,
) -> Sequence[I, O, D]: ...
@overload
def sequence(
    *nodes: Workflow[I, object, D], name: str = ...
) -> Sequence[I, object, D]: ...
@overload
def sequence(*nodes: Runnable, name: str = ...) -> Sequence[Never, object, Never]: ...
def sequence(*nodes: Runnable, name: str = GROUPING) -> Sequence[Never, object, Never]:
    """Run nodes one after another; the value is that of the last.

    A sequence inside a sequence shares its scope: names inside it are visible
    to what comes after.  Its own value is visible only if it was given a name.
    """
    if not nodes:
        raise ConfigError(
            "a sequence of nothing has no value; give it one node or more"
        )
    return Sequence(name=name, nodes=tuple(as_node(node) for node in nodes))


@overload
def route(
    policy: Policy[I], /, *, name: str = ..., **branches: Workflow[I, O, D]
) -> Route[I, O, D]: ...
@overload
def route(
    policy: Policy[J], /, *, name: str = ..., **branches: Runnable
) -> Route[Never, object, Never]: ...
def route(
    policy: Policy[Never], /, *, name: str = "route", **branches: Runnable
) -> Route[Never, object, Never]:
    """Lead a run through one of several branches; the value is that branch's.

    Args:
      policy: decides, from a context that shows all that is in scope; a
        `RoutingPolicy`, or a function that returns a label or a `Decision`.
        It may be async.
      branches: what it chooses among, by label.
    """
    labelled = [(label, as_node(branch)) for label, branch in branches.items()]
    return Route(
        name=name,
        policy=policy,
        branches=labelled_branches("route(policy, simple=...)", labelled),
    )


@overload
def cascade(
    *tiers: Workflow[I, O, D], accept: Callable[[O], bool], name: str = ...
) -> Cascade[I, O, D]: ...
@overload
def cascade(
    *tiers: Runnable, accept: Callable[[J], bool], name: str = ...
) -> Cascade[Never, object, Never]: ...
def cascade(
    *tiers: Runnable, accept: Callable[[Never], bool], name: str = "cascade"
) -> Cascade[Never, object, Never]:
    """Try tiers in order until one's value is accepted.

    A tier that fails, or does not run, counts as not accepted.  The last tier's value is taken
    as it is, and its failure is the cascade's.

    Args:
      accept: whether a tier's value is good enough; quick, and without effect.
    """
    if not tiers:
        raise ConfigError("cascade() needs one tier or more")
    return Cascade(
        name=name,
        tiers=tuple(as_node(tier) for tier in tiers),
        accept=plain_function("accept of cascade()", accept),
    )


@overload
def repeat(
    body: Workflow[I, O, D],
    *,
    until: Callable[[O], bool],
    max_rounds: int | None = ...,
    name: str = ...,
) -> Repeat[I, O, D]: ...
@overload
def repeat(
    body: Foreign,
    *,
    until: Callable[[J], bool],
    max_rounds: int | None = ...,
    name: str = ...,
) -> Repeat[Never, object, Never]: ...
def repeat(
    body: Runnable,
    *,
    until: Callable[[Never], bool],
    max_rounds: int | None = None,
    name: str = "repeat",
) -> Repeat[Never, object, Never]:
    """Run *body* until its value is good; the value is the last round's.

    Args:
      until: whether a round's value ends the loop; quick, and without effect.
        The body finds the round before as `context.previous`.
      max_rounds: the most rounds; a loop without it is refused.  Having run
        them all ends the loop just as *until* does, and so does a round that
        does not run; the value is then that of the round before.
    """
    return Repeat(
        name=name,
        body=as_node(body),
        until=plain_function("until of repeat()", until),
        max_rounds=checked_count("max_rounds", max_rounds),
    )


_NO_DEFAULT = object()


@overload
def pause(
    name: str,
    *,
    output: type[T],
    timeout: float | None = ...,
    default: T = ...,
) -> Pause[object, T, object]: ...
@overload
def pause(
    name: str,
    *,
    output: UnionType | Mapping[str, object] = ...,
    timeout: float | None = ...,
    default: object = ...,
) -> Pause[object, object, object]: ...
def pause(
    name: str,
    *,
    output: object = object,
    timeout: float | None = None,
    default: object = _NO_DEFAULT,
) -> Pause[object, object, object]:
    """Wait until a person or another system gives the value.

    While all of a run waits so, its deadline stands still, and it takes no place
    among `max_runs` of its runtime.

    Args:
      output: the type that the answer must have.
      timeout: how long to wait; seconds, for ever if not given.
      default: the answer when that time is over; without one the pause fails.
    """
    if timeout is not None and not timeout > 0:
        raise ConfigError(f"pause {name!r} cannot wait {timeout!r} seconds")
    if default is not _NO_DEFAULT and timeout is None:
        raise ConfigError(
            f"pause {name!r} has a default but no timeout to use it after"
        )
    return Pause(
        name=name,
        output=output,
        timeout=timeout,
        default=None if default is _NO_DEFAULT else default,
        has_default=default is not _NO_DEFAULT,
    )


@overload
def child(
    workflow: Workflow[I, O, D],
    *,
    input: Workflow[Never, I, Never],
    name: str | None = ...,
) -> Child[object, O, D]: ...
@overload
def child(
    workflow: Workflow[I, O, D],
    *,
    input: Callable[[Context[J]], I],
    name: str | None = ...,
) -> Child[J, O, D]: ...
@overload
def child(
    workflow: Workflow[I, O, D],
    *,
    input: str,
    name: str | None = ...,
) -> Child[object, O, D]: ...
@overload
def child(
    workflow: Workflow[I, O, D],
    *,
    name: str | None = ...,
) -> Child[I, O, D]: ...
def child(
    workflow: AnyWorkflow,
    *,
    input: AnyWorkflow | str | Callable[[Never], object] | None = None,  # noqa: A002
    name: str | None = None,
) -> Child[Never, object, Never]:
    """Run a whole workflow as one node, in a scope of its own.

    It sees nothing of the workflow around it but its input, and is seen by its
    value alone; it draws on the same deadline and budget.

    Args:
      input: the node whose value is its input, or a function of the context
        that gives it; the outer workflow's input if not given.
    """
    return Child(
        name=workflow.name if name is None else name,
        workflow=workflow,
        source=plain_function("input of child()", input),
    )
