"""A JSON schema as the providers take it that keep to one."""

from __future__ import annotations

import enum
import json
from typing import Annotated, Literal

import attrs
import msgspec
import pytest

from understudy.models.structured import schema_of
from understudy.providers.held import held, schema_name
from understudy.providers.reading import mapping_in
from understudy.providers.schemas import ANTHROPIC, OPENAI, rooted, strict
from understudy.providers.wire import Capabilities, Structured
from understudy_protocols.chat import Message, ModelRequest


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@attrs.frozen
class Inner:
    count: int
    colour: Colour = Colour.RED


class Cat(msgspec.Struct, tag="cat"):
    lives: Annotated[int, msgspec.Meta(ge=0, le=9)]


class Dog(msgspec.Struct, tag="dog"):
    name: str | None


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """What is wanted."""

    name: str
    inner: tuple[Inner, ...] = ()
    pet: Cat | Dog | None = None
    kind: Literal["a", 1] | None = "a"


class Tree(msgspec.Struct):
    children: list[Tree]


class Loose(msgspec.Struct):
    words: dict[str, int]


def test_a_reference_at_the_root_is_replaced_and_its_definition_goes() -> None:
    assert rooted(schema_of(Inner)) == {
        "title": "Inner",
        "type": "object",
        "properties": {
            "count": {"type": "integer"},
            "colour": {"$ref": "#/$defs/Colour", "default": "red"},
        },
        "required": ["count"],
        "$defs": {"Colour": {"title": "Colour", "enum": ["green", "red"]}},
    }


def test_a_root_that_is_an_object_is_left_alone() -> None:
    schema: dict[str, object] = {"type": "object", "properties": {}}
    assert rooted({**schema, "$defs": {"unused": {}}}) == schema


def test_a_constant_is_typed_too() -> None:
    assert made_of({"const": 1}) == {"type": "integer", "const": 1}


def test_a_root_that_refers_to_itself_keeps_its_definition() -> None:
    root = rooted(schema_of(Tree))
    assert root is not None
    assert (root["type"], list(mapping_in(root["$defs"]))) == ("object", ["Tree"])


@pytest.mark.parametrize(
    "schema",
    [
        schema_of(list[str]),
        schema_of(int),
        schema_of(Inner | None),  # type: ignore[arg-type]
        {},
        {"type": ["object", "null"]},
        {"$ref": "#/$defs/gone"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"$ref": "elsewhere", "$defs": {"a": {"type": "object"}}},
        {"$ref": "#/$defs/a", "$defs": 3},
    ],
)
def test_what_need_not_be_an_object_has_no_root(schema: dict[str, object]) -> None:
    assert rooted(schema) is None


def test_a_strict_schema_is_closed_complete_and_typed() -> None:
    root = rooted(schema_of(Answer))
    assert root is not None
    assert strict(root, OPENAI) == {
        "type": "object",
        "description": "What is wanted.",
        "properties": {
            "name": {"type": "string"},
            "inner": {
                "type": "array",
                "items": {"$ref": "#/$defs/Inner"},
                "description": "default: []",
            },
            "pet": {
                "anyOf": [
                    {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]},
                    {"type": "null"},
                ],
                "description": "default: null",
            },
            "kind": {
                "anyOf": [
                    {"type": ["integer", "string"], "enum": [1, "a"]},
                    {"type": "null"},
                ],
                "description": 'default: "a"',
            },
        },
        "required": ["name", "inner", "pet", "kind"],
        "additionalProperties": False,
        "$defs": {
            "Inner": {
                "type": "object",
                "properties": {
                    "count": {"type": "integer"},
                    "colour": {
                        "anyOf": [{"$ref": "#/$defs/Colour"}],
                        "description": 'default: "red"',
                    },
                },
                "required": ["count", "colour"],
                "additionalProperties": False,
            },
            "Colour": {"type": "string", "enum": ["green", "red"]},
            "Cat": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "enum": ["cat"]},
                    "lives": {"type": "integer", "minimum": 0, "maximum": 9},
                },
                "required": ["type", "lives"],
                "additionalProperties": False,
            },
            "Dog": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "enum": ["dog"]},
                    "name": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
                "required": ["type", "name"],
                "additionalProperties": False,
            },
        },
    }


def test_where_bounds_are_unknown_they_are_put_into_words() -> None:
    root = rooted(schema_of(Cat))
    assert root is not None
    made = strict(root, ANTHROPIC)
    assert made is not None
    assert made["properties"] == {
        "type": {"type": "string", "enum": ["cat"]},
        "lives": {"type": "integer", "description": "minimum: 0\nmaximum: 9"},
    }


def test_where_not_all_must_be_required_what_may_be_absent_stays_so() -> None:
    root = rooted(schema_of(Answer))
    assert root is not None
    made = strict(root, ANTHROPIC)
    assert made is not None
    assert made["required"] == ["name"]


