"""Row: what still runs after a timeout, a sibling's failure, a cancelled host.

A count and no time, taken in virtual time: at the moment at which ``run``
returns, how many step bodies are still inside; how many go on to their end in
the hour after; how many tasks outlive the runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Final

import trio
from trio.testing import MockClock

from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Figures, Sample, Sizes
from understudy import Context, each, step
from understudy.runtime import Runtime
from understudy.workflows.nodes import Workflow

BRANCHES = 10

TIMEOUT = "ours: a timeout fires"
SIBLING = "ours: a sibling fails"
HOST = "ours: the host is cancelled"


class Bodies:
    """Counts the step bodies that are inside, and those that reached their end."""

    def __init__(self) -> None:
        self.inside = 0
        self.finished = 0

    async def work(self, *, fails: bool) -> int:
        """Work for twenty seconds, or fail after one."""
        self.inside += 1
        try:
            await trio.sleep(1)
            if fails:
                raise ValueError("broken")
            await trio.sleep(19)
            self.finished += 1
        finally:
            self.inside -= 1
        return 1


def _workflow(bodies: Bodies, failing: int) -> Workflow[int, object, object]:
    @step(timeout=3600.0)
    async def work(context: Context[int]) -> int:
        return await bodies.work(fails=context.item == failing)

    def over(_: Context[int]) -> tuple[int, ...]:
        return tuple(range(BRANCHES))

    return each(work, over=over, max_concurrent=BRANCHES)


Host = Callable[
    [Runtime[object], Workflow[int, object, object]], Coroutine[None, None, None]
]


async def _timeout(
    runtime: Runtime[object], workflow: Workflow[int, object, object]
) -> None:
    await runtime.run(workflow, 1, deadline=2.0)


async def _sibling(
    runtime: Runtime[object], workflow: Workflow[int, object, object]
) -> None:
    await runtime.run(workflow, 1)


async def _host(
    runtime: Runtime[object], workflow: Workflow[int, object, object]
) -> None:
    with trio.move_on_after(2.0):
        await runtime.run(workflow, 1)


CASES: Final[dict[str, tuple[Host, int]]] = {
    TIMEOUT: (_timeout, -1),
    SIBLING: (_sibling, 3),
    HOST: (_host, -1),
}


async def still_running(host: Host, failing: int) -> int:
    """Return how much of a run was left when it was over."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    bodies = Bodies()
    workflow = _workflow(bodies, failing)
    async with Runtime(workflow) as runtime:
        begun = trio.current_time()
        await host(runtime, workflow)
        assert 1 <= trio.current_time() - begun < 20, "the run was not cut short"
        left = bodies.inside + len(runtime.list())
        await trio.sleep(3600)
        left += bodies.finished
    return left + trio.lowlevel.current_statistics().tasks_living - tasks


def _measure(sizes: Sizes) -> Figures:
    return {
        label: [
            Sample.of(
                trio.run(still_running, *case, clock=MockClock(autojump_threshold=0))
            )
        ]
        for label, case in CASES.items()
    }


LEFTOVERS = Row(
    "leftovers",
    "a fan-out of 10 is cut short: bodies, runs and tasks that are left",
    Unit.PIECES,
    (
        Claim("left when a timeout fires", TIMEOUT, None, 0.0),
        Claim("left when a sibling fails", SIBLING, None, 0.0),
        Claim("left when the host is cancelled", HOST, None, 0.0),
    ),
    _measure,
)
