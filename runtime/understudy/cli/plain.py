"""Results as plain JSON, for people and other programs.

Unlike the codec's tagged form it is not made to be read back.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import cast

import attrs
import msgspec

from understudy_protocols.failures import Failure
from understudy_protocols.frozen_types import registered
from understudy_protocols.outcomes import Outcome
from understudy_protocols.sensitive import redacted

_LEAVES = frozenset({str, int, float, bool, type(None)})


def json_line(value: object) -> bytes:
    """Return *value* as one line of JSON; any value at all.

    What JSON has no form for is written as its `repr`: a finished result must
    not be lost over one odd part of it.
    """
    try:
        return msgspec.json.encode(value, enc_hook=repr) + b"\n"
    except (OverflowError, UnicodeEncodeError):
        # Numbers beyond 64 bits, and halves of characters.
        return json.dumps(value, default=_other).encode() + b"\n"


def _other(value: object) -> object:
    try:
        return cast("object", msgspec.to_builtins(value))
    except TypeError:
        return repr(value)


def plain(value: object) -> object:
    """Return *value* made of dicts, lists and what JSON has words for.

    What is sensitive in it is not shown.
    """
    return _plain(redacted(value))


def _plain(value: object) -> object:
    kind = type(value)
    if kind in _LEAVES:
        return value
    if isinstance(value, Outcome):
        return _outcome(cast("Outcome[object]", value))
    if isinstance(value, Failure):
        return failure_facts(value)
    if kind in registered:
        return plain(registered[kind].to(value))
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return {_key(key): _plain(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("tuple[object, ...]", value)]
    if isinstance(value, set | frozenset):
        # In an order that does not change from one process to the next.
        items_ = cast("frozenset[object]", value)
        return sorted((_plain(item) for item in items_), key=repr)
    if isinstance(value, Enum):
        return _plain(cast("object", value.value))
    if isinstance(value, PurePath):
        return str(value)
    names = _field_names(kind)
    if names is not None:
        return {name: _plain(_field(value, name)) for name in names}
    return value


def as_mapping(value: object) -> Mapping[str, object] | None:
    """Return *value* if it is an object as JSON has it, else None."""
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else None


def failure_facts(failure: Failure) -> dict[str, object]:
    """Return what a result line says of a failure."""
    facts: dict[str, object] = {
        "mode": failure.mode.value,
        "cause": failure.cause.value,
        "message": failure.message,
        "where": failure.where,
    }
    if failure.error_type:
        facts["error_type"] = failure.error_type
    if failure.causes:
        facts["causes"] = [failure_facts(cause) for cause in failure.causes]
    return facts


def _outcome(outcome: Outcome[object]) -> dict[str, object]:
    if outcome.failure is not None:
        return {"failure": failure_facts(outcome.failure)}
    return {"value": _plain(outcome.value)}


def _key(key: object) -> str:
    shown = _plain(key)
    return shown if isinstance(shown, str) else str(shown)


def _field(value: object, name: str) -> object:
    return cast("object", getattr(value, name, None))


def _field_names(kind: type[object]) -> tuple[str, ...] | None:
    if attrs.has(kind):
        return tuple(field.name for field in cast("_AttrsFields", attrs.fields)(kind))
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    return kind.__struct_fields__ if issubclass(kind, msgspec.Struct) else None


_AttrsFields = Callable[[type], tuple["attrs.Attribute[object]", ...]]
