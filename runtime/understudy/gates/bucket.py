"""A rate limit as a bucket that refills: reserved before a request, settled after.

Pure: the caller says what time it is.
"""

from __future__ import annotations

import math

from understudy_protocols.errors import ConfigError

_ROUNDING = 1e-9
"""What of a bucket's size may be missing for no other reason than that numbers
are rounded."""


class Bucket:
    """So many units a minute, shared by all who take from it.

    A provider counts what it finds; we count what we reserve.  So the level is
    put right whenever a provider says what is left.

    Args:
      per_minute: units that come back in a minute, and the most that can be
        there at once; above 0, or ``math.inf`` for no limit.
      now: the time; seconds.

    Attributes:
      per_minute: as above, or less if a provider says so.
      reserved: units that are taken and not settled yet.

    Raises:
      ConfigError: a limit that cannot be meant.
    """

    def __init__(self, per_minute: float, now: float) -> None:
        if not per_minute > 0:
            raise ConfigError(
                f"a limit of {per_minute!r} a minute lets nothing through; "
                "give a number above 0"
            )
        self.per_minute: float = per_minute
        self.reserved: float = 0.0
        self._most = per_minute
        self._level = per_minute
        self._at = now

    def level(self, now: float) -> float:
        """Return the units that are there; below 0 if more was used than reserved."""
        self._refill(now)
        return self._level

    def ready_at(self, units: float, now: float) -> float:
        """Return when *units* will be there; *now* if they are.

        What is more than the bucket can ever hold is let through when it is full.
        """
        missing = min(units, self.per_minute) - self.level(now)
        if missing <= 0 or missing < self.per_minute * _ROUNDING:
            return now
        return now + missing * 60 / self.per_minute

    def reserve(self, units: float, now: float) -> None:
        """Take *units*; the caller has seen that they are there."""
        self._refill(now)
        self._level -= units
        self.reserved += units

    def settle(self, units: float, used: float, now: float) -> None:
        """Put what was reserved for a request right by what it used.

        Args:
          units: what was reserved for it.
          used: what it really used.
        """
        self._refill(now)
        self.reserved -= units
        self._level = min(self.per_minute, self._level + units - used)

    def correct(self, left: float, limit: float | None, now: float) -> None:
        """Take over what a provider says, as of now.

        It may not have counted the requests that are still reserved for, so
        these come off again.

        Args:
          left: units that it would still let through.
          limit: its own limit; None if it does not say.  A higher one than that
            given in the beginning does not count: that was the user's word.
        """
        if limit is not None and limit > 0:
            self.per_minute = min(self._most, limit)
        self._at, self._level = now, min(left - self.reserved, self.per_minute)

    def _refill(self, now: float) -> None:
        if now > self._at:
            if self.per_minute < math.inf:
                come = (now - self._at) * self.per_minute / 60
                self._level = min(self.per_minute, self._level + come)
            self._at = now
