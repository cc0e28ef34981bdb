"""How single values are written down: a tag, plain data, and the way back.

What JSON has itself (None, bool, int, float, str) needs no tag, but for the
values of these types that JSON or MessagePack cannot hold.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import (
    Path,
    PosixPath,
    PurePath,
    PurePosixPath,
    PureWindowsPath,
    WindowsPath,
)
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

# What MessagePack holds; JSON as msgspec reads it holds no more.
_SMALLEST_INT = -(2**63)
_LARGEST_INT = 2**63 - 1


class LeafTag(NamedTuple):
    """One way to write a leaf.

    Attributes:
      tag: the key of the object that stands for the value.
      write: gives plain data for a value.
      read: gives the value for this data; raises ValueError, TypeError,
        LookupError or ArithmeticError if it is not what *write* gives.
    """

    tag: str
    write: Callable[[Any], object]
    read: Callable[[Any], object]


def fits_int(value: int) -> bool:
    """Whether an int needs no tag."""
    return _SMALLEST_INT <= value <= _LARGEST_INT


def fits_float(value: float) -> bool:
    """Whether a float needs no tag: JSON has no infinity and no NaN."""
    return math.isfinite(value)


def fits_text(value: str) -> bool:
    """Whether a str needs no tag: UTF-8 has no half characters (lone surrogates)."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _write_text(value: str) -> str:
    return _write_bytes(value.encode("utf-8", "surrogatepass"))


def _read_text(data: str) -> str:
    return _read_bytes(data).decode("utf-8", "surrogatepass")


def _write_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _read_bytes(data: str) -> bytes:
    return base64.b64decode(data, validate=True)


def _read_int(data: str) -> int:
    return int(data, 16)


def _write_complex(value: complex) -> list[str]:
    return [repr(value.real), repr(value.imag)]


def _read_complex(data: list[str]) -> complex:
    real, imaginary = data
    return complex(float(real), float(imaginary))


def _write_moment(value: datetime | time) -> object:
    """Give ISO text, and the name of the zone and the fold where it cannot say them."""
    zone = value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else None
    if zone is None and not value.fold:
        return value.isoformat()
    local = (
        value.isoformat() if zone is None else value.replace(tzinfo=None).isoformat()
    )
    return [local, zone, value.fold]


def _read_moment(data: str | list[Any], parse: Callable[[str], Any]) -> object:
    if isinstance(data, str):
        return parse(data)
    text, zone, fold = data
    known: Any = (
        {"fold": fold} if zone is None else {"fold": fold, "tzinfo": ZoneInfo(zone)}
    )
    return parse(text).replace(**known)


def _read_datetime(data: str | list[Any]) -> object:
    return _read_moment(data, datetime.fromisoformat)


def _read_time(data: str | list[Any]) -> object:
    return _read_moment(data, time.fromisoformat)


def _write_timedelta(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _read_timedelta(data: list[int]) -> timedelta:
    days, seconds, microseconds = data
    return timedelta(days, seconds, microseconds)


def _write_timezone(value: tzinfo) -> list[int]:
    offset = value.utcoffset(None)
    assert offset is not None, "a timezone has a fixed offset"
    return _write_timedelta(offset)


def _read_timezone(data: list[int]) -> timezone:
    return timezone(_read_timedelta(data))


# A path of the other system can be kept, but only as a pure one.
_PATHS: dict[str, tuple[type[PurePath], type[PurePath]]] = {
    "posix": (PurePosixPath, PosixPath),
    "windows": (PureWindowsPath, WindowsPath),
}


def _write_path(value: PurePath) -> list[object]:
    flavour = "windows" if isinstance(value, PureWindowsPath) else "posix"
    return [flavour, isinstance(value, Path), str(value)]


def _read_path(data: list[Any]) -> PurePath:
    flavour, concrete, text = data
    pure, real = _PATHS[flavour]
    return (real if concrete and isinstance(Path(), real) else pure)(text)


_PATH = LeafTag("$path", _write_path, _read_path)

# By exact type.  The first four are for the values that do not fit untagged.
LEAF_TAGS: dict[type, LeafTag] = {
    int: LeafTag("$int", hex, _read_int),
    float: LeafTag("$float", repr, float),
    str: LeafTag("$str", _write_text, _read_text),
    bytes: LeafTag("$bytes", _write_bytes, _read_bytes),
    complex: LeafTag("$complex", _write_complex, _read_complex),
    Decimal: LeafTag("$decimal", str, Decimal),
    datetime: LeafTag("$datetime", _write_moment, _read_datetime),
    date: LeafTag("$date", date.isoformat, date.fromisoformat),
    time: LeafTag("$time", _write_moment, _read_time),
    timedelta: LeafTag("$timedelta", _write_timedelta, _read_timedelta),
    timezone: LeafTag("$timezone", _write_timezone, _read_timezone),
    UUID: LeafTag("$uuid", str, UUID),
    PosixPath: _PATH,
    WindowsPath: _PATH,
    PurePosixPath: _PATH,
    PureWindowsPath: _PATH,
}

READERS: dict[str, Callable[[Any], object]] = {
    leaf.tag: leaf.read for leaf in LEAF_TAGS.values()
}
