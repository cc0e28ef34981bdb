"""Who watches whom: one actor's watchers, and those that it watches.

Both directions are kept, so that the end of either side leaves nothing behind.
A watch belongs to the addresses, not to one life of the actors: the restart of
either side leaves it as it is.
"""

from __future__ import annotations

from typing import Protocol

from understudy_actors.notices import Restarted, Terminated


class Watcher(Protocol):
    """Who is told about the actors that it watches."""

    def notify(self, notice: Terminated | Restarted) -> None:
        """Take note; called synchronously, must not block or raise."""
        ...


class DeathWatch:
    """The watches of one actor.

    Args:
      watcher: told about those that it watches.
    """

    __slots__ = ("_watched", "_watcher", "_watchers")

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        # Dicts, for an order that no hash decides.  The value: wants restarts.
        self._watchers: dict[DeathWatch, bool] = {}
        self._watched: dict[DeathWatch, None] = {}

    def __len__(self) -> int:
        return len(self._watchers) + len(self._watched)

    def watch(self, other: DeathWatch, *, restarts: bool) -> None:
        """Begin to watch *other*, or change whether its restarts are told."""
        self._watched[other] = None
        other._watchers[self] = restarts

    def unwatch(self, other: DeathWatch) -> None:
        """Watch *other* no more; harmless if it was not watched."""
        self._watched.pop(other, None)
        other._watchers.pop(self, None)

    def restarted(self, notice: Restarted) -> None:
        """Tell those of our watchers who want to know."""
        for watch in [watch for watch, wanted in self._watchers.items() if wanted]:
            watch._watcher.notify(notice)

    def terminated(self, notice: Terminated) -> None:
        """Tell all our watchers, once; then neither watch nor be watched."""
        watchers, self._watchers = self._watchers, {}
        for watched in self._watched:
            del watched._watchers[self]
        self._watched.clear()
        for watch in watchers:
            del watch._watched[self]
            watch._watcher.notify(notice)
