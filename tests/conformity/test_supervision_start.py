"""Starting: order, failure, hanging, being cancelled (S14 to S26)."""

from __future__ import annotations

import pytest
import trio
from tree_probe import SEEDS, Boom, Probe, run, settle, supervising

from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_protocols.errors import SetupError, StartFailedError
from understudy_protocols.supervision import (
    ChildSpec,
    ExitKind,
    Life,
    Restart,
    Shutdown,
    Strategy,
)
from understudy_protocols.supervision_records import (
    AdminError,
    ChildCount,
    ChildState,
    LifeState,
    Refusal,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_s014_an_init_begins_only_when_the_one_before_is_ready(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name, init_takes=1.0) for name in "ABC"]
        async with probe.system(children):
            assert trio.current_time() == pytest.approx(3.0)
        states = [(e.path, e.state) for e in probe.events if e.path != "root"]
        assert states[:6] == [
            (f"root/{name}", state)
            for name in "ABC"
            for state in (LifeState.STARTING, LifeState.READY)
        ]

    run(main, seed)


def test_s015_entering_returns_when_the_last_child_is_ready() -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system([probe.child("A"), probe.child("B", init_takes=2.0)]):
            assert probe.lives["B"].number == 1
            assert probe.events[-1].path == "root"
            assert probe.events[-1].state is LifeState.READY

    run(main)


def test_s015_starting_a_supervisor_by_hand_returns_when_its_last_child_is_ready() -> (
    None
):
    async def main() -> None:
        probe = Probe()
        spec = supervising(probe.child("A"), probe.child("B", init_takes=2.0))
        async with probe.system([]) as system:
            handle = await system.root.start_child(supervisor_child("S", spec))
            assert trio.current_time() == 2.0
            assert isinstance(handle, Supervisor)
            states = [child.state for child in handle.children()]
            assert states == [ChildState.RUNNING] * 2

    run(main)


@pytest.mark.parametrize("strategy", list(Strategy)[:3])
@pytest.mark.parametrize("seed", SEEDS)
def test_s016_a_failed_first_start_is_undone_in_reverse_and_not_retried(
    seed: int, strategy: Strategy
) -> None:
    async def main() -> None:
        probe = Probe()
        boom = Boom("C")
        probe.init_faults["C"] = [boom]
        spec = supervising(*(probe.child(name) for name in "ABCD"), strategy=strategy)
        with pytest.raises(StartFailedError) as caught:
            async with probe.system(spec):
                pytest.fail("the body must not run")
        assert probe.log == ["init A", "init B", "init C", "stop B", "stop A"]
        assert caught.value.child == "root/C"
        assert caught.value.__cause__ is boom

    run(main, seed)


def test_s016_a_failed_start_below_names_the_child_that_failed() -> None:
    async def main() -> None:
        probe = Probe()
        boom = Boom("C")
        probe.init_faults["C"] = [boom]
        below = supervisor_child("S", supervising(probe.child("B"), probe.child("C")))
        with pytest.raises(StartFailedError) as caught:
            async with probe.system([probe.child("A"), below]):
                pytest.fail("the body must not run")
        assert probe.log == ["init A", "init B", "init C", "stop B", "stop A"]
        assert caught.value.child == "root/S/C"
        assert caught.value.__cause__ is boom

    run(main)


async def decline(life: Life) -> None:
    raise Shutdown


def test_s017_a_child_that_declines_keeps_its_spec_without_an_instance() -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system([ChildSpec("A", decline), probe.child("B")]) as system:
            assert system.root.count() == ChildCount(2, 1, 0, 2)
            assert await system.root.restart_child("A") is None
            assert await system.root.start_child(ChildSpec("C", decline)) is None
            assert system.root.count() == ChildCount(3, 1, 0, 3)

    run(main)


@pytest.mark.parametrize("restart", list(Restart))
def test_s018_a_temporary_or_dynamic_child_that_declines_leaves_nothing(
    restart: Restart,
) -> None:
    async def main() -> None:
        probe = Probe()
        temporary = ChildSpec("A", decline, restart=Restart.TEMPORARY)
        template = ChildSpec("T", decline, restart=restart)
        dynamic = supervising(template, strategy=Strategy.DYNAMIC)
        async with probe.system([temporary, supervisor_child("D", dynamic)]) as system:
            (child,) = system.root.children()
            supervisor = child.value
            assert isinstance(supervisor, Supervisor)
            assert await supervisor.start_child(template.named("x")) is None
            assert supervisor.children() == ()
            report = await system.stop()
            assert report.clean
        assert [end.kind for end in probe.ends("root")] == [ExitKind.SHUTDOWN]

    run(main)


