"""A stop asked for by many, at any moment, and from inside (S87 to S89)."""

from __future__ import annotations

import contextlib

import pytest
import trio
from tree_probe import SEEDS, Probe, run, settle, supervising

from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_protocols.errors import RuntimeFailed, StartFailedError
from understudy_protocols.restart_policy import NO_BACKOFF, Backoff
from understudy_protocols.supervision import (
    ChildSpec,
    ExitKind,
    Kill,
    Life,
    Restart,
    Strategy,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import (
    AdminError,
    ChildState,
    LifeState,
    Refusal,
    StopReport,
)


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


@pytest.mark.parametrize("seed", SEEDS)
def test_s087_ten_callers_one_stop_of_a_part_of_the_tree(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(*(probe.child(name, stop_takes=1.0) for name in "AB"))
        below = supervisor_child("S", spec, restart=Restart.TEMPORARY)
        async with probe.system([below]) as system:
            inner = system.root.children()[0].value
            assert isinstance(inner, Supervisor)
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(inner.stop)
            assert trio.current_time() == 2.0
            await inner.stop()
        assert probe.log[2:] == ["stop B", "stop A"]
        assert len(probe.ends("root/S")) == 1
        await system.stop()
        assert trio.current_time() == 2.0

    run(main, seed)


MOMENTS = ("first start", "restart", "backoff", "stop of another")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("strategy", list(Strategy)[:3])
@pytest.mark.parametrize("seed", SEEDS)
def test_s088_a_stop_in_the_middle_of_anything_ends_everything(
    moment: str, strategy: Strategy, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        slow = moment in ("first start", "restart")
        spec = supervising(
            probe.child("A", init_takes=9.0 if moment == "restart" else 0.0),
            probe.child("B", init_takes=9.0 if moment == "first start" else 0.0),
            probe.child("C", stop_takes=2.0),
            strategy=strategy,
            backoff=NO_BACKOFF if slow else Backoff(9.0, 9.0),
        )
        async with probe.system([]) as system, trio.open_nursery() as nursery:
            nursery.start_soon(_start_or_be_refused, system.root, spec)
            await trio.sleep(1.0 if moment == "first start" else 10.0)
            if moment in ("restart", "backoff"):
                probe.crash("A")
            elif moment == "stop of another":
                inner = system.root.children()[0].value
                assert isinstance(inner, Supervisor)
                nursery.start_soon(inner.terminate_child, "C")
            # One second after all that had to stop has stopped.
            await trio.sleep(3.0 if moment in ("restart", "backoff") else 1.0)
            _assert_in_the_middle(moment, system.root)
            inits = [line for line in probe.log if "init" in line]
            await system.stop()
            await trio.sleep(100.0)
            assert [line for line in probe.log if "init" in line] == inits
            assert not system.lives
            ends = [e for e in probe.events if e.kind is not None]
            begun = [e for e in probe.events if e.state is LifeState.STARTING]
            assert len(ends) == len(begun)

    run(main, seed)


def _assert_in_the_middle(moment: str, root: Supervisor) -> None:
    (child,) = root.children()
    if moment == "first start":
        assert child.state is ChildState.STARTING
        return
    assert isinstance(child.value, Supervisor)
    states = {child.id: child.state for child in child.value.children()}
    if moment == "stop of another":
        assert states["C"] is ChildState.STOPPING
    elif moment == "restart":
        assert states["A"] is ChildState.STARTING
    else:
        assert states["A"] is ChildState.RESTARTING


async def _start_or_be_refused(root: Supervisor, spec: SupervisorSpec) -> None:
    with contextlib.suppress(AdminError):
        await root.start_child(supervisor_child("S", spec))


@pytest.mark.parametrize("shutdown", [5.0, Kill.AT_ONCE])
@pytest.mark.parametrize("seed", SEEDS)
def test_s088_a_start_that_is_called_off_takes_no_step(
    shutdown: float | Kill, seed: int
) -> None:
    probe = Probe()

    async def main() -> None:
        children = [probe.child(name, shutdown=shutdown) for name in "AB"]
        async with probe.system(supervising(*children, intensity=1)):
            probe.crash("A")
            probe.crash("B")
            await trio.sleep_forever()

    with pytest.raises(RuntimeFailed):
        run(main, seed)
    assert sorted(probe.log[2:]) == ["end A", "end B"]
    starting = [e.path for e in probe.events if e.state is LifeState.STARTING]
    assert len(starting) == 4  # the root, A, B, and one of them again


@pytest.mark.parametrize("seed", SEEDS)
def test_s088_a_stop_while_the_whole_system_starts_ends_it(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        system = probe.system(
            [probe.child("A"), probe.child("B", init_takes=9.0), probe.child("C")]
        )

        async def stop() -> None:
            await trio.sleep(1.0)
            await system.stop()
            assert trio.current_time() == 1.0

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop)
            with pytest.raises(StartFailedError, match="before it was ready"):
                async with system:
                    pytest.fail("the body must not run")
        await trio.sleep(100.0)
        assert probe.log == ["init A", "init B", "stop A"]

    run(main, seed)


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
