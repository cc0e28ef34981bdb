"""What a system tells of itself: events and snapshots (S155 to S157)."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_probe import (
    SEEDS,
    Boom,
    Probe,
    assert_accepted,
    run,
    settle,
    supervising,
)

from understudy import Context, Runtime, step, watching
from understudy.testing import run_seeded, seeds
from understudy_actors.supervisor import supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import RestartIntensityError, RuntimeFailed
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import (
    ChildSpec,
    ExitKind,
    Life,
    Restart,
    Strategy,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import (
    ChildState,
    LifeState,
    SupervisionEvent,
)


async def stubborn(life: Life) -> None:
    life.ready()
    with trio.CancelScope(shield=True):
        await trio.sleep(60.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_s155_every_change_of_state_is_one_event_with_its_cause(seed: int) -> None:
    async def main() -> None:
        probe = Probe()
        booms = [Boom("first"), Boom("second")]
        inner = supervising(
            probe.child("A"), intensity=1, backoff=Backoff(1.0, 1.0, jitter=0.0)
        )
        children = [
            supervisor_child("S", inner, restart=Restart.TEMPORARY),
            ChildSpec("B", stubborn, shutdown=1.0),
        ]
        async with probe.system(children) as system:
            probe.crash("A", booms[0])
            await trio.sleep(2.0)
            probe.crash("A", booms[1])
            await settle()
            await system.stop()
        assert_accepted(probe.events)
        told = Counter((e.path, e.incarnation, e.state) for e in probe.events)
        assert set(told.values()) == {1}, "one change is one event"
        assert {e.state for e in probe.events} == set(LifeState)
        of_a = [
            (e.time, e.incarnation, e.state.value, e.kind, e.cause)
            for e in probe.events
            if e.path == "root/S/A"
        ]
        assert of_a == [
            (0.0, 1, "starting", None, None),
            (0.0, 1, "ready", None, None),
            (0.0, 1, "crashed", ExitKind.CRASH, booms[0]),
            (0.0, 1, "backing off", None, None),
            (1.0, 2, "starting", None, None),
            (1.0, 2, "restarted", None, None),
            (2.0, 2, "crashed", ExitKind.CRASH, booms[1]),
        ]
        of_s = [(e.state, e.kind) for e in probe.events if e.path == "root/S"][2:]
        gave_up = ExitKind.GAVE_UP
        assert of_s == [(LifeState.GAVE_UP, gave_up), (LifeState.CRASHED, gave_up)]
        (end,) = probe.ends("root/S")
        assert isinstance(end.cause, RestartIntensityError)
        assert end.cause.causes == tuple(booms)
        # Stuck after one second and the kill timeout; its end comes late.
        of_b = [(e.time, e.state) for e in probe.events if e.path == "root/B"][2:]
        assert of_b == [
            (2.0, LifeState.STOPPING),
            (4.0, LifeState.STUCK),
            (60.0, LifeState.STOPPED),
        ]

    run(main, seed)


@step
async def quick(context: Context[int]) -> int:
    await trio.sleep(1)
    return context.input


@pytest.mark.parametrize("seed", SEEDS)
def test_s156_one_who_watches_and_does_not_keep_up_stalls_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "BUFFERED_EVENTS", 2)

    async def main() -> None:
        async with Runtime(quick) as runtime, runtime.events() as events:
            for number in range(5):
                assert (await runtime.run(quick, number)).value == number
            assert trio.current_time() == 5.0
            seen = [(await anext(events)).kind for _ in range(2)]
            assert seen == ["accepted", "step_started"]
            assert events.missed == 4 * 5 - 2

    run_seeded(main, seed=seed)


@settings(max_examples=150, deadline=None)
@given(
    seed=seeds(),
    strategy=st.sampled_from(list(Strategy)[:3]),
    deeds=st.lists(
        st.tuples(
            st.sampled_from(["crash", "finish", "init", "terminate", "restart"]),
            st.sampled_from("ABCD"),
            st.sampled_from([0.0, 0.1, 1.0]),
        ),
        max_size=15,
    ),
)
def test_s155_every_lifes_events_are_accepted_by_the_automaton(
    seed: int, strategy: Strategy, deeds: list[tuple[str, str, float]]
) -> None:
    probe = Probe()

    async def do(system: ActorSystem, deed: str, name: str) -> None:
        live = [name for name, life in probe.lives.items() if not life.stopping]
        if deed == "init":
            probe.init_faults.setdefault(name, []).append(Boom())
        elif deed in ("crash", "finish") and name in live:
            with contextlib.suppress(KeyError):
                (probe.crash if deed == "crash" else probe.finish)(name)
        elif deed == "terminate":
            await system.root.terminate_child(name)
        elif deed == "restart":
            await system.root.restart_child(name)

    async def main() -> None:
        inner = supervising(
            probe.child("C"), probe.child("D", init_takes=0.05), strategy=strategy
        )
        a = probe.child("A", restart=Restart.TRANSIENT, stop_takes=0.5)
        b = probe.child("B", restart=Restart.TEMPORARY, stop_takes=9.0)
        spec = SupervisorSpec((a, b, supervisor_child("S", inner)), strategy=strategy)
        with contextlib.suppress(RuntimeFailed):
            async with probe.system(spec) as system:
                for deed, name, pause in deeds:
                    with contextlib.suppress(Exception):
                        await do(system, deed, name)
                    await trio.sleep(pause)

    run_seeded(main, seed=seed, defer=0.2)
    assert_accepted(probe.events)


def test_s155_a_life_in_the_place_of_one_that_failed_is_reported_as_restarted() -> None:
    async def main() -> None:
        probe = Probe()
        async with probe.system([probe.child("A")]) as system:
            await probe.crash_and_settle("A")
            await system.root.terminate_child("A")
            await system.root.restart_child("A")
        up = (LifeState.READY, LifeState.RESTARTED)
        states = [e.state for e in probe.events if e.path == "root/A" and e.state in up]
        assert states == [LifeState.READY, LifeState.RESTARTED, LifeState.READY]

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s156_an_observer_that_fails_is_counted_and_harms_nothing(seed: int) -> None:
    async def main() -> None:
        probe = Probe()

        def observe(event: SupervisionEvent) -> None:
            raise Boom(event.path)

        system = ActorSystem(supervising(probe.child("A")), on_event=observe)
        async with system:
            await probe.crash_and_settle("A")
            assert probe.number("A") == 2
        assert system.observer_failures > 8

    run(main, seed)


def test_s157_a_snapshot_of_the_whole_tree_needs_no_await() -> None:
    async def main() -> None:
        probe = Probe()
        inner = supervising(probe.child("B"), probe.child("C"))
        children = [probe.child("A"), supervisor_child("S", inner)]
        async with probe.system(children) as system:
            tree = system.root.tree()
            assert [child.path for child in tree.children] == ["root/A", "root/S"]
            (below,) = tree.below
            assert below.path == "root/S"
            assert [child.id for child in below.children] == ["B", "C"]
            assert all(child.state is ChildState.RUNNING for child in below.children)

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s155_what_is_cut_together_with_its_supervisor_is_said_to_be_stopping(
    seed: int,
) -> None:
    async def shields(life: Life) -> None:
        life.ready()
        with trio.CancelScope(shield=True):
            await trio.sleep(60.0)

    async def main() -> None:
        probe = Probe()
        slow = probe.child("A", stop_takes=9.0, shutdown=9.0)
        inner = supervising(ChildSpec("B", shields), slow)
        async with probe.system([supervisor_child("S", inner, shutdown=0.5)]):
            pass
        assert_accepted(probe.events)
        states = {
            name: [e.state for e in probe.events if e.path == f"root/S/{name}"]
            for name in "AB"
        }
        stopping = [LifeState.STARTING, LifeState.READY, LifeState.STOPPING]
        assert states["A"] == [*stopping, LifeState.CRASHED]
        assert states["B"] == [*stopping, LifeState.STUCK, LifeState.STOPPED]

    run(main, seed)


@pytest.mark.parametrize("seed", range(20))
def test_s155_a_supervisor_may_give_up_before_it_is_heard_that_it_was_ready(
    seed: int,
) -> None:
    async def main() -> None:
        probe = Probe()
        inner = supervising(probe.child("A", always_crashes=True), intensity=0)
        child = supervisor_child("S", inner, restart=Restart.TEMPORARY)
        async with probe.system(supervising(child)):
            await settle()
        assert_accepted(probe.events)

    run(main, seed)
