"""The bodies of answers as they were before a server compressed them."""

from __future__ import annotations

import zlib

from understudy_protocols.failures import Cause, ModelError

ASKED_FOR = "gzip"
"""What servers are asked to use if they want to."""

_PLAIN = ("", "identity")
_GZIP = ("gzip", "x-gzip")


class Decoder:
    """Decodes one body, as it comes.

    Args:
      coding: what the server calls it; empty for none.
      limit: the most bytes that come of it; a count.
    """

    def __init__(self, coding: str, limit: int) -> None:
        self._coding = coding.strip().lower()
        self._left = limit
        self._limit = limit
        self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._begun = False

    def decode(self, piece: bytes) -> bytes:
        """Return what *piece* brings.

        Raises:
          ModelError: MALFORMED: it cannot be decoded, or there is too much of it.
        """
        if self._coding not in _PLAIN:
            piece = self._unzipped(piece)
        self._left -= len(piece)
        if self._left < 0:
            raise ModelError(
                f"the answer has over {self._limit:,} bytes", cause=Cause.MALFORMED
            )
        return piece

    def end(self) -> None:
        """Take note that the body has ended.

        Raises:
          ModelError: MALFORMED: something is missing.
        """
        if self._begun and not self._gzip.eof:
            raise _unreadable("it ends too early")

    def _unzipped(self, piece: bytes) -> bytes:
        if self._coding not in _GZIP:
            raise _unreadable(f"it is encoded as {self._coding!r}, unasked for")
        self._begun = True
        try:
            # One byte more than there may be: a small body can hold a very large one.
            return self._gzip.decompress(piece, self._left + 1)
        except zlib.error as error:
            raise _unreadable(str(error)) from error


def _unreadable(why: str) -> ModelError:
    return ModelError(f"the answer cannot be read: {why}", cause=Cause.MALFORMED)
