"""Values that a JSON schema describes, where there is no Python type for them.

Needs the library ``jsonschema``: ``understudy[schema]`` brings it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from understudy_protocols.errors import ConfigError
from understudy_protocols.frozen import freeze, thaw

MOST_PROBLEMS = 5
"""Misfits that are told of one value: more would not help a model to mend it."""


def schema_reader(schema: Mapping[str, object]) -> Callable[[object], object]:
    """Return a function that gives back, frozen, the values that fit *schema*.

    The function raises a `msgspec.ValidationError` for a value that does not fit,
    which names the places.

    Raises:
      ConfigError: *schema* is no JSON schema, or refers to one elsewhere, or there
        is no ``jsonschema`` to read it.
    """
    try:
        # Optional, and slow to import.
        from jsonschema import Draft202012Validator, SchemaError
        from jsonschema.validators import validator_for
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ImportError as error:
        raise ConfigError(
            "output is a JSON schema, which needs the library jsonschema; "
            "install understudy[schema], or give a type"
        ) from error
    plain = cast("dict[str, Any]", thaw(schema))
    kind = validator_for(plain, default=Draft202012Validator)
    try:
        kind.check_schema(plain)
    except SchemaError as error:
        raise ConfigError(
            f"output is no JSON schema: {error.json_path}: {error.message}"
        ) from error
    # An empty registry: nothing is fetched from anywhere.
    validator = kind(plain, registry=Registry())

    def read(value: object) -> object:
        try:
            problems = [
                f"{problem.message} - at `{problem.json_path}`"
                for problem in validator.iter_errors(cast("Any", value))
            ]
        except Unresolvable as error:
            raise ConfigError(
                f"output is a JSON schema that refers to {error.ref!r}, which is "
                "not in it; put it under $defs"
            ) from error
        if problems:
            raise msgspec.ValidationError("; ".join(problems[:MOST_PROBLEMS]))
        return freeze(value, "the answer")

    return read
