"""A text that comes in pieces, some of which are cut within a character.

JSON can say half a character outside of the Basic Multilingual Plane, and servers
that count as JavaScript does send such halves in two chunks.  Python's readers of
JSON cannot hold them, so `read_piece` puts marks in their place, which become the
character here.
"""

from __future__ import annotations

import re
from typing import Final

from understudy.models.worst_case import size

MARK: Final = 0x100000
"""What is added to a half to mark it: that is a character of its own."""

_LOST: Final = "\N{REPLACEMENT CHARACTER}"
_FIRST: Final = "[\U0010d800-\U0010dbff]"
_SECOND: Final = "[\U0010dc00-\U0010dfff]"
_HALVES: Final = re.compile(f"({_FIRST})({_SECOND})|{_FIRST}|{_SECOND}")
_ENDS_WITHIN: Final = re.compile(f"{_FIRST}\\Z")


class Pieces:
    """A text, as it grows.

    Attributes:
      size: its bytes as UTF-8; a count.
    """

    def __init__(self) -> None:
        self.size: int = 0
        self._pieces: list[str] = []
        self._half = ""

    def add(self, piece: str, *, marked: bool = False) -> str:
        """Take in *piece*; return what it makes whole.

        Args:
          marked: whether it has marks in it.
        """
        if not piece:
            return ""
        if marked:
            text = self._half + piece
            self._half = text[-1] if _ENDS_WITHIN.search(text) else ""
            whole = _HALVES.sub(_joined, text.removesuffix(self._half))
        else:
            whole = _LOST + piece if self._half else piece
            self._half = ""
        if whole:
            self._pieces.append(whole)
            self.size += size(whole)
        return whole

    def __str__(self) -> str:
        return "".join(self._pieces)

    def __bool__(self) -> bool:
        return bool(self._pieces)


def _joined(match: re.Match[str]) -> str:
    if match[1] is None:
        return _LOST
    first, second = (ord(half) & 0x3FF for half in match.groups())
    return chr(0x10000 + (first << 10) + second)
