"""What the check asks of single nodes: do their parts fit together?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Never, cast

from understudy.workflows.hints import parameter_of, result_of
from understudy.workflows.nodes import (
    AnyWorkflow,
    Each,
    Parallel,
    Pause,
    Route,
    Workflow,
)
from understudy.workflows.scope import Scope
from understudy.workflows.types import fits, is_iterable_type, matches, type_name
from understudy_protocols.errors import (
    DuplicateNameError,
    TypeMismatchError,
    UnknownStepError,
    UnreachableBranchError,
)

Source = AnyWorkflow | str | Callable[[Never], object]
"""Where a node's input comes from: another node, or a function of the context."""


def source_type(source: Source, path: str, scope: Scope) -> object:
    """Return the type of what *source* gives, as far as it is declared."""
    if callable(source):
        return result_of(source)
    return scope.resolve(source, path)[1].type


def check_items(node: Each[Never, object, Never], path: str, given: object) -> None:
    """Refuse to go over what is no list.

    Args:
      given: the type of what is to be gone over.
    """
    if is_iterable_type(given):
        return
    over: object = node.over
    what = over.name if isinstance(over, Workflow) else over
    named = (
        f"{what!r}, which gives"
        if isinstance(what, str)
        else "what its function gives:"
    )
    raise TypeMismatchError(
        path,
        f"goes over {named} {type_name(given)}, and that is not a list; "
        "give a function that takes the list out: over=lambda context: ...",
    )


def check_question(
    what: str, function: Callable[..., object], given: Iterable[object], path: str
) -> None:
    """Refuse a function that is asked about values it does not take.

    Args:
      what: how the node calls it: ``until``, ``accept``.
      given: the types of the values.
    """
    wanted = parameter_of(function)
    for kind in given:
        if not fits(kind, wanted):
            raise TypeMismatchError(
                path,
                f"{what} takes {type_name(wanted)}, but is asked about "
                f"{type_name(kind)}",
            )


def check_default(node: Pause[Never, object, Never], path: str) -> None:
    """Refuse a default that is not what the pause should give."""
    if node.has_default and not matches(node.default, node.output):
        raise TypeMismatchError(
            path,
            f"gives {type_name(node.output)}, but its default is a "
            f"{type(node.default).__name__}",
        )


def check_labels(node: Route[Never, object, Never], path: str) -> None:
    """Compare the labels that a policy knows with the branches there are."""
    labels: object = getattr(node.policy, "labels", None)
    if not isinstance(labels, tuple):
        return
    known = cast("tuple[str, ...]", labels)
    unreachable = [name for name in node.branches if name not in known]
    if unreachable:
        raise UnreachableBranchError(
            path,
            f"the policy never chooses {_listed(unreachable)}; "
            f"it chooses among {_listed(known)}",
        )
    missing = [name for name in known if name not in node.branches]
    if missing:
        raise UnknownStepError(
            path,
            f"the policy may choose {_listed(missing)}, for which there is no branch",
        )


def check_quorum(node: Parallel[Never, object, Never], path: str) -> None:
    """Refuse a join that asks for more branches than there are."""
    needed = node.join.needed
    if needed is not None and needed > len(node.branches):
        raise UnreachableBranchError(
            path, f"a quorum of {needed} cannot be met by {len(node.branches)} branches"
        )


def check_distinct(names: Iterable[str], path: str) -> None:
    """Refuse parts of one node that have the same name."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DuplicateNameError(
            path,
            f"two of its parts are called {_listed(twice)}; "
            "give one another name with .named()",
        )


def check_input(given: object, taken: object, path: str) -> None:
    """Refuse a child that is given another input than it takes."""
    if not fits(given, taken):
        raise TypeMismatchError(
            path,
            f"takes {type_name(taken)} as its input, but is given {type_name(given)}",
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
