"""What damage is noticed by: sums over what is stored, with the key in them."""

from __future__ import annotations

from struct import Struct
from typing import Final
from zlib import crc32

from understudy_protocols.journal import StoredRun

_SUM_BYTES: Final = 4


def sealed(row: int, number: int, content: bytes) -> bytes:
    """Return a record with its sum."""
    # Odd factors: one bit changed in a key of up to 32 bits is another start of the
    # sum, so that a record that has moved to another key is damaged as well.
    start = (row * 0x9E3779B1 + number * 0x85EBCA6B) & 0xFFFFFFFF
    return content + _pack(crc32(content, start))


def unsealed(row: int, number: int, stored: bytes) -> bytes | None:
    """Return the record in what `sealed` gave, or None if it is damaged."""
    content = stored[:-_SUM_BYTES]
    return content if sealed(row, number, content) == stored else None


def run_checksum(run: StoredRun) -> int:
    """Return the sum over what never changes of a run."""
    fields = (run.row, run.run_id, run.workflow, run.fingerprint, run.created_at)
    return crc32(repr(fields).encode())


def request_checksum(run_id: str, what: str, body: bytes) -> int:
    """Return the sum over what never changes of a request."""
    return crc32(repr((run_id, what, body)).encode())


_pack: Final = Struct("<I").pack
