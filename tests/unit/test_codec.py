"""Writing frozen values down and reading them again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, auto
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest

from understudy_protocols.codec import (
    decode_json,
    decode_msgpack,
    encode_json,
    encode_msgpack,
    from_plain,
    register_tag,
    to_plain,
)
from understudy_protocols.errors import CodecError, ConfigError
from understudy_protocols.failures import AttemptRecord, Cause, Failure
from understudy_protocols.frozen import MAX_DEPTH, FrozenMap, freeze, register_type
from understudy_protocols.outcomes import Outcome
from understudy_protocols.state import OrchestrationState
from understudy_protocols.usage import Usage

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class Mood(Enum):
    GOOD = "good"


class Access(Flag):
    READ = auto()
    WRITE = auto()


@attrs.frozen
class Issue:
    title: str
    _weight: int = 1
    counts: Mapping[str, int] = attrs.field(factory=FrozenMap[str, int])
    parent: Issue | None = None
    shout: str = attrs.field(init=False, default="")


@dataclass(frozen=True)
class Data:
    mood: Mood
    access: Access
    late: str = field(init=False, default="x")


class Struct(msgspec.Struct, frozen=True):
    at: datetime
    pair: Pair


class Pair(NamedTuple):
    left: int
    right: object = None


@attrs.frozen
class Positive:
    n: int = attrs.field(validator=attrs.validators.gt(0))


class Word(str):
    __slots__ = ()


class Model:
    """Stands for a frozen model of another library."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.names)

    def __repr__(self) -> str:
        return f"Model({self.names!r})"


def _model(data: Any) -> Model:
    return Model(data["names"])


def _model_data(model: Model) -> object:
    return {"names": list(model.names)}


register_type(Model, to=_model_data, from_=_model)
for cls in (Mood, Access, Issue, Data, Struct, Pair, Positive, Model):
    register_tag(cls, f"test.{cls.__name__}")

NAMELESS = (
    b'{"task_id": "", "inputs": 1, '
    b'"created_at": {"$datetime": "2026-01-01T00:00:00+00:00"}}'
)

