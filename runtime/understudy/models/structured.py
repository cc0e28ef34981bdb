"""From a model's words to a typed value, strictly, with one cheap repair.

Models wrap JSON in prose and code fences, and leave commas behind.  That much
is mended here, and said to have been; anything else is for the model to mend.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Generic, TypeAlias, TypeVar, cast

import msgspec

from understudy.models.json_schema import schema_reader
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.sensitive import holds_sensitive, unquoted

T = TypeVar("T")

_FENCE = re.compile(r"```[a-zA-Z0-9]*\s*\n(.*?)```", re.DOTALL)
# A text in quotes is matched whole, so that nothing is taken out of it.
_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)


class Decoded(msgspec.Struct, Generic[T], frozen=True):
    """A value, and whether the text had to be mended to get it."""

    value: T
    repaired: bool


Output: TypeAlias = type | Mapping[str, object]
"""What can be asked for: a type, or a JSON schema."""


def decode(text: str, kind: type[T]) -> Decoded[T]:
    """Return the *kind* that *text* holds as JSON; see `decode_by`."""
    return cast("Decoded[T]", decode_by(text, reader_of(kind)))


def decode_by(text: str, read: Reader) -> Decoded[object]:
    """Return what *text* holds as JSON, if *read* takes it.

    Raises:
      ModelError: MALFORMED if there is no JSON in it, SCHEMA if the JSON is
        something else; the message says where.
    """
    try:
        return Decoded(read(text), repaired=False)
    except (msgspec.DecodeError, RecursionError) as error:
        first = error
    for candidate in _candidates(text):
        try:
            return Decoded(read(candidate), repaired=True)
        except (msgspec.DecodeError, RecursionError) as error:
            # The likeliest one that is JSON at all tells the model the most.
            if isinstance(error, msgspec.ValidationError) and not isinstance(
                first, msgspec.ValidationError
            ):
                first = error
    cause = (
        Cause.SCHEMA if isinstance(first, msgspec.ValidationError) else Cause.MALFORMED
    )
    raise ModelError(
        f"the answer is not what was asked for: {first}", cause=cause
    ) from first


def schema_of(kind: Output) -> Mapping[str, object]:
    """Return the JSON schema of *kind*; a union such as ``int | None`` has one too.

    Raises:
      ConfigError: *kind* is no type, or none that has a JSON schema.
    """
    if isinstance(kind, Mapping):
        return kind
    if kind not in _schemas:
        try:
            schema = msgspec.json.schema(kind)
        except (TypeError, ValueError, NameError) as error:
            raise ConfigError(
                f"output is {kind!r}, which has no JSON schema ({error}); give a "
                "type such as a msgspec.Struct, list[str] or int | None"
            ) from error
        _schemas[kind] = cast("Mapping[str, object]", schema)
    return _schemas[kind]


_schemas: dict[type, Mapping[str, object]] = {}


def is_sensitive(kind: Output) -> bool:
    """Whether a value of *kind* can have a sensitive field anywhere in it."""
    if isinstance(kind, Mapping):
        return False
    if kind not in _sensitive:
        _sensitive[kind] = holds_sensitive(kind)
    return _sensitive[kind]


_sensitive: dict[type, bool] = {}


Reader: TypeAlias = Callable[[str], object]
"""Reads a text strictly; raises a `msgspec.DecodeError` or `ValidationError`, or a
RecursionError."""


def reader_of(kind: Output) -> Reader:
    """Return what reads a text as *kind*.

    Raises:
      ConfigError: *kind* is a mapping, and no JSON schema.
    """
    if isinstance(kind, Mapping):
        fit = schema_reader(kind)
        return lambda text: fit(_strict(text, object))
    plain = cast("type[object]", kind)
    return lambda text: _discreet(text, plain)


def _discreet(text: str, kind: type[T]) -> T:
    """Read strictly; what is said of a mistake repeats nothing that is sensitive."""
    try:
        return _strict(text, kind)
    except msgspec.ValidationError as error:
        said = str(error)
        problem = unquoted(said, kind)
        if problem == said:
            raise
    # Outside, for its context would be the error that repeats it.
    raise msgspec.ValidationError(problem)


def _strict(text: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except UnicodeEncodeError as error:
        raise msgspec.DecodeError("the text has half a character in it") from error
    except (msgspec.DecodeError, RecursionError):
        raise
    except Exception as error:
        raise msgspec.ValidationError(f"{type(error).__name__}: {error}") from error


def _candidates(text: str) -> list[str]:
    """Return what might be meant, the likeliest first."""
    found = [match.strip() for match in _FENCE.findall(text)]
    for opening, closing in (("{", "}"), ("[", "]")):
        start, end = text.find(opening), text.rfind(closing)
        if 0 <= start < end:
            found.append(text[start : end + 1])
    return [*found, *(_COMMA.sub(_kept, candidate) for candidate in [text, *found])]


def _kept(match: re.Match[str]) -> str:
    return match[1] or ""
