"""The way down: order, deadlines, what cannot be cut (S78 to S91)."""

from __future__ import annotations

import pytest
import trio
import trio.lowlevel
from tree_probe import SEEDS, Boom, Probe, run, settle, supervising

from understudy_actors.incarnation import Incarnation
from understudy_actors.supervisor import supervisor_child
from understudy_protocols.errors import RuntimeFailed
from understudy_protocols.supervision import (
    ChildSpec,
    ExitKind,
    Kill,
    Life,
    Restart,
    Strategy,
)
from understudy_protocols.supervision_records import (
    AdminError,
    LifeState,
    StopReport,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_s078_a_static_supervisor_stops_one_after_the_other(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name, stop_takes=2.0) for name in "ABC"]
        async with probe.system(children):
            pass
        assert trio.current_time() == 6.0
        assert probe.log[3:] == ["stop C", "stop B", "stop A"]
        asked = [e.time for e in probe.events if e.state is LifeState.STOPPING]
        assert asked == [0.0, 0.0, 2.0, 4.0]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s079_a_dynamic_supervisor_stops_all_at_once(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        template = probe.child("T")
        spec = supervising(template, strategy=Strategy.DYNAMIC)
        async with probe.system(spec) as system:
            for number in range(5):
                name = f"c{number}"
                made = probe.child(name, stop_takes=float(number))
                await system.root.start_child(template.named(name, made.start))
        assert trio.current_time() == 4.0
        asked = [e.time for e in probe.events if e.state is LifeState.STOPPING]
        assert asked == [0.0] * 6

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s079_s080_the_time_of_a_dynamic_supervisors_children_is_one_and_the_same(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        template = probe.child("T", shutdown=3.0)
        spec = supervising(template, strategy=Strategy.DYNAMIC)
        takes = {"a": 2.5, "b": 60.0, "c": 60.0, "d": 3.5, "e": 0.0}
        async with probe.system(spec) as system:
            for name, seconds in takes.items():
                made = probe.child(name, stop_takes=seconds)
                await system.root.start_child(template.named(name, made.start))
        assert trio.current_time() == 3.0
        ends = {name: probe.ends(f"root/{name}")[0] for name in takes}
        assert {name: end.time for name, end in ends.items()} == {
            name: min(seconds, 3.0) for name, seconds in takes.items()
        }
        killed = [name for name, end in ends.items() if end.kind is ExitKind.KILLED]
        assert killed == ["b", "c", "d"]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s080_a_child_over_its_time_is_cut_and_its_siblings_keep_theirs(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A", stop_takes=2.5, shutdown=3.0),
            probe.child("B", stop_takes=60.0, shutdown=3.0),
            probe.child("C", stop_takes=2.5, shutdown=3.0),
        ]
        async with probe.system(children):
            pass
        assert trio.current_time() == 8.0
        assert probe.log[3:] == ["stop C", "stop A"]
        kinds = [probe.ends(f"root/{name}")[0].kind for name in "ABC"]
        assert kinds == [ExitKind.SHUTDOWN, ExitKind.KILLED, ExitKind.SHUTDOWN]

    run(main, seed)


@pytest.mark.parametrize("seed", range(20))
def test_s080_a_child_has_its_time_from_the_instant_it_is_ready(seed: int) -> None:
    probe = Probe()

    async def main() -> None:
        children = [probe.child("A"), probe.child("B", stop_takes=2.0)]
        async with probe.system(supervising(*children, intensity=2)):
            # A's third failure and B's new readiness come in at one instant.
            probe.init_faults["A"] = [Boom()]
            probe.crash("A")
            probe.crash("B")
            await trio.sleep_forever()

    with pytest.raises(RuntimeFailed):
        run(main, seed)
    assert probe.log[-1] == "stop B"
    assert probe.events[-1].time == 2.0


@pytest.mark.parametrize("seed", SEEDS)
def test_s081_the_clean_up_of_a_child_killed_at_once_cannot_wait(seed: int) -> None:
    log: list[str] = []

    async def main() -> None:
        async def child(life: Life) -> None:
            life.ready()
            try:
                await life.wait_stop()
                log.append("asked")
            finally:
                log.append("finally")
                await trio.sleep(1.0)
                log.append("waited")

        spec = ChildSpec("A", child, shutdown=Kill.AT_ONCE)
        async with Probe().system([spec]):
            pass
        assert log == ["finally"]
        assert trio.current_time() == 0.0

    run(main, seed)
    log.clear()


def _outside_deadline() -> trio.CancelScope:
    return trio.move_on_at(10.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_s086_cancellation_from_outside_is_the_same_ordered_stop(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A", stop_takes=0.5),
            probe.child("B", stop_takes=5.0, shutdown=1.0),
            probe.child("C", stop_takes=0.5),
        ]
        with _outside_deadline() as scope:
            async with probe.system(children):
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert trio.current_time() == 12.0
        assert probe.log[3:] == ["stop C", "stop A"]

    run(main, seed)


@pytest.mark.parametrize("what", ["a task", "a nursery", "a failing sibling"])
@pytest.mark.parametrize("seed", SEEDS)
def test_s086_so_is_a_cancellation_by_the_host(what: str, seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name, stop_takes=0.5) for name in "AB"]
        scope = trio.CancelScope()

        async def host() -> None:
            with scope:
                async with probe.system(children):
                    await trio.sleep_forever()

        async def end_it(nursery: trio.Nursery) -> None:
            await trio.sleep(1.0)
            if what == "a failing sibling":
                raise Boom("sibling")
            (scope if what == "a task" else nursery.cancel_scope).cancel()

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(host)
                nursery.start_soon(end_it, nursery)
        except* Boom:
            assert what == "a failing sibling"
        assert scope.cancelled_caught is (what == "a task")
        assert trio.current_time() == 2.0
        assert probe.log[2:] == ["stop B", "stop A"]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s086_it_has_one_overall_deadline(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        below = supervising(probe.child("C", stop_takes=60.0, shutdown=60.0))
        children = [
            probe.child("A"),
            probe.child("B", stop_takes=60.0, shutdown=60.0),
            supervisor_child("S", below),
        ]
        with _outside_deadline() as scope:
            async with probe.system(children, stop_timeout=3.0):
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert trio.current_time() == 13.0
        for path in ("root/S/C", "root/S", "root/B", "root/A"):
            assert len(probe.ends(path)) == 1
        assert "stop A" not in probe.log

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s086_a_cancellation_that_comes_during_a_clean_stop_bounds_it(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        patient = probe.child("A", stop_takes=60.0, shutdown=60.0)
        with _outside_deadline() as scope:
            async with probe.system([patient], stop_timeout=3.0):
                pass
        assert scope.cancelled_caught
        assert trio.current_time() == 13.0

    run(main, seed)


def test_s086_an_interrupt_of_the_body_is_an_ordered_stop() -> None:
    async def main() -> None:
        probe = Probe()
        interrupt = KeyboardInterrupt()

        async def scene() -> None:
            async with probe.system([probe.child(name) for name in "ABC"]):
                raise interrupt

        with pytest.raises(KeyboardInterrupt) as caught:
            await scene()
        assert caught.value is interrupt
        assert probe.log[3:] == ["stop C", "stop B", "stop A"]

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s090_nothing_is_left_when_the_block_is_left(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        await settle()
        before = trio.lowlevel.current_statistics()
        inner = supervising(probe.child("B"), probe.child("C"))
        children = [probe.child("A"), supervisor_child("S", inner)]
        async with probe.system(children) as system:
            probe.crash("B")
            await settle()
        await settle()
        after = trio.lowlevel.current_statistics()
        assert after.tasks_living == before.tasks_living
        assert after.seconds_to_next_deadline == before.seconds_to_next_deadline
        assert not system.lives
        assert not system.tasks
        with pytest.raises(AdminError):
            await system.root.start_child(probe.child("D"))

    run(main, seed)


def test_s091_what_is_left_undone_is_in_the_report() -> None:
    async def leaves_work(life: Life) -> None:
        assert isinstance(life, Incarnation)
        life.ready()
        await life.wait_stop()
        life.system.left_undone(in_flight=1, queued=3)

    async def main() -> None:
        async with Probe().system([ChildSpec("A", leaves_work)]) as system:
            pass
        report = system.stop_report
        assert report == StopReport(complete=True, in_flight=1, queued=3)
        assert report is not None
        assert not report.clean

    run(main)


def test_a_stop_callback_that_raises_is_reported_and_stops_nothing() -> None:
    boom = Boom()

    async def child(life: Life) -> None:
        def fail() -> None:
            raise boom

        life.on_stop(fail)
        life.ready()
        await life.wait_stop()
        late: list[str] = []
        life.on_stop(lambda: late.append("at once"))
        assert late == ["at once"]
        await life.wait_stop()

    async def main() -> None:
        probe = Probe()
        async with probe.system([ChildSpec("A", child)]):
            pass
        (report,) = [e for e in probe.events if e.cause is boom]
        assert report.state is LifeState.STOPPING
        assert [end.kind for end in probe.ends("root/A")] == [ExitKind.SHUTDOWN]

    run(main)


def test_any_number_of_tasks_of_a_child_may_wait_for_its_stop() -> None:
    async def child(life: Life) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(life.wait_stop)
            await settle()
            life.ready()

    async def main() -> None:
        probe = Probe()
        async with probe.system([ChildSpec("A", child)]):
            pass
        assert [end.kind for end in probe.ends("root/A")] == [ExitKind.SHUTDOWN]

    run(main)


@pytest.mark.parametrize("seed", range(12))
def test_a_stop_callback_is_not_called_when_the_child_has_ended(seed: int) -> None:
    async def main() -> None:
        calls: list[str] = []
        ended = False

        def note() -> None:
            calls.append("late" if ended else "in time")

        async def child(life: Life) -> None:
            nonlocal ended
            life.on_stop(note)
            life.ready()
            await trio.sleep(1.0)
            ended = True

        once = ChildSpec("A", child, restart=Restart.TEMPORARY)
        async with Probe().system([once]):
            await trio.sleep(1.0)
        assert "late" not in calls

    run(main, seed)


def test_what_the_body_raises_carries_no_note_when_children_had_to_be_cut() -> None:
    async def main() -> None:
        boom = Boom("body")
        patient = Probe().child("A", stop_takes=60.0, shutdown=60.0)

        async def scene() -> None:
            async with Probe().system([patient], stop_timeout=1.0):
                raise boom

        with pytest.raises(Boom) as caught:
            await scene()
        assert caught.value is boom
        assert not hasattr(boom, "__notes__")
        assert trio.current_time() == 1.0

    run(main)
