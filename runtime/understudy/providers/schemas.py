"""A JSON schema as the providers take it that keep to one.

They know a part of JSON schema only.  Where a schema can be put into that part
without changing what its answers can say, it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from understudy.providers.reading import items_in, mapping_in

Schema = dict[str, object]

_DEPTH: Final = 60
"""Levels of a schema; far more than any provider takes."""

_REFERENCE = re.compile(r"#/\$defs/([^/]+)")
_TYPES: Final[Mapping[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}
_NAMED_TYPES: Final = frozenset({*_TYPES.values(), "object", "array"})
_BOUNDS: Final = frozenset(
    {"pattern", "multipleOf", "minimum", "maximum", "minLength", "maxLength"}
    | {"exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"}
)
_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6"}
    | {"uuid"}
)
_ADVICE: Final = frozenset(
    {"default", "format", "contentEncoding", "contentMediaType", "examples"}
)
"""Keywords that admit and refuse nothing, but tell what is meant."""

_SILENT: Final = frozenset(
    {"$comment", "$defs", "$schema", "deprecated", "description", "discriminator"}
    | {"readOnly", "title", "writeOnly"}
)
_ALONE: Final = _SILENT | _ADVICE
"""What may stand beside a keyword that says all of a schema by itself."""

_KNOWN: Final = (
    _ALONE
    | _BOUNDS
    | {"type", "properties", "required", "additionalProperties", "items"}
)


@attrs.frozen(kw_only=True)
class Dialect:
    """The part of JSON schema that a provider keeps to.

    Args:
      bounds: whether it knows bounds on numbers, texts and lists; where it does
        not, they are told in words, and only reading the answer checks them.
      all_required: whether each property must be required.
      recursive: whether a definition may refer to itself.
      advisory: whether it also takes other schemas, without a promise.
    """

    bounds: bool
    all_required: bool
    recursive: bool
    advisory: bool


OPENAI: Final = Dialect(bounds=True, all_required=True, recursive=True, advisory=True)
ANTHROPIC: Final = Dialect(
    bounds=False, all_required=False, recursive=False, advisory=False
)


class _InexpressibleError(Exception):
    """The schema says what the dialect cannot."""


def rooted(schema: Mapping[str, object]) -> Schema | None:
    """Return *schema* with an object at its root, as providers want it.

    A reference at the root is replaced by what it refers to, and definitions that
    nothing refers to are left out.  None if the answer need not be an object.
    """
    root = dict(schema)
    definitions = mapping_in(root.pop("$defs", None))
    for _ in definitions:
        name = _referred(root)
        if name is None:
            break
        root.pop("$ref")
        root = {**mapping_in(definitions.get(name)), **root}
    if root.get("type") != "object":
        return None
    used = _used(root, definitions)
    return {**root, "$defs": used} if used else root


def strict(schema: Mapping[str, object], dialect: Dialect) -> Schema | None:
    """Return a schema in *dialect* whose answers can say what those of *schema* can.

    It forbids properties that *schema* does not name, and may require those that
    can be null or have a default.  None if there is no such schema.

    Args:
      schema: with an object at its root.
    """
    definitions = mapping_in(schema.get("$defs"))
    if not dialect.recursive and _is_recursive(definitions):
        return None
    making = _Making(dialect)
    try:
        made = making.node(schema, 0)
        if definitions:
            made["$defs"] = {
                name: making.node(definitions[name], 0) for name in definitions
            }
    except _InexpressibleError:
        return None
    return made


@attrs.frozen
class _Making:
    """Puts schemas into a dialect."""

    dialect: Dialect

    def node(self, given: object, depth: int) -> Schema:
        _require(depth < _DEPTH)
        schema = mapping_in(given)
        if "$ref" in schema:
            _require(
                _referred(schema) is not None
                and _ALONE.issuperset(schema.keys() - {"$ref"})
            )
            made: Schema = {"$ref": schema["$ref"]}
        elif "anyOf" in schema:
            _require(_ALONE.issuperset(schema.keys() - {"anyOf"}))
            made = {
                "anyOf": [
                    self.node(one, depth + 1) for one in items_in(schema["anyOf"])
                ]
            }
        elif "enum" in schema or "const" in schema:
            made = _constant(schema)
        else:
            made = self._typed(schema, depth)
        return self._described(made, schema)

    def _typed(self, schema: Schema, depth: int) -> Schema:
        kinds = _kinds(schema)
        _require(bool(kinds) and kinds <= _NAMED_TYPES and _KNOWN.issuperset(schema))
        made: Schema = {"type": schema["type"]}
        if self.dialect.bounds:
            made |= {name: schema[name] for name in schema if name in _BOUNDS}
        if schema.get("format") in _FORMATS:
            made["format"] = schema["format"]
        if "array" in kinds:
            made["items"] = self.node(schema.get("items"), depth + 1)
        if "object" in kinds:
            made |= self._object(schema, depth)
        return made

    def _object(self, schema: Schema, depth: int) -> Schema:
        _require(schema.get("additionalProperties", False) is False)
        _require("properties" in schema or "additionalProperties" in schema)
        properties = mapping_in(schema.get("properties"))
        required = [str(name) for name in items_in(schema.get("required", ()))]
        _require(properties.keys() >= set(required))
        if self.dialect.all_required:
            optional = properties.keys() - set(required)
            _require(all(_can_say_nothing(properties[name]) for name in optional))
            required = list(properties)
        return {
            "properties": {
                name: self.node(properties[name], depth + 1) for name in properties
            },
            "required": required,
            "additionalProperties": False,
        }

    def _described(self, made: Schema, schema: Schema) -> Schema:
        """Put what is only told into the description."""
        told = [name for name in schema if name in _ADVICE or name in _BOUNDS]
        notes = [
            f"{name}: {_written(schema[name])}" for name in told if name not in made
        ]
        words = [str(schema["description"])] if "description" in schema else []
        if not words and not notes:
            return made
        if "$ref" in made:  # may have nothing beside it
            made = {"anyOf": [made]}
        return {**made, "description": "\n".join(words + notes)}


def _constant(schema: Schema) -> Schema:
    """Return an enumeration with its type, which providers want to see."""
    _require((_ALONE | {"enum", "const", "type"}).issuperset(schema))
    values = list(items_in(schema["enum"])) if "enum" in schema else [schema["const"]]
    kinds = list(dict.fromkeys(_TYPES.get(type(value), "") for value in values))
    _require(bool(kinds) and "" not in kinds)
    return {
        "type": schema.get("type", kinds[0] if len(kinds) == 1 else kinds),
        **{name: schema[name] for name in ("enum", "const") if name in schema},
    }


def _can_say_nothing(given: object) -> bool:
    """Whether a property can be there and mean the same as if it were not."""
    schema = mapping_in(given)
    if "default" in schema or "null" in _kinds(schema):
        return True
    if None in items_in(schema.get("enum", ())):
        return True
    return any(
        "null" in _kinds(mapping_in(one)) for one in items_in(schema.get("anyOf", ()))
    )


def _is_recursive(definitions: Schema) -> bool:
    """Whether a definition refers to itself, or to one that refers back."""
    left = {name: _referred_in(definitions[name]) for name in definitions}
    while left:
        leaves = [name for name, others in left.items() if not others & left.keys()]
        if not leaves:
            return True
        for name in leaves:
            del left[name]
    return False


def _used(root: Schema, definitions: Schema) -> Schema:
    """Return the definitions that *root* needs, in their order."""
    used = set[str]()
    new = _referred_in(root)
    while new:
        used |= new
        referred = (_referred_in(definitions.get(name)) for name in new)
        new = set[str]().union(*referred) - used
    return {name: definitions[name] for name in definitions if name in used}


def _referred_in(given: object) -> set[str]:
    return {
        name for schema in _inside(given) if (name := _referred(schema)) is not None
    }


def _inside(given: object) -> Iterator[Schema]:
    """Yield all mappings in *given*, itself included."""
    left = [given]
    while left:
        value = left.pop()
        left.extend(items_in(value))
        if schema := mapping_in(value):
            yield schema
            left.extend(schema.values())


def _referred(schema: Schema) -> str | None:
    match = _REFERENCE.fullmatch(str(schema.get("$ref", "")))
    return None if match is None else match[1]


def _kinds(schema: Schema) -> set[str]:
    said = schema.get("type", ())
    return {said} if isinstance(said, str) else {str(kind) for kind in items_in(said)}


def _written(value: object) -> str:
    return json.dumps(value, default=dict)


def _require(holds: bool) -> None:
    if not holds:
        raise _InexpressibleError
