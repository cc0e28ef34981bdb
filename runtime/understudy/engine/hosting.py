"""Hosting a workflow: its compiled nodes, and an actor for each step."""

from __future__ import annotations

from collections.abc import Callable

import trio

from understudy.engine.attempt_scope import AttemptScope, Lender
from understudy.engine.compile import Compiled, compile_plan
from understudy.engine.flow import Flow
from understudy.engine.stateful_work import StatefulWork
from understudy.engine.step_op import StepOp, admits_all
from understudy.engine.step_work import StepWork
from understudy.engine.strand import Run, StepMessage, Strand
from understudy.workflows.inputs import admit
from understudy.workflows.plan import Plan
from understudy_actors.restart_window import RestartWindow
from understudy_actors.step_actor import StepActor
from understudy_actors.supervisor import supervisor_child
from understudy_actors.worker import Worker
from understudy_protocols.errors import RestartIntensityError
from understudy_protocols.failures import Cause, Failure
from understudy_protocols.frozen_types import immutable
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.state import OrchestrationState
from understudy_protocols.supervision import (
    ChildSpec,
    Life,
    Restart,
    Shutdown,
    SupervisorSpec,
)
from understudy_protocols.workload import Workload

WORKER_RESTARTS = (3, 5.0)
"""Broken workers that one step may replace, in so many seconds."""


class Hosted:
    """One workflow in one runtime."""

    def __init__(
        self, plan: Plan, name: str, flow: Flow, max_runs: int, around: Lender
    ) -> None:
        self.plan = plan
        self.name = name
        self.flow = flow
        self.max_runs = max_runs
        self._around = around
        self._admitted: set[type] = set()
        self.compiled: Compiled = compile_plan(plan, flow, max_runs, self._complete)

    def admit(self, given: object) -> object:
        """Return the input of a run, frozen and of the declared type."""
        if type(given) in self._admitted:
            return given
        frozen = admit(given, self.plan.input_type, f"the input of {self.name}")
        cls = type(given)
        if (
            frozen is given
            and cls in immutable
            and admits_all(self.plan.input_type, cls)
        ):
            self._admitted.add(cls)
        return frozen

    def begin(self, run: Run) -> None:
        """Set *run* going from its accepted state, when that is on record."""
        if run.ended:
            return  # in line, and its end is not safe yet
        run.become(RunStatus.RUNNING)
        if run.journal is None:
            self.enter(run)
        else:
            run.journal.when_safe(lambda: None if run.ended else self.enter(run))

    def enter(self, run: Run) -> None:
        """Bring *run* to its first node."""
        self.compiled.entry.enter(run, run.state)

    def _complete(
        self, strand: Strand, state: OrchestrationState[object], value: object
    ) -> None:
        strand.run.state = state
        self.flow.finish(strand.run, RunStatus.COMPLETED, value=value)

    # What the work of steps needs

    def jitter(self) -> float:
        """See `StepHost`."""
        return self._around.jitter()

    def attempt(
        self, op: StepOp, message: StepMessage, worker: Worker[StepMessage]
    ) -> AttemptScope:
        """See `StepHost`."""
        return AttemptScope(self._around, op, message, worker)

    # The actors

    def child_spec(self, nursery: Callable[[], trio.Nursery]) -> ChildSpec:
        """Return the supervisor of this workflow's actors, as a child."""
        children = tuple(self._step_child(op, nursery) for op in self.compiled.steps)
        return supervisor_child(self.name, SupervisorSpec(children))

    def _step_child(self, op: StepOp, nursery: Callable[[], trio.Nursery]) -> ChildSpec:
        actor: StepActor[StepMessage] | None = None

        async def serve(life: Life) -> None:
            nonlocal actor
            actor = StepActor(
                life.path,
                op.mailbox,
                self._work_of(op),
                max_concurrent=op.step.max_concurrent or int(op.mailbox.capacity),
                window=RestartWindow(*WORKER_RESTARTS),
                watchdog=self.flow.watchdog,
                nursery=nursery(),
            )
            try:
                await actor.run(life)
            except RestartIntensityError as error:
                # The runs that need this step fail; those that do not go on.
                op.give_up(
                    Failure.of(
                        Cause.DOWN,
                        str(error),
                        where=op.path,
                        causes=(Failure.from_error(error.__cause__ or error),),
                    )
                )
                # Observers of the tree want to know why; it is no failure of it.
                raise Shutdown(f"{op.path} is down") from error

        def workload() -> Workload:
            limit = op.step.max_concurrent
            if actor is None:
                return Workload(limit=limit, queued=len(op.mailbox))
            return actor.workload(limit)

        return ChildSpec(
            op.path.replace("/", "."),
            serve,
            restart=Restart.TRANSIENT,
            workload=workload,
        )

    def _work_of(self, op: StepOp) -> Callable[[], StepWork]:
        factory = op.step.factory
        if factory is not None:
            return lambda: StatefulWork(op, self, factory)
        shared = StepWork(op, self)
        return lambda: shared
