"""How often the setups of a step's workers failed, and what to wait for it."""

from __future__ import annotations

from understudy_actors.backoff import restart_delay
from understudy_protocols.restart_policy import Backoff

SETUP_BACKOFF = Backoff(min_delay=0.5, max_delay=30.0, factor=2.0, jitter=0.0)
"""Between a failed setup and the next worker; patient with a database's restart."""


class SetupWaves:
    """Setups in waves: those that run side by side fail for one reason.

    Attributes:
      number: the wave that a worker made now belongs to.
      due: when a setup may begin again; None if it may now.
    """

    def __init__(self) -> None:
        self.number: int = 0
        self.due: float | None = None
        self._failed = 0

    def failed(self, wave: int, now: float) -> float | None:
        """Count a failed setup of *wave*.

        Returns:
          When a setup may begin again; None if the wave has been counted already.
        """
        if wave != self.number:
            return None
        delay = restart_delay(SETUP_BACKOFF, self._failed, 0.5)
        self.number += 1
        self._failed += 1
        self.due = now + delay
        return self.due

    def succeeded(self) -> None:
        """Forget the failures before."""
        self._failed = 0
