"""What the workers of a step do with a message: one attempt, and what follows.

This is the hot path of the whole library.  A message that goes well costs one
pass through `StepWork.handle`; everything else stands in functions of its own.
"""

from __future__ import annotations

import logging
import math
from contextvars import copy_context
from typing import TYPE_CHECKING, cast

import msgspec

from understudy.engine.asking import ask_if
from understudy.engine.driving import Body, drive, threaded
from understudy.engine.places import StepEntry
from understudy.engine.step_failures import lost, overrun, unknown
from understudy.engine.step_op import StepHost, StepOp, skipped
from understudy.engine.strand import StepMessage, Strand
from understudy.workflows.attempt import Attempt
from understudy.workflows.context import Context
from understudy_actors.contexts import same_variables
from understudy_actors.watchdog import Cut
from understudy_actors.worker import Worker
from understudy_protocols.errors import CodecError
from understudy_protocols.failures import AttemptRecord, Cause, Failure
from understudy_protocols.retry import NEVER_RETRIED, Retry, decide
from understudy_protocols.usage import Usage

if TYPE_CHECKING:
    # Loaded by those who have a journal.
    from understudy.engine.run_journal import RunJournal

_NEVER = math.inf

_LOG = logging.getLogger("understudy.step")


class StepWork:
    """The work of a step's workers; a step without state has one for all."""

    stateful = False

    def __init__(self, op: StepOp, host: StepHost) -> None:
        step = op.step
        self.op = op
        self.host = host
        self.body: Body = (
            threaded(step.call) if step.thread else cast("Body", step.call)
        )
        self.takes_attempt: bool = step.takes_attempt
        self.timeout: float = step.retry.timeout_seconds
        self.plain: bool = (
            step.when is None
            and step.timeout == _NEVER
            and not step.min_time
            and step.replay_safe
        )

    async def setup(self) -> None:
        """Nothing to set up."""

    async def teardown(self) -> None:
        """Nothing to let go of."""

    async def handle(self, message: StepMessage, worker: Worker[StepMessage]) -> None:
        """Make one attempt, or several with no wait between them."""
        op, strand, slot = self.op, message.strand, worker.slot
        flow, cell = op.flow, strand.run
        again: StepMessage | None = message
        while again is not None and not strand.ended:
            message = again
            started = flow.now()
            deadline = started + self.timeout
            if not self.plain:
                prepared = self._prepare(message, started)
                if prepared is None:
                    return
                # What is in hand is what a cut will speak of.
                message = worker.message = prepared
                deadline = min(deadline, message.due)
            strand.worker = worker
            strand.since = started
            slot.deadline = deadline
            if deadline < slot.queued:
                flow.watchdog.push(slot)
            if flow.observers:
                self._tell_started(message)
            context = cell.context
            try:
                if self.takes_attempt:
                    strand.attempt = scope = self.host.attempt(op, message, worker)
                    coroutine = self.body(
                        Context(message.state, op.needs, strand), Attempt(scope)
                    )
                else:
                    coroutine = self.body(Context(message.state, op.needs, strand))
                if context is None:
                    value = await coroutine
                else:
                    value = await drive(context.copy(), coroutine)
                if type(value) not in op.admitted:
                    value = op.admit(value)
            except Exception as error:
                if slot.fired is not None or self._breaks(strand, error):
                    raise
                worker.spent = not same_variables(copy_context(), flow.context)
                if not self._let_go(strand, worker):
                    return
                again = self._failed(message, error)
                if again is not None and worker.spent:
                    op.again(again)
                    return
                worker.message = again
                continue
            if not same_variables(copy_context(), flow.context):
                # What a step sets is its own: the next message gets a new worker.
                worker.spent = True
            if strand.ended or worker.lost:
                self._let_go(strand, worker)
                return
            slot.deadline = _NEVER
            strand.worker = None
            if strand.attempt is None:
                number, attempts, usage = message.number, message.attempts, None
            else:
                number, attempts, usage = _drawn(message)
            entry = StepEntry(
                op.path,
                "" if strand.parent is None else strand.position(),
                started,
                flow.now(),
                number,
                attempts,
                None,
                usage,
            )
            worker.will_look()
            if cell.journal is None:
                op.landed(strand, message.state, entry, value)
            elif (
                self._record(message, entry, value, cell.journal) and op.mailbox.waiting
            ):
                worker.tired = True  # the next message here is the next write
            return

    def _record(
        self,
        message: StepMessage,
        entry: StepEntry,
        value: object,
        journal: RunJournal,
    ) -> bool:
        """Let the run go on when what the step gave is on record.

        Returns:
          Whether everybody has waited until it was.
        """
        op, strand = self.op, message.strand
        try:
            return journal.finished(
                strand,
                entry,
                value,
                lambda: op.landed(strand, message.state, entry, value),
                alone=strand.run.leaves == 1,
                # Who listens hears of a step when it is safe, and of the end then.
                last=op.last and not op.flow.observers,
            )
        except CodecError as error:
            failure = Failure.from_error(error, where=op.path)
            self._missed(strand, msgspec.structs.replace(entry, failure=failure))
            return False

    def _missed(self, strand: Strand, entry: StepEntry) -> None:
        """Let the strand fail when that is on record."""
        op, journal = self.op, strand.run.journal
        if journal is None:
            op.missed(strand, entry)
        else:
            journal.failed(
                strand,
                entry,
                lambda: op.missed(strand, entry),
                last=strand.parent is None,
            )

    def _let_go(self, strand: Strand, worker: Worker[StepMessage]) -> bool:
        """Take the strand out of the worker's hand; whether it is to go on."""
        if worker.lost:
            return False
        worker.slot.deadline = _NEVER
        strand.worker = None
        if strand.ended:
            self.op.flow.let_go(strand.run)
            return False
        return True

    def _breaks(self, strand: Strand, error: Exception) -> bool:
        """Whether the worker is to be replaced, and not only the attempt."""
        attempt = strand.attempt
        return isinstance(error, self.op.step.restart_on) and not (
            # A model that gave up says nothing about what the step keeps.
            attempt is not None and attempt.is_final(error)
        )

    # --- how it ends -------------------------------------------------------

    def _failed(self, message: StepMessage, error: Exception) -> StepMessage | None:
        """Deal with a failed attempt; the message, if it is to go again now."""
        attempt = message.strand.attempt
        final = attempt is not None and attempt.is_final(error)
        return self._after_failure(
            message,
            Failure.from_error(error, where=self.op.path),
            final=final,
            recorded=final,
        )

    def _after_failure(
        self,
        message: StepMessage,
        failure: Failure,
        *,
        final: bool,
        recorded: bool = False,
    ) -> StepMessage | None:
        """Try again or give up.

        Args:
          final: nothing is to be repeated, whatever the retry rules say.
          recorded: a model call gave up, and has left its own records.
        """
        op, strand = self.op, message.strand
        flow, now = op.flow, op.flow.now()
        number, attempts, usage = _drawn(message)
        if not recorded:
            record = AttemptRecord(number, strand.since, now, failure, usage)
            attempts, usage = (*attempts, record), None
        if flow.observers:
            flow.tell(
                "attempt_failed", strand, path=op.path, attempt=number, failure=failure
            )
        decision = (
            None
            if final
            else decide(
                op.step.retry,
                number,
                failure,
                self.host.jitter(),
                op.step.replay_safe,
            )
        )
        if not isinstance(decision, Retry) or now + decision.delay >= message.due:
            position, since = strand.position(), strand.since
            entry = StepEntry(
                op.path, position, since, now, number, attempts, failure, usage
            )
            self._missed(strand, entry)
            return None
        again = StepMessage(strand, message.state, number + 1, attempts, message.due)
        journal = strand.run.journal
        if journal is not None:
            new = attempts[len(message.attempts) :]
            journal.retrying(strand, op.path, number + 1, new, decision.delay)
        if decision.delay <= 0:
            return again
        if flow.observers:
            flow.tell(
                "waiting",
                strand,
                path=op.path,
                attempt=number,
                detail=f"backoff {decision.delay:.3g} s",
            )
        flow.later(strand, decision.delay, lambda: op.again(again))
        return None

    # --- what the step actor reports ---------------------------------------

    def cut_off(
        self, message: StepMessage, reason: Cut, error: Exception | None
    ) -> None:
        """The attempt was cut: its time was over, or its run is."""
        strand = message.strand
        self._release(strand)
        if strand.ended:
            return
        if reason is Cut.TIMEOUT:
            self._timed_out(message, error)
        else:
            self._lost(message, f"the step was {reason.value}", error)

    def stuck(self, message: StepMessage | None, reason: Cut, stack: str) -> None:
        """The attempt was cut and does not end: go on without it."""
        _LOG.warning(
            "%s was cut (%s) and has not ended; leaving the runtime will wait for "
            "it.  It stands at:\n%s",
            self.op.path,
            reason.value,
            stack,
        )
        if message is None:
            if self.op.flow.observers:
                self.op.flow.tell_system("stuck", path=self.op.path)
            return
        strand = message.strand
        run = strand.run
        run.stuck = (*run.stuck, self.op.path)
        if self.op.flow.observers:
            self.op.flow.tell("stuck", strand, path=self.op.path, detail=stack)
        if strand.attempt is not None:
            strand.attempt.give_up()
        self._release(strand)
        if not strand.ended:
            self._timed_out(message, None)

    def broken(self, message: StepMessage, error: BaseException) -> None:
        """The worker broke with the message in hand."""
        op, strand = self.op, message.strand
        self._release(strand)
        if strand.ended:
            return
        if op.step.replay_safe and isinstance(error, op.step.restart_on):
            # The step raised it: an attempt that failed, whatever became of the worker.
            failure = Failure.from_error(error, where=op.path)
            again = self._after_failure(message, failure, final=False)
            if again is not None:
                op.again(again)
        else:
            self._lost(message, "the worker broke", error)

    def _release(self, strand: Strand) -> None:
        """Take the strand out of the hand of a worker that does not go on with it."""
        if strand.worker is not None:
            strand.worker = None
            if strand.ended:
                self.op.flow.let_go(strand.run)

    def _timed_out(self, message: StepMessage, error: Exception | None) -> None:
        over = self.op.flow.now() >= message.due
        failure = (
            overrun(self.op.path, "the step", self.op.step.timeout, error)
            if over
            else overrun(self.op.path, "the attempt", self.timeout, error)
        )
        if not self.op.step.replay_safe:
            failure = unknown(failure, self.op.path)
        again = self._after_failure(
            message, failure, final=not self.op.step.replay_safe
        )
        if again is not None:
            self.op.again(again)

    def _lost(
        self, message: StepMessage, why: str, error: BaseException | None
    ) -> None:
        """The message was in hand, and nobody knows how far it came."""
        op, strand = self.op, message.strand
        failure, attempt = lost(op.path, why, error), strand.attempt
        number = message.number if attempt is None else attempt.number
        if not op.step.replay_safe:
            failure = unknown(failure, op.path)
        elif number < op.step.retry.max_attempts and failure.cause not in NEVER_RETRIED:
            _, attempts, usage = _drawn(message)
            record = AttemptRecord(number, strand.since, op.flow.now(), failure, usage)
            if op.flow.observers:
                op.flow.tell(
                    "attempt_failed",
                    strand,
                    path=op.path,
                    attempt=number,
                    failure=failure,
                )
            attempts = (*attempts, record)
            journal = strand.run.journal
            if journal is not None:
                new = attempts[len(message.attempts) :]
                journal.retrying(strand, op.path, number + 1, new, 0.0)
            op.again(
                StepMessage(strand, message.state, number + 1, attempts, message.due)
            )
            return
        self._after_failure(message, failure, final=True)

    # --- what is rare before an attempt --------------------------------------

    def _prepare(self, message: StepMessage, now: float) -> StepMessage | None:
        """See whether the attempt should be made; None if it is dealt with."""
        op, strand, step = self.op, message.strand, self.op.step
        strand.since = now
        if message.due == _NEVER and step.timeout != _NEVER:
            message = StepMessage(
                strand, message.state, message.number, message.attempts, op.due(now)
            )
        if step.when is not None and message.number == 1:
            context = Context(message.state, op.needs, strand)
            wanted = ask_if(f"{op.path}: when", step.when, context)
            if strand.ended:
                return None  # the question has cancelled the run
            if isinstance(wanted, Failure):
                self._after_failure(message, wanted, final=True)
                return None
            if not wanted:
                self._skip(message, now)
                return None
        run = strand.run
        if not step.replay_safe and run.journal is not None and not message.begun:
            # That it began must be known before it has an effect.
            again = msgspec.structs.replace(message, begun=True)
            run.journal.begun(strand, op.path, message.number, lambda: op.again(again))
            return None
        left = min(run.deadline, run.hard_deadline, message.due) - now
        if left <= 0 or left < step.min_time:
            failure = Failure.of(
                Cause.TIMEOUT,
                f"{max(left, 0):.3g} s are left and an attempt takes {step.min_time:g}",
                where=op.path,
            )
            self._after_failure(message, failure, final=True)
            return None
        return message

    def _skip(self, message: StepMessage, now: float) -> None:
        op, strand = self.op, message.strand
        entry, journal = skipped(op.path, strand, now), strand.run.journal
        if journal is None:
            op.passed_by(strand, message.state, entry)
        else:
            journal.skipped(
                strand, entry, lambda: op.passed_by(strand, message.state, entry)
            )

    def _tell_started(self, message: StepMessage) -> None:
        self.op.flow.tell(
            "step_started", message.strand, path=self.op.path, attempt=message.number
        )


def _drawn(message: StepMessage) -> tuple[int, tuple[AttemptRecord, ...], Usage | None]:
    """Return what a message has used up, with what its attempt drew in place."""
    attempt = message.strand.attempt
    if attempt is None:
        return message.number, message.attempts, None
    message.strand.attempt = None
    return attempt.number, message.attempts + attempt.failures, attempt.rest
