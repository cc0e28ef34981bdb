"""What one run writes down: a log, figures, and what was not as it must be."""

from __future__ import annotations

import hashlib
from collections import Counter

import trio

TOLERANCE = 1e-6
"""What rounding may do to times: the virtual clock jumps by differences; seconds."""


class ViolationError(AssertionError):
    """Something happened that must not, whatever the faults."""


class Book:
    """The notes of one run.

    Attributes:
      log: what happened, in order; each entry begins with the virtual time.
      figures: how often each kind of thing happened.
      violations: what was not as it must be, in words; empty if all is well.
      jumped_at: when the clock last jumped; what waits is late then.
    """

    def __init__(self) -> None:
        self.log: list[tuple[object, ...]] = []
        self.figures = Counter[str]()
        self.violations: list[str] = []
        self.jumped_at = float("-inf")

    def note(self, what: str, *about: object) -> None:
        """Add an entry to the log."""
        self.log.append((trio.current_time(), what, *about))

    def count(self, kind: str, which: object = "") -> None:
        """Count one more of a kind of thing."""
        self.figures[f"{kind}: {which}" if which else kind] += 1

    def require(self, holds: bool, what: str, *about: object) -> None:
        """Take down *what* is wrong unless it *holds*.

        It does not raise: it is called from observers and handlers, where an
        exception is one more fault to the code under test.
        """
        if not holds:
            after = f"after {len(self.log)} entries"
            text = f"at {trio.current_time():g} s, {after}: {what} {about or ''}"
            self.violations.append(text)
            self.note("VIOLATION", what)

    def digest(self) -> str:
        """Return a digest of the log, as hexadecimal digits."""
        text = "\n".join(map(repr, self.log))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
