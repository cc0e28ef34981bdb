"""What an attempt is made in: what it may reach of its step, run and worker."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, cast

import msgspec
import trio

from understudy.budgets import Hold
from understudy.engine.places import used_by
from understudy.engine.step_op import StepOp
from understudy.engine.strand import StepMessage
from understudy.events import EventKind
from understudy_actors.worker import Worker
from understudy_protocols.errors import SetupError
from understudy_protocols.failures import AttemptRecord, Failure
from understudy_protocols.retry import RetryConfig
from understudy_protocols.sensitive import redacted
from understudy_protocols.usage import NO_USAGE, Usage

if TYPE_CHECKING:
    # Loaded by those who have models.
    from understudy.models.bound import BoundModels
    from understudy.models.function_journal import FunctionOutcome
    from understudy.models.input_limit import InputLimit
    from understudy_protocols.chat import Model


class Lender(Protocol):
    """What a runtime lends to every attempt made in it."""

    @property
    def deps(self) -> object:
        """The user's own dependencies."""
        ...

    @property
    def models(self) -> Mapping[str, Model]:
        """The models by name."""
        ...

    @property
    def seed(self) -> int:
        """What seeds the random sources of attempts."""
        ...

    def jitter(self) -> float:
        """Return a number from 0 to 1, from the runtime's random source."""
        ...


