"""A breaker: asks no more where it fails again and again, and tries with one request.

Pure: the caller says what time it is.
"""

from __future__ import annotations

import math
from enum import Enum

from understudy_protocols.errors import ConfigError


class BreakerState(Enum):
    """Whether requests go through."""

    CLOSED = "closed"
    """They do."""
    OPEN = "open"
    """They do not, until its time is over."""
    HALF_OPEN = "half_open"
    """One does, the probe; the others wait for what comes of it."""


class Breaker:
    """Opens after failures in a row, and closes after a probe that succeeds.

    Args:
      failures: in a row, that open it; a count, 1 or more.
      cool_off: how long it stays open the first time; seconds.  Each probe that
        fails doubles it.
      most: no longer than this; seconds.

    Raises:
      ConfigError: a number that cannot be meant.
    """

    def __init__(
        self, failures: int = 5, cool_off: float = 5.0, most: float = 120.0
    ) -> None:
        if failures < 1 or not 0 < cool_off <= most < math.inf:
            raise ConfigError(
                f"a breaker with failures={failures}, cool_off={cool_off:g} and "
                f"most={most:g} cannot be meant; give failures from 1, and "
                "0 < cool_off <= most in seconds"
            )
        self._allowed = failures
        self._cool_off = cool_off
        self._most = most
        self._row = 0  # failures in a row, while closed
        self._opened = 0  # times in a row that it opened
        self._until = -math.inf
        self._probing = False

    def state(self, now: float) -> BreakerState:
        """Return whether requests go through."""
        if not self._opened:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._until else BreakerState.HALF_OPEN

    def ready_at(self, now: float) -> float:
        """Return when a request may go through; infinite while a probe is out."""
        if not self._opened:
            return now
        return math.inf if self._probing else max(now, self._until)

    def enter(self, now: float) -> bool:
        """Take note that a request goes through, and return whether it is the probe.

        The caller has seen that it may, and says later what came of it.
        """
        self._probing = self.state(now) is BreakerState.HALF_OPEN
        return self._probing

    def succeeded(self) -> None:
        """Take note that a request did not fail."""
        self._row = self._opened = 0
        self._probing = False

    def failed(self, now: float, *, probe: bool, at_once: bool = False) -> None:
        """Take note of a failure.

        Args:
          probe: what `enter` said of the request.
          at_once: open now, however few failures there were: more requests
            would say nothing new.
        """
        self._row += 1
        self.given_up(probe=probe)
        # Those sent before it opened are late: they do not open it further.
        if probe or (not self._opened and (at_once or self._row >= self._allowed)):
            wait = min(self._most, self._cool_off * 2.0 ** min(self._opened, 60))
            self._opened += 1
            self._until = now + wait

    def given_up(self, *, probe: bool) -> None:
        """Take note that a request ended without saying anything, as one cancelled."""
        if probe:
            self._probing = False

    def open_until(self, when: float) -> None:
        """Let nothing through before *when*; then one probe."""
        self._opened = max(self._opened, 1)
        self._until = max(self._until, when)
