"""How often, and how soon, a child that ended may be started again."""

from __future__ import annotations

import math
from typing import TypeGuard

import msgspec

from understudy_protocols.errors import ChildSpecError


def is_length(value: object) -> TypeGuard[float]:
    """Whether *value* is a number of seconds, 0 or more, infinity included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value >= 0 and not math.isnan(value)


def check_intensity(intensity: object) -> None:
    """Refuse what is not a count of restarts."""
    check_count(intensity, "intensity")


def check_count(value: object, field: str) -> None:
    """Refuse what is not a count."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ChildSpecError(
            f"{field} must be a whole number, 0 or more; got {value!r}"
        )


def check_period(period: object) -> None:
    """Refuse what is not the length of a window."""
    if not is_length(period) or not 0 < period < math.inf:
        raise ChildSpecError(
            f"period must be a finite number of seconds above 0; got {period!r}"
        )


class Backoff(msgspec.Struct, frozen=True):
    """How long to wait before each restart of a child that keeps failing.

    Args:
      min_delay: before the first restart; seconds, 0 for no wait at all.
      max_delay: no wait is longer, before jitter; seconds.
      factor: each further failure multiplies the wait by this; 1 or more.
      jitter: a wait is drawn from its length times 1 - jitter to 1 + jitter;
        0 to 1.
      reset_after: a child that was ready for this long starts again from
        min_delay when it fails; seconds.
      critical_after: failures in a row that are reported as warnings; from the
        next one on they are errors.  A count.
    """

    min_delay: float = 0.1
    max_delay: float = 30.0
    factor: float = 2.0
    jitter: float = 0.2
    reset_after: float = 30.0
    critical_after: int = 3

    def __post_init__(self) -> None:
        for field in ("min_delay", "max_delay", "factor", "jitter", "reset_after"):
            if not is_length(getattr(self, field)):
                raise ChildSpecError(
                    f"{field} must be a number, 0 or more; got {getattr(self, field)!r}"
                )
        if not self.min_delay <= self.max_delay < math.inf:
            raise ChildSpecError(
                "max_delay must be finite and not below min_delay; got "
                f"min_delay={self.min_delay:g}, max_delay={self.max_delay:g}"
            )
        if not 1 <= self.factor < math.inf or self.jitter > 1:
            raise ChildSpecError(
                "factor must be finite and 1 or more, jitter at most 1; got "
                f"factor={self.factor:g}, jitter={self.jitter:g}"
            )
        check_count(self.critical_after, "critical_after")


DEFAULT_BACKOFF = Backoff()
"""The waits of a supervisor that was not told otherwise."""

NO_BACKOFF = Backoff(min_delay=0.0, max_delay=0.0, jitter=0.0)
"""Restart at once, every time."""


class RestartBudget(msgspec.Struct, frozen=True):
    """How many restarts are allowed in how long a time.

    Args:
      intensity: restarts allowed inside one period; a count, 0 or more.
      period: length of the sliding window; seconds, above 0.
    """

    intensity: int = 3
    period: float = 5.0

    def __post_init__(self) -> None:
        check_intensity(self.intensity)
        check_period(self.period)
