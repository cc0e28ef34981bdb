"""Freezing values: what passes, what is rebuilt, what is refused and where."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar, cast
from uuid import UUID

import attrs
import msgspec
import pytest

from understudy_protocols.errors import NotFrozenError
from understudy_protocols.frozen import MAX_DEPTH, FrozenMap, freeze, thaw

T = TypeVar("T")


class Colour(Enum):
    RED = "red"


class Word(str):
    __slots__ = ()


class Tagged(str):
    """A str with room for attributes."""


class Noted(str):
    __slots__ = ("note",)


@attrs.frozen
class Issue:
    title: str
    tags: tuple[str, ...] = ()


@attrs.frozen
class Counted:
    title: str
    counts: Mapping[str, int]
    issues: Sequence[Issue] = ()


@attrs.frozen
class Listed:
    title: str
    issues: list[str]


@attrs.frozen
class Deep:
    inner: tuple[Listed, ...]


@attrs.define
class Loose:
    title: str


@dataclass
class LooseData:
    title: str


@dataclass(frozen=True, slots=True)
class Data:
    title: str
    extra: object = None


@dataclass(frozen=True)
class Late:
    title: str
    counts: Mapping[str, int] = field(init=False)


class Struct(msgspec.Struct, frozen=True):
    title: str
    counts: Mapping[str, int] = {}


class LooseStruct(msgspec.Struct):
    title: str


@attrs.frozen
class Box(Generic[T]):
    value: T


class Pair(NamedTuple):
    left: object
    right: Mapping[str, object] = FrozenMap()


class Coordinates(tuple[object, ...]):
    __slots__ = ()


class Plain:
    pass


@pytest.mark.parametrize(
    "leaf",
    [
        None,
        True,
        3,
        2.5,
        1j,
        "text",
        b"bytes",
        Decimal("1.10"),
        datetime(2026, 1, 1, tzinfo=UTC),
        date(2026, 1, 1),
        time(1, 2),
        timedelta(seconds=3),
        UTC,
        UUID(int=1),
        Colour.RED,
        Path("a/b"),
        PurePosixPath("a"),
        PureWindowsPath("a"),
        Word("word"),
        Issue("a", ("b",)),
        Data("a"),
        Struct("a", FrozenMap({"a": 1})),
        Pair(1),
        (1, ("a", None)),
        frozenset({1, 2}),
        FrozenMap({"a": (1,)}),
    ],
)
def test_what_cannot_change_passes_as_it_is(leaf: object) -> None:
    frozen = freeze(leaf)
    assert frozen == leaf
    assert type(frozen) is type(leaf)
    assert freeze(frozen) is frozen


def test_containers_become_their_immutable_kind() -> None:
    value: object = {"a": [1, {2, 3}, bytearray(b"x")], "b": ({"c": [4]},)}
    assert freeze(value) == {"a": (1, frozenset({2, 3}), b"x"), "b": ({"c": (4,)},)}


def test_what_was_frozen_does_not_follow_later_changes_by_its_maker() -> None:
    inner = [1]
    value: dict[str, object] = {"a": inner}
    frozen = freeze(value)
    inner.append(2)
    value["b"] = 3
    assert frozen == {"a": (1,)}


@pytest.mark.parametrize(
    "mapping",
    [
        OrderedDict[str, object](a=[1]),
        MappingProxyType({"a": [1]}),
        {"a": [1]},
    ],
)
def test_every_mapping_becomes_a_frozen_map(mapping: Mapping[str, object]) -> None:
    frozen = freeze(mapping)
    assert type(frozen) is FrozenMap
    assert frozen == {"a": (1,)}


class _Fresh(Mapping[int, list[int]]):
    """Makes its values anew each time it is asked."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __getitem__(self, key: int) -> list[int]:
        return [key * self.factor]

    def __iter__(self) -> Iterator[int]:
        return iter(range(50))

    def __len__(self) -> int:
        return 50


