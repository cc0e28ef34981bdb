"""How values of a class become plain data and come back, and which of it is sensitive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, Flag
from typing import Any, Final, cast

from understudy_protocols.errors import ConfigError
from understudy_protocols.frozen import sealed_map
from understudy_protocols.frozen_classes import (
    field_names,
    init_names,
    is_a,
    is_record,
)
from understudy_protocols.frozen_types import registered
from understudy_protocols.sensitive import sensitive_fields

CONCEAL: Final = "$sensitive"
"""The tag around what is sensitive; as it is."""


def ways_of(cls: type) -> tuple[Callable[[Any], object], Callable[[Any], object]]:
    """Return how values of *cls* become data and come back."""
    if cls in registered:
        given = registered[cls]
        return given.to, given.from_
    if is_a(cls, Flag):
        return (lambda member: member.value), cls
    if is_a(cls, Enum):
        return (lambda member: member.name), cast("Any", cls).__getitem__
    if is_record(cls):
        return _record_ways(cls)
    raise ConfigError(
        f"{cls.__qualname__} is neither a record nor an enum; give to= and from_="
    )


def concealment(cls: type, *, by_field: bool) -> Callable[[object], object] | None:
    """Return what marks the sensitive parts of a plain value of *cls*, if it has any.

    Args:
      by_field: whether the plain value has the fields; else all of it is marked.
    """
    hidden = sensitive_fields(cls)
    if not hidden:
        return None
    if not by_field:
        return lambda plain: {CONCEAL: plain}

    def conceal(plain: object) -> object:
        fields = cast("dict[str, object]", plain)
        return {
            name: {CONCEAL: part} if name in hidden else part
            for name, part in fields.items()
        }

    return conceal


def _record_ways(
    cls: type,
) -> tuple[Callable[[Any], object], Callable[[Any], object]]:
    names = field_names(cls)
    accepted = init_names(cls)

    def write(value: object) -> object:
        return sealed_map({name: getattr(value, name) for name in names})

    def read(data: Mapping[str, object]) -> object:
        if unknown := data.keys() - set(names):
            raise TypeError(f"{', '.join(sorted(unknown))}: no such field")
        given = {accepted[n]: data[n] for n in data if n in accepted}
        made: object = cls(**given)
        for name in data.keys() - accepted.keys():
            object.__setattr__(made, name, data[name])
        return made

    return write, read
