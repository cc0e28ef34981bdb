"""Deeply immutable plain data: ``FrozenMap``, ``freeze`` and ``thaw``.

What a step returns is frozen where it enters a state: dict, list, set and
bytearray become ``FrozenMap``, tuple, frozenset and bytes; what is immutable
already passes as it is, decided once per type; all else is refused with the
place where it stands.
"""

from __future__ import annotations

import copy
import operator
import types
from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    ValuesView,
)
from typing import Any, Final, NoReturn, TypeVar, cast, overload

import msgspec

from understudy_protocols.errors import NotFrozenError
from understudy_protocols.frozen_classes import (
    adds_no_state,
    is_a,
    is_leaf,
    is_named_tuple,
    is_record,
    is_struct,
    not_frozen_advice,
)
from understudy_protocols.frozen_types import (
    Verdict,
    admit,
    declared_type_problem,
    find_problem,
    immutable,
    is_immutable_type,
    loose_fields,
    register_type,
    verdict_on,
    ways,
)

__all__ = [
    "MAX_DEPTH",
    "FrozenMap",
    "declared_type_problem",
    "freeze",
    "is_immutable_type",
    "register_type",
    "sealed_map",
    "thaw",
]

K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)

# A value nested deeper is refused.  Far above what people and models write, and
# low enough that a walk (four calls a level) stays inside Python's own limit of
# 1,000 calls even when it begins deep in a host's stack.
MAX_DEPTH: Final = 100


class FrozenMap(Mapping[K, V_co]):
    """A mapping that cannot change, nor can anything in it.

    Keeps insertion order, equals any mapping with the same items in any order,
    and is hashable when its values are.  The constructor freezes what it is given.

    Raises:
      NotFrozenError: a key or value cannot be made immutable.
    """

    __slots__ = ("_items",)
    _items: dict[K, V_co]

    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(self, items: Mapping[K, V_co] | Iterable[tuple[K, V_co]]) -> None: ...
    def __init__(self, items: Mapping[K, V_co] | Iterable[tuple[K, V_co]] = ()) -> None:
        frozen = _Walk("map").mapping(dict(items))
        _set_items(self, cast("FrozenMap[K, V_co]", frozen)._items)

    def __getitem__(self, key: K) -> V_co:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def keys(self) -> KeysView[K]:
        """Return the keys in insertion order."""
        return self._items.keys()

    def values(self) -> ValuesView[V_co]:
        """Return the values in insertion order."""
        return self._items.values()

    def items(self) -> ItemsView[K, V_co]:
        """Return the items in insertion order."""
        return self._items.items()

    def __or__(self, other: Mapping[K, V_co]) -> FrozenMap[K, V_co]:
        if not isinstance(other, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        return FrozenMap({**self._items, **other})

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenMap):
            return self._items == cast("FrozenMap[object, object]", other)._items
        if isinstance(other, Mapping):
            return self._items == dict(cast("Mapping[object, object]", other))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"FrozenMap({self._items!r})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a FrozenMap cannot change: {name!r} was not set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a FrozenMap cannot change: {name!r} was not deleted")

    def __copy__(self) -> FrozenMap[K, V_co]:
        return self

    def __deepcopy__(self, memo: object) -> FrozenMap[K, V_co]:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return (sealed_map, (self._items,))


_set_items = cast(
    "Callable[[FrozenMap[Any, Any], dict[Any, Any]], None]",
    cast("types.MemberDescriptorType", FrozenMap.__dict__["_items"]).__set__,
)
admit(FrozenMap)


def sealed_map(items: dict[K, V_co]) -> FrozenMap[K, V_co]:
    """Wrap a dict without a look at it.

    For callers whose items are frozen already and who give the dict away.
    """
    made = cast("FrozenMap[K, V_co]", object.__new__(FrozenMap))
    _set_items(made, items)
    return made


def freeze(value: object, path: str = "value") -> object:
    """Return *value*, or an immutable value equal to it, part for part.

    Costs one look-up for a value whose type is known to be immutable.  A frozen
    record with a field declared ``Mapping`` or ``Sequence`` that holds a dict or
    list is rebuilt with these parts frozen, without its ``__init__`` running
    again; a field declared ``dict`` or ``list`` is refused.

    Args:
      value: anything.
      path: what to call it in an error, such as ``outputs.extract``.

    Raises:
      NotFrozenError: some part can change, refers to itself, or is nested more
        than `MAX_DEPTH` deep; the error names its path.
    """
    if type(value) in immutable:
        return value
    return _Walk(path).whole(value)


def thaw(value: object) -> object:
    """Return the plain, mutable form of a frozen value: dict, list and set.

    Frozen records and leaves stay what they are, and so do the keys of maps and
    the members of sets, which must be hashable.
    """
    if isinstance(value, FrozenMap):
        items = cast("FrozenMap[object, object]", value).items()
        return {key: thaw(item) for key, item in items}
    if type(value) is tuple:
        return [thaw(item) for item in cast("tuple[object, ...]", value)]
    if type(value) is frozenset:
        return set(cast("frozenset[object]", value))
    return value


# Stands in the memo for a container whose parts are still being frozen.
_UNFINISHED: Final = object()

Way = Callable[["_Walk", object], object]


