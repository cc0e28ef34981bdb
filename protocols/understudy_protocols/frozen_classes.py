"""What kinds of classes there are, as far as freezing is concerned.

Leaves are single immutable values; records have named fields: attrs classes,
dataclasses, msgspec structs and named tuples.
"""

from __future__ import annotations

import types
import typing
from collections import abc, deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import (
    Path,
    PosixPath,
    PurePath,
    PurePosixPath,
    PureWindowsPath,
    WindowsPath,
)
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import attrs
import msgspec

if TYPE_CHECKING:
    import dataclasses

# Ordered so that a subclass stands before its base (bool is an int, datetime a date).
LEAVES: tuple[type, ...] = (
    types.NoneType,
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    Decimal,
    datetime,
    date,
    time,
    timedelta,
    timezone,
    UUID,
    PosixPath,
    WindowsPath,
    Path,
    PurePosixPath,
    PureWindowsPath,
    PurePath,
)


def is_leaf(cls: type) -> bool:
    """Whether instances of *cls* are single immutable values.

    A subclass of a leaf counts when it adds no room for attributes; an Enum
    always does.
    """
    if is_a(cls, Enum):
        return True
    base = next((leaf for leaf in LEAVES if is_a(cls, leaf)), None)
    return base is not None and adds_no_state(cls, base)


def adds_no_state(cls: type, base: type) -> bool:
    """Whether *cls* gives its instances neither a dict nor slots beyond *base*'s."""
    return cls.__dictoffset__ == 0 and cls.__basicsize__ == base.__basicsize__


def is_record(cls: type) -> bool:
    """Whether *cls* is an attrs, dataclass, msgspec or named tuple class."""
    return _is_attrs(cls) or _is_dataclass(cls) or is_struct(cls) or is_named_tuple(cls)


def is_named_tuple(cls: type) -> bool:
    """Whether *cls* is a tuple with named fields."""
    return is_a(cls, tuple) and hasattr(cls, "_fields")


def fields_of(cls: type) -> tuple[tuple[str, object], ...]:
    """Return the names of a record's fields with their resolved annotations.

    A field whose annotation cannot be resolved (a name that exists only for the
    type checker) counts as ``object``, and is therefore walked.
    """
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError, AttributeError):
        hints = {}
    return tuple((name, hints.get(name, object)) for name in field_names(cls))


def init_names(cls: type) -> dict[str, str]:
    """Return the fields that a record class is called with, and by which names."""
    if not is_struct(cls) and _is_attrs(cls):
        return {field.name: field.alias for field in attrs.fields(cls) if field.init}
    if not is_struct(cls) and _is_dataclass(cls):
        fields = _dataclass_fields(cls)
        return {field.name: field.name for field in fields if field.init}
    return {name: name for name in field_names(cls)}


def not_frozen_advice(cls: type) -> str:
    """Return what the author of *cls* can do so that its values are accepted."""
    name = cls.__qualname__
    if _is_attrs(cls):
        return f"make {name} frozen with @attrs.frozen"
    if _is_dataclass(cls):
        return f"make {name} frozen with @dataclass(frozen=True)"
    if is_struct(cls):
        return f"make {name} frozen with class {name}(msgspec.Struct, frozen=True)"
    if issubclass(cls, (abc.Iterator, abc.AsyncIterator)):
        return "collect it into a tuple first"
    if issubclass(cls, abc.Awaitable):
        return "await it first"
    if issubclass(cls, (memoryview, deque)):
        kind = "bytes" if issubclass(cls, memoryview) else "tuple"
        return f"copy it with {kind}(...) first"
    return (
        f"use a frozen attrs class, or, if a {name} never changes, say so with "
        f"register_type({name}, to=..., from_=...)"
    )


# As functions, so that the checkers do not narrow ``cls`` to a class of unknowns.


def is_struct(cls: type) -> bool:
    """Whether *cls* is a msgspec struct."""
    return issubclass(cls, msgspec.Struct)


def _is_attrs(cls: type) -> bool:
    return attrs.has(cls)


def _is_dataclass(cls: type) -> bool:
    return hasattr(cls, "__dataclass_fields__")


def _dataclass_fields(cls: type) -> tuple[dataclasses.Field[object], ...]:
    # Whoever has made such a class has loaded it.
    import dataclasses

    return dataclasses.fields(cls)


def is_a(cls: type, base: type) -> bool:
    """Whether *cls* is *base* or a subclass of it."""
    return issubclass(cls, base)


def field_names(cls: type) -> tuple[str, ...]:
    """Return the names of a record's fields, in order."""
    if is_struct(cls):
        return cast("tuple[str, ...]", cast("Any", cls).__struct_fields__)
    if _is_attrs(cls):
        return tuple(field.name for field in attrs.fields(cls))
    if _is_dataclass(cls):
        return tuple(field.name for field in _dataclass_fields(cls))
    return cast("tuple[str, ...]", cls._fields)  # type: ignore[attr-defined]  # named tuple


def is_frozen(cls: type) -> bool:
    """Whether the fields of a record class cannot be assigned to."""
    if is_struct(cls):
        return cast("Any", cls).__struct_config__.frozen is True
    if _is_attrs(cls):
        return _refuses_assignment(cls)
    if _is_dataclass(cls):
        return cast("Any", cls).__dataclass_params__.frozen is True
    return adds_no_state(cls, tuple)


def _refuses_assignment(cls: type) -> bool:
    """Whether attrs made *cls* frozen: attrs tells only by how instances behave."""
    try:
        blank = cast("object", object.__new__(cls))
        blank.nothing = None  # type: ignore[attr-defined]  # expected to fail
    except attrs.exceptions.FrozenError:
        return True
    except (TypeError, AttributeError):
        return False
    return False
