"""Inputs and answers from outside: frozen, and of the type that is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, cast

import msgspec

from understudy.workflows.step import UNDECLARED
from understudy.workflows.types import matches, type_name
from understudy_protocols.errors import SetupError
from understudy_protocols.frozen import freeze, thaw

T = TypeVar("T")


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

    Plain dicts are made into the declared class, by its fields.

    Raises:
      InputError: it does not fit; says where.
      NotFrozenError: a part of it can change.
    """
    frozen = freeze(value, what)
    if declared is UNDECLARED or declared is object or _fits(frozen, declared):
        return frozen
    if not isinstance(frozen, Mapping):
        raise InputError(
            what, f"is a {type(value).__name__}; give a {type_name(declared)}"
        )
    return freeze(structure(thaw(frozen), declared, what), what)


def structure(plain: object, declared: object, what: str) -> object:
    """Return plain data, as from JSON, as the declared type.

    Raises:
      InputError: a field is missing, unknown, or of another type.
    """
    if declared is UNDECLARED or declared is object:
        return plain
    try:
        return cast(
            "object", msgspec.convert(plain, type=cast("type[object]", declared))
        )
    except msgspec.ValidationError as error:
        raise InputError(
            what, f"does not fit {type_name(declared)}: {error}"
        ) from error


def _fits(value: object, declared: object) -> bool:
    if declared in (dict, Mapping):
        return isinstance(value, Mapping)
    return matches(value, declared)
