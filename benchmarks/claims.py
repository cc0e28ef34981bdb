"""What a row measures, and what the library claims about the outcome."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Literal

import attrs

from benchmarks.measure import Figures, Sizes

REFERENCE_HOP = 7.7e-6
"""One channel hop on the machine on which the targets were set; seconds.

Targets that were set in microseconds are kept as multiples of it, since only
ratios within one process mean anything on another machine.
"""


class Unit(enum.Enum):
    """In what a row's figures are printed: the words, and the factor."""

    MICROSECONDS = ("us", 1e6)
    MILLISECONDS = ("ms", 1e3)
    SECONDS = ("s", 1.0)
    KILOBYTES = ("kB", 1e-3)
    PIECES = ("", 1.0)

    def show(self, figure: float) -> str:
        """Return *figure* as it is printed."""
        words, factor = self.value
        digits = 0 if self is Unit.PIECES else 2
        return f"{figure * factor:.{digits}f} {words}".rstrip()


@attrs.frozen
class Claim:
    """That one contender stays within so many times another.

    Args:
      text: what is claimed, in a few words.
      subject: the contender that it is about.
      against: the contender that it is divided by; None for the bare figure.
      limit: the most that the ratio, or the bare figure, may be; None if
        nothing is promised and it is only shown.
      clock: which clock decides.  The process's own, where all is work; the
        clock on the wall, where waiting is part of it.
      idle: how long there is nothing to do but wait; seconds.  A time on the
        wall that is much longer than work and waiting together was taken on a
        machine that was busy with something else, and decides nothing.
    """

    text: str
    subject: str
    against: str | None = None
    limit: float | None = None
    clock: Literal["cpu", "wall"] = "cpu"
    idle: float = 0.0


@attrs.frozen
class Row:
    """One row of the table.

    Args:
      name: what it is called on the command line.
      title: what is done.
      unit: in what its figures are printed.
      claims: what is said of the outcome.
      measure: takes the samples; called in a process of its own.
    """

    name: str
    title: str
    unit: Unit
    claims: tuple[Claim, ...]
    measure: Callable[[Sizes], Figures]
