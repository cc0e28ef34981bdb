"""The tree of a runtime: what its steps are at."""

from __future__ import annotations

import trio
from run_probe import SEEDS, seeded

from understudy import (
    Attempt,
    Context,
    RetryConfig,
    Runtime,
    SupervisionEvent,
    TreeSnapshot,
    sequence,
    stateful_step,
    step,
)
from understudy.testing import run_seeded
from understudy_protocols.errors import RestartIntensityError
from understudy_protocols.supervision import ExitKind, Shutdown, Strategy
from understudy_protocols.supervision_records import ChildState, ChildStatus, LifeState
from understudy_protocols.workload import Workload


@step(max_concurrent=2)
async def slow(context: Context[object]) -> int:
    await trio.sleep(1)
    return 1


class Away:
    """A database that is never there."""

    async def setup(self) -> None:
        raise ConnectionError("no answer")

    async def execute(
        self, context: Context[object], attempt: Attempt[object]
    ) -> object:
        raise AssertionError("its setup has failed")


away = stateful_step(
    Away, name="away", output=object, retry=RetryConfig(max_attempts=1)
)
flow = sequence(slow, away, name="flow")


def steps(tree: TreeSnapshot) -> dict[str, ChildStatus]:
    """Return the steps of all workflows, by name."""
    found = {child.id: child for child in tree.children if child.workload is not None}
    for below in tree.below:
        found |= steps(below)
    return found


@seeded
def test_the_tree_says_what_each_step_has_in_hand_and_may_have(seed: int) -> None:
    async def main() -> list[dict[str, Workload | None]]:
        async with Runtime(flow) as runtime:
            fresh = steps(runtime.tree())
            for _ in range(5):
                await runtime.submit(flow, 0)
            await trio.sleep(0.5)
            busy = steps(runtime.tree())
        return [
            {name: one.workload for name, one in at.items()} for at in (fresh, busy)
        ]

    fresh, busy = run_seeded(main, seed=seed)
    assert fresh == {"slow": Workload(limit=2), "away": Workload()}
    assert busy == {"slow": Workload(in_hand=2, limit=2, queued=3), "away": Workload()}


@seeded
def test_a_step_that_is_down_stays_in_the_tree_with_its_cause(seed: int) -> None:
    events: list[SupervisionEvent] = []

    async def main() -> ChildStatus:
        async with Runtime(flow, on_supervision=events.append) as runtime:
            await runtime.run(flow, 0)
            await trio.sleep(1)
            return steps(runtime.tree())["away"]

    child = run_seeded(main, seed=seed)
    work = child.workload
    assert work is not None
    assert (child.state, work.down, work.replaced) == (ChildState.STOPPED, True, 3)
    assert isinstance(work.cause, ConnectionError)
    # Whoever watches the events learns it as well.
    (end,) = (e for e in events if e.path == child.path and e.kind is not None)
    assert (end.state, end.kind) == (LifeState.STOPPED, ExitKind.SHUTDOWN)
    assert isinstance(end.cause, Shutdown)
    assert isinstance(end.cause.__cause__, RestartIntensityError)


def test_the_tree_of_a_runtime_can_be_seen_before_and_after_its_block() -> None:
    async def main() -> tuple[TreeSnapshot, TreeSnapshot]:
        runtime = Runtime(flow)
        before = runtime.tree()
        async with runtime:
            pass
        return before, runtime.tree()

    before, after = run_seeded(main, seed=SEEDS[0])
    assert before == TreeSnapshot("root", Strategy.REST_FOR_ONE, 3, 5.0, (), ())
    assert {child.state for child in after.children} == {ChildState.STOPPED}
