"""What becomes of strands: they split, end, fail and are called off.

All of it is synchronous: whoever finished a piece of work carries its run to
the next place in the same breath, and no task coordinates.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Callable

import trio

from understudy.engine.arrivals import Passage, Question
from understudy.engine.places import Landing
from understudy.engine.strand import Run, Strand
from understudy.events import EventKind, RunEvent
from understudy_actors.watchdog import Cut, Watchdog
from understudy_protocols.errors import RunSuspendedError
from understudy_protocols.failures import Cause, Failure
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.state import OrchestrationState

Then = Callable[[Strand, OrchestrationState[object], object], None]
"""What follows a node: takes the strand, the state and the node's value."""

Skip = Callable[[Strand, OrchestrationState[object]], None]
"""What follows a node that did not run."""


class Flow:
    """The services that all nodes of a runtime share.

    Args:
      watchdog: keeps deadlines and timers.
      on_settled: called when a run is over and nothing of it is in hand.
      on_paused: called when all of a run has come to wait for somebody.
      on_answered: called when such a run was answered, to have `go_on` called as
        soon as it may; whether that was at once.

    Attributes:
      now: the clock; seconds.
      context: the context that the runtime was entered in.
      observers: called with every event; checked before an event is made.
    """

    def __init__(
        self,
        watchdog: Watchdog,
        on_settled: Callable[[Run], None],
        on_paused: Callable[[Run], None],
        on_answered: Callable[[Run], bool],
    ) -> None:
        self.watchdog = watchdog
        self.now: Callable[[], float] = watchdog.now
        self.context: contextvars.Context = contextvars.copy_context()
        self.on_settled = on_settled
        self.on_paused = on_paused
        self.on_answered = on_answered
        self.observers: list[Callable[[RunEvent], None]] = []

    def enter_system(self) -> None:
        """Take clock and context from the trio program that this runs in."""
        # Asked once, and not through trio's front door at every step.
        self.now = self.watchdog.now = trio.lowlevel.current_clock().current_time
        self.context = contextvars.copy_context()

    # --- strands -----------------------------------------------------------

    def fail(self, strand: Strand, failure: Failure) -> None:
        """End a strand badly; its parent, or its run, hears of it."""
        if strand.ended:
            return
        strand.ended = True
        strand.run.leaves -= 1
        if strand.parent is None:
            self.finish(strand.run, RunStatus.FAILED, failure=failure)
            return
        fork = strand.parent.fork
        assert fork is not None, "a live branch has a parent that has split"
        fork.failed(strand, failure)

    def call_off(self, strand: Strand) -> None:
        """End a strand and all it has split into, wherever they are."""
        stack = [strand]
        while stack:
            one = stack.pop()
            if one.ended:
                continue
            one.ended = True
            if one.waiting is not None:
                one.waiting.cancel()
                one.waiting = None
            if one.fork is not None:
                stack.extend(one.fork.live())
                continue
            one.run.leaves -= 1
            if one.worker is not None:
                one.run.lingering += 1
                one.worker.slot.cut(Cut.CANCELLED, self.watchdog)

    def later(self, strand: Strand, delay: float, call: Callable[[], None]) -> None:
        """Make *call* after *delay*, unless the strand ends before."""

        def due() -> None:
            strand.waiting = None
            try:
                call()
            except Exception as error:  # noqa: BLE001 - must not end the watchdog
                self.derail(strand, error)

        strand.waiting = self.watchdog.call_at(self.now() + delay, due)

    def pass_on(
        self,
        then: Then,
        strand: Strand,
        path: str,
        state: OrchestrationState[object],
        value: object,
    ) -> None:
        """Follow the node at *path*, which was done at once."""
        self._pass(strand, path, None, lambda: then(strand, state, value))

    def fail_soon(self, strand: Strand, path: str, failure: Failure) -> None:
        """Fail the node at *path*, which could not even be entered."""
        self._pass(strand, path, failure, lambda: self.fail(strand, failure))

    def _pass(
        self,
        strand: Strand,
        path: str,
        failure: Failure | None,
        follow: Callable[[], None],
    ) -> None:
        passage = Passage(strand, path, failure, follow, self.later)
        replay = strand.run.replay
        if replay is None:
            passage.go()
        else:
            replay.arrive(path, passage)

    def fail_at(self, strand: Strand, path: str, failure: Failure) -> None:
        """Fail a strand that waits before the node at *path*."""

        def follow() -> None:
            self.in_turn(strand, lambda: self.fail(strand, failure))

        journal = strand.run.journal
        if journal is None or strand.ended:
            follow()
        else:
            journal.lost(strand, path, failure, follow)

    def decide(
        self,
        strand: Strand,
        path: str,
        turn: int,
        ask: Callable[[], object],
        follow: Callable[[object], None],
    ) -> None:
        """Ask the user's code, and go on with what it says; see `Question`."""
        run = strand.run
        if run.journal is None:
            answer = ask()
            if not strand.ended:
                follow(answer)
            return
        question = Question(strand, path, turn, ask, follow)
        if run.replay is None:
            question.go()
        else:
            run.replay.arrive(path, question)

    def let_go(self, run: Run) -> None:
        """A worker that `call_off` has cut for *run* is done with it."""
        run.lingering -= 1
        if run.lingering == 0 and (run.status.terminal or run.suspended is not None):
            self.on_settled(run)

    def derail(self, strand: Strand, error: Exception) -> None:
        """Fail the run of a strand that could not be led to its next place.

        The whole run, since the strand may be in no place at all.

        Raises:
          Exception: *error*, if the run was over already.
        """
        run = strand.run
        if run.status.terminal or run.suspended is not None:
            raise error
        self.finish(run, RunStatus.FAILED, failure=Failure.from_error(error))

    # --- runs --------------------------------------------------------------

    def finish(
        self,
        run: Run,
        status: RunStatus,
        *,
        value: object = None,
        failure: Failure | None = None,
    ) -> None:
        """Bring a run to its terminal status, once."""
        if run.status.terminal or run.suspended is not None:
            return
        run.become(status)
        run.value = value
        run.failure = failure
        run.finished = self.now()
        if run.expiry is not None:
            run.expiry.cancel()
            run.expiry = None
        if run.hard_expiry is not None:
            run.hard_expiry.cancel()
            run.hard_expiry = None
        if not run.ended:
            self.call_off(run)
        if run.journal is not None and run.replay is None:
            # Nobody is to see the end before it is safe.
            self.write_end(run)
            return
        if self.observers:
            self.tell("ended", run, detail=status.value, failure=failure)
        if run.lingering == 0 and run.replay is None:
            self.on_settled(run)

    def write_end(self, run: Run) -> None:
        """Let others know that a run is over when that is safe."""
        journal = run.journal
        assert journal is not None, "without one there is nothing to wait for"
        run.lingering += 1

        def safe() -> None:
            if self.observers:
                self.tell("ended", run, detail=run.status.value, failure=run.failure)
            self.let_go(run)

        journal.ended(run.status, run.finished, run.failure, safe)

    def suspend(self, run: Run, why: RunSuspendedError, status: RunStatus) -> None:
        """Let go of a run as it is: its journal has it, and it goes on later."""
        run.suspended = why
        for timer in (run.expiry, run.hard_expiry):
            if timer is not None:
                timer.cancel()
        run.expiry = run.hard_expiry = None
        self.call_off(run)
        run.become(status)
        run.finished = self.now()
        if run.lingering == 0:
            self.on_settled(run)

    def expire(self, run: Run) -> None:
        """The run's time is over."""
        run.expiry = None
        self.finish(
            run,
            RunStatus.EXPIRED,
            failure=Failure.of(Cause.TIMEOUT, "the run's deadline passed"),
        )

    def arm_expiry(self, run: Run, at: float) -> None:
        """Let the run be over at a time that no pause puts off."""
        if at <= self.now():
            self.expire(run)
            return
        run.hard_deadline = at
        run.hard_expiry = self.watchdog.call_at(at, lambda: self.expire(run))

    def arm(self, run: Run) -> None:
        """Set the watchdog on the run's deadline."""
        if run.deadline <= self.now():
            # Now, and not by a timer: nothing of it is to be begun.
            self.expire(run)
        elif run.deadline != math.inf and run.remaining is None:
            run.expiry = self.watchdog.call_at(run.deadline, lambda: self.expire(run))

    def stop_clock(self, run: Run) -> None:
        """Let no active time pass while the whole run waits for somebody."""
        if run.status is RunStatus.PAUSED or run.replay is not None:
            return  # the second reckons by the times of its records
        if run.deadline <= self.now():
            return  # it is over with its active time, as a timer is about to say
        # A run may wait before its deadline was armed, at its very first node.
        if run.deadline != math.inf:
            run.remaining = run.deadline - self.now()
        if run.expiry is not None:
            run.expiry.cancel()
            run.expiry = None
        self._stands(run, RunStatus.PAUSED)
        self.on_paused(run)

    def come_back(self, run: Run) -> None:
        """A run that waited as a whole was answered: let it go on when it may."""
        run.returning = []
        if not self.on_answered(run):
            self._stands(run, RunStatus.QUEUED)

    def go_on(self, run: Run) -> None:
        """Let a run go on that was answered: it has a place."""
        follows, run.returning = run.returning, None
        assert follows is not None, "it has come back"
        if run.ended:
            return  # and its end is not safe yet
        self.start_clock(run)
        journal = run.journal
        if journal is None:
            for follow in follows:
                follow()
            return
        # The answers are on record one behind the other: what follows the first
        # takes effect behind all of them, as when the records are followed again.
        journal.patient = True
        try:
            for follow in follows:
                follow()
        finally:
            journal.patient = False

    def in_turn(self, strand: Strand, follow: Callable[[], None]) -> None:
        """Do what follows a pause: now, or when the run has a place.

        Also if it is a failure: what was answered first is to be followed first, as
        it will be when the records are followed again.
        """
        if strand.ended:
            return
        returning = strand.run.returning
        if returning is None:
            follow()
        else:
            strand.waiting = landing = Landing(strand, follow)
            returning.append(landing)

    def start_clock(self, run: Run) -> None:
        """Let active time pass again."""
        self._stands(run, RunStatus.RUNNING)
        if run.remaining is not None:
            run.deadline = self.now() + run.remaining
            run.remaining = None
            self.arm(run)

    def _stands(self, run: Run, status: RunStatus) -> None:
        run.become(status)
        if run.journal is not None:
            run.journal.status(status)

    # --- events ------------------------------------------------------------

    def tell(
        self,
        kind: EventKind,
        strand: Strand,
        *,
        path: str = "",
        attempt: int = 0,
        detail: str = "",
        failure: Failure | None = None,
        value: object = None,
    ) -> None:
        """Tell the observers; ask `observers` first, where speed counts."""
        if strand.run.replay is not None:
            return  # it happened to an earlier process, which told its own
        event = RunEvent(
            kind,
            strand.run.id,
            self.now(),
            path,
            strand.position(),
            attempt,
            detail,
            failure,
            value,
        )
        self._show(event)

    def tell_system(
        self, kind: EventKind, *, path: str = "", failure: Failure | None = None
    ) -> None:
        """Tell the observers of something that concerns no single run."""
        self._show(RunEvent(kind, "", self.now(), path, failure=failure))

    def _show(self, event: RunEvent) -> None:
        for observer in tuple(self.observers):
            observer(event)
