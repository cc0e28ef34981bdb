"""What a provider says when it fails, in whichever of the common shapes.

Nothing in it is needed, and nothing in it can be wrong: what is not understood
is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from understudy.providers.reading import items_in, mapping_in, read, text_in
from understudy_protocols.failures import ModelError

LONGEST_MESSAGE: Final = 300
"""Characters of a provider's message that are kept: it may hold a whole page."""


class Told(msgspec.Struct, frozen=True):
    """What a provider tells of a failure.

    Args:
      words: its codes and types, the one that says the most first.
      status: the HTTP status that it writes into the body; None if it does not.
      message: its words for people.
    """

    words: tuple[str, ...] = ()
    status: int | None = None
    message: str = ""


_LONGEST_WORD: Final = 80
_ERROR_STATUS = re.compile("[45][0-9][0-9]")


def told_by_body(body: bytes) -> Told:
    """Return what the body of a failed response tells."""
    try:
        said = read(body, object)
    except ModelError:
        return Told()
    items = items_in(said)  # as some servers wrap the failure of a stream
    outer = mapping_in(items[0] if items else said)
    inner = mapping_in(outer.get("error"))
    if inner:
        return _told(inner, text_in(inner.get("message")))
    plain = (text_in(outer.get(name)) for name in ("error", "message", "detail"))
    return _told(outer, next(filter(None, plain), ""))


def told_by(error: object) -> Told:
    """Return what an error object tells, or a text in its place."""
    said = mapping_in(error)
    return _told(said, text_in(said.get("message")) or text_in(error))


def _told(error: Mapping[str, object], message: str) -> Told:
    code, status = error.get("code"), error.get("status")
    details = mapping_in(error.get("details"))
    said = (details.get("error_code"), code, status, error.get("type"))
    words = (_cut(text_in(value), _LONGEST_WORD) for value in said)
    statuses = filter(None, map(_status, (code, status)))
    return Told(
        tuple(filter(None, words)),
        next(statuses, None),
        _cut(message, LONGEST_MESSAGE),
    )


def _status(value: object) -> int | None:
    text = str(value) if type(value) is int else text_in(value)
    return int(text) if _ERROR_STATUS.fullmatch(text) else None


def _cut(text: str, most: int) -> str:
    """Return *text* as one line of at most so many characters."""
    return " ".join(text[: 4 * most].split())[:most]
