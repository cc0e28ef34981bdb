"""Restart intensity and backoff (S51 to S66)."""

from __future__ import annotations

import pytest
import trio
from tree_probe import SEEDS, Boom, Probe, run, settle, supervising

from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_protocols.errors import RestartIntensityError, RuntimeFailed
from understudy_protocols.restart_policy import Backoff, RestartBudget
from understudy_protocols.supervision import ExitKind, Restart, Strategy
from understudy_protocols.supervision_records import (
    AdminError,
    ChildState,
    Decision,
    LifeState,
    Refusal,
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
            await system.root.delete_child("A")
            await system.root.start_child(probe.child("A"))

    run(main)


@pytest.mark.parametrize(
    ("restart", "crash"),
    [
        (Restart.TRANSIENT, False),
        (Restart.TEMPORARY, False),
        (Restart.TEMPORARY, True),
    ],
)
def test_s058_ends_that_are_not_restarted_spend_no_budget(
    restart: Restart, crash: bool
) -> None:
    async def main() -> None:
        probe = Probe()
        child = probe.child("A", restart=restart)
        async with probe.system(supervising(child, intensity=0)):
            (probe.crash if crash else probe.finish)("A")
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


GROWING = Backoff(min_delay=1.0, max_delay=5.0, factor=2.0, jitter=0.0, reset_after=9.0)


def test_s062_the_wait_grows_up_to_its_maximum() -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(probe.child("A"), backoff=GROWING, intensity=9)
        waits = list[float]()
        async with probe.system(spec):
            for number in range(1, 6):
                probe.crash("A")
                await settle()
                due = probe.events[-1].due
                assert due is not None
                waits.append(due - trio.current_time())
                await trio.sleep_until(due)
                await settle()
                assert probe.number("A") == number + 1
        assert waits == [1.0, 2.0, 4.0, 5.0, 5.0]

    run(main)


@pytest.mark.parametrize(("lived", "wait"), [(8.75, 2.0), (9.0, 1.0)])
def test_s063_the_wait_starts_again_after_a_time_without_failure(
    lived: float, wait: float
) -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(probe.child("A", backoff=GROWING))
        async with probe.system(spec):
            probe.crash("A")
            await trio.sleep(1.0)
            await settle()
            assert probe.number("A") == 2
            await trio.sleep(lived)
            probe.crash("A")
            await settle()
            event = probe.events[-1]
            assert event.state is LifeState.BACKING_OFF
            assert event.due == trio.current_time() + wait

    run(main)


def test_s064_s065_a_child_that_backs_off_is_listed_and_delays_nothing() -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(probe.child("A"), probe.child("B"), backoff=GROWING)
        async with probe.system(spec) as system:
            probe.crash("A")
            await settle()
            (status, _) = system.root.children()
            assert status.state is ChildState.RESTARTING
            assert status.due == 1.0
            assert status.value is None
            assert system.root.count().specs == 2
            assert system.root.count().active == 1
            await system.root.start_child(probe.child("C"))
            for call in (system.root.restart_child, system.root.delete_child):
                with pytest.raises(AdminError) as caught:
                    await call("A")
                assert caught.value.refusal is Refusal.RESTARTING
            with pytest.raises(AdminError) as caught:
                await system.root.start_child(probe.child("A"))
            assert caught.value.refusal is Refusal.ALREADY_PRESENT
            await system.stop()
            assert trio.current_time() == 0.0
        assert probe.log.count("init A") == 1

    run(main)


@pytest.mark.parametrize("strategy", list(Strategy)[:3])
def test_s066_terminating_a_child_that_backs_off_takes_the_restart_back(
    strategy: Strategy,
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child("A"), probe.child("B")]
        spec = supervising(*children, strategy=strategy, backoff=GROWING)
        async with probe.system(spec) as system:
            probe.crash("B")
            await settle()
            await system.root.terminate_child("B")
            await trio.sleep(10.0)
            assert probe.log.count("init B") == 1
            assert system.root.children()[1].state is ChildState.STOPPED
            assert system.root.children()[0].state is ChildState.RUNNING

    run(main)


def test_s069_a_group_restart_that_overtakes_a_backoff_starts_each_child_once() -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name) for name in "ABC"]
        spec = supervising(*children, strategy=Strategy.REST_FOR_ONE, backoff=GROWING)
        async with probe.system(spec):
            probe.crash("B")
            await trio.sleep(0.5)
            probe.crash("A")
            await trio.sleep(20.0)
            assert probe.log.count("init B") == 2
            assert probe.log.count("init C") == 2
            assert probe.log[-3:] == ["init A", "init B", "init C"]

    run(main)


def test_a_default_supervisor_waits_a_little_before_each_restart() -> None:
    async def main() -> float:
        probe = Probe()
        spec = supervising(probe.child("A"), backoff=Backoff())
        async with probe.system([supervisor_child("S", spec)]) as system:
            supervisor = system.root.children()[0].value
            assert isinstance(supervisor, Supervisor)
            probe.crash("A")
            await settle()
            due = supervisor.children()[0].due
            assert due is not None
            return due

    assert 0.08 <= run(main) <= 0.12
