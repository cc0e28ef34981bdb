"""Cancelling at the first, second, ... last step of what a task does."""

from __future__ import annotations

import trio


class CancelAt(trio.abc.Instrument):
    """Cancels *scope* before the n-th step of all tasks since it was started.

    Args:
      steps: n; a count from 1.
    """

    def __init__(self, steps: int) -> None:
        self.scope = trio.CancelScope()
        self._left = steps
        self._counts = False

    @property
    def came(self) -> bool:
        """Whether there were so many steps."""
        return self._left <= 0

    def start(self) -> None:
        """Count from here on."""
        self._counts = True
        trio.lowlevel.add_instrument(self)

    def stop(self) -> None:
        """Count no more."""
        self._counts = False
        trio.lowlevel.remove_instrument(self)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._counts:
            self._left -= 1
            if self._left == 0:
                self.scope.cancel()
