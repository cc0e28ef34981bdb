"""What workflows declare can be written down without being registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntFlag
from typing import (
    Annotated,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    TypedDict,
    TypeVar,
    get_args,
)

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy import (
    Context,
    Message,
    Runtime,
    Workflow,
    child,
    each,
    pause,
    sequence,
    step,
)
from understudy.journal.memory import MemoryStore
from understudy.journal.sealing import Keys
from understudy.journal.tags import give_tags
from understudy.journal.values import restored, stored
from understudy.models.bound import Completion
from understudy.models.conversation import Conversation
from understudy.result import StepResult
from understudy.workflows.check import check
from understudy.workflows.declared_types import classes_in, declared_types
from understudy_protocols import chat, outcomes
from understudy_protocols.codec import register_tag, tag_of
from understudy_protocols.errors import ConfigError
from understudy_protocols.frozen import FrozenMap, freeze, register_type
from understudy_protocols.usage import Usage

T = TypeVar("T")


class Color(Enum):
    RED = "red"
    GREEN = "green"


class Rights(IntFlag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: float


class _Inner(msgspec.Struct, frozen=True):
    point: Point
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    inner: _Inner | None
    next: Node | None = None


@attrs.frozen
class Page(Generic[T]):
    items: tuple[T, ...]


@attrs.frozen
class NodePage(Page[Node]):
    number: int


@attrs.frozen
class _Said:
    words: str


class Row(TypedDict, total=False):
    color: Color


class Celsius:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Celsius) and other.degrees == self.degrees

    __hash__ = None  # type: ignore[assignment]  # as the classes of others may be


register_type(Celsius, to=lambda value: value.degrees, from_=Celsius)

Deep = NewType("Deep", NodePage)


@pytest.mark.parametrize(
    ("declared", "classes"),
    [
        (int | None, ()),
        (Color, (Color,)),
        (tuple[Color, ...], (Color,)),
        (Mapping[str, frozenset[Rights]], (Rights,)),
        (Literal[Color.RED, "none"], (Color,)),
        (Annotated[Point, "kept"], (Point,)),
        (Node, (Node, _Inner, Point)),
        (Deep, (NodePage, Node, _Inner, Point)),
        (Page[Color] | Point, (Page, Color, Point)),
        (Row, (Color,)),
        (Celsius, (Celsius,)),
        ({"type": "object"}, ()),
        (T, ()),
        (
            chat.ModelReply,
            (chat.ModelReply, Usage, chat.Finish, *get_args(chat.Part)),
        ),
    ],
    ids=str,
)
def test_the_classes_in_a_type_are_found(
    declared: object, classes: tuple[type, ...]
) -> None:
    assert classes_in([declared]) == classes


@step
async def listed(context: Context[Node]) -> tuple[Point, ...]:
    return (Point(1, 2.0),)


@step
async def coloured(context: Context[object]) -> Color:
    return Color.RED


def rights(context: Context[object]) -> tuple[Rights, ...]:
    return (Rights.READ,)


def row(context: Context[Node]) -> Page[int]:
    return Page((1,))


@step
async def numbered(context: Context[Page[int]]) -> int:
    return context.input.items[0]


WORKFLOW: Workflow[Node, object, object] = sequence(
    listed,
    each(coloured, over=rights),
    child(numbered, input=row),
    pause("said", output=_Said),
)


def test_every_type_that_a_workflow_declares_is_found() -> None:
    found = classes_in(declared_types(check(WORKFLOW)))
    assert set(found) == {Node, _Inner, Point, Color, Rights, Page, _Said}


def _not_large(digest: bytes, content: bytes) -> None:
    raise AssertionError("small values stand in their records")


texts = st.text(max_size=5)
points = st.builds(Point, st.integers(), st.floats(allow_nan=False))
inners = st.builds(_Inner, points, st.lists(texts, max_size=2).map(tuple))
nodes = st.recursive(
    st.builds(Node, st.none() | inners),
    lambda inside: st.builds(Node, st.none() | inners, inside),
    max_leaves=4,
)
parts = st.one_of(
    st.builds(chat.TextPart, texts),
    st.builds(chat.ImagePart, st.binary(), texts, texts),
    st.builds(chat.FilePart, st.binary(), texts, texts, texts),
    st.builds(chat.ToolRequestPart, texts, texts, texts),
    st.builds(chat.ToolResultPart, texts, texts, st.booleans()),
    st.builds(chat.ReasoningPart, texts, texts),
)
messages = st.builds(
    Message, st.sampled_from(["user", "assistant"]), st.lists(parts).map(tuple)
)
tools = st.builds(
    chat.Tool, texts, texts, st.dictionaries(texts, st.integers()).map(FrozenMap)
)
requests = st.builds(
    chat.ModelRequest,
    st.lists(messages, max_size=2).map(tuple),
    tools=st.lists(tools, max_size=2).map(tuple),
    temperature=st.none() | st.floats(0, 2),
)
replies = st.builds(
    chat.ModelReply,
    texts,
    st.builds(Usage, calls=st.integers(0, 9)),
    st.sampled_from(chat.Finish),
    parts=st.lists(parts, max_size=3).map(tuple),
)
reports = st.builds(
    outcomes.StepReport,
    texts,
    texts,
    st.sampled_from(outcomes.StepStatus),
    st.floats(0, 9),
    st.floats(0, 9),
)
results = st.builds(
    StepResult,
    *[texts] * 3,
    *[st.floats(0, 9)] * 2,
    st.integers(0, 3),
    st.just(()),
    st.builds(Usage),
    st.none(),
)
values = st.one_of(
    nodes,
    st.builds(Page, st.lists(nodes, max_size=2).map(tuple)),
    st.builds(NodePage, st.lists(nodes, max_size=2).map(tuple), st.integers()),
    st.sampled_from([*Color, *Rights, Rights.READ | Rights.WRITE]),
    st.builds(Celsius, st.floats(allow_nan=False)),
    messages,
    requests,
    replies,
    st.builds(Completion, texts, replies, st.integers(0, 3), st.booleans()),
    st.builds(Conversation, texts, st.lists(messages).map(tuple), replies, st.just(1)),
    reports,
    results,
    st.sampled_from(outcomes.RunStatus),
    st.builds(chat.Price, st.floats(0, 9), st.decimals(0, 9, places=2)),
)


@given(values)
def test_whatever_is_declared_comes_back_from_a_journal(value: object) -> None:
    give_tags(classes_in([Deep, Page[Color], Rights, Celsius]))
    kept: dict[bytes, bytes] = {}
    plain = stored(freeze(value), kept.setdefault, Keys({}))
    content = msgspec.msgpack.encode(plain)
    again = restored(msgspec.msgpack.decode(content), kept.__getitem__, Keys({}))
    assert again == value
    assert type(again) is type(value)


def test_what_is_our_own_has_a_tag_that_stays() -> None:
    assert tag_of(Message) == "understudy.message"
    assert tag_of(chat.ModelReply) == "understudy.model_reply"
    assert tag_of(outcomes.StepReport) == "understudy.step_report"


def _twin(place: str) -> type:
    class Twin(NamedTuple):
        left: int

    Twin.__module__, Twin.__qualname__ = place, "Twin"
    return Twin


def test_two_classes_of_one_name_are_refused_and_both_are_named() -> None:
    one, other = (_twin(place) for place in ("first.place", "second.place"))
    with pytest.raises(
        ConfigError, match=r"first\.place\.Twin and second\.place\.Twin"
    ):
        give_tags([one, other])
    with pytest.raises(
        ConfigError, match=r"taken by first\.place\.Twin; give second\.place\.Twin"
    ):
        give_tags([other])
    register_tag(other, "second.twin")
    give_tags([one, other])
    assert (tag_of(one), tag_of(other)) == ("Twin", "second.twin")


def test_a_class_that_is_defined_anew_takes_the_place_of_its_predecessor() -> None:
    def define() -> type:
        @attrs.frozen
        class Anew:
            number: int

        return Anew

    before, after = define(), define()
    for cls in (before, after, before):
        give_tags([cls])
        plain = stored(cls(1), _not_large, Keys({}))
        content = msgspec.msgpack.encode(plain)
        again = restored(
            msgspec.msgpack.decode(content), lambda digest: digest, Keys({})
        )
        assert type(again) is cls
    with pytest.raises(ConfigError, match="could not be told apart"):
        give_tags([before, after])


def test_a_class_keeps_the_way_it_was_registered_with() -> None:
    @attrs.frozen
    class Shouted:
        word: str

    def read(word: str) -> Shouted:
        return Shouted(word.lower())

    register_tag(Shouted, "test.shouted", to=lambda it: it.word.upper(), from_=read)
    give_tags([Shouted])
    plain = stored(Shouted("a"), _not_large, Keys({}))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plain)) == {
        "@test.shouted": "A"
    }


def test_a_runtime_with_a_journal_tags_what_its_workflows_declare() -> None:
    Runtime(WORKFLOW, journal=MemoryStore())
    assert tag_of(_Said) == "_Said"
