"""What the check knows of declared types, and what it leaves to run time."""

# Untyped programs are among what is tested.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import collections.abc
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NewType, Protocol, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.workflows.hints import (
    UNDECLARED,
    argument_of,
    hints_of,
    is_async,
    parameter_of,
    parameters_of,
    result_of,
)
from understudy.workflows.joins import all_of, best_effort
from understudy.workflows.types import (
    fits,
    is_iterable_type,
    item_tuple,
    matches,
    narrower,
    type_name,
)
from understudy_protocols.outcomes import Outcome


class Animal:
    pass


class Dog(Animal):
    pass


class HasName(Protocol):
    name: str


class Record(TypedDict):
    name: str


Age = NewType("Age", int)
Short = Annotated[str, msgspec.Meta(max_length=3)]


@pytest.mark.parametrize(
    ("given_", "wanted", "expected"),
    [
        (Dog, Animal, True),
        (Animal, Dog, False),
        (str, int, False),
        (int, float, True),
        (float, int, False),
        (str, str | None, True),
        (str | None, str, False),
        (None, str | None, True),
        (Age, int, True),
        (Age, str, False),
        (Short, str, True),
        (Short, int, False),
        (int, Short | None, False),
        (Literal["a"], str, True),
        (Literal["a"], int, False),
        (tuple[str, ...], Sequence, True),
        (tuple[str, ...], Mapping[str, str], False),
        (str, object, True),
        (UNDECLARED, str, True),
        (str, UNDECLARED, True),
        (object, str, True),
        (Any, str, True),
        (str, HasName, True),
        (str, Record, True),
    ],
)
def test_a_type_fits_where_its_values_may_stand_as_far_as_can_be_told(
    given_: object, wanted: object, expected: bool
) -> None:
    assert fits(given_, wanted) is expected


@pytest.mark.parametrize(
    ("value", "declared", "expected"),
    [
        ("a", str, True),
        ("a", int, False),
        (1, float, True),
        (1.5, int, False),
        (True, int, True),
        (None, None, True),
        (None, str, False),
        (None, str | None, True),
        ("a", Literal["a", "b"], True),
        ("c", Literal["a", "b"], False),
        (1, Literal[True], False),
        ("a", Literal["a"] | int, True),
        (("a",), tuple[str, ...], True),
        ({}, Mapping[str, int], True),
        ("a", Mapping[str, int], False),
        (3, Age, True),
        ("a", Age, False),
        ("a", Short, True),
        (1, Short, False),
        ("a", Annotated[Literal["a"] | None, "about"], True),
        ("b", Annotated[Literal["a"] | None, "about"], False),
        ("a", Any, True),
        ("a", {"type": "string"}, True),
        ("a", HasName, True),
    ],
)
def test_a_value_matches_its_declaration_as_far_as_its_class_says(
    value: object, declared: object, expected: bool
) -> None:
    assert matches(value, declared) is expected


KINDS = st.sampled_from(
    [str, int, float, Animal, Dog, str | None, int | str, object, UNDECLARED]
)


@given(one=KINDS, other=KINDS)
def test_the_narrower_of_two_types_is_one_of_them_and_fits_both(
    one: object, other: object
) -> None:
    both = narrower(one, other)
    assert both is None or both in (one, other)
    if both is None:
        assert not fits(one, other)
        assert not fits(other, one)
    elif UNDECLARED not in (one, other) and object not in (one, other):
        assert fits(both, one)
        assert fits(both, other)


@given(one=KINDS)
def test_anything_is_narrower_than_no_type_or_object(one: object) -> None:
    for wide in (UNDECLARED, object):
        if one not in (UNDECLARED, object):
            assert narrower(wide, one) is one
            assert narrower(one, wide) is one


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (tuple[int, ...], True),
        (Iterable[str], True),
        (collections.abc.Iterator, True),
        (Sequence[int] | None, False),
        (str, False),
        (bytes, False),
        (Mapping[str, int], False),
        (frozenset[int], False),
        (int, False),
        (object, True),
        (UNDECLARED, True),
    ],
)
def test_only_lists_can_be_gone_over(declared: object, expected: bool) -> None:
    assert is_iterable_type(declared) is expected


def test_an_each_gives_a_tuple_of_values_or_of_outcomes() -> None:
    assert item_tuple(all_of(), str) == tuple[str, ...]
    assert item_tuple(all_of(), str | None) == tuple[str | None, ...]
    assert item_tuple(best_effort(), str) == tuple[Outcome, ...]  # type: ignore[type-arg]
    assert item_tuple(all_of(), UNDECLARED) is tuple


def test_types_are_named_as_a_person_writes_them() -> None:
    assert type_name(str) == "str"
    assert type_name(Mapping[str, int]) == "Mapping[str, int]"
    assert type_name(str | None) == "str | None"
    assert type_name(tuple[str, ...]) == "tuple[str, ...]"


def test_hints_of_functions_objects_and_builtins() -> None:
    def function(a: int, b, *, c: str = "") -> float:  # type: ignore[no-untyped-def]
        return 0.0

    class Callable_:  # noqa: N801
        def __call__(self, a: int) -> str:
            return ""

        async def method(self, a: bytes) -> None: ...

    assert parameters_of(function) == (int, UNDECLARED, str)
    assert result_of(function) is float
    assert parameter_of(Callable_()) is int
    assert result_of(Callable_()) is str
    assert parameter_of(Callable_().method) is bytes
    assert is_async(Callable_().method)
    assert not is_async(function)
    assert parameter_of(lambda value: value) is UNDECLARED
    assert parameters_of(max) == ()
    assert dict(hints_of(len)) == {}


def test_the_argument_of_a_generic_type() -> None:
    assert argument_of(tuple[str, ...]) is str
    assert argument_of(str) is UNDECLARED
    assert repr(UNDECLARED) == "UNDECLARED"
