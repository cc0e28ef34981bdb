"""Exit codes, and the way in which everything is said besides results."""

from __future__ import annotations

import re
import sys
from typing import Final

EXIT_FAILED = 1
"""Some run did not complete, or nothing could be started."""

EXIT_MISUSE = 2
"""The call itself is wrong; nothing was run."""

EXIT_PART = 3
"""There is a part of an answer, or it was refused."""

EXIT_NO_ANSWER = 4
"""There is no answer."""

EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells have it."""

EXIT_UNREAD = 141
"""Whoever read what is printed has left, as shells have it."""


def say(text: str) -> None:
    """Tell the person who called."""
    sys.stderr.write(harmless(text) + "\n")


def harmless(text: str) -> str:
    """Return *text* without what a terminal would obey, be it of a person or a model."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All control characters but tabs and ends of lines."""