def test_s019_a_start_over_its_time_fails_with_kind_timeout() -> None:
    async def main() -> None:
        probe = Probe()
        slow = probe.child("B", init_takes=60.0)
        with pytest.raises(StartFailedError, match="over its time"):
            async with probe.system([probe.child("A"), slow]):
                pytest.fail("the body must not run")
        assert trio.current_time() == pytest.approx(30.0)
        assert probe.log == ["init A", "init B", "stop A"]
        assert [end.kind for end in probe.ends("root/B")] == [ExitKind.TIMEOUT]

    run(main)


def test_s019_readiness_that_comes_after_the_cut_is_too_late() -> None:
    async def late(life: Life) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(5.5)
            life.ready()
            await trio.sleep(9.5)

    async def main() -> None:
        probe = Probe()
        async with probe.system([]) as system:
            with pytest.raises(StartFailedError, match="over its time"):
                await system.root.start_child(ChildSpec("A", late, start_timeout=5.0))
            assert trio.current_time() == 6.0
            assert LifeState.READY not in [
                event.state for event in probe.events if event.path == "root/A"
            ]

    run(main)


@pytest.mark.parametrize("strategy", list(Strategy)[:3])
@pytest.mark.parametrize(
    ("second", "takes", "kind"),
    [
        ("hangs", 30.0, ExitKind.TIMEOUT),
        ("returns", 0.0, ExitKind.START_FAILED),
        ("raises", 0.0, ExitKind.START_FAILED),
    ],
)
def test_s019_s020_a_restart_that_does_not_come_up_is_tried_again(
    second: str, takes: float, kind: ExitKind, strategy: Strategy
) -> None:
    async def child(life: Life) -> None:
        if life.number == 2:
            if second == "hangs":
                await trio.sleep_forever()
            if second == "raises":
                raise Boom
            return
        life.ready()
        if life.number > 1:
            await life.wait_stop()

    async def main() -> None:
        probe = Probe()
        spec = supervising(ChildSpec("A", child), strategy=strategy, period=100.0)
        async with probe.system(spec) as system:
            await trio.sleep(takes)
            await settle()
            (status,) = system.root.children()
            assert (status.incarnation, status.state) == (3, ChildState.RUNNING)
            ends = [(end.kind, end.restarts) for end in probe.ends("root/A")]
            assert ends == [(ExitKind.NORMAL, 1), (kind, 2)]

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s020_a_start_that_ends_without_being_ready_is_a_failure(seed: int) -> None:
    async def forgetful(life: Life) -> None:
        await trio.lowlevel.checkpoint()

    async def main() -> None:
        probe = Probe()
        with pytest.raises(StartFailedError, match=r"root/B.*without reporting"):
            async with probe.system([probe.child("A"), ChildSpec("B", forgetful)]):
                pytest.fail("the body must not run")
        assert probe.log == ["init A", "stop A"]
        assert [end.kind for end in probe.ends("root/B")] == [ExitKind.START_FAILED]

    run(main, seed)


