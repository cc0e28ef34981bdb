"""What is sensitive in a journal: encrypted with keys from the environment.

Each sensitive field is sealed by itself, by AES-256-GCM under a nonce of its own.
The name of the key stands beside it, so that keys can be changed: the first one
seals, all of them open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

import msgspec

from understudy_protocols.codec import SEALED
from understudy_protocols.codec_classes import CONCEAL
from understudy_protocols.errors import CodecError, ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VARIABLE: Final = "UNDERSTUDY_JOURNAL_KEY"
"""The environment variable that holds the keys."""

MARK: Final = SEALED.encode()
"""Stands among the fingerprints of a journal whose workflows have something sensitive:
what others ask by way of it is sealed as well."""

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
# What is sealed for something else is not taken for a field of a journal.
_PURPOSE: Final = b"understudy journal, sealed field, format 1"


class _Body(msgspec.Struct):
    """A request that is sealed as a whole: it names no fields."""

    sealed: tuple[str, bytes, bytes] = msgspec.field(name=SEALED)


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


def new_key() -> str:
    """Return a key that nobody has, as it stands in the environment variable."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


class Keys:
    """The keys of a journal, read when the first one is needed.

    Args:
      environ: where `VARIABLE` stands: one key or several, with commas or white
        space between them; base64 of 32 bytes each.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._ring: dict[str, AESGCM] = {}

    def check(self) -> None:
        """See that there is a key, and what encrypts.

        Raises:
          ConfigError: there is none, it is none, or `cryptography` is missing.
        """
        if self._ring:
            return
        keys = [_key(n, text) for n, text in enumerate(self._texts(), 1)]
        if not keys:
            raise ConfigError(
                f"${VARIABLE} is not set; put a key there, which `understudy runs "
                "new-key` makes"
            )
        try:
            # Loaded by those who have something to keep secret.
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise ConfigError(
                "the library that encrypts is not installed; "
                "pip install 'understudy[crypto]'"
            ) from error
        self._ring = {_id_of(key): AESGCM(key) for key in keys}

    def sealed(self, plain: object) -> object:
        """Return *plain* with each sensitive part encrypted.

        Raises:
          CodecError: there is such a part, and no key.
        """
        match plain:
            case dict():
                pairs = cast("dict[str, object]", plain)
                if len(pairs) == 1 and CONCEAL in pairs:
                    return {SEALED: list(self._seal(_encode(pairs[CONCEAL])))}
                return {key: self.sealed(part) for key, part in pairs.items()}
            case list():
                return [self.sealed(part) for part in cast("list[object]", plain)]
            case _:
                return plain

    def opened(self, plain: object) -> object:
        """Return *plain* with each sealed part as it was.

        Raises:
          CodecError: there is such a part, and not its key, or it was changed.
        """
        match plain:
            case dict():
                pairs = cast("dict[str, object]", plain)
                if len(pairs) == 1 and SEALED in pairs:
                    return cast("object", _decode(self._open(*_parts(pairs[SEALED]))))
                return {key: self.opened(part) for key, part in pairs.items()}
            case list():
                return [self.opened(part) for part in cast("list[object]", plain)]
            case _:
                return plain

    def sealed_body(self, body: bytes) -> bytes:
        """Return the JSON of a request, encrypted; it is JSON again.

        Raises:
          CodecError: there is no key.
        """
        return msgspec.json.encode(_Body(self._seal(body)))

    def opened_body(self, body: bytes) -> bytes:
        """Return the JSON of a request, whether it is encrypted or not.

        Raises:
          CodecError: it is, and its key is not there, or it was changed.
        """
        try:
            sealed = msgspec.json.decode(body, type=_Body)
        except msgspec.MsgspecError:
            return body
        return self._open(*sealed.sealed)

    def _texts(self) -> list[str]:
        return self._environ.get(VARIABLE, "").replace(",", " ").split()

    def _ready(self) -> dict[str, AESGCM]:
        try:
            self.check()
        except ConfigError as error:
            raise CodecError(f"a value here is sensitive, and {error}") from error
        return self._ring

    def _seal(self, content: bytes) -> tuple[str, bytes, bytes]:
        name, cipher = next(iter(self._ready().items()))
        nonce = os.urandom(_NONCE_BYTES)
        return name, nonce, cipher.encrypt(nonce, content, _PURPOSE)

    def _open(self, name: str, nonce: bytes, content: bytes) -> bytes:
        ring = self._ready()
        if name not in ring:
            raise CodecError(
                f"this was encrypted with the key {name}, and ${VARIABLE} has "
                f"{', '.join(ring)}; add the old key there, behind the new one"
            )
        # Loaded with the key.
        from cryptography.exceptions import InvalidTag

        try:
            return ring[name].decrypt(nonce, content, _PURPOSE)
        except (InvalidTag, ValueError) as error:
            raise CodecError(
                f"what was encrypted with the key {name} was changed afterwards"
            ) from error


def _parts(sealed: object) -> tuple[str, bytes, bytes]:
    match sealed:
        case [str(name), bytes(nonce), bytes(content)]:
            return name, nonce, content
        case _:
            raise CodecError(f"the tag {SEALED} has unsuitable data")


def _key(number: int, text: str) -> bytes:
    try:
        # As it is written in addresses as well.
        key = base64.b64decode(text.translate(_PLAIN_BASE64), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        # Without a word of it, or the error that has it.
        raise ConfigError(
            f"key {number} in ${VARIABLE} is not {KEY_BYTES} bytes in base64; "
            "`understudy runs new-key` makes one"
        ) from None
    return key


def _id_of(key: bytes) -> str:
    return hashlib.blake2b(key).hexdigest()[:8]


_PLAIN_BASE64: Final = str.maketrans("-_", "+/")