class _Walk:
    """One walk over a value, with the way to where it stands.

    ``memo`` maps the identity of each container met to its frozen form, so that
    a part shared many times is walked once; ``kept`` holds these containers, as
    an identity means something only while its object lives, and a mapping may
    make its values anew each time it is asked.
    """

    __slots__ = ("kept", "memo", "root", "trail")

    def __init__(self, root: str) -> None:
        self.root = root
        self.trail: list[object] = []
        self.memo: dict[int, object] = {}
        self.kept: list[object] = []

    def whole(self, value: object) -> object:
        """Freeze the value where the walk stands."""
        cls = type(value)
        done = self.memo.get(id(value))
        if done is _UNFINISHED:
            self.refuse(cls, "it contains itself; refer to it by a name instead")
        if done is not None:
            return done
        if len(self.trail) >= MAX_DEPTH:
            self.refuse(cls, f"it is nested more than {MAX_DEPTH} deep; flatten it")
        self.kept.append(value)
        self.memo[id(value)] = _UNFINISHED
        frozen = _way_to_freeze(cls)(self, value)
        self.memo[id(value)] = frozen
        return frozen

    def part(self, step: object, value: object) -> object:
        """Freeze a part of the value where the walk stands."""
        if type(value) in immutable:
            return value
        self.trail.append(step)
        frozen = self.whole(value)
        self.trail.pop()
        return frozen

    def mapping(self, value: object) -> FrozenMap[object, object]:
        """Freeze the items of a mapping."""
        items = dict(cast("Mapping[object, object]", value))
        if not immutable.issuperset(map(type, items)):
            keys = [self.part(_A_KEY, key) for key in items]
            items = dict(zip(keys, items.values(), strict=True))
        for key, item in items.items():
            if type(item) not in immutable:
                items[key] = self.part(key, item)
        return sealed_map(items)

    def sequence(self, value: object) -> tuple[object, ...]:
        """Freeze the items of a list or tuple."""
        items = tuple(cast("Iterable[object]", value))
        if immutable.issuperset(map(type, items)):
            return items
        frozen = tuple([self.part(n, item) for n, item in enumerate(items)])
        return items if all(map(operator.is_, frozen, items)) else frozen

    def refuse(self, cls: type, advice: str) -> NoReturn:
        """Raise for the value where the walk stands."""
        raise NotFrozenError(self.place(), cls.__qualname__, advice)

    def place(self) -> str:
        """Return the path to where the walk stands."""
        steps = [_shown_step(step) for step in self.trail]
        if len(steps) > 12:
            steps[4:-4] = ["..."]
        return self.root + "".join(steps)


def _shown_step(step: object) -> str:
    named = isinstance(step, str) and step.isidentifier()
    return f".{step}" if named else f"[{step!r}]"


class _Step:
    """A step of a path that has no name or number."""

    def __init__(self, shown: str) -> None:
        self.shown = shown

    def __repr__(self) -> str:
        return self.shown


_A_KEY: Final = _Step("<a key>")
_A_MEMBER: Final = _Step("<a member>")


# -------------------------------------------------- one way to freeze per type


def _way_to_freeze(cls: type) -> Way:
    way = ways.get(cls)
    if way is None:
        way = ways[cls] = _decide(cls)
        if way is _as_it_is:
            immutable.add(cls)
    return way


def _decide(cls: type) -> Way:
    if is_leaf(cls):
        return _as_it_is
    if is_record(cls):
        verdict = verdict_on(cls)
        if verdict is Verdict.PER_VALUE:
            return _tuple_like if is_named_tuple(cls) else _Fields(cls)
        return _as_it_is if verdict is Verdict.IMMUTABLE else _refusal
    if is_a(cls, Mapping):
        return _Walk.mapping
    if cls is tuple or is_a(cls, list):
        return _Walk.sequence
    if is_a(cls, tuple) and adds_no_state(cls, tuple):
        return _tuple_like
    if is_a(cls, set) or is_a(cls, frozenset):
        return _set
    return _bytes if is_a(cls, bytearray) else _refusal


def _as_it_is(walk: _Walk, value: object) -> object:
    return value


def _bytes(walk: _Walk, value: object) -> object:
    return bytes(cast("bytearray", value))


def _set(walk: _Walk, value: object) -> object:
    members = frozenset(cast("Iterable[object]", value))
    if immutable.issuperset(map(type, members)):
        return members
    frozen = [walk.part(_A_MEMBER, member) for member in members]
    return members if all(map(operator.is_, frozen, members)) else frozenset(frozen)


def _tuple_like(walk: _Walk, value: object) -> object:
    """Freeze a tuple of a class of its own, and keep the class."""
    items = cast("tuple[object, ...]", value)
    steps: Iterable[object] = getattr(value, "_fields", range(len(items)))
    frozen = [walk.part(step, item) for step, item in zip(steps, items, strict=True)]
    if all(map(operator.is_, frozen, items)):
        return value
    return _new_tuple(type(value), frozen)


# By name, as its declared type is of no use to the checkers.
_new_tuple: Callable[[type, list[object]], object] = operator.attrgetter("__new__")(
    tuple
)


def _refusal(walk: _Walk, value: object) -> NoReturn:
    cls = type(value)
    problem = find_problem(cls, walk.place()) if is_record(cls) else None
    if problem is None:
        walk.refuse(cls, not_frozen_advice(cls))
    raise NotFrozenError(problem.where, problem.found, problem.advice)


class _Fields:
    """Freezes the fields of one record class that its declaration leaves open."""

    def __init__(self, cls: type) -> None:
        self.names = loose_fields(cls)
        struct = is_struct(cls)
        self.assign = cast(
            "Callable[[object, str, object], None]",
            msgspec.structs.force_setattr if struct else object.__setattr__,
        )

    def __call__(self, walk: _Walk, value: object) -> object:
        changed: dict[str, object] = {}
        for name in self.names:
            # A field without init and default may have no value yet.
            old = cast("object", getattr(value, name, None))
            new = walk.part(name, old)
            if new is not old:
                changed[name] = new
        if not changed:
            return value
        rebuilt = copy.copy(value)
        for name, new in changed.items():
            self.assign(rebuilt, name, new)
        return rebuilt
