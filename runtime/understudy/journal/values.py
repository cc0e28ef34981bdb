"""Values as a journal keeps them: small ones in the record, large ones once by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, cast

import msgspec

# What a call comes to can stand in a record, and has its tag there.
import understudy.models.bound  # noqa: F401  # pyright: ignore[reportUnusedImport]
from understudy.journal.sealing import Keys
from understudy_protocols.codec import SealedError, concealing, from_plain, to_plain
from understudy_protocols.codec_classes import CONCEAL
from understudy_protocols.codec_leaves import fits_int
from understudy_protocols.errors import CodecError

LARGE = 1024
"""A value that takes more is kept once, however many records hold it; bytes."""

BLOB = "$blob"
"""The tag of a value that is kept by itself: its digest stands there."""

_CONCEAL_IN_BYTES = CONCEAL.encode()

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def digest_of(content: bytes) -> bytes:
    """Return what a large value is called by."""
    return hashlib.blake2b(content, digest_size=16).digest()


def kept_as_it_is(value: object) -> bool:
    """Whether *value* stands in a record as itself; most of a program are like that."""
    if type(value) is int:
        return fits_int(value)
    return value is None or type(value) is bool


def stored(value: object, keep: Callable[[bytes, bytes], object], keys: Keys) -> object:
    """Return what stands in a record for *value*.

    Args:
      keep: takes digest and content of a value that is too large for a record.
      keys: encrypt what is sensitive in it.

    Raises:
      CodecError: a class in it has no tag, or something is sensitive and there is
        no key; the error says which.
    """
    if kept_as_it_is(value):
        return value
    # Nothing is looked for that cannot be there.
    return _stored(to_plain(value), keep, keys if concealing else None)


def stored_sealed(
    value: object, keep: Callable[[bytes, bytes], object], keys: Keys
) -> object:
    """Return what stands in a record for a *value* that is sensitive as a whole."""
    return _stored({CONCEAL: to_plain(value)}, keep, keys)


def _stored(
    plain: object, keep: Callable[[bytes, bytes], object], keys: Keys | None
) -> object:
    cls = type(plain)
    if cls is bool or plain is None or cls is int or cls is float:
        return plain
    if cls is str and len(cast("str", plain)) * 4 <= LARGE:
        return plain
    content = _encode(plain)
    if keys is not None and _CONCEAL_IN_BYTES in content:
        content = _encode(keys.sealed(plain))
    if len(content) <= LARGE:
        return msgspec.Raw(content)
    digest = digest_of(content)
    keep(digest, content)
    return {BLOB: digest}


def restored(plain: object, fetch: Callable[[bytes], bytes], keys: Keys) -> object:
    """Return the value that stands in a record as *plain*.

    Args:
      fetch: gives the content of a large value by its digest.
      keys: open what is encrypted in it.

    Raises:
      CodecError: it is none, or of a class that has no tag here, or encrypted with
        a key that is not there.
      JournalError: what *fetch* raises.
    """
    if kept_as_it_is(plain):
        return plain
    digest = _digest_in(plain)
    whole = plain if digest is None else _kept(digest, fetch)
    try:
        return from_plain(whole)
    except SealedError:
        # Only now: most values have nothing encrypted in them.
        return from_plain(keys.opened(whole))


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
