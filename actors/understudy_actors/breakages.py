"""The workers of a step actor that broke, and whether more may."""

from __future__ import annotations

from collections import deque

from understudy_actors.restart_window import RestartWindow
from understudy_protocols.errors import RestartIntensityError


class Breakages:
    """Counts broken workers against a window.

    Args:
      path: the step actor's, for the error.
      window: the replacements that are allowed.

    Attributes:
      replaced: those that were within the window; a count.
      cause: what broke the last one; None if none broke.
    """

    def __init__(self, path: str, window: RestartWindow) -> None:
        self._path = path
        self._window = window
        self._causes: deque[BaseException] = deque(maxlen=window.intensity + 1)
        self.replaced: int = 0
        self.cause: BaseException | None = None

    def add(self, error: BaseException, now: float) -> RestartIntensityError | None:
        """Count a worker that broke of *error*.

        Returns:
          Why the step actor has to give up; None if it may go on.
        """
        self.cause = error
        self._causes.append(error)
        self._window = self._window.after_restart(now)
        if not self._window.exceeded:
            self.replaced += 1
            return None
        intensity, period = self._window.intensity, self._window.period
        failure = RestartIntensityError(
            self._path, intensity, period, tuple(self._causes)
        )
        failure.__cause__ = error
        return failure
