"""The wait before a restart: how long it is, and what can be done meanwhile (S62 to S69)."""

from __future__ import annotations

from random import Random

import pytest
import trio
from tree_probe import Probe, run, settle, supervising

from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import Strategy
from understudy_protocols.supervision_records import (
    AdminError,
    ChildState,
    LifeState,
    Refusal,
    SupervisionEvent,
)

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


def test_s062_jitter_keeps_its_bounds_and_a_seed_gives_it_again() -> None:
    async def waits(seed: int) -> list[float]:
        backoff = Backoff(min_delay=1.0, max_delay=5.0, factor=2.0, jitter=0.25)
        events = list[SupervisionEvent]()
        crashing = Probe().child("A", always_crashes=True)
        spec = supervising(crashing, backoff=backoff, intensity=1000)
        async with ActorSystem(spec, random=Random(seed), on_event=events.append):
            await trio.sleep(1000.0)
        return [event.due - event.time for event in events if event.due is not None]

    async def main() -> None:
        one, again, other = await waits(1), await waits(1), await waits(2)
        assert one == pytest.approx(again)
        assert one[:5] != pytest.approx(other[:5])
        for index, wait in enumerate(one):
            middle = min(5.0, 2.0**index)
            assert 0.75 * middle - 1e-9 <= wait <= 1.25 * middle + 1e-9
        # They use the room that they are given.
        late = [wait / 5.0 for wait in one[5:]]
        assert min(late) < 0.8
        assert max(late) > 1.2

    run(main)


def test_s063_the_default_is_half_a_minute() -> None:
    assert Backoff().reset_after == 30.0


@pytest.mark.parametrize(("lived", "wait"), [(8.75, 2.0), (8.999, 2.0), (9.0, 1.0)])
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


LONG = Backoff(min_delay=100.0, max_delay=100.0, jitter=0.0)


@pytest.mark.parametrize(
    ("strategy", "needed"),
    [
        (Strategy.ONE_FOR_ONE, 3.0),
        (Strategy.REST_FOR_ONE, 2.0),
        (Strategy.ONE_FOR_ALL, 0.0),
    ],
)
def test_s065_a_stop_during_a_backoff_takes_what_the_siblings_need(
    strategy: Strategy, needed: float
) -> None:
    """Those that share the child's fate have stopped before the wait."""

    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A", stop_takes=2.0),
            probe.child("B"),
            probe.child("C", stop_takes=1.0),
        ]
        spec = supervising(*children, strategy=strategy, backoff=LONG)
        async with probe.system(spec) as system:
            probe.crash("B")
            await trio.sleep(5.0)
            assert system.root.children()[1].state is ChildState.RESTARTING
            assert system.root.tree().children[1].due == 100.0
            assert system.root.count().specs == 3
            await system.stop()
            assert trio.current_time() == 5.0 + needed
        await trio.sleep(1000.0)
        assert probe.log.count("init B") == 1

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
