"""Freezing and thawing plain data, against a plain recursion over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from understudy_protocols.frozen import FrozenMap, freeze, is_immutable_type, thaw

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.dates()
)
plain = st.recursive(
    scalars | st.sets(st.integers(), max_size=3),
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inside, max_size=4)
    ),
    max_leaves=20,
)


def _modelled(value: object) -> object:
    if isinstance(value, dict):
        items = cast("dict[object, object]", value)
        return ("map", [(key, _modelled(item)) for key, item in items.items()])
    if isinstance(value, list):
        return ("seq", [_modelled(item) for item in cast("list[object]", value)])
    if isinstance(value, set):
        return ("set", cast("set[object]", value))
    return value


def _read(value: object) -> object:
    if isinstance(value, FrozenMap):
        items = cast("Mapping[object, object]", value)
        return ("map", [(key, _read(item)) for key, item in items.items()])
    if isinstance(value, tuple):
        return ("seq", [_read(item) for item in cast("tuple[object, ...]", value)])
    if isinstance(value, frozenset):
        return ("set", set(cast("frozenset[object]", value)))
    return value


@given(plain)
def test_freezing_changes_the_kind_of_containers_and_nothing_else(
    value: object,
) -> None:
    assert _read(freeze(value)) == _modelled(value)


@given(plain)
def test_what_is_frozen_is_frozen_for_good(value: object) -> None:
    frozen = freeze(value)
    assert freeze(frozen) is frozen
    hash(frozen)


@given(plain)
def test_thawing_gives_back_plain_data(value: object) -> None:
    assert _modelled(thaw(freeze(value))) == _modelled(value)


# As objects, since the checkers take no variable for a type.
_tuple: Any = tuple
_frozenset: Any = frozenset
_list: Any = list

types: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([int, str, bytes, float]),
    lambda inside: (
        inside.map(lambda tp: _tuple[tp, ...])
        | inside.map(lambda tp: _frozenset[tp])
        | inside.map(lambda tp: tp | None)
        | st.tuples(inside, inside).map(lambda two: _tuple[two])
    ),
    max_leaves=6,
)


@given(types)
def test_types_of_immutable_parts_are_immutable(tp: Any) -> None:
    assert is_immutable_type(tp)
    assert not is_immutable_type(_list[tp])
    assert not is_immutable_type(_tuple[int, _list[tp]])
