"""A strict schema against a validator that knows the meaning of both."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.providers.schemas import ANTHROPIC, OPENAI, Dialect, rooted, strict

Schema = dict[str, Any]

texts = st.sampled_from(["a", "b", "c"])
constants = st.none() | st.booleans() | st.integers(0, 3) | texts
leaves: st.SearchStrategy[Schema] = st.one_of(
    st.sampled_from(["string", "integer", "boolean", "null"]).map(
        lambda t: {"type": t}
    ),
    st.lists(constants, min_size=1, max_size=3).map(lambda v: {"enum": v}),
    constants.map(lambda v: {"const": v}),
    st.integers(0, 3).map(lambda n: {"type": "integer", "minimum": n}),
    st.integers(0, 2).map(lambda n: {"type": "string", "maxLength": n}),
    st.sampled_from(["A", "B"]).map(lambda n: {"$ref": f"#/$defs/{n}"}),
    st.sampled_from([{"type": "string", "format": "odd"}, Schema()]),
)
CLOSED: list[Schema] = [
    {},
    {"additionalProperties": False},
    {"additionalProperties": False},
    {"additionalProperties": True},
]


def an_object(properties: Schema, required: set[str], rest: Schema) -> Schema:
    known = sorted(required & properties.keys())
    return {"type": "object", "properties": properties, "required": known, **rest}


def objects(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    properties = st.dictionaries(texts, inner, max_size=3)
    return st.builds(an_object, properties, st.sets(texts), st.sampled_from(CLOSED))


def told(schema: Schema, default: object) -> Schema:
    return {**schema, "default": default}


def defining(root: Schema, a: Schema, b: Schema) -> Schema:
    return {**root, "$defs": {"A": a, "B": b}}


schemas: st.SearchStrategy[Schema] = st.recursive(
    leaves,
    lambda inner: (
        objects(inner)
        | inner.map(lambda items: {"type": "array", "items": items})
        | st.lists(inner, min_size=1, max_size=2).map(lambda many: {"anyOf": many})
        | st.builds(told, inner, constants)
    ),
    max_leaves=8,
)
roots = st.builds(defining, objects(schemas), schemas, schemas)
values: st.SearchStrategy[Any] = st.recursive(
    constants,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=6,
)


def matches(given_value: object, schema: Schema, root: Schema, left: int = 20) -> bool:
    """Whether *value* is what *schema* admits, told in the plainest way."""
    value: Any = given_value
    if left == 0:
        return False  # a reference to itself and no more: it admits nothing
    within = partial(matches, root=root, left=left - 1)
    if "$ref" in schema:
        return within(value, root["$defs"][schema["$ref"].rpartition("/")[2]])
    kinds = {
        type(None): {"null"},
        bool: {"boolean"},
        int: {"integer"},
        str: {"string"},
        list: {"array"},
        dict: {"object"},
    }[type(value)]
    said = schema.get("type", list(kinds))
    if not kinds & ({said} if isinstance(said, str) else set(said)):
        return False
    same = json.dumps(value)
    if "enum" in schema and same not in map(json.dumps, schema["enum"]):
        return False
    if "const" in schema and same != json.dumps(schema["const"]):
        return False
    if "anyOf" in schema and not any(within(value, one) for one in schema["anyOf"]):
        return False
    if isinstance(given_value, int) and value < schema.get("minimum", value):
        return False
    if isinstance(given_value, str) and len(value) > schema.get(
        "maxLength", len(value)
    ):
        return False
    if isinstance(given_value, list):
        return all(within(one, schema.get("items", {})) for one in value)
    if not isinstance(given_value, dict):
        return True
    properties = schema.get("properties", {})
    closed = schema.get("additionalProperties") is False
    return (
        value.keys() >= set(schema.get("required", ()))
        and not (closed and value.keys() - properties.keys())
        and all(within(value[key], properties.get(key, {})) for key in value)
    )


def answers(schema: Any, root: Any, left: int = 5) -> st.SearchStrategy[Any]:
    """Return values that are likely to match *schema*."""
    if left == 0:
        return st.none()
    within = partial(answers, root=root, left=left - 1)
    if "$ref" in schema:
        return within(root["$defs"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return st.one_of([within(inner) for inner in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    if schema["type"] == "array":
        return st.lists(within(schema["items"]), max_size=2)
    if schema["type"] == "object":
        return st.fixed_dictionaries(
            {name: within(inner) for name, inner in schema["properties"].items()}
        )
    return {
        "string": texts,
        "integer": st.integers(0, 3),
        "boolean": st.booleans(),
        "null": st.none(),
    }[schema["type"]]


def nodes(schema: Any) -> list[Schema]:
    """Return all schemas in *schema*, itself included."""
    found = [schema]
    for keyword in ("properties", "$defs"):
        for inner in schema.get(keyword, {}).values():
            found += nodes(inner)
    for inner in (*schema.get("anyOf", ()), schema.get("items")):
        found += nodes(inner) if inner is not None else []
    return found


def without_bounds(given_schema: object) -> Any:
    schema: Any = given_schema
    if isinstance(given_schema, list):
        return [without_bounds(inner) for inner in schema]
    if not isinstance(given_schema, dict):
        return schema
    return {
        name: without_bounds(inner)
        for name, inner in schema.items()
        if name not in ("minimum", "maxLength")
    }


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC])
@given(roots, st.data())
def test_what_matches_the_strict_schema_matches_the_one_that_was_given(
    dialect: Dialect, root: Schema, data: st.DataObject
) -> None:
    made = strict(root, dialect)
    if made is None:
        return
    given_one = root if dialect.bounds else without_bounds(root)
    value = data.draw(answers(made, made) | values)
    if matches(value, made, made):
        assert matches(value, given_one, given_one)


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC])
@given(roots)
def test_a_strict_schema_has_what_providers_want_everywhere(
    dialect: Dialect, root: Schema
) -> None:
    made = strict(root, dialect)
    if made is None:
        return
    for node in nodes(made):
        assert "default" not in node
        assert node.keys() & {"type", "anyOf", "$ref"}
        if "$ref" in node:
            assert node.keys() == {"$ref"}
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert set(node["required"]) <= node["properties"].keys()
            if dialect.all_required:
                assert node["required"] == list(node["properties"])
        if not dialect.bounds:
            assert not node.keys() & {"minimum", "maxLength"}


@given(roots)
def test_a_root_means_the_same_with_and_without_a_reference_before_it(
    root: Schema,
) -> None:
    body = {name: value for name, value in root.items() if name != "$defs"}
    referring = {"$ref": "#/$defs/Root", "$defs": {"Root": body, **root["$defs"]}}
    assert rooted(referring) == rooted(root)