def test_a_start_that_is_no_async_function_is_a_failure() -> None:
    async def main() -> None:
        probe = Probe()
        wrong = ChildSpec("A", print)  # type: ignore[arg-type] # that is the point
        with pytest.raises(StartFailedError) as caught:
            async with probe.system([wrong]):
                pytest.fail("the body must not run")
        assert isinstance(caught.value.__cause__, TypeError)

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s021_cancelling_the_starter_stops_what_was_started(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child("A"), probe.child("B", init_takes=5.0)]
        with trio.move_on_after(1.0) as scope:
            async with probe.system(children) as system:
                pytest.fail(f"{system.name}: the body must not run")
        assert scope.cancelled_caught
        assert trio.current_time() == pytest.approx(1.0)
        assert probe.log == ["init A", "init B", "stop A"]
        ended = [e.path for e in probe.events if e.kind is not None]
        assert ended == ["root/B", "root/A", "root"]
        assert trio.lowlevel.current_task().child_nurseries == []

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s021_cancelling_the_starter_of_a_supervisor_stops_what_was_started(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(probe.child("A"), probe.child("B", init_takes=5.0))
        below = supervisor_child("S", spec)
        async with probe.system([]) as system:
            with trio.move_on_after(1.0) as scope:
                await system.root.start_child(below)
            assert scope.cancelled_caught
            await settle()
            assert trio.current_time() == 1.0
            assert probe.log == ["init A", "init B", "stop A"]
            assert [life.path for life in system.lives] == ["root"]
            # Its id is free.
            await system.root.start_child(below)

    run(main, seed)


def test_s022_the_ready_value_is_handed_to_the_one_who_asked() -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system([]) as system:
            assert await system.root.start_child(probe.child("A")) == "A#1"
            await probe.crash_and_settle("A")
            assert system.root.children()[0].value == "A#2"
            await system.root.terminate_child("A")
            assert system.root.children()[0].value is None
            assert await system.root.restart_child("A") == "A#3"

    run(main)


def test_s022_the_ready_value_is_the_very_object() -> None:
    handles: list[object] = []

    async def child(life: Life) -> None:
        handles.append(object())
        life.ready(handles[-1])
        await life.wait_stop()

    async def main() -> None:
        async with Probe().system([]) as system:
            assert await system.root.start_child(ChildSpec("A", child)) is handles[0]
            await system.root.terminate_child("A")
            assert await system.root.restart_child("A") is handles[1]

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s023_a_start_that_hangs_delays_no_other_call(seed: int) -> None:
    async def main() -> None:
        probe = Probe()

        async def start_b() -> None:
            with pytest.raises(AdminError) as caught:
                await root.start_child(probe.child("B", init_takes=20.0))
            assert caught.value.refusal is Refusal.WITHDRAWN

        async with (
            probe.system([probe.child("A"), probe.child("C")]) as system,
            trio.open_nursery() as nursery,
        ):
            root = system.root
            nursery.start_soon(start_b)
            await settle()
            states = {child.id: child.state for child in root.children()}
            assert states["B"] is ChildState.STARTING
            assert root.count().active == 3
            await root.terminate_child("C")
            await root.start_child(probe.child("D"))
            assert root.tree().children[0].id == "A"
            await system.stop()
            assert trio.current_time() == 0.0
        assert probe.log[-2:] == ["stop D", "stop A"]

    run(main, seed)


def test_s024_the_id_of_a_failed_start_is_free_when_the_starter_knows() -> None:
    async def main() -> None:
        probe = Probe()
        probe.init_faults["A"] = [Boom("A")]
        async with probe.system([]) as system:
            with pytest.raises(StartFailedError) as caught:
                await system.root.start_child(probe.child("A"))
            assert isinstance(caught.value.__cause__, Boom)
            assert system.root.children() == ()
            assert await system.root.start_child(probe.child("A")) == "A#1"

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s026_no_child_appears_once_the_stop_has_begun(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child("A", stop_takes=1.0), probe.child("B")]
        async with (
            probe.system(children) as system,
            trio.open_nursery() as nursery,
        ):
            await system.root.terminate_child("B")
            nursery.start_soon(system.stop)
            await settle()
            before = len(probe.log)
            for call in (
                system.root.start_child(probe.child("C")),
                system.root.restart_child("B"),
            ):
                with pytest.raises(AdminError) as caught:
                    await call
                assert caught.value.refusal is Refusal.STOPPING
            probe.crash("A")
        assert not [line for line in probe.log[before:] if "init" in line]

    run(main, seed)


def test_a_starter_that_is_cancelled_takes_its_child_with_it() -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system([probe.child("A")]) as system:
            with trio.move_on_after(1.0) as scope:
                await system.root.start_child(probe.child("B", init_takes=5.0))
            assert scope.cancelled_caught
            await settle()
            assert [child.id for child in system.root.children()] == ["A"]

    run(main)


def test_a_second_report_of_ready_is_an_error() -> None:
    async def eager(life: Life) -> None:
        life.ready()
        with pytest.raises(SetupError, match="ready twice"):
            life.ready()
        await life.wait_stop()

    async def main() -> None:
        async with Probe().system([ChildSpec("A", eager)]):
            pass

    run(main)


def test_a_system_stopped_by_a_starting_child_did_not_start() -> None:
    async def main() -> None:
        probe = Probe()

        async def quitter(life: Life) -> None:
            report = await system.stop()
            assert not report.complete
            await life.wait_stop()

        system = probe.system([probe.child("A"), ChildSpec("B", quitter)])
        with pytest.raises(StartFailedError, match="before it was ready"):
            async with system:
                pytest.fail("the body must not run")
        assert probe.log == ["init A", "stop A"]
        with pytest.raises(SetupError, match="only once"):
            await system.__aenter__()

    run(main)
