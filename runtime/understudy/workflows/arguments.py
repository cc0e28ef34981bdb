"""What the combinators check of their own arguments."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from understudy.workflows.hints import is_async
from understudy.workflows.nodes import AnyWorkflow, check_label
from understudy_protocols.errors import ConfigError

T = TypeVar("T")


def labelled_branches(
    example: str, labelled: list[tuple[str, AnyWorkflow]]
) -> Mapping[str, AnyWorkflow]:
    """Return the branches of a node by label.

    Raises:
      ConfigError: there is none, two have the same label, or one has a bad one.
    """
    branches: dict[str, AnyWorkflow] = {}
    for label, node in labelled:
        check_label("a branch", label)
        if label in branches:
            raise ConfigError(
                f"two branches are called {label!r}; label one as {label}_2=... "
                "or give it another name with .named()"
            )
        branches[label] = node
    if not branches:
        raise ConfigError(f"there must be one branch or more: {example}")
    return MappingProxyType(branches)


def checked_count(what: str, value: object) -> int | None:
    """Return a count from 1, or None.

    Raises:
      ConfigError: it is something else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{what} is {value!r}; it must be a whole number from 1")
    return value


def plain_function(what: str, function: T) -> T:
    """Return *function*; its answer is needed at once, so it cannot be async.

    Raises:
      ConfigError: it is.
    """
    if callable(function) and is_async(function):
        raise ConfigError(f"{what} is async; it must be a plain, quick function")
    return function
