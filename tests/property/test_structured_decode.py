"""Reading a model's words: a value of the type asked for, or a named error."""

from __future__ import annotations

import enum
import json
from typing import Literal

import attrs
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from understudy import Cause, ModelError
from understudy.models.structured import decode


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


def _positive(instance: object, attribute: attrs.Attribute[int], value: int) -> None:
    if value < 0:
        raise ValueError("below 0")


@attrs.frozen
class Inner:
    count: int = attrs.field(validator=_positive)
    colour: Colour = Colour.RED


class Odd(msgspec.Struct, frozen=True):
    number: int

    def __post_init__(self) -> None:
        if self.number % 2 == 0:
            raise LookupError("even")


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    inner: tuple[Inner, ...] = ()
    kind: Literal["a", "b"] = "a"
    odd: Odd | None = None


answers = st.builds(
    Answer,
    name=st.text(st.characters(exclude_categories=["Cs"])),
    inner=st.lists(
        st.builds(Inner, st.integers(0, 9), st.sampled_from(Colour)), max_size=3
    ).map(tuple),
    kind=st.sampled_from(["a", "b"]),
    odd=st.none() | st.integers(-9, 9).map(lambda n: Odd(2 * n + 1)),
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["red", "a", "even"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "inner", "kind", "odd", "count", "number", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
prose = st.sampled_from(
    ["", "Here it is: ", "```json\n", "\n```", "Sure!\n", " }", "["]
)


def text_of(answer: Answer) -> str:
    return msgspec.json.encode(answer).decode()


@given(answers)
def test_what_was_written_is_read(answer: Answer) -> None:
    decoded = decode(text_of(answer), Answer)
    assert decoded.value == answer
    assert not decoded.repaired


@given(answers, st.sampled_from(["Here: {} Good?", "```json\n{}\n```", "```\n{}```x"]))
def test_an_answer_in_prose_or_a_fence_is_read_and_said_to_be_mended(
    answer: Answer, around: str
) -> None:
    if "`" in answer.name:
        return
    decoded = decode(around.replace("{}", text_of(answer)), Answer)
    assert decoded.value == answer
    assert decoded.repaired


@given(answers)
@example(Answer("x,]"))
@example(Answer('quoted " ,} and \\ ,]', (Inner(1),)))
def test_a_comma_too_many_is_mended_and_nothing_in_a_text_is(answer: Answer) -> None:
    text = text_of(answer)
    decoded = decode(text[:-1] + ", }", Answer)
    assert decoded.value == answer
    assert decoded.repaired


@given(
    answers.map(text_of) | anything.map(json.dumps) | st.text(),
    st.lists(st.tuples(st.integers(0, 400), prose | st.text(max_size=3)), max_size=4),
    st.integers(0, 3),
)
@example('{"name": "\\ud800"}', [], 0)
@example('{"name": "\ud800"}', [], 0)
@example("[" * 20_000, [], 0)
@example('{"name": "x", "inner": [{"count": -1}]}', [], 0)
@example('{"name": "x", "odd": {"number": 2}}', [], 0)
def test_a_broken_text_gives_a_model_error_or_a_value_that_the_type_admits(
    text: str, splices: list[tuple[int, str]], cut: int
) -> None:
    for at, piece in splices:
        text = text[:at] + piece + text[at + cut :]
    try:
        value = decode(text, Answer).value
    except ModelError as error:
        assert error.cause in (Cause.MALFORMED, Cause.SCHEMA)  # noqa: PT017 - or a value
        return
    assert type(value) is Answer
    assert msgspec.json.decode(msgspec.json.encode(value), type=Answer) == value
    assert value.kind in ("a", "b")
    assert all(one.count >= 0 for one in value.inner)
    assert value.odd is None or value.odd.number % 2


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("no json at all", Cause.MALFORMED),
        ("", Cause.MALFORMED),
        ('{"name": 3}', Cause.SCHEMA),
        ('Here: {"name": 3}', Cause.SCHEMA),
        ('{"name": "x", "more": 1}', Cause.SCHEMA),
        ('{"name": "x", "odd": {"number": 4}}', Cause.SCHEMA),
        ('{"name": "x"', Cause.MALFORMED),
    ],
)
def test_no_json_is_malformed_and_other_json_is_a_schema_error(
    text: str, cause: Cause
) -> None:
    with pytest.raises(ModelError) as caught:
        decode(text, Answer)
    assert caught.value.cause is cause


def test_the_error_says_where_the_json_is_wrong() -> None:
    with pytest.raises(ModelError, match=r"\$\.inner\[0\]\.count"):
        decode('{"name": "x", "inner": [{"count": "y"}]}', Answer)
