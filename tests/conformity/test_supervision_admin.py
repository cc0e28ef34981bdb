"""Significant children and admin calls (S92 to S106)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from tree_probe import SEEDS, Boom, Probe, run, settle, supervising

from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_protocols.supervision import (
    AutoShutdown,
    ChildSpec,
    ExitKind,
    Life,
    Restart,
    Strategy,
)
from understudy_protocols.supervision_records import (
    AdminError,
    ChildCount,
    ChildState,
    Decision,
    Refusal,
)


async def refused(call: Awaitable[object]) -> Refusal:
    """Return why *call* is refused."""
    with pytest.raises(AdminError) as caught:
        await call
    return caught.value.refusal


def supervisor_of(children_of: Supervisor, child_id: str = "S") -> Supervisor:
    """Return the live supervisor that is a child of another one."""
    value = next(c.value for c in children_of.children() if c.id == child_id)
    assert isinstance(value, Supervisor)
    return value


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("flag", "first", "second"),
    [
        (AutoShutdown.ANY_SIGNIFICANT, True, True),
        (AutoShutdown.ALL_SIGNIFICANT, False, True),
    ],
)
def test_s093_s094_significant_children_end_their_supervisor(
    flag: AutoShutdown, first: bool, second: bool, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A", restart=Restart.TRANSIENT, significant=True),
            probe.child("B", restart=Restart.TEMPORARY, significant=True),
            probe.child("C"),
        ]
        spec = supervising(*children, auto_shutdown=flag)
        below = supervisor_child("S", spec, restart=Restart.TRANSIENT)
        async with probe.system([below]) as system:
            probe.finish("A")
            await settle()
            assert bool(probe.ends("root/S")) is first
            if not first:
                probe.crash("B")
                await settle()
            assert bool(probe.ends("root/S")) is second
            (end,) = probe.ends("root/S")
            assert end.kind is ExitKind.SHUTDOWN
            assert system.root.children()[0].state is ChildState.STOPPED
            assert probe.log[-1].startswith("stop")
            last = probe.ends("root/S/A")[0] if first else probe.ends("root/S/B")[0]
            assert last.decision is Decision.SHUT_DOWN

    run(main, seed)


def test_s093_a_crash_of_a_significant_transient_child_is_restarted() -> None:
    async def main() -> None:
        probe = Probe()
        child = probe.child("A", restart=Restart.TRANSIENT, significant=True)
        spec = supervising(child, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
        async with probe.system([supervisor_child("S", spec)]):
            await probe.crash_and_settle("A")
            assert probe.number("A") == 2
            assert not probe.ends("root/S")

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s095_being_stopped_by_others_does_not_trigger(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A", restart=Restart.TEMPORARY, significant=True),
            probe.child("B", restart=Restart.TRANSIENT, significant=True),
            probe.child("C"),
        ]
        spec = supervising(
            *children,
            strategy=Strategy.ONE_FOR_ALL,
            auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
        )
        async with probe.system([supervisor_child("S", spec)]) as system:
            await supervisor_of(system.root).terminate_child("B")
            await probe.crash_and_settle("C")
            assert not probe.ends("root/S")

    run(main, seed)


@pytest.mark.parametrize("significant", [False, True])
def test_s096_a_significant_supervisor_passes_its_shutdown_on(
    significant: bool,
) -> None:
    async def main() -> None:
        probe = Probe()
        flag = AutoShutdown.ANY_SIGNIFICANT
        leaf = probe.child("A", restart=Restart.TRANSIENT, significant=True)
        inner = supervisor_child(
            "T",
            supervising(leaf, auto_shutdown=flag),
            restart=Restart.TRANSIENT,
            significant=significant,
        )
        outer = supervising(inner, probe.child("B"), auto_shutdown=flag)
        below = supervisor_child("S", outer, restart=Restart.TEMPORARY)
        async with probe.system([below]):
            probe.finish("A")
            await settle()
            assert len(probe.ends("root/S/T")) == 1
            assert len(probe.ends("root/S")) == int(significant)

    run(main)


def test_s098_a_known_id_is_refused_with_what_stands_there() -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system([probe.child("A")]) as system:
            with pytest.raises(AdminError, match=r"root, child 'A': already") as caught:
                await system.root.start_child(probe.child("A"))
            assert caught.value.refusal is Refusal.ALREADY_STARTED
            assert caught.value.value == "A#1"
            await system.root.terminate_child("A")
            call = system.root.start_child(probe.child("A"))
            assert await refused(call) is Refusal.ALREADY_PRESENT

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s099_terminate_returns_when_the_child_is_gone(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system([probe.child("A", stop_takes=2.0)]) as system:
            assert await refused(system.root.terminate_child("X")) is Refusal.NOT_FOUND
            async with trio.open_nursery() as nursery:
                nursery.start_soon(system.root.terminate_child, "A")
                nursery.start_soon(system.root.terminate_child, "A")
            assert trio.current_time() == 2.0
            assert probe.log[-1] == "stop A"
            await system.root.terminate_child("A")

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s099_it_also_returns_so_when_all_is_stopped_meanwhile(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        answers: list[Refusal | None] = []

        async def start() -> None:
            child = probe.child("B", init_takes=9.0)
            answers.append(await refused(system.root.start_child(child)))

        async def terminate() -> None:
            await system.root.terminate_child("A")
            answers.append(None)

        children = [probe.child("A", stop_takes=2.0)]
        async with probe.system(children) as system, trio.open_nursery() as nursery:
            nursery.start_soon(start)
            nursery.start_soon(terminate)
            await trio.sleep(1.0)
            await system.stop()
        assert set(answers) == {None, Refusal.WITHDRAWN}

    run(main, seed)


def test_s100_s101_restart_and_delete_want_a_stopped_child() -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system([probe.child("A")]) as system:
            root = system.root
            calls: list[Callable[[str], Awaitable[object]]] = [
                root.restart_child,
                root.delete_child,
            ]
            for call in calls:
                assert await refused(call("X")) is Refusal.NOT_FOUND
                assert await refused(call("A")) is Refusal.RUNNING
            await root.terminate_child("A")
            assert await root.restart_child("A") == "A#2"
            await root.terminate_child("A")
            await root.delete_child("A")
            assert root.children() == ()

    run(main)


def test_a_failed_start_by_hand_leaves_a_known_child_stopped() -> None:
    async def main() -> None:
        probe = Probe()
        probe.init_faults["A"] = [None, Boom()]
        async with probe.system([probe.child("A")]) as system:
            await system.root.terminate_child("A")
            with pytest.raises(Exception, match="did not start"):
                await system.root.restart_child("A")
            assert system.root.children()[0].state is ChildState.STOPPED
            assert await system.root.restart_child("A") == "A#3"

    run(main)


def test_a_restart_by_hand_that_nobody_waits_for_is_undone() -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system([probe.child("A", init_takes=2.0)]) as system:
            await system.root.terminate_child("A")
            with trio.move_on_after(1.0):
                await system.root.restart_child("A")
            await settle()
            assert system.root.children()[0].state is ChildState.STOPPED

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_child_that_is_starting_and_terminated_tells_its_starter(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        refusals: list[Refusal] = []

        async def start() -> None:
            child = probe.child("A", init_takes=5.0)
            refusals.append(await refused(system.root.start_child(child)))

        async with probe.system([]) as system, trio.open_nursery() as nursery:
            nursery.start_soon(start)
            await settle()
            await system.root.terminate_child("A")
            await settle()
            assert refusals == [Refusal.WITHDRAWN]
            assert system.root.children() == ()

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_starting_child_caught_in_a_group_restart_is_started_once_more(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        handles: list[object] = []

        async def start() -> None:
            child = probe.child("B", init_takes=2.0)
            handles.append(await system.root.start_child(child))

        spec = supervising(probe.child("A"), strategy=Strategy.ONE_FOR_ALL)
        async with probe.system(spec) as system, trio.open_nursery() as nursery:
            nursery.start_soon(start)
            await trio.sleep(1.0)
            probe.crash("A")
            await trio.sleep(5.0)
            assert handles == ["B#2"]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_starting_child_that_nobody_waits_for_is_not_started_once_more(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child("A", stop_takes=2.0), probe.child("C")]
        spec = supervising(*children, strategy=Strategy.ONE_FOR_ALL)
        async with probe.system(spec) as system, trio.open_nursery() as nursery:
            child = probe.child("B", init_takes=9.0)
            nursery.start_soon(system.root.start_child, child)
            await trio.sleep(1.0)
            probe.crash("C")
            await trio.sleep(1.0)
            assert [c.id for c in system.root.children()] == ["A", "C", "B"]
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await trio.sleep(2.0)
            assert [c.id for c in system.root.children()] == ["A", "C"]
            assert probe.log.count("init B") == 1

    run(main, seed)


def test_s103_count_and_listing_agree() -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A"),
            probe.child("B"),
            supervisor_child("S", supervising()),
        ]
        async with probe.system(children) as system:
            assert system.root.count() == ChildCount(3, 3, 1, 2)
            await system.root.terminate_child("A")
            assert system.root.count() == ChildCount(3, 2, 1, 2)
            await system.root.delete_child("A")
            assert system.root.count() == ChildCount(2, 2, 1, 1)
            assert len(system.root.children()) == 2

    run(main)


def test_s104_max_children_counts_those_that_restart_and_frees_places() -> None:
    async def main() -> None:
        probe = Probe()
        template = probe.child("T", restart=Restart.TRANSIENT)
        spec = supervising(template, strategy=Strategy.DYNAMIC, max_children=2)

        def made(name: str) -> ChildSpec:
            return template.named(name, probe.child(name).start)

        async with probe.system(spec) as system:
            for name in "AB":
                await system.root.start_child(made(name))
            call = system.root.start_child(made("C"))
            assert await refused(call) is Refusal.MAX_CHILDREN
            probe.finish("A")
            await settle()
            await system.root.start_child(made("C"))
            await system.root.terminate_child("B")
            await system.root.start_child(made("B"))

    run(main)


def test_s105_ten_thousand_children_are_listed_and_stopped_in_one_pass() -> None:
    started = 0

    async def child(life: Life) -> None:
        nonlocal started
        started += 1
        life.ready()
        await life.wait_stop()

    async def main() -> None:
        template = ChildSpec("T", child, restart=Restart.TEMPORARY)
        spec = supervising(template, strategy=Strategy.DYNAMIC)
        async with Probe().system(spec) as system:
            for number in range(2_000):
                await system.root.start_child(template.named(f"c{number}"))
            assert len(system.root.children()) == 2_000
        assert started == 2_000
        assert trio.current_time() == 0.0

    run(main)


def test_s106_a_dead_supervisor_refuses_at_once() -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(probe.child("A"))
        below = supervisor_child("S", spec, restart=Restart.TEMPORARY)
        async with probe.system([below]) as system:
            dead = supervisor_of(system.root)
            await dead.stop()
            await dead.stop()
            await settle()
            assert system.root.children() == ()
            assert [end.kind for end in probe.ends("root/S")] == [ExitKind.SHUTDOWN]
            calls: list[Callable[[str], Awaitable[object]]] = [
                dead.restart_child,
                dead.terminate_child,
                dead.delete_child,
            ]
            for call in calls:
                assert await refused(call("A")) is Refusal.STOPPED
            assert await refused(dead.start_child(probe.child("B"))) is Refusal.STOPPED

    run(main)
