"""Where an attempt is made: what it may reach of its step, run and worker."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping
from typing import Protocol

import trio

from understudy.budgets import Hold
from understudy.engine.step_op import StepOp
from understudy.engine.strand import StepMessage
from understudy.models.bound import BoundModels
from understudy.workflows.attempt import Attempt
from understudy_actors.worker import Worker
from understudy_protocols.chat import Model
from understudy_protocols.retry import RetryConfig
from understudy_protocols.usage import Usage


class Surroundings(Protocol):
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


class AttemptPost:
    """See `understudy.workflows.attempt.Post`."""

    __slots__ = ("_message", "_op", "_outside", "_runtime", "_worker")

    def __init__(
        self,
        runtime: Surroundings,
        op: StepOp,
        message: StepMessage,
        worker: Worker[StepMessage],
    ) -> None:
        self._runtime = runtime
        self._op = op
        self._message = message
        self._worker = worker
        # Requests and waits under way: a step may have several at once.
        self._outside = 0

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
    def deadline(self) -> float:
        """The nearest deadline around the attempt; seconds on the clock of `now`."""
        return min(self._message.strand.run.deadline, self._message.due)

    @property
    def capped(self) -> bool:
        """Whether money or tokens have a cap."""
        return self._message.strand.run.budget.capped

    def now(self) -> float:
        """The runtime's clock; seconds."""
        return self._op.flow.now()

    def jitter(self) -> float:
        """A number from 0 to 1, from the runtime's random source."""
        return self._runtime.jitter()

    def seeded(self) -> random.Random:
        """A random source that depends on the runtime's seed and the key alone."""
        return random.Random(f"{self._runtime.seed}/{self.key}")

    def models(self, attempt: Attempt[object]) -> BoundModels:
        """The runtime's models, bound to *attempt*."""
        return BoundModels(self._runtime.models, attempt)

    def bound_request(self) -> None:
        """Suspend the bound on the step's own code."""
        self._outside += 1
        # The step's own deadline still holds, and is at most an early look away.
        self._arm(self._message.due)

    def bound_body(self) -> None:
        """Set the bound on the step's own code again."""
        self._outside -= 1
        if self._outside:
            return
        bound = self._op.flow.now() + self._op.step.retry.timeout_seconds
        self._arm(min(bound, self._message.due))

    async def wait(self, delay: float, why: str) -> None:
        """Wait with the permit given back."""
        flow = self._op.flow
        if flow.observers:
            flow.tell(
                "waiting",
                self._message.strand,
                path=self._op.path,
                detail=f"{why}, {delay:.3g} s",
            )
        worker = self._worker
        self.bound_request()
        if self._outside == 1:
            worker.lend_permit()
        try:
            await trio.sleep(delay)
            await worker.regain_permit()
        except trio.Cancelled:
            if worker.slot.fired is None:
                # A scope of the step's own ended the wait: the step goes on, and
                # not without a permit.
                with worker.slot.shield():
                    await worker.regain_permit()
            raise
        finally:
            self.bound_body()

    def reserve(self, worst: Usage) -> Hold:
        """Put *worst* aside in the run's budget."""
        return self._message.strand.run.budget.reserve(worst)

    def emit(self, value: object, number: int) -> None:
        """Show *value* to those who watch the run."""
        flow = self._op.flow
        if flow.observers:
            flow.tell(
                "emitted",
                self._message.strand,
                path=self._op.path,
                attempt=number,
                value=value,
            )

    def _arm(self, deadline: float) -> None:
        slot = self._worker.slot
        if slot.fired is not None:
            return  # its deadline is now that of the grace
        slot.deadline = deadline
        if deadline != math.inf and deadline < slot.queued:
            self._op.flow.watchdog.push(slot)
