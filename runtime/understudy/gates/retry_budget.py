"""How many retries an account may make: a share of what it has asked for at all.

When everything fails, retries of everybody would be the greater part of the
load; this keeps them a small one.  Pure.
"""

from __future__ import annotations

from understudy_protocols.errors import ConfigError


class RetryBudget:
    """Retries that may still be made.

    Args:
      share: retries that each first request earns; 0 or more.
      reserve: retries that are there at the beginning, and the most that can be
        saved up; a count.

    Raises:
      ConfigError: a number that cannot be meant.

    Source: Finagle's ``RetryBudget``; "Addressing Cascading Failures" in Site
    Reliability Engineering (Google, 2016).
    """

    def __init__(self, share: float = 0.2, reserve: float = 20.0) -> None:
        if not (share >= 0 and reserve >= 0):
            raise ConfigError(
                f"share={share:g} and reserve={reserve:g}: give both from 0"
            )
        self._share = share
        self._most = reserve
        self._left = reserve

    @property
    def left(self) -> float:
        """Retries that may be made now; a count, in parts."""
        return self._left

    def asked(self) -> None:
        """Take note of a request that is no retry."""
        self._left = min(self._most, self._left + self._share)

    def take(self) -> bool:
        """Take one retry; False if there is none."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
