"""A compiled step: what its actor and its workers have to know."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import UnionType
from typing import TYPE_CHECKING, Never, Protocol, Union, get_args, get_origin

from understudy.engine.flow import Flow, Then
from understudy.engine.places import StepEntry
from understudy.engine.strand import Drawn, StepMessage, Strand
from understudy.workflows.attempt import Surroundings
from understudy.workflows.hints import UNDECLARED
from understudy.workflows.step import Step
from understudy.workflows.types import matches, type_name
from understudy_actors.mailbox import Mailbox
from understudy_actors.worker import Worker
from understudy_protocols.articles import with_article
from understudy_protocols.errors import ActorStoppedError, MailboxFullError
from understudy_protocols.failures import AttemptRecord, Cause, Failure, StepError
from understudy_protocols.frozen import freeze
from understudy_protocols.frozen_types import immutable
from understudy_protocols.records import (
    Failed,
    Finished,
    Placed,
    Retrying,
    Skipped,
)
from understudy_protocols.retry import delay_after
from understudy_protocols.state import OrchestrationState

if TYPE_CHECKING:
    # Loaded by those who have a journal.
    from understudy.engine.replay import Replay

State = OrchestrationState[object]


class StepOp:
    """A step at its place in a workflow.

    Attributes:
      mailbox: where its messages wait; sized so that a put never fails for
        want of room.
      then: follows with the step's value.
      skip: follows when the step did not run.
      admitted: types whose every value is frozen and of the declared class.
      last: whether its value ends the run, and nothing else comes between.
      down: why the step takes no more messages, once its actor has given up.
    """

    def __init__(
        self,
        flow: Flow,
        path: str,
        step: Step[Never, object, Never],
        needs: Mapping[str, bool] | None,
        mailbox: Mailbox[StepMessage],
        then: Then,
        skip: Callable[[Strand, State], None],
    ) -> None:
        self.flow = flow
        self.path = path
        self.step = step
        self.needs = needs
        self.mailbox = mailbox
        self._put = mailbox.put_nowait
        self.then = then
        self.skip = skip
        self.last: bool = False
        self.down: Failure | None = None
        self.declared: object = step.output_type
        self.admitted: set[type] = set()

    def enter(self, strand: Strand, state: State) -> None:
        """Send the strand's message to the step's actor."""
        replay = strand.run.replay
        if replay is not None:
            replay.arrive(self.path, StepArrival(self, strand, state))
            return
        message = StepMessage(strand, state)
        try:
            self._put(message)
        except (ActorStoppedError, MailboxFullError) as error:
            self._not_put(message, error)

    def send(self, message: StepMessage) -> None:
        """Put a message into the mailbox, behind all others."""
        try:
            self._put(message)
        except (ActorStoppedError, MailboxFullError) as error:
            self._not_put(message, error)

    def _not_put(
        self, message: StepMessage, error: ActorStoppedError | MailboxFullError
    ) -> None:
        if isinstance(error, ActorStoppedError):
            failure = self.down or Failure.from_error(error)
            self.flow.fail_soon(message.strand, self.path, failure)
        else:
            self._sweep()
            self._put(message)

    def _sweep(self) -> None:
        """Drop the messages of ended strands: room is reckoned for live ones."""
        mailbox = self.mailbox
        waiting = [mailbox.take_nowait() for _ in range(len(mailbox))]
        for message in waiting:
            if not message.strand.ended:
                mailbox.put_nowait(message)

    def again(self, message: StepMessage) -> None:
        """Put a message back, ahead of all that have not been begun."""
        try:
            self.mailbox.put_front(message)
        except ActorStoppedError as error:
            failure = self.down or Failure.from_error(error, where=self.path)
            self.flow.fail_at(message.strand, self.path, failure)

    def admit(self, value: object) -> object:
        """Return what the step gave, frozen and found to be what it declares.

        Not called for values of a type that is `admitted` already.

        Raises:
          NotFrozenError: it can change, and says where.
          StepError: it is something else than declared.
        """
        frozen = freeze(value, self.path)
        declared: object = self.declared
        if (
            declared is not UNDECLARED
            and not isinstance(declared, Mapping)
            and not matches(frozen, declared)
        ):
            raise StepError(
                f"gave {with_article(type(frozen).__name__)} and declares "
                f"{type_name(self.declared)}; mend the step or its annotation",
                cause=Cause.SCHEMA,
            )
        kind = type(frozen)
        if kind in immutable and admits_all(self.declared, kind):
            self.admitted.add(kind)
        return frozen

    def give_up(self, failure: Failure) -> None:
        """Take no more messages, and fail the runs that wait here."""
        self.down = failure
        waiting = self.mailbox.close(str(failure))
        for message in waiting:
            self.flow.fail_at(message.strand, self.path, failure)
        if self.flow.observers:
            self.flow.tell_system("down", path=self.path, failure=failure)

    # --- what follows an execution, now or when its record is safe -------------

    def landed(
        self, strand: Strand, state: State, entry: StepEntry, value: object
    ) -> None:
        """Go on after the step gave its value."""
        flow = self.flow
        strand.run.log.append(entry)
        if flow.observers:
            flow.tell("step_finished", strand, path=self.path, attempt=entry.number)
        try:
            self.then(strand, state, value)
        except Exception as error:  # noqa: BLE001 - the step itself went well
            flow.derail(strand, error)

    def missed(self, strand: Strand, entry: StepEntry) -> None:
        """Go on after the step failed for good."""
        assert entry.failure is not None, "that is what it failed with"
        strand.run.log.append(entry)
        self.flow.fail(strand, entry.failure)

    def passed_by(self, strand: Strand, state: State, entry: StepEntry) -> None:
        """Go on after the step was not to run."""
        flow = self.flow
        strand.run.log.append(entry)
        if flow.observers:
            flow.tell("step_skipped", strand, path=self.path)
        try:
            self.skip(strand, state)
        except Exception as error:  # noqa: BLE001 - of what comes next
            flow.derail(strand, error)

    def due(self, started: float) -> float:
        """Return when a step begun now must be done with all its retries."""
        timeout = self.step.timeout
        return math.inf if timeout == math.inf else started + timeout


class StepArrival:
    """A strand that is brought back has come to a step; an `Arrival`.

    Attributes:
      number: of the attempt that is to be made.
      attempts: those that failed.
      due: when it is to be made, on the calendar; microseconds, None for at once.
    """

    __slots__ = ("attempts", "due", "number", "op", "state", "strand")

    def __init__(self, op: StepOp, strand: Strand, state: State) -> None:
        self.op: StepOp = op
        self.strand: Strand = strand
        self.state: State = state
        self.number: int = 1
        self.attempts: tuple[AttemptRecord, ...] = ()
        self.due: int | None = None

    def take(self, record: Placed, replay: Replay) -> bool:
        """See `Arrival`."""
        op, strand = self.op, self.strand
        match record:
            case Finished():
                entry = replay.entry(op.path, record)
                op.landed(strand, self.state, entry, replay.value(record.value))
            case Failed():
                op.missed(strand, replay.entry(op.path, record))
            case Skipped():
                at = replay.moment(record.at)
                op.passed_by(strand, self.state, skipped(op.path, strand, at))
            case Retrying():
                self.number, self.due = record.number, record.due
                self.attempts = replay.tried[op.path, record.position]
                return False
            case _:
                raise replay.misfit(op.path, record)
        return True

    def go(self, replay: Replay) -> None:
        """See `Arrival`."""
        journal = self.strand.run.journal
        assert journal is not None, "what is brought back was written down"
        lost = replay.broken_off(self.op.path, self.strand)
        if lost is not None:
            # It was paid for, so it counts: in this life, and in those that follow.
            self.number, self.attempts = lost.number + 1, (*self.attempts, lost)
            self.due = None
            journal.retrying(self.strand, self.op.path, self.number, (lost,), 0.0)
        message = StepMessage(self.strand, self.state, self.number, self.attempts)
        delay = 0.0 if self.due is None else self._left(journal.until(self.due))
        if delay > 0:
            self.op.flow.later(self.strand, delay, lambda: self.op.again(message))
        else:
            self.op.send(message)

    def _left(self, left: float) -> float:
        """Return what is left of a wait: a clock may have been set back."""
        last = self.attempts[-1] if self.attempts else None
        if last is None or last.failure is None:
            return left
        retry = self.op.step.retry
        return min(left, delay_after(retry, last.number, last.failure, 1.0))


def skipped(path: str, strand: Strand, now: float) -> StepEntry:
    """Return what a run remembers of a step that was not to run."""
    position = strand.position()
    return StepEntry(path, position, now, now, 0, (), None, None, skipped=True)


def admits_all(declared: object, cls: type) -> bool:
    """Whether each value of just this class is of the declared type.

    Not so for a ``Literal`` or a generic: there the value itself decides.
    """
    if declared is UNDECLARED or isinstance(declared, Mapping):
        return True
    return (
        declared is object
        or declared is cls
        or (get_origin(declared) in (Union, UnionType) and cls in get_args(declared))
    )


class Scope(Drawn, Surroundings, Protocol):
    """What an attempt is made in, and what it has used up."""


class StepHost(Protocol):
    """What the work of steps needs of its runtime."""

    def jitter(self) -> float:
        """Return a number from 0 to 1, from the runtime's random source."""
        ...

    def attempt(
        self, op: StepOp, message: StepMessage, worker: Worker[StepMessage]
    ) -> Scope:
        """Make what the step's function takes as its second argument."""
        ...
