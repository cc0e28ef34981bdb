"""Two ways of counting memory, each of which changes the other."""

from __future__ import annotations

import resource
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Final

RSS = ", resident set"
TRACED = ", tracemalloc"

METHODS: Final = {"rss": RSS, "traced": TRACED}


def begin_counting(method: str) -> Callable[[], int]:
    """Return what tells how much is in use; bytes.

    Args:
      method: one of `METHODS`, for this process and no other.
    """
    if method == "traced":
        tracemalloc.start()
        return _traced
    return _resident


def _resident() -> int:
    """Return the size of this process in memory; bytes."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    # The largest it has had, which begins with that of the process it came from.
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def _traced() -> int:
    """Return what is allocated now, of what was allocated since the start; bytes."""
    return tracemalloc.get_traced_memory()[0]
