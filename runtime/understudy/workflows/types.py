"""What the check knows of declared types: enough to catch a wrong wiring.

Only plain classes and unions of them are compared; where a declaration says
more than that, the values are checked when they exist.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from understudy.workflows.hints import UNDECLARED
from understudy.workflows.joins import AllOf, Join
from understudy_protocols.outcomes import Outcome

NO_LISTS: tuple[type, ...] = (str, bytes, bytearray, Mapping, AbstractSet)
"""What can be iterated, and is no list of items all the same."""


def type_name(declared: object) -> str:
    """Return how a person would write the type."""
    if isinstance(declared, type) and not typing.get_args(declared):
        return declared.__name__
    return str(declared).replace("typing.", "").replace("collections.abc.", "")


def fits(given: object, wanted: object) -> bool:
    """Whether a value declared as *given* may serve where *wanted* is declared."""
    if given is UNDECLARED or wanted is UNDECLARED or wanted is object:
        return True
    if given == wanted:
        return True
    wanted_choices, given_choices = _choices(wanted), _choices(given)
    if wanted_choices is None or given_choices is None:
        return True
    return all(
        any(_is_a(one, other) for other in wanted_choices) for one in given_choices
    )


def narrower(one: object, other: object) -> object | None:
    """Return the type that satisfies both, or None if neither does."""
    if one is UNDECLARED or one is object:
        return other
    if other is UNDECLARED or other is object:
        return one
    if fits(one, other):
        return one
    return other if fits(other, one) else None


def is_iterable_type(declared: object) -> bool:
    """Whether values declared so are lists: a text, a mapping or a set is not.

    A set has no order that is the same in the next process.
    """
    kinds = _choices(declared)
    if declared is UNDECLARED or declared is object or kinds is None:
        return True
    return all(
        issubclass(kind, Iterable) and not issubclass(kind, NO_LISTS) for kind in kinds
    )


def item_tuple(join: Join, item: object) -> object:
    """Return the type of an `each` whose body gives *item*."""
    inner = item if isinstance(join, AllOf) else Outcome
    return tuple if inner is UNDECLARED else types.GenericAlias(tuple, (inner, ...))


def matches(value: object, declared: object) -> bool:
    """Whether a value is what its step declares, as far as its class says."""
    origin = typing.get_origin(declared)
    if origin is typing.Annotated:
        return matches(value, typing.get_args(declared)[0])
    if origin in (typing.Union, types.UnionType):
        return any(matches(value, choice) for choice in typing.get_args(declared))
    if origin is typing.Literal:
        choices = typing.get_args(declared)
        return any(type(value) is type(one) and value == one for one in choices)
    kinds = _choices(declared)
    return kinds is None or any(_is_instance(value, kind) for kind in kinds)


def _is_instance(value: object, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, kind)


def _is_a(one: type, other: type) -> bool:
    return issubclass(one, other) or (one is int and other is float)


def _choices(declared: object) -> tuple[type, ...] | None:
    """Return the classes that values may have; None if that cannot be told."""
    origin = typing.get_origin(declared)
    if origin is typing.Annotated:
        return _choices(typing.get_args(declared)[0])
    if origin in (typing.Union, types.UnionType):
        found: list[type] = []
        for choice in typing.get_args(declared):
            inner = _choices(choice)
            if inner is None:
                return None
            found.extend(inner)
        return tuple(found)
    if origin is typing.Literal:
        choices: tuple[object, ...] = typing.get_args(declared)
        return tuple(type(choice) for choice in choices)
    if isinstance(declared, typing.NewType):
        return _choices(declared.__supertype__)
    if declared is None:
        return (type(None),)
    kind = origin if origin is not None else declared
    if not isinstance(kind, type) or kind is object or kind is typing.Any:
        return None
    if getattr(kind, "_is_protocol", False) or typing.is_typeddict(kind):
        return None
    return (kind,)
