"""Inputs and answers from outside: frozen, and of the type that is declared."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import cast

import msgspec

from understudy.workflows.hints import UNDECLARED
from understudy.workflows.misfits import misfits
from understudy.workflows.types import matches, type_name
from understudy_protocols.articles import with_article
from understudy_protocols.errors import SetupError
from understudy_protocols.frozen import freeze, thaw
from understudy_protocols.sensitive import holds_sensitive, unquoted


class InputError(SetupError):
    """A value from outside is not what the workflow takes.

    Attributes:
      what: which value: the input of a workflow, the answer to a pause.
      problem: what is wrong with it.
    """

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(what, problem)
        self.what = what
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.what}: {self.problem}"


def admit(value: object, declared: object, what: str) -> object:
    """Return *value*, frozen, as the declared type.

    Plain containers, as from JSON, are made into the declared classes.

    Raises:
      InputError: it does not fit; says where.
      NotFrozenError: a part of it can change.
    """
    return _as(freeze(value, what), declared, what)


def structure(plain: object, declared: object, what: str) -> object:
    """Return plain data, as from JSON, as the declared type.

    Raises:
      InputError: a field is missing, unknown, or of another type.
    """
    if declared is UNDECLARED or declared is object:
        return plain
    try:
        return msgspec.convert(plain, type=cast("type[object]", declared))
    except (msgspec.ValidationError, TypeError) as error:
        cause = error
    if holds_sensitive(declared):
        # Others would repeat what they do not take, and so would the cause.
        problem = unquoted(str(cause), declared)
        raise InputError(what, f"does not fit {type_name(declared)}: {problem}")
    found = misfits(plain, declared)
    problem = "; ".join(found) if len(found) > 1 else str(cause)
    raise InputError(what, f"does not fit {type_name(declared)}: {problem}") from cause


def _as(value: object, declared: object, what: str) -> object:
    """Return a frozen value as the declared type, its items likewise."""
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if origin is tuple and arguments[-1] is Ellipsis and isinstance(value, tuple):
        items = cast("tuple[object, ...]", value)
        return tuple(
            _as(item, arguments[0], f"{what}[{index}]")
            for index, item in enumerate(items)
        )
    if (declared is dict or origin in (dict, Mapping)) and isinstance(value, Mapping):
        entries = cast("Mapping[str, object]", value)
        if not arguments:
            return entries
        return freeze(
            {k: _as(v, arguments[1], f"{what}.{k}") for k, v in entries.items()}, what
        )
    if origin is typing.Annotated and isinstance(value, (*PLAIN, int, float, bytes)):
        # It may have to keep bounds as well, which its class does not show.
        return freeze(structure(thaw(value), declared, what), what)
    if declared is UNDECLARED or matches(value, declared):
        return value
    if not isinstance(value, PLAIN):
        raise InputError(
            what,
            f"is {with_article(type(value).__name__)}; give {with_article(type_name(declared))}",
        )
    return freeze(structure(thaw(value), declared, what), what)


PLAIN: tuple[type, ...] = (Mapping, tuple, str)
"""What classes are made of, when they come from JSON."""
