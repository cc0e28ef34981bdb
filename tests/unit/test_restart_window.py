"""The window that says which restarts still count."""

from __future__ import annotations

import pytest

from understudy_actors.restart_window import RestartWindow


def after(window: RestartWindow, *times: float) -> RestartWindow:
    for time in times:
        window = window.after_restart(time)
    return window


def test_as_many_restarts_as_allowed_do_not_exceed_it() -> None:
    assert not after(RestartWindow(2, 5.0), 0.0, 1.0).exceeded


def test_one_restart_more_exceeds_it() -> None:
    assert after(RestartWindow(2, 5.0), 0.0, 1.0, 2.0).exceeded


def test_with_intensity_zero_the_first_restart_exceeds_it() -> None:
    assert after(RestartWindow(0, 5.0), 0.0).exceeded


@pytest.mark.parametrize(("gap", "exceeded"), [(0.999, True), (1.0, False)])
def test_a_restart_one_period_old_does_not_count(gap: float, exceeded: bool) -> None:
    assert after(RestartWindow(1, 1.0), 5.0, 5.0 + gap).exceeded is exceeded


def test_stale_restarts_are_not_kept() -> None:
    assert after(RestartWindow(9, 1.0), 0.0, 1.0, 1.5).restarts == (1.0, 1.5)


def test_time_that_runs_backwards_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError, match="backwards"):
        after(RestartWindow(9, 1.0), 1.0, 0.5)
