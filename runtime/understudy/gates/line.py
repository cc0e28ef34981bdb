"""Those who wait at a gate: higher priorities first, and in order of coming within one."""

from __future__ import annotations

from collections import OrderedDict

import msgspec
import trio


class Need(msgspec.Struct, frozen=True):
    """What a request will use at most.

    Args:
      tokens: read and written together; an estimate, a count.
    """

    tokens: int = 0


class Place:
    """A place in the line.

    Args:
      need: of the request that waits.
      priority: higher ones are first.
    """

    __slots__ = ("_woken", "need", "priority")

    def __init__(self, need: Need, priority: int) -> None:
        self.need: Need = need
        self.priority: int = priority
        self._woken = trio.Event()

    def wake(self) -> None:
        """Let whoever waits here look again."""
        self._woken.set()

    async def woken(self, until: float) -> None:
        """Wait to be woken, or until a moment; seconds on trio's clock."""
        with trio.move_on_at(until):
            await self._woken.wait()
        self._woken = trio.Event()


class Line:
    """The places of those who wait, in the order in which they are let in."""

    def __init__(self) -> None:
        # An empty row leaves, so the highest key is always somebody's.
        self._rows: dict[int, OrderedDict[Place, None]] = {}
        self._tokens: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    @property
    def first(self) -> Place | None:
        """Who is let in next; None if nobody waits."""
        if not self._rows:
            return None
        return next(iter(self._rows[max(self._rows)]))

    def join(self, place: Place) -> None:
        """Stand behind all of the same priority or a higher one."""
        priority = place.priority
        self._rows.setdefault(priority, OrderedDict())[place] = None
        self._tokens[priority] = self._tokens.get(priority, 0) + place.need.tokens

    def leave(self, place: Place) -> None:
        """Wait no more; whoever is first then is woken."""
        row = self._rows[place.priority]
        del row[place]
        self._tokens[place.priority] -= place.need.tokens
        if not row:
            del self._rows[place.priority], self._tokens[place.priority]
        self.wake_first()

    def ahead_of(self, priority: int) -> tuple[int, int]:
        """Return how many newcomers of *priority* find before them, and their tokens."""
        ahead = [key for key in self._rows if key >= priority]
        requests = sum(len(self._rows[key]) for key in ahead)
        return requests, sum(self._tokens[key] for key in ahead)

    def wake_first(self) -> None:
        """Let the first look again."""
        if self._rows:
            first = self.first
            assert first is not None, "a row holds somebody"
            first.wake()

    def wake_all(self) -> None:
        """Let all look again."""
        for row in self._rows.values():
            for place in row:
                place.wake()
