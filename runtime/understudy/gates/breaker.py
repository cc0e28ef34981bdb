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

    While it is not closed only the probe counts: what comes of requests that were
    sent before says nothing new.  A probe that was out when it was opened again
    is one of these.

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
        self._probe: int | None = None
        self._probes = 0

    def state(self, now: float) -> BreakerState:
        """Return whether requests go through."""
        if not self._opened:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._until else BreakerState.HALF_OPEN

    def ready_at(self, now: float) -> float:
        """Return when a request may go through; infinite while a probe is out."""
        if not self._opened:
            return now
        return max(now, self._until) if self._probe is None else math.inf

    def enter(self, now: float) -> int | None:
        """Take note that a request goes through; return its number if it is the probe.

        The caller has seen that it may, and says later what came of it.
        """
        if self.state(now) is not BreakerState.HALF_OPEN:
            return None
        self._probes += 1
        self._probe = self._probes
        return self._probe

    def succeeded(self, probe: int | None) -> bool:
        """Take note that a request did not fail; return whether that closes it.

        Args:
          probe: what `enter` said of the request.
        """
        if self._opened and not self._is_out(probe):
            return False
        closes = self._opened > 0
        self._row = self._opened = 0
        self._probe = None
        return closes

    def failed(self, now: float, probe: int | None, *, at_once: bool = False) -> bool:
        """Take note of a failure; return whether that opens it.

        Args:
          probe: what `enter` said of the request.
          at_once: open now, however few failures there were: more requests
            would say nothing new.
        """
        if self._opened:
            opens = self._is_out(probe)
        else:
            self._row += 1
            opens = at_once or self._row >= self._allowed
        if opens:
            wait = min(self._most, self._cool_off * 2.0 ** min(self._opened, 60))
            self._opened += 1
            self._open(now + wait)
        return opens

    def given_up(self, probe: int | None) -> bool:
        """Take note that a request ended without saying anything, as one cancelled.

        Returns:
          Whether another probe may go.
        """
        if not self._is_out(probe):
            return False
        self._probe = None
        return True

    def reset(self) -> None:
        """Forget everything, and be closed."""
        self._row = self._opened = 0
        self._until = -math.inf
        self._probe = None

    def open_until(self, when: float) -> None:
        """Let nothing through before *when*; then one probe."""
        self._opened = max(self._opened, 1)
        self._open(when)

    def _open(self, until: float) -> None:
        self._row = 0
        self._probe = None
        self._until = max(self._until, until)

    def _is_out(self, probe: int | None) -> bool:
        return probe is not None and probe == self._probe
