"""Restart intensity: how many restarts are granted, and to whom (S51 to S61)."""

from __future__ import annotations

import contextlib

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_probe import SEEDS, Boom, Probe, run, settle, supervising

from understudy.testing import seeds
from understudy_actors.supervisor import supervisor_child
from understudy_protocols.errors import (
    RestartIntensityError,
    RuntimeFailed,
    StartFailedError,
)
from understudy_protocols.restart_policy import Backoff, RestartBudget
from understudy_protocols.supervision import ExitKind, Restart, Shutdown, Strategy
from understudy_protocols.supervision_records import (
    ChildState,
    Decision,
    LifeState,
)


@pytest.mark.parametrize("intensity", [0, 1, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_s051_s052_one_restart_more_than_allowed_ends_it(
    intensity: int, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()

        async def scene() -> None:
            async with probe.system(supervising(probe.child("A"), intensity=intensity)):
                for _ in range(intensity):
                    await probe.crash_and_settle("A")
                assert probe.number("A") == intensity + 1
                probe.crash("A")
                await trio.sleep_forever()

        with pytest.raises(RuntimeFailed):
            await scene()
        assert probe.number("A") == intensity + 1
        counts = [end.restarts for end in probe.ends("root/A")]
        assert counts == list(range(1, intensity + 2))

    run(main, seed)


@pytest.mark.parametrize("strategy", list(Strategy)[:3])
def test_s052_with_intensity_zero_the_first_failure_ends_it(strategy: Strategy) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child("A"), probe.child("B")]

        async def scene() -> None:
            async with probe.system(
                supervising(*children, strategy=strategy, intensity=0)
            ):
                probe.crash("A")
                await trio.sleep_forever()

        with pytest.raises(RuntimeFailed, match="root/A was restarted more than 0"):
            await scene()
        assert probe.log == ["init A", "init B", "end A", "stop B"]

    run(main)


@pytest.mark.parametrize(("gap", "lasts"), [(0.999, False), (1.0, True), (1.5, True)])
def test_s053_a_restart_counts_for_less_than_one_period(
    gap: float, lasts: bool
) -> None:
    async def main() -> None:
        probe = Probe()
        crashes = 0

        async def scene() -> None:
            nonlocal crashes
            spec = supervising(probe.child("A"), intensity=1, period=1.0)
            async with probe.system(spec):
                for _ in range(20):
                    await trio.sleep(gap)
                    crashes += 1
                    await probe.crash_and_settle("A")

        if lasts:
            await scene()
        else:
            with pytest.raises(RuntimeFailed):
                await scene()
        assert crashes == (20 if lasts else 2)

    run(main)


def test_s054_the_budget_is_shared_by_all_children() -> None:
    async def main() -> None:
        probe = Probe()

        async def scene() -> None:
            children = [probe.child("A"), probe.child("B")]
            async with probe.system(supervising(*children, intensity=1)):
                await probe.crash_and_settle("A")
                probe.crash("B")
                await trio.sleep_forever()

        with pytest.raises(RuntimeFailed, match="root/B was restarted"):
            await scene()

    run(main)


@pytest.mark.parametrize("escalates", [False, True])
def test_s055_a_childs_own_budget_stops_that_child_or_escalates(
    escalates: bool,
) -> None:
    async def main() -> None:
        probe = Probe()
        failure: RuntimeFailed | None = None
        a = probe.child("A", budget=RestartBudget(1, 5.0), escalates=escalates)
        try:
            async with probe.system(supervising(a, probe.child("B"))) as system:
                await probe.crash_and_settle("A")
                await probe.crash_and_settle("A")
                await trio.lowlevel.checkpoint()
                states = [child.state for child in system.root.children()]
                assert states == [ChildState.STOPPED, ChildState.RUNNING]
                await system.root.restart_child("A")
        except RuntimeFailed as error:
            failure = error
        assert (failure is not None) is escalates
        if failure is not None:
            assert failure.causes == (probe.ends("root/A")[-1].cause,)
        decisions = [end.decision for end in probe.ends("root/A")[:2]]
        last = Decision.GIVE_UP if escalates else Decision.KEEP
        assert decisions == [Decision.RESTART, last]

    run(main)


@pytest.mark.parametrize("strategy", list(Strategy)[:3])
def test_s055_a_childs_own_budget_is_a_window_of_its_own(strategy: Strategy) -> None:
    async def main() -> None:
        probe = Probe()
        a = probe.child("A", budget=RestartBudget(1, 5.0))
        spec = supervising(a, probe.child("B"), strategy=strategy, intensity=9)
        async with probe.system(spec) as system:
            # What others do does not count, nor what is one period old.
            for at, name in [(0.0, "A"), (1.0, "B"), (2.0, "B"), (5.0, "A")]:
                await trio.sleep_until(at)
                await probe.crash_and_settle(name)
            states = [child.state for child in system.root.children()]
            assert states == [ChildState.RUNNING] * 2
            b_before = probe.number("B")
            await trio.sleep_until(9.0)
            await probe.crash_and_settle("A")
            states = [child.state for child in system.root.children()]
            assert states == [ChildState.STOPPED, ChildState.RUNNING]
            assert probe.number("B") == b_before, "nobody shares that fate"

    run(main)


@pytest.mark.parametrize("strategy", list(Strategy)[:3])
@pytest.mark.parametrize("seed", SEEDS)
def test_s056_failed_starts_spend_budget(strategy: Strategy, seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        probe.init_faults["A"] = [None, *(Boom() for _ in range(10))]

        async def scene() -> None:
            spec = supervising(probe.child("A"), strategy=strategy, intensity=5)
            async with probe.system(spec):
                probe.crash("A")
                await trio.sleep_forever()

        with pytest.raises(RuntimeFailed):
            await scene()
        assert probe.log.count("init A") == 6

    run(main, seed)


def test_s057_what_is_done_by_hand_spends_no_budget() -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system(supervising(probe.child("A"), intensity=0)) as system:
            for _ in range(3):
                await system.root.terminate_child("A")
                await system.root.restart_child("A")
            await system.root.terminate_child("A")
            probe.init_faults["A"] = [Boom(), None, Boom()]
            with pytest.raises(StartFailedError):
                await system.root.restart_child("A")
            await system.root.restart_child("A")
            await system.root.terminate_child("A")
            await system.root.delete_child("A")
            with pytest.raises(StartFailedError):
                await system.root.start_child(probe.child("A"))
            await system.root.start_child(probe.child("A"))
        assert not [event for event in probe.events if event.restarts]

    run(main)


@pytest.mark.parametrize(
    ("restart", "error"),
    [
        (Restart.TRANSIENT, None),
        (Restart.TRANSIENT, Shutdown()),
        (Restart.TEMPORARY, None),
        (Restart.TEMPORARY, Shutdown()),
        (Restart.TEMPORARY, Boom()),
    ],
)
def test_s058_ends_that_are_not_restarted_spend_no_budget(
    restart: Restart, error: Exception | None
) -> None:
    async def main() -> None:
        probe = Probe()
        child = probe.child("A", restart=restart)
        async with probe.system(supervising(child, intensity=0)):
            if error is None:
                probe.finish("A")
            else:
                probe.crash("A", error)
            await settle()
            assert probe.number("A") == 1
            assert [end.restarts for end in probe.ends("root/A")] == [0]

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s059_giving_up_stops_the_rest_and_carries_the_causes(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        first, second, third = Boom("1"), Boom("2"), Boom("3")
        inner = supervising(*(probe.child(name) for name in "BCD"), intensity=1)
        below = supervisor_child("S", inner, restart=Restart.TEMPORARY)
        async with probe.system([probe.child("A"), below]):
            probe.crash("C", first)
            await trio.sleep(10.0)
            probe.crash("C", second)
            await settle()
            before = len(probe.log)
            probe.crash("C", third)
            await settle()
            assert probe.log[before:] == ["end C", "stop D", "stop B"]
        (end,) = probe.ends("root/S")
        assert end.kind is ExitKind.GAVE_UP
        assert isinstance(end.cause, RestartIntensityError)
        assert end.cause.causes == (second, third)
        assert end.cause.__cause__ is third
        assert end.cause.child == "root/S/C"
        assert LifeState.GAVE_UP in [e.state for e in probe.events]

    run(main, seed)


@settings(max_examples=100, deadline=None)
@given(
    intensity=st.integers(0, 4),
    period=st.floats(0.5, 10.0),
    crashes=st.lists(
        st.tuples(st.floats(0.0, 4.0), st.sampled_from("AB")), max_size=25
    ),
    seed=seeds(),
)
def test_s060_no_window_of_one_period_holds_more_restarts_than_the_intensity(
    intensity: int, period: float, crashes: list[tuple[float, str]], seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child("A"), probe.child("B")]
        spec = supervising(*children, intensity=intensity, period=period)
        with contextlib.suppress(RuntimeFailed):
            async with probe.system(spec):
                for gap, name in crashes:
                    await trio.sleep(gap)
                    await probe.crash_and_settle(name)
        granted = [e.time for e in probe.events if e.decision is Decision.RESTART]
        for first in granted:
            inside = [at for at in granted if 0 <= at - first < period]
            assert len(inside) <= intensity
        # And it was not given up too early.
        for event in probe.events:
            if event.decision is Decision.GIVE_UP:
                recent = [at for at in granted if event.time - at < period]
                assert len(recent) == intensity

    run(main, seed)


@pytest.mark.parametrize(
    ("jump", "lasts"), [(4.999, False), (5.0, True), (50_000.0, True)]
)
def test_s061_a_leap_of_the_clock_changes_nothing_but_the_time(
    jump: float, lasts: bool
) -> None:
    async def main() -> None:
        probe = Probe()
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)

        async def scene() -> None:
            async with probe.system(supervising(probe.child("A"), intensity=2)):
                for _ in range(2):
                    await probe.crash_and_settle("A")
                clock.jump(jump)
                await probe.crash_and_settle("A")
                await trio.lowlevel.checkpoint()
                counts = [end.restarts for end in probe.ends("root/A")]
                assert counts == [1, 2, 1]

        if lasts:
            await scene()
        else:
            with pytest.raises(RuntimeFailed):
                await scene()
        assert probe.number("A") == (4 if lasts else 3)

    run(main)


@pytest.mark.parametrize("strategy", list(Strategy)[:3])
def test_s061_a_leap_over_a_backoff_starts_the_child_once(strategy: Strategy) -> None:
    async def main() -> None:
        probe = Probe()
        backoff = Backoff(1.0, 1.0, jitter=0.0)
        children = [probe.child("A"), probe.child("B")]
        spec = supervising(*children, strategy=strategy, backoff=backoff)
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        async with probe.system(spec):
            await probe.crash_and_settle("A")
            clock.jump(50_000.0)
            await settle()
            assert probe.number("A") == 2
            await trio.sleep(1e3)
            assert probe.number("A") == 2
            assert [end.restarts for end in probe.ends("root/A")] == [1]

    run(main)


def test_s061_a_long_idle_time_forgets_all_restarts() -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system(supervising(probe.child("A"), intensity=2)):
            for _ in range(5):
                await probe.crash_and_settle("A")
                await probe.crash_and_settle("A")
                await trio.sleep(80_000.0 / 5)
            assert probe.number("A") == 11

    run(main)
