"""Taking times: two clocks, contenders in turn, garbage of one not charged to another."""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Self, TypeAlias

import attrs


@attrs.frozen
class Sample:
    """One measurement.

    Args:
      wall: by the clock on the wall; seconds per unit of work, or for figures
        that are no times, the figure.
      cpu: by the clock of this process, which stands still while others run;
        as *wall*.
    """

    wall: float
    cpu: float

    @classmethod
    def of(cls, figure: float) -> Sample:
        """Return a figure that is no time, such as a count."""
        return cls(figure, figure)

    def per(self, units: int) -> Sample:
        """Return the share of each of *units*."""
        return Sample(self.wall / units, self.cpu / units)

    def minus(self, other: Sample, units: int) -> Sample:
        """Return what this took longer than *other*, per unit."""
        return Sample((self.wall - other.wall) / units, (self.cpu - other.cpu) / units)


Figures: TypeAlias = dict[str, list[Sample]]
"""What a row has measured: the samples of each contender, in order."""

Contender: TypeAlias = Callable[[], Awaitable[Sample]]
"""Does its work once, and says how long it took."""


@attrs.frozen
class Sizes:
    """How much work one measurement does.

    Args:
      scale: by what all counts are multiplied; 1 for the published figures.
      turn: the number of this process among its repeats, from 0; contenders
        begin in turn.
    """

    scale: float = 1.0
    turn: int = 0

    def count(self, full: int, least: int = 1) -> int:
        """Return how many there are of what there are *full* at scale 1."""
        return max(least, round(full * self.scale))


class Stopwatch:
    """Times a block on both clocks: ``with Stopwatch() as watch: ...``."""

    def __enter__(self) -> Self:
        # What the contender before has left behind is not ours to collect.
        gc.collect()
        self._wall = time.perf_counter()
        self._cpu = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        self.taken = Sample(wall - self._wall, cpu - self._cpu)


async def timed(work: Callable[[], Awaitable[object]], units: int) -> Sample:
    """Do *work* and return how long each of its units took."""
    with Stopwatch() as watch:
        await work()
    return watch.taken.per(units)


async def alternate(
    contenders: Mapping[str, Contender], rounds: int, sizes: Sizes, warm_up: int = 1
) -> Figures:
    """Let the contenders do their work in turn, so that they meet the same noise.

    Args:
      rounds: measurements of each; a count.
      warm_up: rounds before these that do not count.
    """
    names = list(contenders)
    figures: Figures = {name: [] for name in names}
    for number in range(-warm_up, rounds):
        first = (number + sizes.turn) % len(names)
        for name in names[first:] + names[:first]:
            sample = await contenders[name]()
            if number >= 0:
                figures[name].append(sample)
    return figures
