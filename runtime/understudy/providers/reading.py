"""Reading what a provider says: one way from bytes to structs, with one failure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar, cast

import msgspec

from understudy_protocols.failures import Cause, ModelError

T = TypeVar("T")

ABSENT: Final = msgspec.Raw()
"""What a field holds that was not there."""

_BOM = b"\xef\xbb\xbf"
_HALF_CHARACTER = re.compile(
    rb"(?P<before>(?<!\\)(?:\\\\)*)"
    rb"(?:(?P<whole>\\u[dD][89abAB]..\\u[dD][c-fC-F]..)|\\u[dD][89a-fA-F]..)"
)


def read(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Return *data* as a *kind*.

    Some servers cut their texts between the halves of a character, which JSON
    can say and UTF-8 cannot: such a half becomes U+FFFD.

    Raises:
      ModelError: cause MALFORMED: it is no JSON, or other JSON.
    """
    try:
        return _decoded(data, kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise malformed(f"what the provider says cannot be read: {error}") from error


def read_or_none(data: msgspec.Raw, kind: type[T]) -> T | None:
    """Return *data* as a *kind*, or None if it is absent, null or something else.

    For what an answer can do without, such as the count of its tokens.
    """
    if not bytes(data):
        return None
    try:
        return read(data, cast("type[T]", kind | None))
    except ModelError:
        return None


def mapping_in(value: object) -> dict[str, object]:
    """Return *value* if it is a mapping, else an empty one."""
    if not isinstance(value, Mapping):
        return {}
    return dict(cast("Mapping[str, object]", value))


def items_in(value: object) -> Sequence[object]:
    """Return *value* if it is a list, else an empty one."""
    if not isinstance(value, list | tuple):
        return ()
    return cast("Sequence[object]", value)


def text_in(value: object) -> str:
    """Return *value* if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def written(value: object) -> str:
    """Return as JSON what was read as JSON.

    Raises:
      ModelError: cause MALFORMED: it is nested too deep.
    """
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError as error:
        raise malformed("what the provider says is nested too deep") from error


def malformed(message: str) -> ModelError:
    """Return the failure of a provider that says what makes no sense."""
    return ModelError(message, cause=Cause.MALFORMED)


def _decoded(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    text = bytes(data).removeprefix(_BOM)
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        mended = _HALF_CHARACTER.sub(_whole, text)
        return msgspec.json.decode(mended, type=kind)


def _whole(match: re.Match[bytes]) -> bytes:
    return match["before"] + (match["whole"] or rb"\ufffd")
