"""Which fields are sensitive, and what is shown of a value that has some."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    NamedTuple,
    NewType,
    NotRequired,
    Protocol,
    TypedDict,
    TypeVar,
    cast,
)

import attr
import attrs
import msgspec
import pytest
import trio

from understudy import (
    SENSITIVE,
    FrozenMap,
    Outcome,
    freeze,
    register_type,
)
from understudy.cli.plain import plain
from understudy.models.structured import decode
from understudy.workflows.inputs import InputError, structure
from understudy.workflows.policy import Decision, as_step
from understudy_protocols.codec import decode_json, encode_json, register_tag
from understudy_protocols.errors import CodecError
from understudy_protocols.failures import ModelError, StepError
from understudy_protocols.sensitive import (
    HIDDEN,
    holds_sensitive,
    redacted,
    sensitive_fields,
    unheeded_mark,
    unquoted,
)

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTheChecker

SECRET = "hunter2-planted"

Password = Annotated[str, SENSITIVE]
Pin = NewType("Pin", int)
T = TypeVar("T")


@attrs.frozen
class WithAttrs:
    name: str
    secret: Annotated[str, SENSITIVE]


@attrs.frozen(slots=False, cache_hash=True)
class WithDict:
    name: str
    secret: Password = attrs.field(validator=attrs.validators.min_len(3))


@dataclasses.dataclass(frozen=True, slots=True)
class WithDataclass:
    name: str
    secret: Password | None = None


class WithStruct(msgspec.Struct, frozen=True):
    name: str
    secret: Annotated[Password, msgspec.Meta(min_length=3)]

    def __post_init__(self) -> None:
        if self.secret == HIDDEN:
            raise ValueError("made again, with its code")


class WithTuple(NamedTuple):
    name: str
    secret: tuple[Password, ...]


CLASSES = [WithAttrs, WithDict, WithDataclass, WithStruct, WithTuple]


@pytest.mark.parametrize("cls", CLASSES)
def test_a_marked_field_is_sensitive_in_every_kind_of_record(cls: Any) -> None:
    assert sensitive_fields(cls) == {"secret"}
    value = cls("n", (SECRET,) if cls is WithTuple else SECRET)
    shown = redacted(value)
    assert type(shown) is cls
    assert (shown.name, shown.secret) == ("n", HIDDEN)  # type: ignore[attr-defined]
    assert SECRET not in repr(shown)
    assert SECRET in repr(value)


def test_a_class_without_marks_has_none_and_is_shown_as_the_same_object() -> None:
    @attrs.frozen
    class Plain:
        parts: tuple[object, ...]

    value = freeze({"a": Plain((1, Outcome(value=2), {"k": {3}}))})
    assert sensitive_fields(Plain) == frozenset()
    assert sensitive_fields(int) == frozenset()
    assert redacted(value) is value


def test_a_mark_counts_wherever_it_stands_in_the_annotation() -> None:
    class Box(msgspec.Struct, Generic[T], frozen=True):
        inside: T

    @attrs.frozen
    class Many:
        a: Mapping[str, Password]
        b: tuple[int, Password | None]
        c: Box[Password]
        d: Box[str]
        e: Pin

    # Classes of a function: no one else can resolve their names.
    assert sensitive_fields(Many) >= {"a", "b"}
    assert "d" not in sensitive_fields(Many)


def test_one_name_that_only_the_checker_knows_hides_no_mark() -> None:
    @attrs.frozen
    class Half:
        amount: OnlyForTheChecker
        password: Password
        price: Annotated[OnlyForTheChecker, SENSITIVE]

    @attrs.frozen
    class Heir(Half):
        more: int = 0

    assert sensitive_fields(Half) == {"password", "price"}
    assert sensitive_fields(Heir) == {"password", "price"}


def test_all_that_is_below_a_sensitive_field_is_hidden_with_it() -> None:
    @attrs.frozen
    class Outer:
        whole: Annotated[Any, SENSITIVE]

    assert redacted(Outer(WithAttrs("n", SECRET))) == Outer(HIDDEN)


KEPT = WithAttrs("n", SECRET)


@pytest.mark.parametrize(
    "value",
    [
        (1, (KEPT,)),
        [KEPT],
        {"a": {"b": KEPT}},
        FrozenMap({KEPT: 1}),
        frozenset({KEPT}),
        Outcome(value=KEPT),
        WithTuple(cast("str", KEPT), ()),
    ],
)
def test_what_is_sensitive_is_found_in_every_container(value: object) -> None:
    assert SECRET not in repr(redacted(value))
    assert HIDDEN in repr(redacted(value))
    assert SECRET not in repr(plain(value))


def test_a_value_that_holds_itself_comes_to_an_end() -> None:
    value: list[object] = [WithAttrs("n", SECRET)]
    value += [value, value]
    assert SECRET not in repr(redacted(value))


def test_what_is_shared_often_is_looked_at_once() -> None:
    value: object = (WithAttrs("n", SECRET),)
    for _ in range(60):
        value = (value, value)
    redacted(value)


def test_the_text_of_an_outcome_does_not_show_it() -> None:
    assert repr(Outcome(value=WithAttrs("n", SECRET))).count(HIDDEN) == 1


def test_the_text_of_a_decision_does_not_show_it() -> None:
    told = str(Decision("left", {"by": (WithAttrs("n", SECRET),), "size": 3}))
    assert SECRET not in told
    assert HIDDEN in told
    assert told.endswith("size 3)")


def test_what_a_policy_gives_instead_of_a_label_is_told_by_its_type() -> None:
    def policy(context: object) -> object:
        return WithAttrs("n", SECRET)

    async def main() -> None:
        decide = as_step("way", policy, ("left",)).call
        with pytest.raises(StepError, match="chose a WithAttrs, and the branches are"):
            await cast("Callable[..., Awaitable[object]]", decide)(None)

    trio.run(main)


def test_a_class_with_ways_of_its_own_is_hidden_whole() -> None:
    class Opaque:
        secret: Password

        def __init__(self, secret: str) -> None:
            self.secret = secret

    register_type(Opaque, to=lambda one: one.secret, from_=Opaque)
    register_tag(Opaque, "test.sensitive.opaque")
    assert redacted((Opaque(SECRET),)) == (HIDDEN,)
    assert plain(Opaque(SECRET)) == HIDDEN
    content = encode_json(Opaque(SECRET))
    assert content == (
        b'[1,{"@test.sensitive.opaque":{"$sensitive":"%b"}}]' % SECRET.encode()
    )
    again = decode_json(content)
    assert isinstance(again, Opaque)
    assert again.secret == SECRET


def test_a_class_with_ways_of_its_own_is_hidden_whole_if_what_it_holds_is_marked() -> (
    None
):
    class Opened:
        def __init__(self, inside: object) -> None:
            self.inside = inside

        def __repr__(self) -> str:
            return f"Opened({self.inside!r})"

    register_type(Opened, to=lambda one: (one.inside,), from_=Opened)
    free = Opened(1)
    assert redacted((free,)) == (free,)
    shown = redacted({"a": Opened(WithAttrs("n", SECRET)), "b": free})
    assert shown == {"a": HIDDEN, "b": free}


def test_the_mark_is_one_object_however_it_travels() -> None:
    assert repr(SENSITIVE) == "SENSITIVE"
    assert pickle.loads(pickle.dumps(SENSITIVE)) is SENSITIVE
    assert copy.deepcopy(SENSITIVE) is SENSITIVE


# --- written ----------------------------------------------------------------------


def test_a_sensitive_field_is_written_under_a_tag_and_read_again() -> None:
    register_tag(WithAttrs, "test.sensitive.attrs")
    register_tag(WithDict, "test.sensitive.dict")
    value = freeze((WithAttrs("n", SECRET), {"k": WithDict("m", SECRET)}))
    content = encode_json(value)
    assert content.count(b'{"$sensitive":') == 2
    assert decode_json(content) == value


def test_what_was_written_before_a_field_was_marked_is_read_all_the_same() -> None:
    register_tag(WithAttrs, "test.sensitive.attrs")
    old = b'[1,{"@test.sensitive.attrs":{"name":"n","secret":"old"}}]'
    assert decode_json(old) == WithAttrs("n", "old")


def test_as_deep_as_a_value_can_be_written_it_can_be_read() -> None:
    @attrs.frozen
    class Nested:
        inside: Annotated[Any, SENSITIVE]

    register_tag(Nested, "test.sensitive.nested")
    value: object = 1
    deepest = 0
    for depth in range(1, 200):
        value = Nested(value)
        try:
            content = encode_json(value)
        except CodecError:
            break
        deepest = depth
        assert decode_json(content) == value
    assert 10 < deepest < 199


def test_an_error_of_reading_does_not_repeat_it() -> None:
    class Colour(Enum):
        RED = 1

    @attrs.frozen
    class Picky:
        secret: Annotated[str, SENSITIVE] = attrs.field(
            validator=attrs.validators.in_(["x"])
        )
        colour: Annotated[Colour, SENSITIVE] = Colour.RED

    register_tag(Picky, "test.sensitive.picky")
    register_tag(Colour, "test.sensitive.colour")
    for field in (
        b'"secret":{"$sensitive":"%b"}',
        b'"secret":"x","colour":{"$sensitive":{"@test.sensitive.colour":"%b"}}',
    ):
        document = b'[1,{"@test.sensitive.picky":{' + field % SECRET.encode() + b"}}]"
        with pytest.raises(CodecError) as caught:
            decode_json(document)
        assert_silent(caught.value)


# --- what is said of a mistake ------------------------------------------------------


class Grade(Enum):
    LOW = "low"


@dataclasses.dataclass(frozen=True)
class Login:
    user: str
    password: Annotated[str, msgspec.Meta(max_length=8), SENSITIVE]
    grade: Annotated[Grade, SENSITIVE] = Grade.LOW

    def __post_init__(self) -> None:
        if self.user == "x":
            raise ValueError(f"no user has the password {self.password}")


@attrs.frozen
class Request:
    logins: tuple[Login, ...]


MISTAKES = [
    {"user": 1, "password": SECRET},
    {"user": "u", "password": "h", "grade": SECRET},
    {"user": "u", "password": SECRET},
    {"user": "u", "password": [SECRET]},
    {"user": "x", "password": SECRET[:8]},
    {"user": "u", "grade": "low"},
]


def assert_silent(error: BaseException) -> None:
    told: BaseException | None = error
    while told is not None:
        assert SECRET[:8] not in str(told), told
        told = told.__cause__ or told.__context__


@pytest.mark.parametrize("wrong", MISTAKES)
def test_a_wrong_input_is_told_without_a_word_of_it(wrong: object) -> None:
    with pytest.raises(InputError, match=r"at `\$.logins\[...\]|\$\.logins") as caught:
        structure({"logins": [wrong]}, Request, "the input")
    assert_silent(caught.value)


@pytest.mark.parametrize("wrong", MISTAKES)
def test_a_wrong_answer_of_a_model_is_told_without_a_word_of_it(wrong: object) -> None:
    text = msgspec.json.encode({"logins": [wrong]}).decode()
    with pytest.raises(ModelError, match=r"\$\.logins") as caught:
        decode(f"Here it is: {text}.", Request)
    assert_silent(caught.value)


def test_what_is_said_of_types_is_said_all_the_same() -> None:
    said = "Expected `str`, got `int` - at `$.user`"
    assert unquoted(said, Login) == said
    # Of what stands below a marked field the names are no more for all eyes.
    named = f"Object contains unknown field `{SECRET}` - at `$.login`"
    assert unquoted(named, Grade) == named
    assert SECRET not in unquoted(named, Login)
    quoting = "Invalid enum value 'purple' - at `$.colour`"
    assert unquoted(quoting, dict[str, Grade]) == quoting
    assert unquoted(quoting, dict[str, Login]) == (
        "a value there does not fit, and may be sensitive - at `$.colour`"
    )


def test_a_type_holds_what_its_parts_hold() -> None:
    assert holds_sensitive(Request)
    assert holds_sensitive(list[Login | None])
    assert holds_sensitive(Annotated[Mapping[str, Request], "about"])
    assert not holds_sensitive(Grade)
    assert not holds_sensitive(tuple[str, ...])


# --- marks that nothing heeds -------------------------------------------------------


class AsMapping(TypedDict):
    user: str
    password: NotRequired[Password]


class HasPassword(Protocol):
    password: Password


class Boxed(msgspec.Struct, Generic[T], frozen=True):
    inside: T


class PasswordBox(Boxed[Password], frozen=True):
    more: int = 0


Hidden = TypeVar("Hidden", bound=Password)


class HiddenBox(msgspec.Struct, Generic[Hidden], frozen=True):
    inside: Hidden


@attrs.frozen
class Holder:
    mapping: AsMapping


@attrs.frozen
class HalfKnown:
    unknown: OnlyForTheChecker
    mapping: AsMapping


@attrs.frozen
class Covered:
    whole: Annotated[AsMapping, SENSITIVE]


@attr.s(frozen=True)
class ToldAttrs:
    secret = attr.ib(type=Password)  # pyright: ignore[reportGeneralTypeIssues]


Secret = NewType("Secret", Password)  # pyright: ignore[reportGeneralTypeIssues]

BY_ITSELF = "is marked SENSITIVE by itself; "
IN_A_MAPPING = "has AsMapping.password, which is marked SENSITIVE in a class that "


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (Password, BY_ITSELF),
        (Secret, BY_ITSELF),
        (Password | int, BY_ITSELF),
        (tuple[Password, ...], BY_ITSELF),
        (Mapping[str, Password], BY_ITSELF),
        (Boxed[Password], BY_ITSELF),
        (Hidden, BY_ITSELF),
        ("Unknown[SENSITIVE]", BY_ITSELF),
        (AsMapping, IN_A_MAPPING),
        (tuple[AsMapping | None, ...], IN_A_MAPPING),
        (Holder, IN_A_MAPPING),
        (HalfKnown, IN_A_MAPPING),
        (HasPassword, "has HasPassword.password, which is marked SENSITIVE in"),
        (PasswordBox, "has PasswordBox, whose base is about a type that is marked"),
    ],
)
def test_a_mark_that_would_hide_nothing_is_found(hint: object, expected: str) -> None:
    said = unheeded_mark(hint)
    assert said is not None
    assert said.startswith(expected)
    assert said.endswith("and mark the field")


@pytest.mark.parametrize(
    "hint",
    [*CLASSES, Covered, ToldAttrs, HiddenBox, HiddenBox[str], Boxed[Login], str, "str"],
)
def test_a_mark_on_a_field_of_a_record_hides_it(hint: object) -> None:
    assert unheeded_mark(hint) is None


def test_a_field_whose_type_attrs_or_a_variable_knows_is_sensitive() -> None:
    assert sensitive_fields(ToldAttrs) == {"secret"}
    assert sensitive_fields(HiddenBox) == {"inside"}


def test_a_type_with_the_mark_holds_something_sensitive() -> None:
    assert holds_sensitive(tuple[Password, ...])
    assert holds_sensitive(AsMapping)
