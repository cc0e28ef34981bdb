"""Which declared types are immutable, and what is said of those that are not."""

from __future__ import annotations

import sys
import typing
from abc import ABC, abstractmethod
from collections import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Protocol,
    TypedDict,
    TypeVar,
)

import attrs
import msgspec
import pytest

from understudy_protocols.errors import NotFrozenError
from understudy_protocols.frozen import (
    FrozenMap,
    declared_type_problem,
    freeze,
    is_immutable_type,
    register_type,
)

T = TypeVar("T")
UserId = NewType("UserId", int)
Names = NewType("Names", list)  # type: ignore[type-arg]  # as users write it


class Level(IntEnum):
    LOW = 1


class Mood(Enum):
    GOOD = "good"


@attrs.frozen
class Tree:
    name: str
    children: tuple[Tree, ...] = ()


@attrs.frozen
class Ping:
    pong: Pong | None = None


@dataclass(frozen=True)
class Pong:
    ping: Ping | None = None
    extra: object = None


@attrs.frozen
class Left:
    right: tuple[Right, ...] = ()


@attrs.frozen
class Right:
    left: Left | None = None
    names: frozenset[str] = frozenset()
    tags: set[str] = attrs.Factory(set[str])


class Row(TypedDict):
    name: str
    parent: NotRequired[Row]


class BadRow(TypedDict):
    names: list[str]


class Point(NamedTuple):
    x: int
    y: float


@attrs.frozen
class Box(Generic[T]):
    value: T


@attrs.frozen
class Unresolved:
    value: NotImported  # type: ignore[name-defined]  # noqa: F821 # pyright: ignore


class Struct(msgspec.Struct, frozen=True):
    at: datetime


class LooseStruct(msgspec.Struct):
    at: datetime


@attrs.define
class Loose:
    name: str


@attrs.define(slots=False)
class LooseWithDict:
    name: str


@dataclass
class LooseData:
    name: str


class Marker:
    """A base class that holds nothing itself."""


class Speaks(Protocol):
    def speak(self) -> str: ...


class Shape(ABC):
    @abstractmethod
    def area(self) -> float: ...


class Ordinary:
    def __init__(self) -> None:
        self.names: list[str] = []


@pytest.mark.parametrize(
    "tp",
    [
        None,
        int,
        str | None,
        Literal["a", 1],
        UserId,
        Annotated[str, "a note"],
        tuple[str, ...],
        tuple[int, tuple[str, bytes]],
        frozenset[Path],
        FrozenMap[str, int],
        Level,
        Mood,
        Tree,
        Struct,
        Point,
        tuple[Tree | Struct, ...],
    ],
)
def test_types_immutable_all_the_way_down(tp: object) -> None:
    assert is_immutable_type(tp)
    assert declared_type_problem(tp, "x") is None


@pytest.mark.parametrize(
    "tp",
    [
        object,
        Any,
        T,
        "a forward reference",
        tuple,
        frozenset,
        Mapping[str, int],
        Sequence[str],
        Mapping[str, Tree] | None,
        Box[int],
        Box,
        Ping,
        Pong,
        Row,
        Unresolved,
        Marker,
        Speaks,
        Shape,
        abc.Iterable[int],
    ],
)
def test_types_that_only_the_value_can_settle(tp: object) -> None:
    assert not is_immutable_type(tp)
    assert declared_type_problem(tp, "x") is None


