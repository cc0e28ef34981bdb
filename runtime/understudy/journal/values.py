"""Values as a journal keeps them: small ones in the record, large ones once by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, cast

import msgspec

from understudy_protocols.codec import from_plain, to_plain
from understudy_protocols.errors import CodecError

LARGE = 1024
"""A value that takes more is kept once, however many records hold it; bytes."""

BLOB = "$blob"
"""The tag of a value that is kept by itself: its digest stands there."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def digest_of(content: bytes) -> bytes:
    """Return what a large value is called by."""
    return hashlib.blake2b(content, digest_size=16).digest()


def stored(value: object, keep: Callable[[bytes, bytes], object]) -> object:
    """Return what stands in a record for *value*.

    Args:
      keep: takes digest and content of a value that is too large for a record.

    Raises:
      CodecError: a class in it has no tag; the error says which.
    """
    plain = to_plain(value)
    cls = type(plain)
    if cls is bool or plain is None or cls is int or cls is float:
        return plain
    if cls is str and len(cast("str", plain)) * 4 <= LARGE:
        return plain
    content = _encode(plain)
    if len(content) <= LARGE:
        return msgspec.Raw(content)
    digest = digest_of(content)
    keep(digest, content)
    return {BLOB: digest}


def restored(plain: object, fetch: Callable[[bytes], bytes]) -> object:
    """Return the value that stands in a record as *plain*.

    Args:
      fetch: gives the content of a large value by its digest.

    Raises:
      CodecError: it is none, or of a class that has no tag here.
      JournalError: what *fetch* raises.
    """
    digest = _digest_in(plain)
    return from_plain(plain if digest is None else _kept(digest, fetch))


def _digest_in(plain: object) -> bytes | None:
    """Return what stands in a record for a value that is kept by itself."""
    if not isinstance(plain, dict):
        return None
    pairs = cast("dict[object, object]", plain)
    digest = pairs.get(BLOB)
    return digest if isinstance(digest, bytes) and len(pairs) == 1 else None


def _kept(digest: bytes, fetch: Callable[[bytes], bytes]) -> object:
    content = fetch(digest)
    try:
        plain: Any = _decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CodecError(f"the value {digest.hex()} is unreadable: {error}") from error
    return plain
