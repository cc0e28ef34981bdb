"""Types in words that mean the same in every process, for comparing them later."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum, Flag
from typing import cast

import msgspec

from understudy.workflows.declared_types import (
    definition_of,
    names_in,
    parts_of,
)
from understudy_protocols.codec import tag_of
from understudy_protocols.frozen_classes import is_a

_OURS = "understudy."
"""Begins the tags of our own classes: that old values stay readable is our affair."""


def in_words(hint: object) -> str:
    """Return a type as text; a class by the name that its values are written under."""
    if isinstance(hint, Mapping):
        return msgspec.json.encode(
            _plain(cast("Mapping[str, object]", hint)), order="deterministic"
        ).decode()
    origin = typing.get_origin(hint)
    inside = [in_words(part) for part in parts_of(hint)]
    if origin is typing.Union or origin is types.UnionType:
        return " | ".join(sorted(inside))
    if origin is typing.Literal:
        choices: tuple[object, ...] = typing.get_args(hint)
        return f"Literal[{', '.join(sorted(map(_choice, choices)))}]"
    if origin is typing.Annotated or isinstance(hint, typing.NewType):
        return inside[0]
    name = _name(hint if origin is None else origin)
    return f"{name}[{', '.join(inside)}]" if inside and origin is not None else name


def definitions(hint: object) -> Iterator[tuple[str, str]]:
    """Yield what the classes in a type are made of, each fact with its name."""
    for named in names_in([hint]):
        name = _name(named)
        if name.startswith(_OURS):
            continue
        if isinstance(named, type) and is_a(named, Enum):
            yield f"members of {name}", ", ".join(sorted(_members(named)))
            continue
        about: list[str] = []
        for field, part in definition_of(named):
            if field:
                yield f"field {name}.{field}", in_words(part)
            else:
                about.append(in_words(part))
        if about:
            yield f"type {name}", ", ".join(about)


def _name(thing: object) -> str:
    if thing is None or thing is types.NoneType:
        return "None"
    if thing is Ellipsis:
        return "..."
    if isinstance(thing, str):
        return repr(thing)
    tag = tag_of(thing) if isinstance(thing, type) else None
    return tag or str(getattr(thing, "__name__", type(thing).__name__))


def _choice(choice: object) -> str:
    if isinstance(choice, Enum):
        return f"{_name(type(choice))}.{choice.name}"
    return repr(choice)


def _members(cls: type) -> Iterator[str]:
    members: Mapping[str, Enum] = vars(cls)["_member_map_"]
    for name, member in members.items():
        # Flags are written by their values, all others by their names.
        yield f"{name}={member.value}" if isinstance(member, Flag) else name


def _plain(schema: object) -> object:
    """Return a JSON schema made of dicts and lists."""
    if isinstance(schema, Mapping):
        items = cast("Mapping[str, object]", schema)
        return {key: _plain(value) for key, value in items.items()}
    if isinstance(schema, list | tuple):
        return [_plain(item) for item in cast("list[object]", schema)]
    return schema
