"""The children to bring down in reverse order, and those to bring up then."""

from __future__ import annotations

from collections.abc import Iterable

from understudy_actors.children import Child
from understudy_protocols.supervision_records import ChildState

_DONE = (ChildState.RUNNING, ChildState.STOPPED)


class Batch:
    """What is left of a first start, a group restart, or the last stop.

    Args:
      children: in start order; those that are neither to leave nor to be
        started are left alone.

    Attributes:
      due: before this time no child comes up; None if it has come.
      token: that under which it is armed.
    """

    __slots__ = ("_down", "_up", "due", "token")

    def __init__(self, children: Iterable[Child]) -> None:
        self._down = list(children)
        self._up = self._down[::-1]
        self.due: float | None = None
        self.token: int | None = None

    def to_stop(self) -> Child | None:
        """Return the child that must be gone next; None when all are down."""
        # One that was started by hand since it left is none of them any more.
        while self._down and not self._down[-1].leaving:
            self._down.pop()
        return self._down[-1] if self._down else None

    def to_start(self) -> Child | None:
        """Return the child that must be ready next; None when all are up."""
        while self._up and self._up[-1].state in _DONE:
            self._up.pop()
        return self._up[-1] if self._up else None
