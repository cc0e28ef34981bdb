"""S157: a snapshot of the tree, at any moment and without awaiting."""

from __future__ import annotations

import pytest
import trio
from tree_probe import SEEDS, Probe, run, settle, supervising

from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour
from understudy_actors.ref import Ref
from understudy_actors.supervisor import supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import RuntimeFailed
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import Strategy, SupervisorSpec
from understudy_protocols.supervision_records import (
    ChildState,
    SupervisionEvent,
    TreeSnapshot,
)
from understudy_protocols.workload import Workload


def states(snapshot: TreeSnapshot) -> dict[str, ChildState]:
    """Return the state of each child in a tree, by its id."""
    found = {child.id: child.state for child in snapshot.children}
    for below in snapshot.below:
        found |= states(below)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_s157_a_snapshot_can_be_taken_at_every_event(seed: int) -> None:
    seen: list[dict[str, ChildState]] = []

    async def main() -> None:
        probe = Probe()
        inner = supervising(probe.child("B"), probe.child("C", stop_takes=0.5))

        def observe(event: SupervisionEvent) -> None:
            seen.append(states(system.tree()))

        system = ActorSystem(
            supervising(
                probe.child("A"),
                supervisor_child("S", inner),
                intensity=1,
                period=60,
            ),
            on_event=observe,
        )

        async def crash_twice() -> None:
            async with system:
                for _ in range(2):
                    probe.crash("A")
                    await trio.sleep(9)

        with pytest.raises(RuntimeFailed):
            await crash_twice()
        assert system.observer_failures == 0
        assert set(states(system.tree()).values()) == {ChildState.STOPPED}

    run(main, seed)
    # Also below a supervisor that is not ready yet, or is stopping.
    for state in (ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING):
        assert any(one.get("S") is one.get("C") is state for one in seen)


def test_s157_before_the_start_there_is_a_root_and_nothing_below_it() -> None:
    probe = Probe()
    system = probe.system(supervising(probe.child("A"), strategy=Strategy.ONE_FOR_ALL))

    assert system.tree() == TreeSnapshot("root", Strategy.ONE_FOR_ALL, 3, 5.0, (), ())


def test_s157_a_snapshot_says_what_each_supervisor_allows() -> None:
    async def main() -> TreeSnapshot:
        probe = Probe()
        inner = supervising(
            probe.child("B"), strategy=Strategy.REST_FOR_ONE, intensity=7, period=2.5
        )
        async with probe.system([supervisor_child("S", inner)]) as system:
            return system.tree()

    root = run(main)
    (below,) = root.below
    assert (root.strategy, root.intensity, root.period) == (Strategy.ONE_FOR_ONE, 3, 5)
    assert below == TreeSnapshot(
        "root/S", Strategy.REST_FOR_ONE, 7, 2.5, below.children, ()
    )


class Slow(Behaviour[str, None]):
    async def handle(self, message: str, actor: Actor[str, None]) -> None:
        if message == "break":
            raise ValueError(message)
        await trio.sleep(1)


@pytest.mark.parametrize("seed", SEEDS)
def test_s157_a_snapshot_says_what_an_actor_has_to_do_also_between_its_lives(
    seed: int,
) -> None:
    async def main() -> list[Workload | None]:
        ref = Ref[str, None]("root/slow")
        spec = SupervisorSpec(
            (actor_child(ref, Slow),),
            backoff=Backoff(min_delay=4, max_delay=4, jitter=0),
        )
        async with ActorSystem(spec) as system:

            def work() -> Workload | None:
                (child,) = system.tree().children
                return child.workload

            found = [work()]
            for message in ("one", "break", "two"):
                await ref.tell(message)
            await settle()
            found.append(work())
            await trio.sleep(2)
            assert states(system.tree()) == {"slow": ChildState.RESTARTING}
            found.append(work())
            await trio.sleep(9)
            found.append(work())
        return found

    assert run(main, seed) == [
        Workload(limit=1),
        Workload(in_hand=1, limit=1, queued=2),
        Workload(limit=1, queued=1),
        Workload(limit=1),
    ]