def test_mappings_that_make_their_values_anew_are_not_mixed_up() -> None:
    """A value that is gone may leave its identity to the next one."""
    assert freeze([_Fresh(factor) for factor in range(5)]) == tuple(
        {n: (n * factor,) for n in range(50)} for factor in range(5)
    )


def test_a_mapping_field_is_frozen_and_the_record_rebuilt() -> None:
    given = Counted("a", {"x": 1}, [Issue("b")])
    frozen = freeze(given)
    assert frozen == Counted("a", FrozenMap({"x": 1}), (Issue("b"),))
    assert isinstance(frozen, Counted)
    assert type(frozen.counts) is FrozenMap
    assert type(frozen.issues) is tuple
    assert given.counts == {"x": 1}
    assert type(given.counts) is dict


def test_a_mapping_field_that_is_frozen_already_costs_no_copy() -> None:
    given = Counted("a", FrozenMap({"x": 1}))
    assert freeze(given) is given


def test_a_struct_with_a_mapping_field_is_rebuilt_too() -> None:
    frozen = freeze(Struct("a", {"x": 1}))
    assert isinstance(frozen, Struct)
    assert type(frozen.counts) is FrozenMap


def test_rebuilding_runs_no_init_and_keeps_fields_without_one() -> None:
    late = Late("a")
    assert freeze(late) is late
    object.__setattr__(late, "counts", {"x": 1})
    frozen = freeze(late)
    assert isinstance(frozen, Late)
    assert type(frozen.counts) is FrozenMap


def test_a_named_tuple_keeps_its_class() -> None:
    frozen = freeze(Pair([1], {"a": []}))
    assert frozen == Pair((1,), FrozenMap({"a": ()}))
    assert type(frozen) is Pair


def test_a_tuple_of_a_class_of_its_own_keeps_its_class() -> None:
    frozen = freeze(Coordinates((1, [2])))
    assert frozen == (1, (2,))
    assert type(frozen) is Coordinates


def test_a_field_of_any_type_is_walked_in_each_value() -> None:
    assert freeze(Box([1])) == Box((1,))
    assert freeze(Data("a", extra={"b": [1]})) == Data("a", FrozenMap({"b": (1,)}))
    with pytest.raises(NotFrozenError, match=r"value\.value is of type Plain"):
        freeze(Box(Plain()))


def _cyclic() -> object:
    a: list[object] = []
    a.append({"self": a})
    return a


def _deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "path", "advice"),
    [
        ({"issues": [1, 2, 3, Plain()]}, "outputs.extract.issues[3]", "register_type"),
        ({"a b": [Plain()]}, "outputs.extract['a b'][0]", "frozen attrs class"),
        (Listed("a", []), "outputs.extract.issues", "tuple[str, ...]"),
        ([Deep(())], "outputs.extract[0].inner[...].issues", "tuple[str, ...]"),
        ([Loose("a")], "outputs.extract[0]", "@attrs.frozen"),
        ([LooseData("a")], "outputs.extract[0]", "@dataclass(frozen=True)"),
        ([LooseStruct("a")], "outputs.extract[0]", "frozen=True"),
        ([Tagged("a")], "outputs.extract[0]", "register_type"),
        ([Noted("a")], "outputs.extract[0]", "register_type"),
        ({(1, Plain()): 1}, "outputs.extract[<a key>][1]", "register_type"),
        ({Data("a", Plain())}, "outputs.extract[<a member>].extra", "register_type"),
        (Pair(1, cast("Any", Plain())), "outputs.extract.right", "register_type"),
        (memoryview(b"x"), "outputs.extract", "bytes(...)"),
        (deque([1]), "outputs.extract", "tuple(...)"),
        (iter([1]), "outputs.extract", "tuple"),
        (print, "outputs.extract", "register_type"),
        (Plain, "outputs.extract", "register_type"),
        (ValueError("x"), "outputs.extract", "register_type"),
        (_cyclic(), "outputs.extract[0].self", "contains itself"),
        (_deep(MAX_DEPTH + 1), "outputs.extract[0][0][0][0]...[0]", "nested"),
    ],
)
def test_what_can_change_is_refused_with_its_place_and_advice(
    value: object, path: str, advice: str
) -> None:
    with pytest.raises(NotFrozenError) as caught:
        freeze(value, "outputs.extract")
    assert caught.value.path.startswith(path)
    assert advice in str(caught.value)