def test_a_recursive_schema_is_for_those_only_that_take_one() -> None:
    root = rooted(schema_of(Tree))
    assert root is not None
    assert strict(root, OPENAI) is not None
    assert strict(root, ANTHROPIC) is None


def test_a_known_format_stays_and_another_is_told() -> None:
    schema = {"type": "string", "format": "date"}
    odd = {"type": "string", "format": "base64"}
    assert made_of(schema) == schema
    assert made_of(odd) == {"type": "string", "description": 'format: "base64"'}


def made_of(given: object) -> object:
    """Return what a property of that schema becomes; None if it cannot."""
    schema = {"type": "object", "properties": {"x": given}, "required": ["x"]}
    made = strict(schema, OPENAI)
    if made is None:
        return None
    return mapping_in(made["properties"])["x"]


def nested(levels: int) -> object:
    schema: object = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


CHANGED: list[object] = [
    {},
    True,
    3,
    {"description": "anything"},
    {"type": "object"},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "object", "properties": {}, "additionalProperties": True},
    {"type": "object", "properties": {"a": {"type": "string"}}},
    {"type": "object", "properties": {}, "required": ["a"]},
    {"type": "array"},
    {"type": "array", "prefixItems": [{"type": "string"}], "items": False},
    {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    {"type": "text"},
    {"type": []},
    {"enum": []},
    {"enum": [[1]]},
    {"enum": [1], "minimum": 0},
    {"$ref": "elsewhere.json"},
    {"$ref": "#/$defs/a", "minimum": 0},
    {"anyOf": [{}]},
    {"anyOf": [{"type": "string"}], "maxLength": 3},
    {"allOf": [{"type": "string"}]},
    {"not": {"type": "string"}},
    nested(200),
]


@pytest.mark.parametrize("given", CHANGED)
def test_what_would_change_its_meaning_is_not_made_strict(given: object) -> None:
    assert made_of(given) is None


@pytest.mark.parametrize(
    "optional",
    [
        {"type": "string", "default": "x"},
        {"type": ["string", "null"]},
        {"enum": ["x", None]},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
    ],
)
def test_what_can_be_there_and_say_nothing_may_be_required(optional: object) -> None:
    schema = {"type": "object", "properties": {"x": optional}}
    made = strict(schema, OPENAI)
    assert made is not None
    assert made["required"] == ["x"]


# ------------------------------------------------------------------------- held


def asked(output: type, *messages: Message) -> ModelRequest:
    return ModelRequest(messages or "hello", output_schema=schema_of(output))


SCHEMA = Capabilities(structured=Structured.SCHEMA)
JSON = Capabilities(structured=Structured.JSON)
PROMPT = Capabilities(structured=Structured.PROMPT)


def test_who_is_not_asked_for_a_schema_is_held_to_nothing() -> None:
    request = ModelRequest("hello")
    bound = held(request, SCHEMA, OPENAI)
    assert (bound.schema, bound.json, bound.messages) == (None, False, request.messages)


def test_a_schema_that_cannot_be_strict_goes_as_advice_if_it_may() -> None:
    bound = held(asked(Loose), SCHEMA, OPENAI)
    assert json.dumps(bound.schema, default=dict) == json.dumps(
        rooted(schema_of(Loose))
    )
    assert not bound.strict
    words = held(asked(Loose), SCHEMA, ANTHROPIC)
    assert words.schema is None
    assert '"words"' in words.messages[0].text


def test_a_schema_that_can_be_strict_needs_no_words() -> None:
    request = asked(Inner)
    bound = held(request, SCHEMA, OPENAI)
    assert bound.strict
    assert bound.messages == request.messages


def test_what_is_no_object_is_asked_for_in_words() -> None:
    for able in (SCHEMA, JSON, PROMPT):
        bound = held(asked(list[str]), able, OPENAI)
        assert (bound.schema, bound.json) == (None, False)
        assert bound.messages[0].role == "system"
        assert (
            '{"type": "array", "items": {"type": "string"}}' in bound.messages[0].text
        )


def test_a_promise_of_json_is_given_the_schema_in_words() -> None:
    bound = held(asked(Inner), JSON, OPENAI)
    assert (bound.schema, bound.json) == (None, True)
    assert "JSON" in bound.messages[0].text
    assert not held(asked(Inner), PROMPT, OPENAI).json


def test_the_words_stand_in_the_one_system_message() -> None:
    system, user = Message.of("system", "Be brief."), Message.of("user", "hello")
    first, *rest = held(asked(Inner, system, user), PROMPT, OPENAI).messages
    assert first.role == "system"
    assert first.text.startswith("Be brief.\n\nAnswer with JSON alone.")
    assert rest == [user]


def test_the_name_of_a_schema_has_only_letters_that_providers_allow() -> None:
    for name, sent in (("Page[int]", "Page_int_"), ("é", "_"), ("", "answer")):
        assert schema_name(ModelRequest("x", output_name=name)) == sent
    assert len(schema_name(ModelRequest("x", output_name="n" * 100))) == 64
