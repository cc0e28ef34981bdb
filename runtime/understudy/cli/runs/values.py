"""Values of a journal as plain data: for people and other programs.

No class is needed for it: what has a tag is shown as what stands under it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, cast

from understudy.journal.references import Plain, put_in
from understudy_protocols.codec import from_plain
from understudy_protocols.errors import CodecError

Fetch = Callable[[bytes], bytes]
"""Gives the content of a large value."""


def shown(plain: object, fetch: Fetch) -> object:
    """Return what stands in a record, without tags, as JSON has it.

    Raises:
      JournalError: a large value is damaged or missing.
      CodecError: a large value cannot be read.
    """
    return _untagged(put_in(cast("Plain", plain), fetch))


def known(plain: object, cls: type[Any]) -> Any:
    """Return a value of one of Understudy's own classes; None if it is none."""
    try:
        found = from_plain(plain)
    except CodecError:
        return None
    return found if isinstance(found, cls) else None


def printable(text: str) -> str:
    """Return *text* without what a terminal would obey: who knows who wrote it."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text
    )


def _untagged(plain: Plain) -> object:
    match plain:
        case {"$map": list(pairs), **rest} if not rest:
            return dict(_pair(pair) for pair in pairs)
        case {"$int": str(digits), **rest} if not rest:
            return int(digits, 16)
        case dict():
            if len(plain) == 1:
                [(key, inside)] = plain.items()
                if key[:1] in {"$", "@"}:
                    return _untagged(inside)
            return {key: _untagged(part) for key, part in plain.items()}
        case list():
            return [_untagged(part) for part in plain]
        case bytes():
            return base64.b64encode(plain).decode()
        case _:
            return plain


def _pair(pair: Plain) -> tuple[str, object]:
    match pair:
        case [key, value]:
            name = _untagged(key)
            return name if isinstance(name, str) else str(name), _untagged(value)
        case _:
            raise CodecError("a map in the journal is made of no pairs")