VALUES: list[object] = [
    float("nan"),
    float("inf"),
    float("-inf"),
    -0.0,
    2**200,
    -(2**64),
    2**63,
    "\ud800 half a character",
    b"\x00\xff",
    1 + 2j,
    complex("nan+infj"),
    Decimal("1.10"),
    Decimal("-Infinity"),
    AT,
    datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"), fold=1),
    datetime(2026, 10, 25, 2, 30, fold=1),
    AT.astimezone(timezone(timedelta(hours=5, minutes=30, seconds=1))),
    time(1, 2, 3, tzinfo=ZoneInfo("Asia/Tokyo")),
    time(1, 2, 3, tzinfo=UTC),
    timedelta(days=-1, microseconds=3),
    UTC,
    timezone(timedelta(hours=-3)),
    Path("a/b"),
    PurePosixPath("a"),
    PureWindowsPath("c:\\a"),
    FrozenMap({"$map": 1, "@x": 2}),
    FrozenMap({1: "a", (2, "b"): "c", "\ud800": None}),
    frozenset({1, "a", (2, 3)}),
    FrozenMap[str, int](),
    (),
    Issue("a", 3, FrozenMap({"x": 1}), Issue("b")),
    Data(Mood.GOOD, Access.READ | Access.WRITE),
    Struct(AT, Pair(1, (2,))),
    Model(("a", "b")),
    Outcome[object](value=(1, None)),
    Outcome[int](failure=Failure(Cause.TIMEOUT, "late", causes=())),
    AttemptRecord(1, 0.5, 1.5, Failure.of(Cause.SCHEMA, "bad"), Usage(calls=1)),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_with_their_type(value: object) -> None:
    for copied in (
        decode_json(encode_json(value)),
        decode_msgpack(encode_msgpack(value)),
    ):
        assert type(copied) is type(value)
        assert copied == value or ("nan" in repr(value) and repr(copied) == repr(value))


def test_a_zone_comes_back_by_its_name() -> None:
    moment = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"), fold=1)
    copied = decode_json(encode_json(moment))
    assert isinstance(copied, datetime)
    assert (copied.tzinfo, copied.fold) == (moment.tzinfo, 1)


def test_a_state_comes_back_with_the_order_of_its_outputs() -> None:
    state = OrchestrationState("run", {"text": "hi"}, metadata={"a": 1}, created_at=AT)
    for n in reversed(range(100)):
        state = state.with_output(f"s{n}", {"n": n, "issue": Issue(str(n))})
    copied = decode_msgpack(encode_msgpack(state))
    assert copied == state == decode_json(encode_json(state))
    assert isinstance(copied, OrchestrationState)
    assert list(copied.outputs) == list(state.outputs)
    assert copied.created_at == AT


def test_a_field_without_init_comes_back_as_it_was() -> None:
    issue, data = Issue("a"), Data(Mood.GOOD, Access.READ)
    object.__setattr__(issue, "shout", "A")
    object.__setattr__(data, "late", "now")
    assert decode_json(encode_json((issue, data))) == (issue, data)


def test_the_written_form_is_the_documented_one() -> None:
    value = freeze({"a": [1, {2}], "b": Issue("t")})
    assert to_plain(value) == {
        "a": [1, {"$set": [2]}],
        "b": {
            "@test.Issue": {
                "title": "t",
                "_weight": 1,
                "counts": {},
                "parent": None,
                "shout": "",
            }
        },
    }
    assert encode_json(1) == b"[1,1]"
    state = OrchestrationState("run", {}, created_at=AT)
    assert encode_json(state) == (
        b'[1,{"$state":{"task_id":"run","inputs":{},"outputs":{},"metadata":{},'
        b'"created_at":{"$datetime":"2026-01-02T03:04:05.678901+00:00"}}}]'
    )


def test_one_set_has_one_text_whatever_order_it_was_made_in() -> None:
    names = [f"name{n}" for n in range(50)]
    assert encode_json(frozenset(names)) == encode_json(frozenset(reversed(names)))


def test_subclasses_of_text_and_numbers_are_written_as_their_base() -> None:
    assert decode_json(encode_json((Word("a"),))) == ("a",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "no JSON that can be read"),
        (b"", "no JSON that can be read"),
        (b"\xff", "no JSON that can be read"),
        (b"[" * 100_000, "no JSON that can be read"),
        (b"3", "no document of Understudy: no version"),
        (b"[1]", "no version"),
        (b'["1", 2]', "no version"),
        (b"[true, 2]", "no version"),
        (b"[2, 3]", "written in version 2; this release reads version 1"),
        (b'[1, {"$nope": 1}]', "the tag $nope is not known here; a later release"),
        (b'[1, {"@nope": 1}]', "the tag @nope is not known here; register_tag"),
        (b'[1, {"@os.system": "true"}]', "the tag @os.system is not known here"),
        (b'[1, {"$int": "1", "a": 1}]', "the tag $int has unsuitable data"),
        (b'[1, {"a": 1, "$int": "1"}]', "the tag $int has unsuitable data"),
        (b'[1, {"$int": "xyz"}]', "the tag $int has unsuitable data"),
        (b'[1, {"$int": [1]}]', "the tag $int has unsuitable data"),
        (b'[1, {"$bytes": "?"}]', "the tag $bytes has unsuitable data"),
        (b'[1, {"$decimal": "x"}]', "the tag $decimal has unsuitable data"),
        (b'[1, {"$datetime": "x"}]', "the tag $datetime has unsuitable data"),
        (b'[1, {"$datetime": ["2026-01-01", "No/Where", 0]}]', "$datetime"),
        (b'[1, {"$timezone": [9, 0, 0]}]', "the tag $timezone has unsuitable data"),
        (b'[1, {"$path": ["mac", true, "a"]}]', "the tag $path has unsuitable data"),
        (b'[1, {"$set": 1}]', "the tag $set has unsuitable data"),
        (b'[1, {"$map": [[1]]}]', "the tag $map has unsuitable data"),
        (b'[1, {"$state": {"task_id": "a"}}]', "the tag $state has unsuitable data"),
        (
            b'[1, {"$state": {"task_id": "", "inputs": 1, "created_at": null}}]',
            "created_at is no datetime",
        ),
        (
            b'[1,{"$state":{"task_id":"","inputs":1,"created_at":{"$date":"x"}}}]',
            "the tag $date has unsuitable data",
        ),
        (b'[1, {"$state": ' + NAMELESS + b"}]", "task_id is empty"),
        (b'[1, {"@test.Positive": {"n": -1}}]', "@test.Positive has unsuitable data"),
        (b'[1, {"@test.Positive": {}}]', "@test.Positive has unsuitable data"),
        (b'[1, {"@test.Positive": {"m": 1}}]', "m: no such field"),
        (b'[1, {"@test.Mood": "BAD"}]', "the tag @test.Mood has unsuitable data"),
        (b'[1, {"@understudy.outcome": {}}]', "@understudy.outcome has unsuitable"),
        (b'[1, {"@understudy.outcome": {"failure": null}}]', "and not both"),
        (
            b'[1, {"@understudy.outcome": {"value": 1, "failure": null}}]',
            "and not both",
        ),
        (b"[1, " + b"[" * 200 + b"]" * 200 + b"]", "nested more than"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(
    content: bytes, words: str
) -> None:
    with pytest.raises(CodecError) as caught:
        decode_json(content)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([1, {1: 2}], "1 is the key of an object"),
        ([1, b"raw"], "a bytes stands where no value can"),
        ([1, {"$str": "?"}], "the tag $str has unsuitable data"),
    ],
)
def test_messagepack_that_we_did_not_write_is_refused(
    document: object, words: str
) -> None:
    with pytest.raises(CodecError) as caught:
        decode_msgpack(msgspec.msgpack.encode(document))
    assert words in str(caught.value)


