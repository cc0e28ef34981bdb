"""Admin calls: what they do, what they refuse, and what can be seen (S98 to S106)."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_probe import (
    SEEDS,
    Boom,
    Probe,
    run,
    settle,
    supervising,
    supervisor_of,
)

from understudy.testing import seeds
from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import StartFailedError
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import (
    ChildKind,
    ChildSpec,
    ExitKind,
    Restart,
    Strategy,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import (
    AdminError,
    ChildCount,
    ChildState,
    Refusal,
    SupervisionEvent,
)


async def refused(call: Awaitable[object]) -> Refusal:
    """Return why *call* is refused."""
    with pytest.raises(AdminError) as caught:
        await call
    return caught.value.refusal


async def do(root: Supervisor, probe: Probe, deed: str, name: str) -> None:
    """Do one thing to one child, if it can be done."""
    live = [name for name, life in probe.lives.items() if not life.stopping]
    if deed in ("crash", "finish") and name in live:
        (probe.crash if deed == "crash" else probe.finish)(name)
    elif deed == "init":
        probe.init_faults.setdefault(name, []).append(Boom())
    elif deed == "start":
        await root.start_child(probe.child(name, init_takes=0.3))
    elif deed == "terminate":
        await root.terminate_child(name)
    elif deed == "restart":
        await root.restart_child(name)
    elif deed == "delete":
        await root.delete_child(name)


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


SAID: dict[ChildState | None, tuple[Refusal | None, ...]] = {
    None: (None, Refusal.NOT_FOUND, Refusal.NOT_FOUND),
    ChildState.STARTING: (Refusal.ALREADY_PRESENT, Refusal.RUNNING, Refusal.RUNNING),
    ChildState.RUNNING: (Refusal.ALREADY_STARTED, Refusal.RUNNING, Refusal.RUNNING),
    ChildState.STOPPING: (Refusal.ALREADY_PRESENT, Refusal.RUNNING, Refusal.RUNNING),
    ChildState.RESTARTING: (
        Refusal.ALREADY_PRESENT,
        Refusal.RESTARTING,
        Refusal.RESTARTING,
    ),
    ChildState.STOPPED: (Refusal.ALREADY_PRESENT, None, None),
}
"""What start, restart and delete say of a child in each state; None: it is done."""


@pytest.mark.parametrize("state", SAID)
@pytest.mark.parametrize("call", ["start", "restart", "delete"])
@pytest.mark.parametrize("seed", SEEDS)
def test_s098_s100_s101_each_state_of_a_child_has_its_refusals(
    state: ChildState | None, call: str, seed: int
) -> None:
    async def main() -> None:
        probe = Probe()
        slow = 9.0 if state is ChildState.STARTING else 0.0
        child = probe.child("A", init_takes=slow, stop_takes=9.0, shutdown=99.0)
        spec = supervising(backoff=Backoff(99.0, 99.0))
        async with probe.system(spec) as system, trio.open_nursery() as nursery:
            root = system.root
            if state is not None:
                nursery.start_soon(root.start_child, child)
                await trio.sleep(1.0)
            if state is ChildState.STOPPING:
                nursery.start_soon(root.terminate_child, "A")
            elif state is ChildState.STOPPED:
                await root.terminate_child("A")
            elif state is ChildState.RESTARTING:
                probe.crash("A")
            await settle()
            assert [c.state for c in root.children()] == ([state] if state else [])
            refusal: Refusal | None = None
            try:
                await do(root, probe, call, "A")
            except AdminError as error:
                refusal = error.refusal
            start, restart, delete = SAID[state]
            assert (
                refusal is {"start": start, "restart": restart, "delete": delete}[call]
            )
            if call == "delete" and refusal is None:
                assert not root.children()

    run(main, seed)


def test_s098_a_child_that_restarts_with_its_group_is_refused_as_it() -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(
            probe.child("A"),
            probe.child("B"),
            strategy=Strategy.ONE_FOR_ALL,
            backoff=Backoff(9.0, 9.0),
        )
        async with probe.system(spec) as system:
            await probe.crash_and_settle("B")
            root = system.root
            call = root.start_child(probe.child("A"))
            assert await refused(call) is Refusal.ALREADY_PRESENT
            assert await refused(root.restart_child("A")) is Refusal.RESTARTING
            assert await refused(root.delete_child("A")) is Refusal.RESTARTING

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


@settings(max_examples=100, deadline=None)
@given(
    seed=seeds(),
    strategy=st.sampled_from(list(Strategy)[:3]),
    deeds=st.lists(
        st.tuples(
            st.sampled_from(
                ["crash", "finish", "init", "start", "terminate", "restart", "delete"]
            ),
            st.sampled_from("ABC"),
            st.sampled_from([0.0, 0.1, 1.0]),
        ),
        max_size=15,
    ),
)
def test_s103_s157_count_listing_and_tree_agree_at_every_event(
    seed: int, strategy: Strategy, deeds: list[tuple[str, str, float]]
) -> None:
    async def main() -> None:
        probe = Probe()

        def look(event: SupervisionEvent) -> None:
            try:
                root = system.root
            except AttributeError:
                return  # it is not up yet
            children, count = root.children(), root.count()
            active = {ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING}
            supervisors = [c for c in children if c.kind is ChildKind.SUPERVISOR]
            assert count == ChildCount(
                len(children),
                sum(child.state in active for child in children),
                len(supervisors),
                len(children) - len(supervisors),
            )
            tree = root.tree()
            assert tree.children == children
            assert {below.path for below in tree.below} <= {
                child.path for child in supervisors
            }

        spec = SupervisorSpec(
            (
                probe.child("A", restart=Restart.TRANSIENT),
                supervisor_child("S", supervising(probe.child("C"))),
                probe.child("B", restart=Restart.TEMPORARY, stop_takes=0.2),
            ),
            strategy=strategy,
            intensity=100,
        )
        system = ActorSystem(spec, on_event=look)
        async with system:
            for deed, name, pause in deeds:
                with contextlib.suppress(AdminError, StartFailedError):
                    await do(system.root, probe, deed, name)
                await trio.sleep(pause)
        assert system.observer_failures == 0

    run(main, seed)


def test_s104_max_children_counts_those_that_restart_and_frees_places() -> None:
    async def main() -> None:
        probe = Probe()
        template = probe.child("T", restart=Restart.TRANSIENT)
        spec = supervising(
            template,
            strategy=Strategy.DYNAMIC,
            max_children=2,
            backoff=Backoff(9.0, 9.0),
        )

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
            probe.crash("B")
            await settle()
            assert system.root.count() == ChildCount(2, 1, 0, 2)
            call = system.root.start_child(made("D"))
            assert await refused(call) is Refusal.MAX_CHILDREN
            await system.root.terminate_child("B")
            await system.root.start_child(made("D"))

    run(main)


def test_s104_it_counts_the_children_of_a_static_supervisor_as_well() -> None:
    async def main() -> None:
        probe = Probe()
        spec = supervising(probe.child("A"), max_children=2)
        async with probe.system(spec) as system:
            await system.root.start_child(probe.child("B"))
            call = system.root.start_child(probe.child("C"))
            assert await refused(call) is Refusal.MAX_CHILDREN
            await system.root.terminate_child("B")
            call = system.root.start_child(probe.child("C"))
            assert await refused(call) is Refusal.MAX_CHILDREN, "it is known still"
            await system.root.delete_child("B")
            await system.root.start_child(probe.child("C"))

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
            await dead.stop()
            assert trio.current_time() == 0.0

    run(main)
