"""Which restarts still count against a supervisor's intensity."""

from __future__ import annotations

import msgspec


class RestartWindow(msgspec.Struct, frozen=True):
    """The restarts of one supervisor, or one child, that still count.

    Args:
      intensity: restarts allowed inside one period; a count, 0 or more.
      period: length of the sliding window; seconds, above 0.
      restarts: times of the restarts still inside the window, oldest first;
        seconds on the caller's clock.

    Source: OTP ``supervisor``, ``add_restart/3``, but in real-valued time and
    half open: there, a restart one period old still counts, and whole seconds
    make that up to two periods.
    """

    intensity: int
    period: float
    restarts: tuple[float, ...] = ()

    def after_restart(self, now: float) -> RestartWindow:
        """Return the window with a restart at *now*, and the stale ones gone."""
        assert not self.restarts or now >= self.restarts[-1], "time ran backwards"
        kept = [at for at in self.restarts if now - at < self.period]
        return RestartWindow(self.intensity, self.period, (*kept, now))

    @property
    def exceeded(self) -> bool:
        """Whether the last restart was one more than is allowed."""
        return len(self.restarts) > self.intensity
