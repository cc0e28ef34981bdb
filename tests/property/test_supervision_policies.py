"""The small decisions of supervision, each against a naive model."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from understudy_actors.backoff import restart_delay
from understudy_actors.restart_rule import must_restart
from understudy_actors.restart_window import RestartWindow
from understudy_actors.timers import Timers
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import ExitKind, Restart


@given(
    intensity=st.integers(0, 5),
    period=st.integers(1, 20),
    gaps=st.lists(st.integers(0, 10), max_size=30),
)
def test_the_window_agrees_with_counting_the_whole_history(
    intensity: int, period: int, gaps: list[int]
) -> None:
    window, now, history = RestartWindow(intensity, period), 0, list[int]()
    for gap in gaps:
        now += gap
        history.append(now)
        window = window.after_restart(now)
        recent = [at for at in history if now - at < period]
        assert window.exceeded == (len(recent) > intensity)


@given(
    intensity=st.integers(0, 5),
    period=st.floats(0.1, 20.0),
    gaps=st.lists(st.floats(0.0, 10.0), max_size=30),
)
def test_no_window_holds_more_restarts_than_allowed(
    intensity: int, period: float, gaps: list[float]
) -> None:
    window, now = RestartWindow(intensity, period), 0.0
    granted = list[float]()
    for gap in gaps:
        now += gap
        window = window.after_restart(now)
        if window.exceeded:
            break
        granted.append(now)
    for first in granted:
        inside = [at for at in granted if 0 <= at - first < period]
        assert len(inside) <= intensity


bounds = st.floats(0.001, 100.0)


@given(
    low=bounds,
    spread=st.floats(1.0, 1000.0),
    factor=st.floats(1.0, 10.0),
    jitter=st.floats(0.0, 1.0),
    failures=st.integers(0, 50),
    draw=st.floats(0.0, 1.0, exclude_max=True),
)
def test_a_delay_is_the_formula_within_its_jitter(
    low: float,
    spread: float,
    factor: float,
    jitter: float,
    failures: int,
    draw: float,
) -> None:
    backoff = Backoff(low, low * spread, factor, jitter)
    middle = min(low * spread, low * factor**failures)
    delay = restart_delay(backoff, failures, draw)
    assert math.isclose(delay, middle * (1 - jitter + 2 * jitter * draw), abs_tol=1e-9)


@given(failures=st.integers(0, 10**9), draw=st.floats(0.0, 1.0, exclude_max=True))
def test_a_delay_is_finite_after_any_number_of_failures(
    failures: int, draw: float
) -> None:
    assert restart_delay(Backoff(), failures, draw) <= 36.0


@given(failures=st.integers(0, 10**9), draw=st.floats(0.0, 1.0, exclude_max=True))
def test_no_least_delay_is_no_delay_at_all(failures: int, draw: float) -> None:
    assert restart_delay(Backoff(min_delay=0.0), failures, draw) == 0.0


@given(kind=st.sampled_from(ExitKind), restart=st.sampled_from(Restart))
def test_the_restart_rule_is_its_table(kind: ExitKind, restart: Restart) -> None:
    ends_well = kind in {ExitKind.NORMAL, ExitKind.SHUTDOWN}
    expected = {
        Restart.PERMANENT: True,
        Restart.TRANSIENT: not ends_well,
        Restart.TEMPORARY: False,
    }
    assert must_restart(restart, kind) is expected[restart]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("arm"), st.integers(0, 5), st.integers(0, 20)),
            st.tuples(st.just("disarm"), st.integers(0, 5), st.just(0)),
            st.tuples(st.just("take"), st.just(0), st.integers(0, 20)),
        )
    )
)
def test_timers_agree_with_a_plain_dictionary(
    deeds: list[tuple[str, int, int]],
) -> None:
    timers, model = Timers[int](), dict[int, float]()
    for deed, key, time in deeds:
        if deed == "arm":
            timers.arm(key, time)
            model[key] = time
        elif deed == "disarm":
            timers.disarm(key)
            model.pop(key, None)
        else:
            due = [key for key, at in model.items() if at <= time]
            taken = timers.take_due(time)
            assert sorted(taken) == sorted(due)
            assert [model[key] for key in taken] == sorted(model[key] for key in due)
            model = {key: at for key, at in model.items() if key not in due}
        assert timers.next_due() == min(model.values(), default=math.inf)
