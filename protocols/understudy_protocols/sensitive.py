"""Fields whose values are for the program alone: no log, file or screen shows them.

A field is marked in its annotation::

    @attrs.frozen
    class Customer:
        name: str
        password: Annotated[str, SENSITIVE]
"""

from __future__ import annotations

import copy
import re
import sys
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, cast

import msgspec

from understudy_protocols.frozen import FrozenMap
from understudy_protocols.frozen_classes import (
    field_names,
    fields_of,
    is_named_tuple,
    is_record,
    is_struct,
)
from understudy_protocols.frozen_types import registered

if sys.version_info >= (3, 14):
    from annotationlib import Format, get_annotations

    def _written(cls: type) -> Mapping[str, object]:
        return get_annotations(cls, format=Format.FORWARDREF)
else:
    from inspect import get_annotations as _written


class Sensitive:
    """Marks a field whose value is shown nowhere, and is encrypted in a journal.

    It stands in the field's annotation, as in ``password: Annotated[str, SENSITIVE]``,
    in attrs classes, dataclasses, msgspec structs and named tuples.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "SENSITIVE"

    def __reduce__(self) -> str:
        return "SENSITIVE"


SENSITIVE: Final[Sensitive] = Sensitive()
"""The one object of its class."""

HIDDEN: Final = "(sensitive)"
"""What is shown in place of a sensitive field."""

_known: dict[type, frozenset[str]] = {}


def sensitive_fields(cls: type) -> frozenset[str]:
    """Return the names of the fields of *cls* that are sensitive.

    It may be a record, or admitted with `register_type`.  Of an annotation that cannot be resolved (a name that
    exists only for the type checker) the text decides: ``SENSITIVE`` stands in it.
    """
    found = _known.get(cls)
    if found is None:
        if not is_record(cls) and cls not in registered:
            return _NONE
        found = _known[cls] = frozenset(_marked(cls))
    return found


def holds_sensitive(hint: object) -> bool:
    """Whether a value of the type *hint* can have a sensitive field anywhere in it.

    Args:
      hint: an annotation, already resolved.
    """
    todo, seen = [hint], set[type]()
    while todo:
        one = todo.pop()
        todo += _inside(one)
        origin = typing.get_origin(one) or one
        if isinstance(origin, type) and origin not in seen:
            if sensitive_fields(origin):
                return True
            seen.add(origin)
            todo += _parts(origin)
    return False


def unquoted(problem: str, hint: object) -> str:
    """Return what is wrong with a value of the type *hint*, without words of it.

    As it is, if the type has nothing sensitive in it, or only types are spoken of.

    Args:
      problem: as msgspec says it.
    """
    if _SPEAKS_OF_TYPES.match(problem) or not holds_sensitive(hint):
        return problem
    place = _PLACE.search(problem)
    return (
        f"a value there does not fit, and may be sensitive{place[0] if place else ''}"
    )


_SPEAKS_OF_TYPES: Final = re.compile(
    r"(Expected|Object missing required field|Object contains unknown field) `"
)
_PLACE: Final = re.compile(r" - at `[^`]*`\Z")


def redacted(value: object) -> object:
    """Return *value* with `HIDDEN` in place of each sensitive field.

    A record stays of its class, without its ``__init__`` running again.  What holds
    nothing sensitive is returned as the same object.
    """
    return _Redaction().of(value)


class _Redaction:
    """One walk; what is shared is walked once, and what holds itself ends."""

    def __init__(self) -> None:
        self._memo: dict[int, tuple[object, object]] = {}

    def of(self, value: object) -> object:
        if isinstance(value, (str, bytes, int, float)) or value is None:
            return value
        met = self._memo.get(id(value))
        if met is None:
            # With the value itself: an identity means something while it lives.
            self._memo[id(value)] = value, HIDDEN
            met = self._memo[id(value)] = value, self._whole(value)
        return met[1]

    def _whole(self, value: object) -> object:
        cls = type(value)
        if cls in registered and sensitive_fields(cls):
            return HIDDEN  # what its fields can hold, its own code says
        if is_record(cls):
            return self._record(value, cls)
        if isinstance(value, Mapping):
            return self._mapping(cast("Mapping[object, object]", value))
        if isinstance(value, list | tuple | set | frozenset):
            items = cast("Collection[object]", value)
            shown = [self.of(item) for item in items]
            return items if _same(items, shown) else _collected(cls, shown)
        return value

    def _mapping(self, items: Mapping[object, object]) -> object:
        before = [part for pair in items.items() for part in pair]
        after = [self.of(part) for part in before]
        if _same(before, after):
            return items
        pairs = zip(after[::2], after[1::2], strict=True)
        return FrozenMap[Any, object](dict(pairs))

    def _record(self, value: object, cls: type) -> object:
        hidden = sensitive_fields(cls)
        changed: dict[str, object] = {}
        for name in field_names(cls):
            field = cast("object", getattr(value, name, None))
            shown = HIDDEN if name in hidden else self.of(field)
            if shown is not field:
                changed[name] = shown
        return _with(value, cls, changed) if changed else value


def _parts(cls: type) -> list[object]:
    """Return the types of the fields of a record or typed dict."""
    if typing.is_typeddict(cls):
        return list(_hints(cls).values())
    return [part for _, part in fields_of(cls)] if is_record(cls) else []


def _same(before: Collection[object], after: Collection[object]) -> bool:
    return all(one is other for one, other in zip(before, after, strict=True))


def _collected(cls: type, items: list[object]) -> object:
    return frozenset(items) if issubclass(cls, set | frozenset) else tuple(items)


def _with(value: object, cls: type, changed: Mapping[str, object]) -> object:
    """Return a copy of a record with other fields, of whatever types."""
    if is_named_tuple(cls):
        return cast("Any", value)._replace(**changed)
    made = copy.copy(value)
    for name, field in changed.items():
        if is_struct(cls):
            msgspec.structs.force_setattr(cast("msgspec.Struct", made), name, field)
        else:
            object.__setattr__(made, name, field)
    return made


def _marked(cls: type) -> Iterator[str]:
    hints = _hints(cls)
    for name in field_names(cls) if is_record(cls) else hints:
        if _marks(hints.get(name)):
            yield name


def _hints(cls: type) -> Mapping[str, object]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return _one_by_one(cls)


def _one_by_one(cls: type) -> dict[str, object]:
    """Return the annotations of a class of which some cannot be resolved."""
    found: dict[str, object] = {}
    for base in reversed(cls.__mro__):
        known = vars(sys.modules.get(base.__module__, types))
        for name, hint in _written(base).items():
            single = types.SimpleNamespace(__annotations__={name: hint})
            try:
                hints = typing.get_type_hints(
                    single, dict(known), dict(vars(base)), include_extras=True
                )
                found.update(hints)
            except (NameError, TypeError, AttributeError, SyntaxError):
                found[name] = SENSITIVE if "SENSITIVE" in _text(hint) else object
    return found


def _text(hint: object) -> str:
    return hint if isinstance(hint, str) else repr(hint)


def marked(hint: object) -> bool:
    """Whether an annotation, or its text, has the mark anywhere in it by itself."""
    return bool(_WORD.search(hint)) if isinstance(hint, str) else _marks(hint)


_WORD: Final = re.compile(r"\bSENSITIVE\b")


def _marks(hint: object) -> bool:
    todo, seen = [hint], set[int]()
    while todo:
        one = todo.pop()
        if isinstance(one, Sensitive):
            return True
        if id(one) not in seen:
            seen.add(id(one))
            todo += _inside(one)
    return False


def _inside(hint: object) -> list[object]:
    """Return what an annotation is put together from, one level down."""
    if isinstance(hint, list):
        return cast("list[object]", hint)  # the arguments of a Callable
    if isinstance(hint, typing.NewType):
        return [hint.__supertype__]
    if type(hint).__name__ == "TypeAliasType":
        return [getattr(hint, "__value__", None)]
    return list(typing.get_args(hint))


_NONE: Final[frozenset[str]] = frozenset()
