"""The times at which one supervisor has to look again."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)


class Timers(Generic[_Key]):
    """Keys armed for a time, at most one time each.

    A heap whose disarmed entries are skipped when they come to the top: arming
    is logarithmic, disarming constant, and the next time is exact.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Key]] = []
        self._live: dict[_Key, int] = {}
        self._order = itertools.count()

    def arm(self, key: _Key, due: float) -> None:
        """Let *key* come due at *due*, and not at its earlier time; seconds."""
        entry = next(self._order)
        self._live[key] = entry
        heapq.heappush(self._heap, (due, entry, key))

    def disarm(self, key: _Key) -> None:
        """Let *key* not come due."""
        self._live.pop(key, None)

    def next_due(self) -> float:
        """Return when the next key comes due; infinite if none does."""
        while self._heap and self._live.get(self._heap[0][2]) != self._heap[0][1]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def take_first(self, now: float) -> _Key | None:
        """Remove and return the first key that is due, if one is."""
        if self.next_due() > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._live[key]
        return key

    def take_due(self, now: float) -> list[_Key]:
        """Remove and return the keys that are due, in order of their times."""
        due = list[_Key]()
        while (key := self.take_first(now)) is not None:
            due.append(key)
        return due
