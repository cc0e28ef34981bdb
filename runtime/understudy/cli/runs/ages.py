"""Ages and lengths of time, as people write and read them."""

from __future__ import annotations

import re
from typing import Final

from understudy_protocols.errors import SetupError

MICROS: Final = 1_000_000

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AGE: Final = re.compile(r"(\d+)([smhdw])")


def age_micros(option: str, text: str) -> int:
    """Return the age ``30d`` or ``12h`` in microseconds.

    Raises:
      SetupError: it is none.
    """
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise SetupError(
            f"{option} is {text!r}; give a number and its unit, as 90s, 15m, 12h, 30d "
            "or 4w"
        )
    return int(found[1]) * _UNITS[found[2]] * MICROS


def length(seconds: float) -> str:
    """Return a length of time in few characters."""
    if seconds < 0.00005:
        return "0 s"
    if seconds < 0.0995:
        return f"{seconds * 1_000:.1f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    if seconds < 3_600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds < 86_400:
        return f"{int(seconds // 3_600)} h {int(seconds % 3_600 // 60)} min"
    return f"{int(seconds // 86_400)} d {int(seconds % 86_400 // 3_600)} h"


def rough_age(seconds: float) -> str:
    """Return how long ago something was, as one number and its unit."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return f"{max(0, int(seconds))} s"
