"""The way down: order, deadlines, what cannot be cut (S78 to S91)."""

from __future__ import annotations

import pytest
import trio
import trio.lowlevel
from tree_probe import SEEDS, Boom, Probe, run, settle, supervising

from understudy_actors.incarnation import Incarnation
from understudy_actors.supervisor import Supervisor, supervisor_child
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
    Refusal,
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
def test_s087_ten_callers_one_stop(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        reports: list[StopReport] = []

        async def ask() -> None:
            reports.append(await system.stop())

        children = [probe.child(name, stop_takes=1.0) for name in "AB"]
        async with probe.system(children) as system, trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(ask)
        assert reports == [StopReport(complete=True)] * 10
        assert probe.log[2:] == ["stop B", "stop A"]
        asked = [e for e in probe.events if e.state is LifeState.STOPPING]
        assert len(asked) == 3

    run(main, seed)


@pytest.mark.parametrize("moment", ["start", "restart", "backoff", "stop"])
@pytest.mark.parametrize("strategy", list(Strategy)[:3])
@pytest.mark.parametrize("seed", SEEDS)
def test_s088_a_stop_in_the_middle_of_anything_ends_everything(
    moment: str, strategy: Strategy, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A", init_takes=2.0 if moment == "restart" else 0.0),
            probe.child("B", stop_takes=2.0 if moment == "stop" else 0.0),
        ]
        spec = supervising(*children, strategy=strategy)
        async with (
            probe.system([supervisor_child("S", spec)]) as system,
            trio.open_nursery() as nursery,
        ):
            inner = system.root.children()[0].value
            assert isinstance(inner, Supervisor)
            if moment == "start":
                nursery.start_soon(_expect_refusal, inner, probe)
            elif moment == "stop":
                nursery.start_soon(inner.terminate_child, "B")
            else:
                probe.crash("A")
            await settle()
            before = len(probe.log)
            await system.stop()
            assert trio.current_time() <= 4.0
            assert not [line for line in probe.log[before:] if "init" in line]

    run(main, seed)


async def _expect_refusal(supervisor: Supervisor, probe: Probe) -> None:
    with pytest.raises(AdminError) as caught:
        await supervisor.start_child(probe.child("C", init_takes=5.0))
    assert caught.value.refusal is Refusal.WITHDRAWN


@pytest.mark.parametrize("target", ["itself", "supervisor", "system"])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_s089_a_child_that_stops_what_holds_it_does_not_wait_for_itself(
    target: str, nested: bool, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        go = trio.Event()

        async def stop() -> None:
            if target == "itself":
                await system.root.terminate_child("A")
            elif target == "supervisor":
                await system.root.stop()
            else:
                report = await system.stop()
                assert not report.complete

        async def child(life: Life) -> None:
            life.ready()
            await go.wait()
            if nested:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(stop)
            else:
                await stop()
            await life.wait_stop()

        async with probe.system([ChildSpec("A", child), probe.child("B")]) as system:
            go.set()
            await settle()
            await trio.lowlevel.checkpoint()
            assert probe.ends("root/A")
            with pytest.raises(AdminError) as caught:
                await system.root.terminate_child("C")
            stopped = target != "itself"
            expected = Refusal.STOPPED if stopped else Refusal.NOT_FOUND
            assert caught.value.refusal is expected
        assert trio.current_time() == 0.0
        assert [end.kind for end in probe.ends("root/A")] == [ExitKind.SHUTDOWN]

    run(main, seed)


def test_s089_nor_does_any_other_task_of_the_systems_nursery() -> None:
    async def main() -> None:
        probe = Probe()
        reports: list[StopReport] = []

        async def stop() -> None:
            reports.append(await system.stop())

        async with probe.system([probe.child("A", stop_takes=1.0)]) as system:
            system.nursery.start_soon(stop)
            await trio.sleep(0.5)
            assert reports == [StopReport(complete=False)]

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
