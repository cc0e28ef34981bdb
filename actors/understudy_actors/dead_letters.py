"""Dead letters: messages that reached no handler, counted and reported.

The sink is told from the middle of the runtime's own work, so it cannot fail:
it never raises, never calls itself, and reports no more letters in a period
than it was allowed.  Those it does not report are counted all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec
import trio

from understudy_actors.guarded import guarded


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that no handler finished.

    Attributes:
      message: the payload, as it was sent.
      address: whom it was for.
      reason: why it was given up; a word or two, the same for all of a kind.
      sender: the address of the actor that sent it; None if no actor did.
    """

    message: object
    address: str
    reason: str
    sender: str | None = None


class DeadLetters:
    """Where dead letters go.

    Args:
      observer: told of letters as they come.  It must be quick.  What it
        raises is counted, and goes no further.
      most: letters reported in one period; a count.
      period: seconds.
      now: the clock of the system; seconds.

    Attributes:
      unreported: letters that the observer was not told of: over the limit, or
        made by the observer itself.
      observer_failures: how often the observer raised.
    """

    __slots__ = (
        "_counts",
        "_most",
        "_now",
        "_observer",
        "_period",
        "_period_end",
        "_reported",
        "_reporting",
        "observer_failures",
        "unreported",
    )

    def __init__(
        self,
        observer: Callable[[DeadLetter], None] | None = None,
        *,
        most: int = 100,
        period: float = 1.0,
        now: Callable[[], float] = trio.current_time,
    ) -> None:
        self.unreported = 0
        self.observer_failures = 0
        self._observer = observer
        self._most = most
        self._period = period
        self._now = now
        self._counts: Counter[str] = Counter()
        self._reporting = False
        self._period_end = float("-inf")
        self._reported = 0

    def add(self, letter: DeadLetter) -> None:
        """Count *letter*, and report it if the limit allows."""
        self._counts[letter.reason] += 1
        if self._observer is None:
            return
        # An observer that sends to a dead actor comes back here; reporting
        # that too would not end.
        if self._reporting:
            self.unreported += 1
            return
        self._reporting = True
        observer = self._observer
        if guarded(lambda: self._report(letter, observer)) is not None:
            self.observer_failures += 1
        self._reporting = False

    @property
    def count(self) -> int:
        """All letters so far."""
        return self._counts.total()

    @property
    def counts(self) -> Mapping[str, int]:
        """Letters so far, by reason."""
        return MappingProxyType(self._counts)

    def _report(
        self, letter: DeadLetter, observer: Callable[[DeadLetter], None]
    ) -> None:
        now = self._now()
        if now >= self._period_end:
            self._period_end = now + self._period
            self._reported = 0
        if self._reported >= self._most:
            self.unreported += 1
            return
        self._reported += 1
        observer(letter)