def test_nothing_is_imported_on_load() -> None:
    before = set(sys.modules)
    with pytest.raises(CodecError):
        decode_json(b'[1, {"@understudy_protocols.no_such_module.Thing": {}}]')
    assert set(sys.modules) == before


def test_a_class_without_a_tag_is_refused_with_what_to_do() -> None:
    @attrs.frozen
    class Untagged:
        a: int

    with pytest.raises(CodecError, match=r"register_tag\(.*Untagged"):
        encode_json((Untagged(1),))


def test_a_value_at_the_greatest_depth_can_be_written_deep_in_a_hosts_stack() -> None:
    value: object = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    state = OrchestrationState("run", {}).with_output("deep", value)

    def nested(calls: int, action: Callable[[], object]) -> object:
        return nested(calls - 1, action) if calls else action()

    assert nested(300, lambda: decode_json(encode_json(state)) == state)


def test_a_longer_chain_of_records_is_refused_not_overflown() -> None:
    issue = Issue("a")
    for _ in range(100_000):
        issue = Issue("a", parent=issue)
    with pytest.raises(CodecError, match="nested more than"):
        encode_json(issue)


def test_a_tag_is_given_once() -> None:
    @attrs.frozen
    class One:
        a: int = 1

    register_tag(One, "test.one")
    register_tag(One, "test.one")
    with pytest.raises(ConfigError, match="is taken"):
        register_tag(Word, "test.one")
    with pytest.raises(ConfigError, match=r"has the tag 'test\.one'"):
        register_tag(One, "test.other")
    with pytest.raises(ConfigError, match="no name"):
        register_tag(One, "a tag")
    with pytest.raises(ConfigError, match="neither a record nor an enum"):
        register_tag(Word, "test.word")


def test_a_class_can_bring_its_own_way() -> None:
    @attrs.frozen
    class Celsius:
        degrees: float

    def read(data: float) -> Celsius:
        return Celsius(data)

    register_tag(Celsius, "test.celsius", to=lambda one: one.degrees, from_=read)
    assert to_plain(Celsius(3.0)) == {"@test.celsius": 3.0}
    assert from_plain({"@test.celsius": 3.0}) == Celsius(3.0)


def test_what_a_class_makes_of_data_must_be_frozen() -> None:
    class Sloppy:
        pass

    def read(data: object) -> Any:
        return [data, Sloppy()]

    register_tag(Sloppy, "test.sloppy", to=lambda one: 1, from_=read)
    with pytest.raises(CodecError, match="cannot be frozen"):
        from_plain({"@test.sloppy": 1})
