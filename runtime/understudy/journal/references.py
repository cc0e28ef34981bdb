"""Which large values a record refers to, and records with those put in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

from understudy.journal.values import BLOB
from understudy_protocols.errors import CodecError
from understudy_protocols.sensitive import HIDDEN

Plain: TypeAlias = (
    "dict[str, Plain] | list[Plain] | str | bytes | int | float | bool | None"
)
"""What MessagePack is decoded to."""

_IN_BYTES: Final = BLOB.encode()
_decode: Final = msgspec.msgpack.Decoder().decode


def references(content: bytes) -> frozenset[bytes]:
    """Return the digests of the large values that a record refers to.

    Raises:
      CodecError: it cannot be read.
    """
    # Most records refer to none, and are not decoded to see it.
    return frozenset(_digests(unpacked(content))) if _IN_BYTES in content else _NONE


def unpacked(content: bytes) -> Plain:
    """Return what is in MessagePack, as plain data.

    Raises:
      CodecError: it cannot be read.
    """
    try:
        plain: Plain = _decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(f"this is no plain data that can be read: {error}") from error
    return plain


def put_in(plain: Plain, fetch: Callable[[bytes], bytes]) -> Plain:
    """Return *plain* with each large value in the place of its digest.

    And with a word in place of what is sensitive, which is never decrypted for it.

    Args:
      fetch: gives the content of a large value.
    """
    match plain:
        case {"$blob": bytes(digest), **rest} if not rest:
            return put_in(unpacked(fetch(digest)), fetch)
        case {"$sealed": _, **rest} | {"$sensitive": _, **rest} if not rest:
            return HIDDEN
        case dict():
            return {key: put_in(part, fetch) for key, part in plain.items()}
        case list():
            return [put_in(part, fetch) for part in plain]
        case _:
            return plain


def _digests(plain: Plain) -> Iterator[bytes]:
    match plain:
        case {"$blob": bytes(digest), **rest} if not rest:
            yield digest
        case dict():
            for part in plain.values():
                yield from _digests(part)
        case list():
            for part in plain:
                yield from _digests(part)
        case _:
            pass


_NONE: Final[frozenset[bytes]] = frozenset()