class AttemptScope:
    """One attempt, with what it has used up.

    The step sees it through `Attempt`, and model calls through `CallScope`.

    Attributes:
      number: which attempt this is, from 1; calls made again in place count.
      failures: the attempts that failed within this one, in model calls.
      usage: what its model calls have used so far.
    """

    __slots__ = (
        "_calls",
        "_conversations",
        "_final",
        "_holds",
        "_message",
        "_models",
        "_op",
        "_outside",
        "_runtime",
        "_worker",
        "failures",
        "number",
        "usage",
    )

    def __init__(
        self,
        runtime: Lender,
        op: StepOp,
        message: StepMessage,
        worker: Worker[StepMessage],
    ) -> None:
        self._runtime = runtime
        self._op = op
        self._message = message
        self._worker = worker
        self._models: BoundModels | None = None
        self._calls = 0
        self._conversations = 0
        self._final: tuple[BaseException, ...] = ()
        self._holds: tuple[Hold, ...] = ()
        # Requests and waits under way: a step may have several at once.
        self._outside = 0
        self.number: int = message.number
        self.failures: tuple[AttemptRecord, ...] = ()
        self.usage: Usage = NO_USAGE

    @property
    def key(self) -> str:
        """The step's idempotency key at this place of this run."""
        strand = self._message.strand
        place = f"{strand.run.id}\0{self._op.path}\0{strand.position()}"
        return hashlib.sha256(place.encode()).hexdigest()[:32]

    @property
    def path(self) -> str:
        """The step's place in the workflow."""
        return self._op.path

    @property
    def run_id(self) -> str:
        """The run."""
        return self._message.strand.run.id

    @property
    def deps(self) -> object:
        """The user's own dependencies."""
        return self._runtime.deps

    @property
    def retry(self) -> RetryConfig:
        """The step's retry rules."""
        return self._op.step.retry

    @property
    def input_limit(self) -> InputLimit | None:
        """The most that a model is to read in one request of this step."""
        return self._op.step.input_limit

    @property
    def deadline(self) -> float:
        """The nearest deadline around the attempt; seconds on the clock of `now`."""
        run = self._message.strand.run
        return min(run.deadline, run.hard_deadline, self._message.due)

    @property
    def money_capped(self) -> bool:
        """Whether money has a cap."""
        return self._message.strand.run.budget.money_capped

    @property
    def tokens_capped(self) -> bool:
        """Whether tokens have a cap."""
        return self._message.strand.run.budget.tokens_capped

    @property
    def over(self) -> bool:
        """Whether the attempt has ended, or nobody waits for it any more."""
        strand = self._message.strand
        return strand.attempt is not self or strand.worker is not self._worker

    def now(self) -> float:
        """The runtime's clock; seconds."""
        return self._op.flow.now()

    def jitter(self) -> float:
        """A number from 0 to 1, from the runtime's random source."""
        return self._runtime.jitter()

    def seeded(self) -> random.Random:
        """A random source that depends on the runtime's seed and the key alone."""
        return random.Random(f"{self._runtime.seed}/{self.key}")

    @property
    def models(self) -> BoundModels:
        """The runtime's models, bound to this attempt."""
        if self._models is None:
            # Whoever gave the runtime models has loaded it.
            from understudy.models.bound import BoundModels

            self._models = BoundModels(self._runtime.models, self)
        return self._models

    @property
    def priority(self) -> int:
        """The run's: higher ones get a free slot first."""
        return self._message.strand.run.priority

    @property
    def time_left(self) -> float:
        """Until `deadline`; seconds."""
        return self.deadline - self.now()

    def call_key(self) -> str:
        """Return an idempotency key for the next logical call of this attempt."""
        self._calls += 1
        return f"{self.key}/{self._calls}"

    def conversation_key(self) -> str:
        """Return the key of the attempt's next conversation; see `FunctionJournal`."""
        self._conversations += 1
        return f"{self.key}/talk{self._conversations}"

    def recorded(self, key: str) -> FunctionOutcome | None:
        """Return what came of a function's call in this run, if it has finished."""
        return self._message.strand.run.functions.get(key)

    async def record(self, outcome: FunctionOutcome) -> None:
        """Keep what came of a function's call as long as the run; always a checkpoint.

        It is kept before anything else can happen: what is here has finished.  With a
        journal it is safe when this returns.
        """
        self._check()
        strand, path = self._message.strand, self._op.path
        strand.run.remember(path, strand.position(), outcome)
        if strand.run.journal is None:
            await trio.lowlevel.checkpoint()
        else:
            await strand.run.journal.called(strand, path, outcome)

    def settle(self, hold: Hold, used: Usage) -> None:
        """Count what a call used in place of what was put aside for it, once."""
        if all(hold is not held for held in self._holds):
            return
        self._holds = tuple(held for held in self._holds if held is not hold)
        hold.settle(used)
        self.usage = self.usage + used

    @property
    def rest(self) -> Usage:
        """What its model calls have used besides the attempts that failed within it."""
        return self.usage - used_by(self.failures) if self.failures else self.usage

    def give_up(self) -> None:
        """Charge the calls under way at their worst: nobody waits for them."""
        for hold in self._holds:
            self.settle(hold, msgspec.structs.replace(hold.worst, estimated=True))

    def failed_in_place(self, failure: Failure, started: float, usage: Usage) -> None:
        """Record an attempt that failed within the step's function."""
        record = AttemptRecord(self.number, started, self.now(), failure, usage)
        self.failures = (*self.failures, record)

    def final(self, error: BaseException) -> None:
        """Take note that *error* is the last word of a call."""
        self._final = (*self._final, error)

    def is_final(self, error: BaseException) -> bool:
        """Whether a model call gave up with *error*, so that nothing is repeated.

        A nursery of the step's own may have put a group around it.
        """
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            return any(self.is_final(one) for one in group.exceptions)
        return any(error is one for one in self._final)

    def request_begins(self) -> None:
        """Suspend the bound on the step's own code."""
        self._outside += 1
        # The step's own deadline still holds, and is at most an early look away.
        self._arm(self._message.due)

    def request_ends(self) -> None:
        """Set the bound on the step's own code again."""
        self._outside -= 1
        if self._outside:
            return
        bound = self._op.flow.now() + self._op.step.retry.timeout_seconds
        self._arm(min(bound, self._message.due))

    async def wait(self, delay: float, why: str) -> None:
        """Wait with the permit given back."""
        async with self.waiting(f"{why}, {delay:.3g} s"):
            await trio.sleep(delay)

    @asynccontextmanager
    async def waiting(self, why: str) -> AsyncGenerator[None]:
        """Give the permit back for the length of a block."""
        self._check()
        self._tell("waiting", why)
        worker = self._worker
        self.request_begins()
        if self._outside == 1:
            worker.lend_permit()
        try:
            yield
            await worker.regain_permit()
        except BaseException:
            if worker.slot.fired is None:
                # A scope of the step's own ended the wait, or what was waited for
                # failed: the step goes on, and not without a permit.
                with worker.slot.shield():
                    await worker.regain_permit()
            raise
        finally:
            self.request_ends()
        self._tell("waited", why)

    def _tell(self, kind: EventKind, detail: str) -> None:
        flow = self._op.flow
        if flow.observers:
            strand, path = self._message.strand, self._op.path
            flow.tell(kind, strand, path=path, attempt=self.number, detail=detail)

    def reserve(self, worst: Usage) -> Hold:
        """Put *worst* aside in the run's budget."""
        self._check()
        hold = self._message.strand.run.budget.reserve(worst)
        self._holds = (*self._holds, hold)
        return hold

    async def on_record(self, hold: Hold) -> None:
        """Return when it is safe that *hold* was put aside, if the run is written down.

        What costs nothing and is under no cap is not written down: nobody has to
        know of it after a crash.
        """
        run = self._message.strand.run
        if run.journal is None or not (hold.worst.cost_micros or run.budget.limited):
            return
        worst = sum((held.worst for held in self._holds), self.usage)
        await run.journal.reserved(
            self._message.strand, self._op.path, self.number, worst
        )

    def emit(self, value: object) -> None:
        """Show *value* to those who watch the run; also from a step's thread."""
        if trio.lowlevel.in_trio_run():
            self._emit(value)
        else:
            trio.from_thread.run_sync(self._emit, value)

    async def show(self, value: object) -> None:
        """Show *value* to those who watch the run; waits for the one who began it.

        Always a checkpoint.
        """
        self._emit(value)
        viewer = self._message.strand.run.viewer
        if viewer is None:
            await trio.lowlevel.checkpoint()
        else:
            await viewer.caught_up()

    def _emit(self, value: object) -> None:
        self._check()
        flow = self._op.flow
        if flow.observers:
            flow.tell(
                "emitted",
                self._message.strand,
                path=self._op.path,
                attempt=self.number,
                value=redacted(value),
            )

    def _check(self) -> None:
        """See that the attempt is under way.

        Raises:
          SetupError: it is over, and its worker is at something else.
        """
        if self.over:
            raise SetupError(
                f"{self.path}: the attempt {self.number} of the run {self.run_id!r} "
                "is over; use an Attempt only within the call that it was given to"
            )

    def _arm(self, deadline: float) -> None:
        slot = self._worker.slot
        if slot.fired is not None:
            return  # its deadline is now that of the grace
        if self.over:
            return  # the slot bounds what its worker does now
        slot.deadline = deadline
        if deadline != math.inf and deadline < slot.queued:
            self._op.flow.watchdog.push(slot)
