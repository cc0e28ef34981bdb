"""Reading what a provider says: one way from bytes to structs, with one failure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar, cast

import msgspec

from understudy.providers.pieces import MARK
from understudy_protocols.failures import Cause, ModelError

T = TypeVar("T")

ABSENT: Final = msgspec.Raw()
"""What a field holds that was not there."""

_BOM = b"\xef\xbb\xbf"
_HEX = rb"[0-9a-fA-F]{2}"
_HALF_CHARACTER = re.compile(
    rb"(?P<before>(?<!\\)(?:\\\\)*)(?:"
    rb"(?P<whole>\\u[dD][89abAB]" + _HEX + rb"\\u[dD][c-fC-F]" + _HEX + rb")"
    rb"|\\u(?P<half>[dD][89a-fA-F]" + _HEX + rb"))"
)


def read(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Return *data* as a *kind*; half a character in it becomes U+FFFD.

    Raises:
      ModelError: cause MALFORMED: it is no JSON, or other JSON.
    """
    return _read(data, kind, _lost)[0]


def read_piece(data: bytes, kind: type[T]) -> tuple[T, bool]:
    """Return *data* as a *kind*, and whether halves of characters are marked in it.

    For texts that go into `Pieces`, where a half may find its other half.

    Raises:
      ModelError: as from `read`.
    """
    return _read(data, kind, _marked)


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


def _read(
    data: bytes | msgspec.Raw, kind: type[T], mend: Callable[[re.Match[bytes]], bytes]
) -> tuple[T, bool]:
    """Return *data* as a *kind*, and whether it had to be mended for that."""
    text = bytes(data).removeprefix(_BOM)
    try:
        try:
            return msgspec.json.decode(text, type=kind), False
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            mended = _HALF_CHARACTER.sub(mend, text)
            return msgspec.json.decode(mended, type=kind), True
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise malformed(f"what the provider says cannot be read: {error}") from error


def _lost(match: re.Match[bytes]) -> bytes:
    return match["before"] + (match["whole"] or rb"\ufffd")


def _marked(match: re.Match[bytes]) -> bytes:
    if match["whole"]:
        return match[0]
    return match["before"] + chr(MARK + int(match["half"], 16)).encode()
