"""The runtime: hosts workflows as supervised actors, and runs them.

::

    async with Runtime(feedback, models=models) as runtime:
        result = await runtime.run(feedback, Feedback("..."), deadline=60.0)
"""

from __future__ import annotations

import math
import random
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, Never, Self, TypeVar, cast

import trio

from understudy.budgets import RunBudget, checked_budget
from understudy.engine.admission import Door
from understudy.engine.dependencies import Dependencies
from understudy.engine.desk import Desk
from understudy.engine.flow import Flow
from understudy.engine.hosting import Hosted
from understudy.engine.reception import Reception, Terms
from understudy.engine.strand import Run
from understudy.engine.terms import checked_terms
from understudy.handle import RunHandle
from understudy.many import ManyRuns
from understudy.result import RunResult
from understudy.runs import Runs
from understudy.watching import Audience, EventStream, RunStream
from understudy.workflows.check import check
from understudy.workflows.nodes import AnyWorkflow, Workflow
from understudy_actors.supervisor import supervisor_child
from understudy_actors.system import ActorSystem
from understudy_actors.watchdog import Watchdog
from understudy_protocols.budget import Budget
from understudy_protocols.errors import (
    ConfigError,
    RunSuspendedError,
    SetupError,
)
from understudy_protocols.failures import Cause, Failure
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.supervision import (
    ChildSpec,
    Strategy,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import (
    LifeState,
    SupervisionEvent,
    TreeSnapshot,
)

if TYPE_CHECKING:
    from understudy.engine.keeping import Keeping
    from understudy.engine.model_services import ModelServices
    from understudy.journal.recorder import Durability
    from understudy_protocols.chat import Model
    from understudy_protocols.journal import Store

I = TypeVar("I")
O = TypeVar("O")
D = TypeVar("D")

MAX_RUNS = 1_000
"""Runs under way at once, unless the runtime says otherwise."""

MAX_WAITING = 10_000
"""Runs that may wait to begin, unless the runtime says otherwise."""

MAX_PAUSED = 100_000
"""Paused runs that take no place, unless the runtime says otherwise."""


class Runtime(Runs, Generic[D]):
    """Workflows, hosted; an async context manager.

    Leaving the block cleanly shuts the door, waits until the runs that were
    submitted are over, and stops all actors in order.  Once every run under way
    waits for an answer, without a time limit, it waits no longer: they and those
    in line behind them are cancelled.  If the body raised or
    is cancelled, the runs are cancelled at once.  What leaves the block is the
    body's own exception, as the same object.

    Args:
      workflows: what can be run here; each is checked whole, now.
      models: the models that steps may use, by name; or the file that describes
        them.
      deps: the user's own dependencies, as `Attempt.deps`.  An async context
        manager is entered by a supervised actor, and its value is used.
      max_runs: runs under way at once; a count.  One that waits for an answer
        with all of it is not counted; answered, it goes on as soon as there is a
        place, before those that have not begun.
      max_waiting: runs that may wait to begin; one more is refused.
      max_paused: runs that may wait for an answer and are not counted; a count.
        Those that pause beyond that count among `max_runs`, so that in the end no
        other one begins.  They are kept in memory, some kB each.
      budget: caps on all runs together.
      drain_timeout: how long a clean exit waits for runs; seconds.
      kill_timeout: how long code that was cut may take to end before it is
        reported as stuck and left behind; seconds.
      seed: of the runtime's random source; a fresh one if not given.
      on_supervision: called with each event of the supervision tree.
      utcnow: the wall clock, for `created_at` and `expires_at`.
      journal: where runs are written down; a file, or a store.  Then a run that
        was accepted goes on after a crash, in the next runtime with this journal,
        and leaving the block suspends what is not over instead of cancelling it.
      durability: ``"step"``: a run goes on when what a step gave is safe.
        ``"async"``: it goes on at once, and what finished in the last moments
        before a crash is done again.
      resume: whether runs that an earlier process left go on by themselves, or
        each when its `run_id` is submitted again.
      accept_changes: whether runs go on although a node that they have been at is
        not what it was, if their records can be followed.  Otherwise such a run is
        held, and the error says what has changed.

    Raises:
      WorkflowError: a workflow cannot run as it is written.
      ConfigError: an argument that cannot be meant.
    """

    def __init__(
        self,
        *workflows: Workflow[Never, object, D],
        models: Mapping[str, Model] | str | Path | None = None,
        deps: D | AbstractAsyncContextManager[D] | None = None,
        max_runs: int = MAX_RUNS,
        max_waiting: int = MAX_WAITING,
        max_paused: int = MAX_PAUSED,
        budget: Budget | None = None,
        drain_timeout: float = math.inf,
        kill_timeout: float = 1.0,
        seed: int | None = None,
        on_supervision: Callable[[SupervisionEvent], None] | None = None,
        utcnow: Callable[[], datetime] = lambda: datetime.now(UTC),
        journal: Store | str | Path | None = None,
        durability: Durability = "step",
        resume: Literal["auto", "manual"] = "auto",
        accept_changes: bool = False,
    ) -> None:
        if not workflows:
            raise ConfigError("a Runtime needs one workflow or more to host")
        if not drain_timeout >= 0:
            raise ConfigError(
                f"drain_timeout is {drain_timeout!r}; give seconds, 0 or more"
            )
        self._random = random.Random(seed)
        self.seed: int = self._random.getrandbits(64) if seed is None else seed
        self.models: Mapping[str, Model] = {}
        self._model_services: ModelServices | None = None
        if models is not None:
            # Takes a while to load; here, and not with the first run that asks one.
            from understudy.engine.model_services import ModelServices, models_of

            self.models = models_of(models)
            self._model_services = ModelServices(self.models)
        self._dependencies = Dependencies(deps)
        self._drain_timeout = drain_timeout
        self._utcnow = utcnow
        self._calm = trio.Event()
        self._entered = False
        watchdog = Watchdog(trio.current_time, kill_timeout)
        self._flow = Flow(
            watchdog,
            self._settled,
            self._paused,
            lambda run: self._door.come_back(run),
        )
        self._door = Door(
            _count("max_runs", max_runs, 1),
            _count("max_waiting", max_waiting, 0),
            _count("max_paused", max_paused, 0),
            self._flow.go_on,
        )
        self._audience = Audience(self._flow.observers)
        self._besides: set[trio.CancelScope] = set()
        self._on_supervision = on_supervision
        self._hosted: dict[int, Hosted] = {}
        for workflow in cast("tuple[AnyWorkflow, ...]", workflows):
            if id(workflow) not in self._hosted:
                self._hosted[id(workflow)] = self._host(workflow, max_runs)
        self._dependencies.check(self._hosted.values())
        self._budget = RunBudget(checked_budget(budget))
        self._keeping: Keeping | None = None
        if journal is not None:
            # As above.
            from understudy.engine.keeping import keeping

            self._keeping = keeping(
                journal,
                durability,
                self._flow,
                self._budget,
                utcnow,
                self._new_id,
                {name: hosted.plan for name, hosted in self._by_name().items()},
                accept_changes,
                self._door.alone,
            )
        if resume not in ("auto", "manual"):
            raise ConfigError(f"resume is {resume!r}; give 'auto' or 'manual'")
        self._resumes = resume == "auto"
        self._reception = Reception(
            self._flow,
            self._door,
            self._budget,
            self._new_id,
            utcnow,
        )
        self._reception.durable = None if self._keeping is None else self._keeping.runs
        self._desk = Desk(
            self._flow,
            self._door,
            self._reception,
            lambda name: self._by_name().get(name),
        )
        self._system = ActorSystem(
            self._root_spec(watchdog),
            random=self._random,
            on_event=self._watch_tree,
            kill_timeout=kill_timeout,
        )

    # --- running -----------------------------------------------------------

    async def run(
        self,
        workflow: Workflow[I, O, Never],
        input: I | Mapping[str, object],  # noqa: A002 - the field's own word
        *,
        run_id: str | None = None,
        deadline: float | None = None,
        expires_at: datetime | None = None,
        budget: Budget | None = None,
        priority: int = 0,
        tenant: str = "",
        metadata: Mapping[str, object] | None = None,
    ) -> RunResult[O]:
        """Run *workflow* on *input* and return when the run is over.

        Whatever comes of the run is in the result; nothing is raised for it.

        Args:
          run_id: its identity; drawn if not given.  That of a run under way
            waits for that run, if workflow and input are the same.
          deadline: how long the run may be active; seconds from now.  The
            clock stands still while all of it is paused, and until it goes on.
          expires_at: when it is over in any case; aware.
          budget: caps on this run.
          priority: higher ones begin first, when runs have to wait.
          tenant: whose run it is; tenants that wait take turns.
          metadata: facts about the run that no step depends on.

        Cancellation: the run is cancelled; raised once nothing of it is in
          hand any more.  A run that another caller began goes on.  Ctrl-C and
          `SystemExit` leave a run that is written down to the next runtime.
        Raises:
          AdmissionError: the runtime is full or stopping; nothing was begun.
          ConfigError: terms that cannot be meant.
          InputError: the input is not what the workflow takes.
          SetupError: *run_id* is under way in another workflow or with another
            input.
        """
        joined = run_id in self._door.live
        run = self._accept(
            workflow,
            input,
            Terms(run_id, deadline, expires_at, budget, priority, tenant, metadata),
        )
        handle: RunHandle[O] = RunHandle(run, self._cancel)
        try:
            return await handle.result()
        except BaseException as error:
            if not joined and not run.on_end.is_set():
                self._drop(run, error)
                await self._gone(run)
            raise

    async def submit(
        self,
        workflow: Workflow[I, O, Never],
        input: I | Mapping[str, object],  # noqa: A002 - the field's own word
        *,
        run_id: str | None = None,
        deadline: float | None = None,
        expires_at: datetime | None = None,
        budget: Budget | None = None,
        priority: int = 0,
        tenant: str = "",
        metadata: Mapping[str, object] | None = None,
    ) -> RunHandle[O]:
        """Accept a run and return at once; see `run` for the arguments.

        The same *run_id* with the same workflow and input is the same run.
        Always a checkpoint.

        Cancellation: the run was accepted and goes on.
        """
        run = self._accept(
            workflow,
            input,
            Terms(run_id, deadline, expires_at, budget, priority, tenant, metadata),
        )
        await trio.lowlevel.checkpoint()
        if run.journal is not None:
            await run.journal.safe.wait()
        return RunHandle(run, self._cancel)

    def run_many(
        self,
        workflow: Workflow[I, O, Never],
        inputs: Iterable[I] | AsyncIterable[I],
        *,
        concurrency: int = 10,
        ordered: bool = True,
        deadline: float | None = None,
        budget: Budget | None = None,
    ) -> ManyRuns[O]:
        """Run *workflow* on each input; iterate over the results.

        Args:
          inputs: taken one by one, as results are; may be endless.
          concurrency: runs under way at once, paused ones included; a count.
          ordered: whether results come in the order of the inputs.
          deadline: of each run; seconds from when it begins.
          budget: caps on each run.
        """

        terms = Terms(deadline=deadline, budget=budget)

        def start(given: I, ended: Callable[[], None]) -> Run:
            return self._accept(workflow, given, terms, ended)

        return ManyRuns(
            start,
            inputs,
            concurrency=_count("concurrency", concurrency, 1),
            ordered=ordered,
            drop=self._drop,
            beside=self._beside,
        )

    def stream(
        self,
        workflow: Workflow[I, O, Never],
        input: I | Mapping[str, object],  # noqa: A002 - the field's own word
        *,
        run_id: str | None = None,
        deadline: float | None = None,
        budget: Budget | None = None,
    ) -> RunStream[O]:
        """Run *workflow* and watch it: an async context manager of its events.

        Leaving the block before the run is over cancels it, unless *run_id* was
        under way before; then the events are those from now on.
        """

        def start() -> tuple[Run, bool]:
            joined = run_id in self._door.live
            terms = Terms(run_id, deadline=deadline, budget=budget)
            return self._accept(workflow, input, terms), joined

        return RunStream(start, self._audience, self._drop)

    def events(self, run_id: str | None = None) -> EventStream:
        """Watch all runs, or one: an async context manager of events.

        A watcher changes nothing: a slow one misses events, and is told how many.
        The events end with the run, or with the runtime.
        """
        return EventStream(self._audience, run_id)

    # --- what it knows --------------------------------------------------------

    def tree(self) -> TreeSnapshot:
        """Return the supervision tree as it is at this moment."""
        return self._system.tree()

    @property
    def deps(self) -> object:
        """The dependencies that steps are given."""
        return self._dependencies.value

    def jitter(self) -> float:
        """Return a number from 0 to 1, from the runtime's random source."""
        return self._random.random()

    # --- life ----------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._entered:
            raise SetupError("a Runtime can be entered only once; make another one")
        self._flow.enter_system()
        if self._model_services is not None:
            self._model_services.begin()
        if self._keeping is not None:
            self._keeping.open()
        self._entered = True
        try:
            await self._system.__aenter__()
        except BaseException:
            if self._keeping is not None:
                self._keeping.close()
            raise
        try:
            if self._keeping is not None and self._resumes:
                self._door.hold()
                await self._keeping.bring_all_back(
                    self._door.live, self._reception, self._by_name()
                )
            self._door.shut = None
            if self._keeping is not None:
                self._keeping.all_there()
                self._door.open(self._keeping.runs.recorder.follow)
        except BaseException as error:
            # Nobody else would stop what runs already.
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        self._door.shut = "it is stopping"
        for scope in tuple(self._besides):
            scope.cancel()
        error = exc
        if error is None:
            try:
                await self._drain()
            except BaseException as raised:  # noqa: BLE001 - raised again below
                error = raised
        self._door.close()
        for run in self._door.unfinished():
            self._leave(run)
        kind = None if error is None else type(error)
        try:
            trace = None if error is None else error.__traceback__
            await self._system.__aexit__(kind, error, trace)
        finally:
            self._bury()
        if error is not None and error is not exc:
            raise error
        return False

    async def serve(
        self,
        *,
        task_status: trio.TaskStatus[Self] = trio.TASK_STATUS_IGNORED,  # pyright: ignore[reportArgumentType]  # trio types it for any task
    ) -> None:
        """Host the workflows until cancelled: ``await nursery.start(runtime.serve)``."""
        async with self:
            task_status.started(self)
            await trio.sleep_forever()

    # --- inside --------------------------------------------------------------

    def _new_id(self) -> str:
        """Return an id for a run.

        In a journal it begins with the time: the seed of an earlier process may have
        given the rest of it before, and what comes in order takes few pages.
        """
        drawn = self._system.new_id()
        if self._keeping is None:
            return drawn
        since = max(0, int(self._utcnow().timestamp() * 1000))
        return f"{since:012x}{drawn[12:]}"

    def _host(self, workflow: AnyWorkflow, max_runs: int) -> Hosted:
        taken = {hosted.name for hosted in self._hosted.values()}
        name, ordinal = workflow.name, 1
        while name in taken:
            ordinal += 1
            name = f"{workflow.name}-{ordinal}"
        return Hosted(check(workflow), name, self._flow, max_runs, self)

    def _root_spec(self, watchdog: Watchdog) -> SupervisorSpec:
        children = [
            ChildSpec("watchdog", watchdog.run),
            *(() if self._keeping is None else self._keeping.children()),
            *self._dependencies.children(),
            *(() if self._model_services is None else self._model_services.children()),
        ]
        workflows = SupervisorSpec(
            tuple(
                hosted.child_spec(lambda: self._system.nursery)
                for hosted in self._hosted.values()
            )
        )
        children.append(supervisor_child("workflows", workflows))
        if self._keeping is not None:
            children += self._keeping.requests(self._desk)
        return SupervisorSpec(tuple(children), strategy=Strategy.REST_FOR_ONE)

    def _accept(
        self,
        workflow: AnyWorkflow,
        given: object,
        terms: Terms,
        on_done: Callable[[], None] | None = None,
    ) -> Run:
        hosted = self._hosted.get(id(workflow))
        if hosted is None:
            names = ", ".join(h.name for h in self._hosted.values())
            raise SetupError(
                f"workflow {workflow.name!r} is not hosted by this runtime ({names}); "
                "give it to Runtime(...)"
            )
        return self._reception.accept(hosted, given, checked_terms(terms), on_done)

    def _beside(self, work: Callable[[], Awaitable[None]]) -> trio.CancelScope:
        """Do *work* in a task of its own, until the runtime takes no more runs."""
        self._door.check_open()
        scope = trio.CancelScope()
        self._besides.add(scope)

        async def beside() -> None:
            with scope:
                await work()
            self._besides.discard(scope)

        self._system.nursery.start_soon(beside)
        return scope

    def _watch_tree(self, event: SupervisionEvent) -> None:
        if event.path == self._system.name and event.state is LifeState.CRASHED:
            self._root_ended(event.cause)
        if self._on_supervision is not None:
            self._on_supervision(event)

    def _root_ended(self, cause: BaseException | None) -> None:
        """The root gave up: nothing runs any more, and nobody else would say so."""
        self._door.shut = "it has failed"
        self._door.close()
        for run in self._door.unfinished():
            if run.journal is not None:
                self._leave(run)
            elif cause is None or isinstance(cause, Exception):
                self._flow.finish(run, RunStatus.FAILED, failure=_down(cause))
            else:
                self._cancel(run)  # what ends the process is no failure of ours

    def _settled(self, run: Run) -> None:
        if self._door.live.get(run.id) is run:
            self._door.leave(run)
        run.settle()
        self._calm.set()

    def _paused(self, run: Run) -> None:
        self._door.step_aside(run)
        self._calm.set()

    def _drop(self, run: Run, error: BaseException | None) -> None:
        """Cancel a run whose caller has gone; leave it, if the process goes as well."""
        if _ends_process(error):
            self._leave(run)
        else:
            self._cancel(run)

    def _leave(self, run: Run) -> None:
        """Cancel a run at the end; with a journal, let it go on in the next runtime."""
        journal = run.journal
        if journal is None or run.status.terminal:
            self._cancel(run)
            return
        status = run.status
        if status is RunStatus.RUNNING:
            # Whoever finds it need not think that a process has died over it.
            status = RunStatus.QUEUED
            journal.status(status)
        self._suspend(run, status)

    def _suspend(self, run: Run, status: RunStatus) -> None:
        why = RunSuspendedError(
            f"run {run.id!r} is not over, and the runtime has stopped; "
            "its journal has it, and the next runtime goes on with it"
        )
        self._flow.suspend(run, why, status)

    def _by_name(self) -> dict[str, Hosted]:
        return {hosted.name: hosted for hosted in self._hosted.values()}

    async def _gone(self, run: Run) -> None:
        """Wait until nothing of a run is in hand; bounded by the grace."""
        grace = self._flow.watchdog.grace
        with trio.move_on_after(2 * grace + 1, shield=True):
            await run.on_end.wait()

    async def _drain(self) -> None:
        with trio.move_on_after(self._drain_timeout):
            while not self._door.at_rest():
                self._calm = trio.Event()
                await self._calm.wait()

    def _bury(self) -> None:
        """End what the actors did not live to end, and let go of the journal."""
        for run in self._door.unfinished():
            if run.journal is None:
                self._flow.finish(run, RunStatus.FAILED, failure=_down(None))
            else:
                self._leave(run)
        written = False
        try:
            written = self._keeping is None or self._keeping.close()
        finally:
            for run in self._door.unfinished():
                if run.status.terminal and not (written or run.over):
                    # Nobody is to see an end that the next runtime knows nothing of.
                    self._suspend(run, RunStatus.QUEUED)
                self._settled(run)
            self._audience.disperse()


def _down(cause: BaseException | None) -> Failure:
    causes = () if cause is None else (Failure.from_error(cause),)
    return Failure.of(Cause.DOWN, "the runtime failed", causes=causes)


def _ends_process(error: BaseException | None) -> bool:
    ends = (KeyboardInterrupt, SystemExit)
    if isinstance(error, BaseExceptionGroup):
        return (
            cast("BaseExceptionGroup[BaseException]", error).subgroup(ends) is not None
        )
    return isinstance(error, ends)


def _count(what: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without a checker
        raise ConfigError(f"{what} is {value!r}; give a whole number from {least}")
    return value
