"""The faults of one run: which kinds there are, and when one strikes.

Swarm testing: each seed first draws which kinds are enabled at all, so that
some runs have few kinds, often, and no kind is always hidden by another.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from random import Random

from book import Book


class Trouble(Exception):
    """What injected faults raise."""


class Broken(Trouble):
    """A fault that breaks whoever raises it."""


class Declared(Trouble):
    """An answer by exception: most actors go on after it."""


class Finished(Trouble):
    """Ends some actors in good order."""


class Hopeless(Trouble):
    """Makes the supervisor of some actors give up."""


class Fault(enum.Enum):
    """What can go wrong."""

    INIT_RAISES = "init raises"
    INIT_DECLINES = "init declines"
    INIT_HANGS = "init hangs"
    HANDLER_RAISES = "handler raises"
    HANDLER_HANGS = "handler hangs"
    HANDLER_OVERRUNS = "handler overruns"
    POISON = "message poisoned"
    CLEANUP_RAISES = "clean-up raises"
    TEARDOWN_RAISES = "teardown raises"
    TEARDOWN_HANGS = "teardown hangs"
    WORKER_RAISES = "worker raises"
    WORKER_ENDS = "worker ends"
    ESCALATES = "child escalates"
    EXITS = "child exits the process"
    SHIELDS = "shields itself"
    SWALLOWS = "swallows Cancelled"
    CLOCK_JUMPS = "clock jumps"
    CLIENT_CANCELLED = "client cancelled"
    FLOODS = "mailbox flooded"
    OBSERVER_RAISES = "observer raises"
    SINK_RAISES = "sink raises"
    SINK_SENDS = "sink sends"
    CALLBACK_RAISES = "stop callback raises"
    OWNER_RAISES = "owner raises"


class Chaos:
    """Decides when a fault strikes.

    Args:
      source: of all its decisions.
      book: where it counts.

    Attributes:
      on: whether anything may strike now.
      enabled: the kinds that this run has.
    """

    def __init__(self, source: Random, book: Book) -> None:
        self.on = source.random() < 0.2  # else only when the tree is up
        self._random = source
        self._book = book
        share = source.choice((0.2, 0.5, 0.8))
        self.enabled = frozenset(f for f in Fault if source.random() < share)
        self._rate = source.choice((0.05, 0.2, 0.5))

    def strikes(self, fault: Fault) -> bool:
        """Whether *fault* happens here and now."""
        return self.one_of((fault,)) is not None

    def one_of(self, group: Collection[Fault]) -> Fault | None:
        """Return the one of *group* that happens here and now, if one does."""
        if not self.on or self._random.random() >= self._rate:
            return None
        possible = [fault for fault in group if fault in self.enabled]
        if not possible:
            return None
        fault = self._random.choice(possible)
        self._book.count("fault", fault.value)
        return fault
