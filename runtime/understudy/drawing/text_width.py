"""How wide a text is at most, without a font at hand.

The widths are those of DejaVu Sans, which is wider than the fonts that people
have in its place (Arial, Helvetica, Segoe UI, Roboto): a box made for it holds
them all.
"""

from __future__ import annotations

import unicodedata
from typing import Final

# Advance widths in thousandths of the font size.
_REGULAR: Final = {
    "'": 275, "ijl": 278, "IJ": 295, " ,.": 318, "/:;\\|": 337, "f": 352,
    "-": 361, "()[]": 390, "t": 392, "!": 401, "r": 411, '"': 460, "*_`": 500,
    "s": 521, "z": 525, "?": 531, "c": 550, "L": 557, "F": 575, "k": 579,
    "vxy": 592, "P": 603, "TY": 612, "o": 612, "ae": 615, "E": 632, "hnu": 634,
    "Sbdgpq$0123456789{}": 636, "K": 656, "AV": 684, "XZB": 686, "R": 695,
    "C": 698, "U": 732, "N": 748, "H": 752, "D": 770, "G": 775, "&": 780,
    "OQ": 787, "w": 818, "#+<=>^~": 838, "M": 863, "%": 950, "m": 974,
    "W": 989, "@": 1000, "·": 318, "→≤≥": 838, "…—": 1000,
}  # fmt: skip
_WIDTHS: Final = {char: width for chars, width in _REGULAR.items() for char in chars}

_BOLD: Final = 1.24
"""The largest ratio of a bold letter to its regular form."""

_OTHER: Final = 1_000
_WIDE: Final = 1_400


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the most that *text* takes at font size *size*; in its units."""
    thousandths = sum(_WIDTHS.get(char) or _unusual(char) for char in text)
    return thousandths * size / 1_000 * (_BOLD if bold else 1.0)


def shortened(text: str, most: int) -> str:
    """Return *text* in one line of at most *most* characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _unusual(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    wide = unicodedata.east_asian_width(char) in "WF"
    return _WIDE if wide or ord(char) > 0xFFFF else _OTHER
