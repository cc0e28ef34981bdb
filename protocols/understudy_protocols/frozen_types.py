"""Which types are immutable all the way down: decided once per type, from its declaration.

A type gets one of three verdicts.  ``IMMUTABLE``: its values pass as they are.
``PER_VALUE``: it may hold something that only the value can settle (a field
declared ``object``, ``Mapping`` or a type variable), so those parts are walked.
``REFUSED``: it declares a part that can change, such as a ``list``.

Declared types are believed: a frozen class with a field ``tuple[str, ...]`` is
not searched for a list that somebody put there in spite of the annotation.
That belief is what makes a step's result cost one look-up instead of a walk.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections import abc, deque
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from typing import Any, TypeVar, cast

import msgspec

from understudy_protocols.frozen_classes import (
    LEAVES,
    fields_of,
    is_frozen,
    is_leaf,
    is_record,
    not_frozen_advice,
)

T = TypeVar("T")

# The exact types whose values need no look.  ``freeze`` asks this set and nothing
# else on the hot path, so it is a plain set, and grows by one entry per type met.
immutable: set[type] = set(LEAVES)

_permanent: set[type] = set(LEAVES)


class Verdict(IntEnum):
    """How much a declared type says about the immutability of its values."""

    IMMUTABLE = 0
    PER_VALUE = 1
    REFUSED = 2


class TypeProblem(msgspec.Struct, frozen=True):
    """The first part of a declared type that cannot be immutable."""

    where: str
    found: str
    advice: str


class Registration(msgspec.Struct, frozen=True):
    """How values of a registered type become plain data and come back."""

    to: Callable[[Any], object]
    from_: Callable[[Any], object]


registered: dict[type, Registration] = {}

_verdicts: dict[object, Verdict] = {}

# How ``freeze`` goes about each type that is not simply immutable.  It fills this
# table, which stands here because admitting a type has to empty it.
ways: dict[type, Callable[[Any, object], object]] = {}


def register_type(
    cls: type[T], *, to: Callable[[T], object], from_: Callable[[Any], T]
) -> None:
    """Admit values of exactly *cls* into states, as they are.

    Registering is a promise that instances of *cls* never change; nothing
    checks it.  Meant for frozen classes of other libraries, pydantic's say::

        register_type(Order, to=Order.model_dump, from_=Order.model_validate)

    Args:
      cls: the class itself; its subclasses are registered on their own.
      to: gives plain data (mappings, sequences, leaves) for a value; used to
        write it down.
      from_: makes the value again from that data, with sequences as tuples and
        mappings as ``FrozenMap``.
    """
    registered[cls] = Registration(to, from_)
    admit(cls)


def admit(cls: type) -> None:
    """Count values of exactly *cls* as immutable from now on."""
    _permanent.add(cls)
    # Verdicts on classes that have a field of this type were made without it.
    _verdicts.clear()
    ways.clear()
    immutable.clear()
    immutable.update(_permanent)


def is_immutable_type(tp: object) -> bool:
    """Whether every value declared as *tp* is immutable all the way down.

    ``Mapping[str, int]`` is not, as a plain dict is one too; ``FrozenMap[str,
    int]`` is.  The answer for a class is worked out once.
    """
    return verdict_on(tp) is Verdict.IMMUTABLE


def declared_type_problem(tp: object, where: str) -> str | None:
    """Say what is wrong with *tp* as the type of an output or field, if anything.

    Args:
      tp: an annotation, already resolved.
      where: its name in the sentence, such as ``the output of extract``.

    Returns:
      One sentence with the place and the type to write instead, or None.
    """
    problem = find_problem(tp, where)
    if problem is None:
        return None
    return (
        f"{problem.where} is declared as {problem.found}, which can change after "
        f"it was handed over; {problem.advice}"
    )


def verdict_on(tp: object) -> Verdict:
    """Return the verdict on an annotation or class."""
    return _judge(tp, _settle)


def loose_fields(cls: type) -> tuple[str, ...]:
    """Return the fields of a record class that have to be walked in each value."""
    return tuple(
        name
        for name, hint in fields_of(cls)
        if verdict_on(hint) is not Verdict.IMMUTABLE
    )


# ---------------------------------------------------------------- annotations


class _Part(msgspec.Struct, frozen=True):
    """One annotation taken apart by one level."""

    floor: Verdict
    children: tuple[object, ...] = ()
    suffix: str = ""  # what a child's place adds to the path
    node: object = None  # a class, TypedDict or alias that may refer to itself
    advice: str = ""  # only if refused here


_FINE = _Part(Verdict.IMMUTABLE)
_OPEN = _Part(Verdict.PER_VALUE)

_MUTABLE: tuple[tuple[type, str], ...] = (
    (dict, "Mapping[{0}, {1}]"),
    (abc.MutableMapping, "Mapping[{0}, {1}]"),
    (set, "frozenset[{0}]"),
    (abc.MutableSet, "frozenset[{0}]"),
    (bytearray, "bytes"),
    (memoryview, "bytes"),
    (list, "tuple[{0}, ...]"),
    (deque, "tuple[{0}, ...]"),
    (abc.MutableSequence, "tuple[{0}, ...]"),
    (abc.Iterator, "tuple[{0}, ...]"),
    (abc.AsyncIterator, "tuple[{0}, ...]"),
)

_WRAPPERS: frozenset[object] = frozenset(
    getattr(typing, name)
    for name in ("Annotated", "Required", "NotRequired", "ReadOnly", "Final")
    if hasattr(typing, name)
)


def _take_apart(hint: object) -> _Part:
    """Say what one annotation demands by itself, and what is inside it."""
    origin = typing.get_origin(hint) or hint
    args = typing.get_args(hint)
    if hint is None or origin is typing.Literal:
        return _FINE
    if origin in _WRAPPERS:
        return _Part(Verdict.IMMUTABLE, args[:1])
    if origin is typing.Union or origin is types.UnionType:
        return _Part(Verdict.IMMUTABLE, args)
    if isinstance(hint, typing.NewType):
        return _Part(Verdict.IMMUTABLE, (hint.__supertype__,))
    if _is_alias(origin):
        return _Part(Verdict.IMMUTABLE, args, node=origin)
    if not isinstance(origin, type):
        return _OPEN
    return _take_class_apart(origin, args, hint)


def _take_class_apart(cls: type, args: tuple[object, ...], hint: object) -> _Part:
    if cls in immutable:
        return _FINE
    if cls is tuple or cls is frozenset:
        inside = tuple(arg for arg in args if arg is not Ellipsis)
        floor = Verdict.IMMUTABLE if args else Verdict.PER_VALUE
        return _Part(floor, inside, "[...]")
    if typing.is_typeddict(cls):
        return _Part(Verdict.PER_VALUE, node=cls)
    for mutable, _ in _MUTABLE:
        if issubclass(cls, mutable):
            advice = f"write {suggested_type(hint)}"
            return _Part(Verdict.REFUSED, advice=advice)
    if is_record(cls):
        if is_frozen(cls):
            return _Part(Verdict.IMMUTABLE, args, node=cls)
        return _Part(Verdict.REFUSED, advice=not_frozen_advice(cls))
    if is_leaf(cls):
        return _FINE
    if _may_be_a_base(cls):
        return _Part(Verdict.PER_VALUE, args, "[...]")
    return _Part(Verdict.REFUSED, advice=not_frozen_advice(cls))


def _may_be_a_base(cls: type) -> bool:
    """Whether *cls* says nothing of what its instances hold: its subclasses do."""
    return (
        inspect.isabstract(cls)
        or inspect.getattr_static(cls, "__init__") is object.__init__
        or getattr(cls, "_is_protocol", False) is True
    )


def _is_alias(origin: object) -> bool:
    return type(origin).__name__ == "TypeAliasType"


def _judge(hint: object, verdict_of: Callable[[object], Verdict]) -> Verdict:
    part = _take_apart(hint)
    worst = part.floor
    if part.node is not None:
        worst = max(worst, verdict_of(part.node))
    for child in part.children:
        worst = max(worst, _judge(child, verdict_of))
    return worst


def _node_hints(node: object) -> Iterator[tuple[str, object]]:
    if _is_alias(node):
        yield "", cast("Any", node).__value__
        return
    assert isinstance(node, type)
    if typing.is_typeddict(node):
        hints: Mapping[str, object] = typing.get_type_hints(node, include_extras=True)
        named = tuple(hints.items())
    else:
        named = fields_of(node)
    for name, hint in named:
        yield f".{name}", hint


def _settle(root: object) -> Verdict:
    """Work out the verdict on a class and on every class it reaches.

    Classes may refer to one another in circles, so all begin as immutable and
    are marked down until nothing changes: the best reading that contradicts no
    field.  Verdicts only ever go up two steps, which bounds the rounds.
    """
    known = _verdicts.get(root)
    if known is not None:
        return known
    found: dict[object, Verdict] = {root: Verdict.IMMUTABLE}

    def so_far(node: object) -> Verdict:
        return _verdicts.get(node) or found.setdefault(node, Verdict.IMMUTABLE)

    settled: dict[object, Verdict] = {}
    while settled != found:
        settled = dict(found)
        for node in settled:
            for _, hint in _node_hints(node):
                found[node] = max(found[node], _judge(hint, so_far))
    _verdicts.update(found)
    return found[root]


def find_problem(hint: object, where: str) -> TypeProblem | None:
    """Return the first part of an annotation that is refused, with its place."""
    return _first_problem(hint, where, set())


def _first_problem(hint: object, where: str, seen: set[object]) -> TypeProblem | None:
    part = _take_apart(hint)
    if part.advice:
        return TypeProblem(where, shown_type(hint), part.advice)
    inside = [(part.suffix, child) for child in part.children]
    if part.node is not None and part.node not in seen:
        seen.add(part.node)
        inside += _node_hints(part.node)
    for suffix, child in inside:
        problem = _first_problem(child, where + suffix, seen)
        if problem is not None:
            return problem
    return None


def shown_type(hint: object) -> str:
    """Return an annotation as its author would write it."""
    if isinstance(hint, type) and not typing.get_args(hint):
        return "None" if hint is types.NoneType else hint.__qualname__
    args = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is typing.Union or origin is types.UnionType:
        return " | ".join(shown_type(arg) for arg in args)
    if isinstance(origin, type) and args:
        inside = ("..." if arg is Ellipsis else shown_type(arg) for arg in args)
        return f"{origin.__qualname__}[{', '.join(inside)}]"
    return repr(hint).replace("typing.", "").replace("~", "")


def suggested_type(hint: object) -> str:
    """Return the immutable type to write in place of a mutable one."""
    origin = typing.get_origin(hint) or hint
    args = typing.get_args(hint)
    if isinstance(origin, type):
        for mutable, pattern in _MUTABLE:
            if issubclass(origin, mutable):
                inside = [suggested_type(arg) for arg in args]
                return pattern.format(*inside, *["object"] * 2)
    return shown_type(hint)
