"""What must be true of a runtime when all its runs are over."""

from __future__ import annotations

from typing import cast

import trio

from understudy import RunStatus, Runtime
from understudy.engine.strand import Run
from understudy_actors.step_actor import StepActor


class Ledger:
    """Every run that a runtime accepted, and how often each one ended."""

    def __init__(self, runtime: Runtime[object]) -> None:
        self.runs: list[Run] = []
        self.ends: dict[int, list[RunStatus]] = {}
        self.settled: dict[int, int] = {}
        flow = runtime._flow
        finish, settled, enter = flow.finish, flow.on_settled, runtime._door.enter

        def counted_enter(run: Run) -> None:
            self.runs.append(run)
            self.ends[id(run)] = []
            self.settled[id(run)] = 0
            enter(run)

        def counted_finish(run: Run, status: RunStatus, **more: object) -> None:
            if not run.status.terminal:
                self.ends[id(run)].append(status)
            finish(run, status, **more)  # type: ignore[arg-type]

        def counted_settled(run: Run) -> None:
            self.settled[id(run)] += 1
            settled(run)

        runtime._door.enter = counted_enter  # type: ignore[method-assign]
        flow.finish = counted_finish  # type: ignore[method-assign]
        flow.on_settled = counted_settled

    def check(self) -> None:
        """Each run that is over ended once, and holds nothing."""
        for run in self.runs:
            ends = self.ends[id(run)]
            assert len(ends) == 1, (run.id, ends)
            assert run.status is ends[0]
            assert run.status.terminal
            assert self.settled[id(run)] == 1
            assert run.on_end.is_set()
            assert run.lingering == 0
            assert run.pauses == {}
            assert run.paused == 0
            assert run.waiting is None
            assert run.expiry is None
            assert run.hard_expiry is None
            assert len(run.budget.ledger.open) == 0
            if run.status is RunStatus.COMPLETED:
                assert run.leaves in (0, 1)


def actors(runtime: Runtime[object]) -> list[StepActor[object]]:
    """Return the step actors that serve now."""
    found: list[StepActor[object]] = []
    for hosted in runtime._hosted.values():
        for op in hosted.compiled.steps:
            owner = getattr(op.mailbox.on_ready, "__self__", None)
            if isinstance(owner, StepActor):
                found.append(cast("StepActor[object]", owner))
    return found


async def check_at_rest(runtime: Runtime[object], ledger: Ledger) -> None:
    """No run is live: nothing is in hand, waited for, or held."""
    assert runtime.list() == ()
    ledger.check()
    # Messages of ended runs are dropped by whoever meets them.
    await trio.sleep(1_000)
    for actor in actors(runtime):
        assert actor.busy == 0, actor.path
        assert len(actor.mailbox) == 0, actor.path
        assert actor._returning == {}
        assert all(w.message is None for w in actor._workers)
        assert len(actor._idle) == len(actor._workers)
    assert runtime._door._inside == 0
    assert runtime._door.waiting == 0
    assert len(runtime._door._back) == 0
    assert not runtime._door._aside
    assert not runtime._door._staying
    assert len(runtime._budget.ledger.open) == 0
    assert len(runtime._flow.watchdog) == 0
    assert runtime._flow.observers == []
