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

import attrs
import msgspec

from understudy_protocols.frozen import FrozenMap
from understudy_protocols.frozen_classes import (
    field_names,
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
        if isinstance(one, Sensitive):
            return True
        todo += _inside(one)
        origin = typing.get_origin(one) or one
        if isinstance(origin, type) and origin not in seen:
            if sensitive_fields(origin):
                return True
            seen.add(origin)
            todo += [part for _, part in _parts(origin)]
    return False


def unheeded_mark(hint: object) -> str | None:
    """Say what is wrong with a type in which a mark hides nothing, if there is one.

    It hides a field of a record, wherever in the annotation of that field it stands.

    Args:
      hint: an annotation, or its text if nobody can resolve it.

    Returns:
      The rest of a sentence that begins with what is declared so, or None.
    """
    where = _unheeded(hint)
    return None if where is None else f"{where}; {_ADVICE}"


_ADVICE: Final = (
    "that hides nothing: let it be a field of a record (an attrs class, dataclass, "
    "msgspec struct or named tuple), and mark the field"
)
_BY_ITSELF: Final = "is marked SENSITIVE by itself"


def _unheeded(hint: object) -> str | None:
    if isinstance(hint, str):
        return _BY_ITSELF if re.search(_WORD, hint) else None
    todo, seen = [hint], set[type]()
    while todo:
        one = todo.pop()
        if isinstance(one, Sensitive):
            return _BY_ITSELF
        todo += _inside(one)
        cls = typing.get_origin(one) or one
        if isinstance(cls, type) and cls not in seen and cls not in registered:
            seen.add(cls)
            if (where := _unheeded_in(cls)) is not None:
                return where
            hidden = sensitive_fields(cls)
            todo += [part for name, part in _parts(cls) if name not in hidden]
    return None


def _unheeded_in(cls: type) -> str | None:
    """Say which mark in a class is on no field of a record, if there is one."""
    name = cls.__qualname__
    if not is_record(cls):
        fields = (field for field, hint in _hints(cls).items() if _marks(hint))
        for field in fields:
            return f"has {name}.{field}, which is marked SENSITIVE in a class that is no record"
    for base in cls.__mro__:
        generics: tuple[object, ...] = vars(base).get("__orig_bases__", ())
        if any(_marks_an_argument(generic) for generic in generics):
            return f"has {name}, whose base is about a type that is marked SENSITIVE"
    return None


def _marks_an_argument(generic: object) -> bool:
    arguments: tuple[object, ...] = typing.get_args(generic)
    # What is said of a variable counts in the fields that have it.
    return any(_marks(one) for one in arguments if not isinstance(one, typing.TypeVar))


def unquoted(problem: str, hint: object) -> str:
    """Return what is wrong with a value of the type *hint*, without words of it.

    As it is, if the type has nothing sensitive in it, or only types are spoken of.

    Args:
      problem: as msgspec says it.
    """
    if re.match(_SPEAKS_OF_TYPES, problem) or not holds_sensitive(hint):
        return problem
    place = re.search(_PLACE, problem)
    return (
        f"a value there does not fit, and may be sensitive{place[0] if place else ''}"
    )


_SPEAKS_OF_TYPES: Final = r"(Expected|Object missing required field) `"
_PLACE: Final = r" - at `[^`]*`\Z"


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
        if cls in registered:
            return self._by_its_own_code(value, cls)
        if is_record(cls):
            return self._record(value, cls)
        if isinstance(value, Mapping):
            return self._mapping(cast("Mapping[object, object]", value))
        if isinstance(value, list | tuple | set | frozenset):
            items = cast("Collection[object]", value)
            shown = [self.of(item) for item in items]
            return items if _same(items, shown) else _collected(cls, shown)
        return value

    def _by_its_own_code(self, value: object, cls: type) -> object:
        """Hide all of it or nothing: its own code alone makes another one of it."""
        if sensitive_fields(cls):
            return HIDDEN
        told: object = registered[cls].to(value)
        return value if self.of(told) is told else HIDDEN

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


def _parts(cls: type) -> list[tuple[str, object]]:
    """Return the fields of a record or typed dict, with their types."""
    if is_record(cls):
        hints = _hints(cls)
        return [(name, hints.get(name, object)) for name in field_names(cls)]
    return list(_hints(cls).items()) if typing.is_typeddict(cls) else []


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
    # Where attrs was told the type of a field, it is in no annotation.
    told = {one.name: one.type for one in attrs.fields(cls)} if attrs.has(cls) else {}
    try:
        return told | typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return told | _one_by_one(cls)


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


_WORD: Final = r"\bSENSITIVE\b"


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
    if isinstance(hint, typing.TypeVar):
        return [*hint.__constraints__, hint.__bound__]
    if type(hint).__name__ == "TypeAliasType":
        return [getattr(hint, "__value__", None)]
    return list(typing.get_args(hint))


_NONE: Final[frozenset[str]] = frozenset()