async def _coroutine() -> None: ...


def test_a_coroutine_is_refused_with_the_word_await() -> None:
    coroutine = _coroutine()
    with pytest.raises(NotFrozenError, match="await it first"):
        freeze(coroutine)
    coroutine.close()


def test_the_greatest_depth_is_still_accepted_deep_in_a_hosts_stack() -> None:
    def nested(calls: int, action: Callable[[], object]) -> object:
        return nested(calls - 1, action) if calls else action()

    assert nested(350, lambda: freeze(_deep(MAX_DEPTH))) is not None


def test_a_part_shared_very_often_is_walked_once() -> None:
    value: object = [0]
    for _ in range(60):
        value = [value, value]
    assert type(freeze(value)) is tuple


def test_thaw_gives_plain_containers_and_leaves_records_alone() -> None:
    frozen = freeze({"a": [1, {2}, {"b": ()}], "c": Issue("d")})
    thawed = thaw(frozen)
    assert thawed == {"a": [1, {2}, {"b": []}], "c": Issue("d")}
    assert type(thawed) is dict


def test_a_frozen_map_cannot_be_changed() -> None:
    frozen = FrozenMap({"a": 1})
    with pytest.raises(AttributeError, match="cannot change"):
        frozen._items = {}  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(AttributeError, match="cannot change"):
        del frozen._items  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(TypeError):
        cast("dict[str, int]", frozen)["a"] = 2
    assert frozen == {"a": 1}


def test_a_frozen_map_freezes_what_it_is_made_of() -> None:
    assert FrozenMap({"a": [1]}) == {"a": (1,)}
    assert FrozenMap([("a", 1)]) == FrozenMap({"a": 1})
    assert FrozenMap() == {}
    with pytest.raises(NotFrozenError, match=r"map\.a"):
        FrozenMap({"a": Plain()})


def test_a_frozen_map_is_a_mapping_in_every_way() -> None:
    frozen = FrozenMap({"b": 1, "a": 2})
    assert list(frozen) == list(frozen.keys()) == ["b", "a"]
    assert list(frozen.values()) == [1, 2]
    assert list(frozen.items()) == [("b", 1), ("a", 2)]
    assert (len(frozen), "a" in frozen, "c" in frozen) == (2, True, False)
    assert frozen["a"] == 2
    assert repr(frozen) == "FrozenMap({'b': 1, 'a': 2})"
    assert frozen | {"c": 3} == {"b": 1, "a": 2, "c": 3}
    assert frozen != {"b": 1}
    assert frozen == MappingProxyType({"a": 2, "b": 1})
    assert frozen != 3
    with pytest.raises(TypeError):
        frozen | cast("Any", 3)  # pyright: ignore[reportUnusedExpression]


def test_equal_frozen_maps_have_one_hash_whatever_their_order() -> None:
    assert hash(FrozenMap({"a": 1, "b": 2})) == hash(FrozenMap({"b": 2, "a": 1}))
    assert {FrozenMap({"a": 1}): 1}[FrozenMap({"a": 1})] == 1


def test_a_frozen_map_copies_as_itself_and_survives_pickle() -> None:
    frozen = FrozenMap({"a": (1,)})
    assert copy.copy(frozen) is frozen
    assert copy.deepcopy(frozen) is frozen
    assert pickle.loads(pickle.dumps(frozen)) == frozen
