"""What the journals of all runs of a runtime share: writer, keys and clocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import attrs

from understudy.journal.recorder import Recorder
from understudy.journal.sealing import Keys

MICROS = 1_000_000


def micros_of(moment: datetime) -> int:
    """Return a moment on the calendar in microseconds since 1970."""
    return round(moment.timestamp() * MICROS)


@attrs.frozen
class Book:
    """What the journals of all runs of a runtime share.

    Args:
      recorder: writes.
      keys: encrypt what is sensitive.
      now: the runtime's clock; seconds.
      utcnow: the wall clock.
    """

    recorder: Recorder
    keys: Keys
    now: Callable[[], float]
    utcnow: Callable[[], datetime]

    def moment(self) -> int:
        """Return the time of day; microseconds since 1970."""
        return micros_of(self.utcnow())