@pytest.mark.parametrize(
    ("tp", "where", "write"),
    [
        (list[str], "x", "write tuple[str, ...]"),
        (list, "x", "write tuple[object, ...]"),
        (dict[str, int], "x", "write Mapping[str, int]"),
        (dict, "x", "write Mapping[object, object]"),
        (set[int], "x", "write frozenset[int]"),
        (dict[str, list[int]], "x", "write Mapping[str, tuple[int, ...]]"),
        (list[str] | None, "x", "write tuple[str, ...]"),
        (typing.List[int], "x", "write tuple[int, ...]"),  # noqa: UP006
        (bytearray, "x", "write bytes"),
        (abc.MutableMapping[str, int], "x", "write Mapping[str, int]"),
        (abc.Iterator[int], "x", "write tuple[int, ...]"),
        (tuple[list[str], ...], "x[...]", "write tuple[str, ...]"),
        (Mapping[str, set[str]], "x[...]", "write frozenset[str]"),
        (Names, "x", "write tuple[object, ...]"),
        (Right, "x.tags", "write frozenset[str]"),
        (Left, "x.right[...].tags", "write frozenset[str]"),
        (BadRow, "x.names", "write tuple[str, ...]"),
        (Box[list[int]], "x", "write tuple[int, ...]"),
        (Loose, "x", "make Loose frozen with @attrs.frozen"),
        (LooseWithDict, "x", "make LooseWithDict frozen with @attrs.frozen"),
        (LooseData, "x", "@dataclass(frozen=True)"),
        (LooseStruct, "x", "frozen=True"),
        (Ordinary, "x", "register_type(Ordinary"),
    ],
)
def test_types_that_can_change_are_refused_with_the_type_to_write(
    tp: object, where: str, write: str
) -> None:
    problem = declared_type_problem(tp, "x")
    assert problem is not None
    assert problem.startswith(f"{where} is declared as ")
    assert write in problem
    assert not is_immutable_type(tp)


def test_the_problem_shows_the_type_as_it_was_written() -> None:
    problem = declared_type_problem(dict[str, list[int] | None], "the output of a")
    assert problem is not None
    assert "the output of a is declared as dict[str, list[int] | None]" in problem


def test_classes_in_a_circle_get_one_verdict_whoever_is_asked_first() -> None:
    # Pong has an open field, so Ping is open too, though asked first.
    assert freeze(Ping(Pong(None, [1]))) == Ping(Pong(None, (1,)))
    assert freeze(Pong(Ping(Pong(extra=[1])))) == Pong(Ping(Pong(extra=(1,))))
    with pytest.raises(NotFrozenError, match=r"value\.right\[\.\.\.\]\.tags"):
        freeze(Left())


def test_a_field_whose_annotation_cannot_be_resolved_is_walked() -> None:
    assert freeze(Unresolved([1])) == Unresolved((1,))


def test_a_registered_type_passes_as_it_is_also_inside_others() -> None:
    class Model:
        """Stands for a frozen model of another library."""

        def __init__(self, **fields: object) -> None:
            self.fields = fields

    @attrs.frozen
    class Holder:
        model: Model

    Holder.__annotations__["model"] = Model
    holder = Holder(Model(a=1))
    with pytest.raises(NotFrozenError, match="register_type"):
        freeze(holder)

    def make(data: Mapping[str, object]) -> Model:
        return Model(**data)

    register_type(Model, to=lambda model: model.fields, from_=make)
    assert is_immutable_type(Holder)
    assert freeze(holder) is holder
    assert declared_type_problem(tuple[Model, ...], "x") is None


def test_pydantic_models_can_be_registered() -> None:
    pydantic: Any = pytest.importorskip("pydantic")
    order_type: Any = pydantic.create_model(
        "Order", item=(str, ...), __config__={"frozen": True}
    )
    order = order_type(item="tea")
    with pytest.raises(NotFrozenError, match="register_type"):
        freeze([order])
    register_type(order_type, to=order_type.model_dump, from_=order_type.model_validate)
    assert freeze([order]) == (order,)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type statements came in 3.12")
def test_a_recursive_alias_is_understood() -> None:
    names: dict[str, Any] = {"Mapping": Mapping}
    # The statement is a syntax error before 3.12, hence the detour by text.
    exec("type Json = Mapping[str, Json] | tuple[Json, ...] | str", names)  # noqa: S102
    exec("type Bad = dict[str, Bad] | str", names)  # noqa: S102
    assert declared_type_problem(names["Json"], "x") is None
    assert not is_immutable_type(names["Json"])
    assert "Mapping[str" in str(declared_type_problem(names["Bad"], "x"))


def test_a_large_circle_of_classes_is_decided_quickly() -> None:
    """Trying each path through the circle would take longer than the universe has."""
    names = [f"Node{n}" for n in range(40)]
    classes = {
        name: attrs.make_class(name, {"label": attrs.field(type=str)}, frozen=True)
        for name in names
    }
    for cls in classes.values():
        cls.__annotations__ = {"label": "tuple[" + "|".join(names) + ", ...]"}
        module = sys.modules[cls.__module__]
        for name, other in classes.items():
            setattr(module, name, other)
    assert is_immutable_type(classes["Node0"])
    for name in names:
        delattr(sys.modules[classes[name].__module__], name)
