"""The messages that one life of an actor has ordered for a later time.

They are due in the actor's own loop, one at a time and ahead of its mailbox:
no task stands behind them, none is ever queued, and none can reach a later
life, since they end with the life that ordered them.
"""

from __future__ import annotations

import math

import trio

from understudy_actors.envelope import Envelope
from understudy_actors.timers import Timers
from understudy_protocols.errors import ConfigError


class Alarm:
    """A message ordered for later; made by `Actor.send_after` and `send_every`."""

    __slots__ = ("_alarms", "envelope", "interval")

    def __init__(
        self, alarms: Alarms, envelope: Envelope, interval: float | None
    ) -> None:
        self._alarms = alarms
        self.envelope = envelope
        self.interval = interval

    def cancel(self) -> None:
        """Make sure that it does not come again; harmless if it has all come."""
        self.interval = None
        self._alarms.cancel(self)

    def handled(self) -> None:
        """Come again, if it is a repeated one: one interval from now.

        Not from when it was due: an actor that is slower than its alarm would
        then never come to anything else.
        """
        if self.interval is not None:
            self._alarms.arm(self, self.interval)


class Alarms:
    """All alarms of one life."""

    def __init__(self) -> None:
        self._timers = Timers[Alarm]()

    def add(
        self, envelope: Envelope, delay: float, interval: float | None = None
    ) -> Alarm:
        """Order *envelope* for *delay* seconds from now, and again every *interval*.

        Raises:
          ConfigError: a length that cannot be meant.
        """
        if not 0 <= delay < math.inf:
            raise ConfigError(f"a delay is a number of seconds from 0; got {delay!r}")
        if interval is not None and not 0 < interval < math.inf:
            raise ConfigError(
                f"an interval is a number of seconds above 0; got {interval!r}"
            )
        alarm = Alarm(self, envelope, interval)
        self.arm(alarm, delay)
        return alarm

    def cancel(self, alarm: Alarm) -> None:
        """Let *alarm* not come."""
        self._timers.disarm(alarm)

    def next_due(self) -> float:
        """Return when the next alarm is due; infinite if there is none."""
        return self._timers.next_due()

    def take(self) -> Alarm | None:
        """Take the first alarm that is due, if one is."""
        return self._timers.take_first(trio.current_time())

    def arm(self, alarm: Alarm, delay: float) -> None:
        """Let *alarm* come after *delay* seconds."""
        self._timers.arm(alarm, trio.current_time() + delay)
