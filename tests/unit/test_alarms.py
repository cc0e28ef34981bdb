"""The alarms of one life: which are refused, and which come again."""

from __future__ import annotations

import contextvars
import math

import pytest
import trio

from understudy.testing import run_seeded
from understudy_actors.alarms import Alarms
from understudy_actors.envelope import Envelope
from understudy_protocols.errors import ConfigError

ENVELOPE = Envelope("alarm", contextvars.Context())


def test_an_alarm_without_delay_is_due_at_once() -> None:
    async def main() -> None:
        alarms = Alarms()
        alarm = alarms.add(ENVELOPE, 0.0)
        assert alarms.next_due() == trio.current_time()
        assert alarms.take() is alarm

    run_seeded(main, seed=0)


def test_an_alarm_called_off_while_it_is_handled_does_not_come_again() -> None:
    async def main() -> None:
        alarms = Alarms()
        alarm = alarms.add(ENVELOPE, 0.0, 1.0)
        assert alarms.take() is alarm
        alarm.cancel()
        alarm.handled()
        assert alarms.next_due() == math.inf

    run_seeded(main, seed=0)


@pytest.mark.parametrize("interval", [0.0, -1.0, math.inf, math.nan])
def test_an_interval_that_cannot_be_meant_is_refused(interval: float) -> None:
    async def main() -> None:
        alarms = Alarms()
        with pytest.raises(ConfigError, match=r"an interval .* above 0; got"):
            alarms.add(ENVELOPE, 0.0, interval)
        assert alarms.next_due() == math.inf

    run_seeded(main, seed=0)
