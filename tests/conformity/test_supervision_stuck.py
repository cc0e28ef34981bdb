"""Children that cannot be cut are left behind, and named (S85)."""

from __future__ import annotations

import contextlib

import pytest
import trio
import trio.testing
from tree_probe import SEEDS, Probe, run, supervising

from understudy_actors.supervisor import supervisor_child
from understudy_protocols.supervision import ChildSpec, ExitKind, Life, Start
from understudy_protocols.supervision_records import AdminError, ChildState, LifeState


async def shields(life: Life) -> None:
    life.ready()
    with trio.CancelScope(shield=True):
        await trio.sleep(60.0)


async def swallows(life: Life) -> None:
    life.ready()
    end = trio.current_time() + 60.0
    while trio.current_time() < end:
        with trio.CancelScope(deadline=end, shield=True):
            await trio.sleep(0.7)
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            continue


@pytest.mark.parametrize("code", [shields, swallows])
@pytest.mark.parametrize("seed", SEEDS)
def test_s085_a_child_that_cannot_be_cut_is_reported_and_left_behind(
    code: Start, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A"),
            ChildSpec("B", code, shutdown=2.0),
            probe.child("C"),
        ]
        async with probe.system(children) as system:
            report = await system.stop()
            assert trio.current_time() == 3.0
            assert not report.clean
            (stuck,) = report.stuck
            assert (stuck.path, stuck.incarnation) == ("root/B", 1)
            assert "await trio.sleep" in stuck.stack
        assert trio.current_time() == 60.0
        assert probe.log[2:] == ["stop C", "stop A"]
        states = [e.state for e in probe.events if e.path == "root/B"]
        assert states[:4] == [
            LifeState.STARTING,
            LifeState.READY,
            LifeState.STOPPING,
            LifeState.STUCK,
        ]
        assert "trio.sleep" in next(e for e in probe.events if e.detail).detail
        assert system.stop_report == report

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s085_a_start_that_cannot_be_cut_is_left_behind_too(seed: int) -> None:
    async def hangs(life: Life) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(60.0)
        life.ready()

    async def main() -> None:
        probe = Probe()
        async with probe.system([probe.child("A")]) as system:
            with pytest.raises(Exception, match="over its time"):
                await system.root.start_child(ChildSpec("B", hangs, start_timeout=5.0))
            assert trio.current_time() == 6.0
            assert [child.id for child in system.root.children()] == ["A"]
        assert trio.current_time() == 60.0

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_supervisor_with_a_bounded_shutdown_is_cut_with_all_below(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        slow = probe.child("B", stop_takes=60.0, shutdown=60.0)
        inner = supervising(probe.child("A"), slow, ChildSpec("C", shields))
        async with probe.system([supervisor_child("S", inner, shutdown=2.0)]) as system:
            report = await system.stop()
            assert trio.current_time() == 3.0
            assert [stuck.path for stuck in report.stuck] == ["root/S/C"]
        kinds = [probe.ends(f"root/S/{name}")[0].kind for name in "AB"]
        assert kinds == [ExitKind.KILLED, ExitKind.KILLED]

    run(main, seed)


@pytest.mark.parametrize("seed", range(12))
def test_supervisors_that_are_cut_wait_for_those_below_and_for_no_stuck_child(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        innermost = supervising(ChildSpec("C", shields), probe.child("D"))
        inner = supervising(probe.child("B"), supervisor_child("T", innermost))
        outer = supervisor_child("S", inner, shutdown=2.0)
        async with probe.system([probe.child("A"), outer]) as system:
            await system.stop()
            assert trio.current_time() == 3.0
            assert probe.log[-1] == "stop A"
        for path in ("root/S/T", "root/S", "root/S/B", "root/A"):
            assert len(probe.ends(path)) == 1
        stuck = [e.path for e in probe.events if e.state is LifeState.STUCK]
        assert stuck == ["root/S/T/C"]

    run(main, seed)


@pytest.mark.parametrize("seed", range(12))
def test_a_child_that_ends_in_the_instant_it_counts_as_stuck_ends_once(
    seed: int,
) -> None:
    async def last_moment(life: Life) -> None:
        life.ready()
        with trio.CancelScope(shield=True):
            await trio.sleep_until(3.0)

    async def main() -> None:
        probe = Probe()
        inner = supervising(ChildSpec("B", last_moment), ChildSpec("C", last_moment))
        outer = supervisor_child("S", inner, shutdown=2.0)
        async with probe.system([probe.child("A"), outer]):
            pass
        assert trio.current_time() == 3.0
        for path in ("root/S/B", "root/S/C", "root/S"):
            assert len(probe.ends(path)) == 1

    run(main, seed)


@pytest.mark.parametrize(("grace", "overall"), [(0.0, 0.0), (0.0, 9.0), (9.0, 2.0)])
@pytest.mark.parametrize("seed", range(12))
def test_s085_a_child_counts_as_stuck_only_some_time_after_its_cut(
    seed: int, grace: float, overall: float
) -> None:
    async def main() -> None:
        probe = Probe()
        child = ChildSpec("B", shields, shutdown=grace)
        with trio.move_on_after(1.0):
            # It is cut by its supervisor, by the overall deadline, or by both.
            async with probe.system([child], kill_timeout=1.0, stop_timeout=overall):
                await trio.sleep_forever()
        (stuck,) = [event for event in probe.events if event.detail]
        assert stuck.time == pytest.approx(1.0 + min(grace, overall) + 1.0)

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s085_a_start_over_its_time_that_is_called_off_keeps_its_time_to_end(
    seed: int,
) -> None:
    async def hangs(life: Life) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_until(5.9)

    async def main() -> None:
        probe = Probe()
        async with (
            probe.system([probe.child("A")]) as system,
            trio.open_nursery() as nursery,
        ):
            child = ChildSpec("B", hangs, start_timeout=5.0)
            with trio.move_on_after(5.5):  # half a second after its cut
                await system.root.start_child(child)
            nursery.start_soon(system.stop)
        assert not [event for event in probe.events if event.detail]

    run(main, seed)


def test_s085_a_child_that_has_not_begun_is_not_stuck_however_late_it_is() -> None:
    late = list[float]()

    async def main() -> None:
        probe = Probe()

        async def start() -> None:
            with contextlib.suppress(AdminError):  # it is stopped before it is up
                await system.root.start_child(probe.child("B"))

        async def stop() -> None:
            if system.root.count().specs == 2:
                await system.root.terminate_child("B")

        async def stall() -> None:
            """Stand still, as a program does that is put to sleep."""
            states = [child.state for child in system.root.children()]
            if states[1:] == [ChildState.STOPPING] and "init B" not in probe.log:
                late.append(trio.current_time())
                clock = trio.lowlevel.current_clock()
                assert isinstance(clock, trio.testing.MockClock)
                clock.jump(60.0)

        async with probe.system([probe.child("A")]) as system:
            async with trio.open_nursery() as nursery:
                for task in (start, stop, stall):
                    nursery.start_soon(task)
            assert probe.number("A") == 1
        assert probe.log[-1] == "stop A", "nothing broke the supervisor"
        assert not [event for event in probe.events if event.detail]

    for seed in range(100):
        run(main, seed)
    assert len(late) > 5, "it came to this"
