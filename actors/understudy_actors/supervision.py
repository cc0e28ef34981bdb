"""The decisions of a supervisor, without a clock, a task or a wait.

One event at a time goes in; the actions that follow from it come out, in the
order in which they are to be carried out.  The same events, times and draws
give the same actions.  ``supervisor`` is the shell that carries them out.

The table of children is owned and changed here rather than copied for each
event: with 10,000 children a copy per event would make their start quadratic.

Two notions carry all strategies.  A child by itself is started, stopped and
restarted with no regard to the others.  A *batch* brings a row of children
down in reverse order, waits for its time, then brings a row up in order, one
at a time: the first start, a group restart and the last stop are batches.
There is at most one, because a newer one always covers what is left of it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import assert_never

from understudy_actors.administration import Administration
from understudy_actors.backoff import restart_delay
from understudy_actors.batch import Batch
from understudy_actors.children import Child, Children
from understudy_actors.lineage import Lineage
from understudy_actors.restart_rule import must_restart, start_error
from understudy_actors.restart_window import RestartWindow
from understudy_actors.supervision_messages import (
    Action,
    Add,
    Answer,
    BecameReady,
    Begin,
    Delete,
    Due,
    End,
    Ended,
    Event,
    GaveUp,
    Refuse,
    StartAgain,
    StopAsked,
    Terminate,
    Up,
    Withdraw,
)
from understudy_protocols.errors import ChildEscalatedError, RestartIntensityError
from understudy_protocols.supervision import (
    AutoShutdown,
    Exit,
    ExitKind,
    Restart,
    Shutdown,
    Strategy,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import ChildState, Decision, LifeState


class Phase(enum.Enum):
    """What a supervisor as a whole is about."""

    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    ENDED = "ended"


class Supervision:
    """The state of one supervisor, and what it does about each event.

    Args:
      spec: its flags and first children.
      path: where it stands in the tree.
      draw: a random number, 0 <= draw < 1, for the jitter of a backoff.
      lineage: the numbers of its children's earlier lives.
      observed: whether anyone reads reports; without, none are made.

    Attributes:
      children: its table.
      phase: what it is about.
    """

    def __init__(
        self,
        spec: SupervisorSpec,
        path: str,
        draw: Callable[[], float],
        lineage: Lineage,
        *,
        observed: bool,
    ) -> None:
        lineage.keep_only(child.id for child in spec.children)
        self._spec = spec
        self._dynamic = spec.strategy is Strategy.DYNAMIC
        self.children = Children(
            path, lineage, dynamic=self._dynamic, observed=observed
        )
        self.phase = Phase.STARTING
        self._by_hand = Administration(spec, self.children)
        self._draw = draw
        self._window = RestartWindow(spec.intensity, spec.period)
        self._causes: tuple[BaseException | None, ...] = ()
        self._error: BaseException | None  # what it will end with, once that is known
        self._now: float  # when the event that it handles happened
        if not self._dynamic:
            # Before the first event: a stop may be that, and ends them too.
            for child in spec.children:
                self.children.add(child)
        self._batch = Batch(self.children)

    def handle(self, event: Event, now: float) -> list[Action]:
        """Return what to do about *event*, which happened at *now*; seconds."""
        self._now = now
        out = self.children.out = []
        if self.phase is not Phase.ENDED:
            self._handle(event)
            self._advance()
        return out

    def abandon(self, ends: Mapping[str, Exit]) -> list[Action]:
        """Return what is left to do when the supervisor itself was cut.

        Args:
          ends: how the lives ended that were cut with it, by child.
        """
        out = self.children.out = []
        self.phase = Phase.ENDED
        for child in self.children:
            child.end = ends.get(child.spec.id, child.end)
            self.children.tell_gone(child)
        return out

    def _handle(self, event: Event) -> None:
        match event:
            case Ended():
                self._ended(event)
            case BecameReady():
                self._became_ready(event)
            case Due():
                self._due(event.token)
            case Add():
                self._by_hand.add(event)
            case Terminate():
                self._by_hand.terminate(event)
            case StartAgain():
                self._by_hand.start_again(event)
            case Delete():
                self._by_hand.delete(event)
            case Withdraw():
                self._by_hand.withdraw(event)
            case StopAsked():
                self._wind_up(None)
            case Begin():
                pass  # the first batch stands ready
            case _:
                assert_never(event)

    def _became_ready(self, event: BecameReady) -> None:
        child = self.children.living(event.id, event.number)
        if child is None or child.state is not ChildState.STARTING:
            return
        child.state = ChildState.RUNNING
        child.value = event.value
        child.ready_at = self._now
        child.newborn = False
        again = child.lineage.count > 1 and not child.starters
        self.children.report(child, LifeState.RESTARTED if again else LifeState.READY)
        for reply in child.starters:
            self.children.out.append(Answer(reply, event.value))
        child.starters.clear()

    # A child ended

    def _ended(self, event: Ended) -> None:
        child, end = self.children.living(event.id, event.number), event.exit
        if child is None:
            return  # an earlier life, left behind as stuck, that ended after all
        child.value, child.end = None, end
        if end.fatal:
            self.children.settle(child, end, Decision.GIVE_UP)
            self._wind_up(end.cause)
        elif child.leaving or child.state is ChildState.STOPPING:
            self._gone(child, end)
        elif child.state is ChildState.STARTING:
            self._start_failed(child, end)
        elif end.escalates:
            self._escalate(child, end)
        elif must_restart(child.spec.restart, end.kind):
            self._failed(child, end)
        else:
            self._finished(child, end)

    def _gone(self, child: Child, end: Exit) -> None:
        """A child ended that was, or was about to be, stopped: nothing follows."""
        if not child.returns:
            self.children.settle(child, end)
            return
        child.leaving = False
        child.state = ChildState.RESTARTING
        self.children.report_end(child, end, Decision.RESTART)

    def _start_failed(self, child: Child, end: Exit) -> None:
        children = self.children
        if end.kind is ExitKind.SHUTDOWN:  # it declined: known, and not running
            child.newborn = False
            children.out.extend(Answer(reply, None) for reply in child.starters)
            child.starters.clear()
            children.settle(child, end)
            return
        error = start_error(children.path_of(child), end)
        if child.starters:  # asked for by hand: theirs to deal with
            children.out.extend(Refuse(reply, error) for reply in child.starters)
            child.starters.clear()
            children.settle(child, end)
        elif self.phase is Phase.STARTING and child.lineage.count == child.first:
            children.settle(child, end, Decision.GIVE_UP)
            self._wind_up(error)
        elif end.escalates:
            self._escalate(child, end)
        else:
            self._failed(child, end)

    def _finished(self, child: Child, end: Exit) -> None:
        """A child ended by itself and for good."""
        if end.kind.abnormal and child.spec.escalates:
            self._escalate(child, end)
        elif child.spec.significant and self._ends_us(child):
            self.children.settle(child, end, Decision.SHUT_DOWN)
            self._wind_up(Shutdown(result=end.result))
        else:
            self.children.settle(child, end)

    def _ends_us(self, child: Child) -> bool:
        if self._spec.auto_shutdown is AutoShutdown.ANY_SIGNIFICANT:
            return True
        return not any(
            other.spec.significant and (other.alive or other.waiting)
            for other in self.children
            if other is not child
        )

    # Restarts

    def _failed(self, child: Child, end: Exit) -> None:
        """A child ended that its restart type starts again: count, and do it."""
        if child.window is not None:
            child.window = child.window.after_restart(self._now)
            if child.window.exceeded:
                self._over_own_budget(child, end, child.window)
                return
        self._window = self._window.after_restart(self._now)
        counted = len(self._window.restarts)
        self._causes = (*self._causes, end.cause)[-counted:]
        if self._window.exceeded:
            self._over_budget(child, end, self._window, self._causes)
            return
        delay = self._delay(child)
        child.state = ChildState.RESTARTING
        self.children.report_end(child, end, Decision.RESTART, counted)
        if delay > 0:
            child.due = self._now + delay
            self.children.report(child, LifeState.BACKING_OFF, due=child.due)
        self._restart(child)

    def _delay(self, child: Child) -> float:
        backoff = child.spec.backoff or self._spec.backoff
        ready_at = child.ready_at
        if ready_at is not None and self._now - ready_at >= backoff.reset_after:
            child.failures = 0
        delay = restart_delay(backoff, child.failures, self._draw())
        child.failures += 1
        child.critical = child.failures > backoff.critical_after
        return delay

    def _restart(self, child: Child) -> None:
        match self._spec.strategy:
            case Strategy.ONE_FOR_ONE | Strategy.DYNAMIC:
                if child.due is None:
                    self.children.start(child)
                else:
                    self.children.arm(child.due, child)
            case Strategy.ONE_FOR_ALL:
                self._restart_row(child, list(self.children))
            case Strategy.REST_FOR_ONE:
                row = list(self.children)
                self._restart_row(child, row[row.index(child) :])
            case _:
                assert_never(self._spec.strategy)

    def _restart_row(self, failed: Child, row: list[Child]) -> None:
        due, unfinished = failed.due, self._batch.due
        if unfinished is not None:
            due = unfinished if due is None else max(due, unfinished)
        self._disarm_batch()
        for child in row:
            if child.alive:
                child.leaving = True
                if child.state is not ChildState.STOPPING:
                    child.returns = child.spec.restart is not Restart.TEMPORARY
            elif child.state is ChildState.STOPPED and self._spec.revive:
                child.state = ChildState.RESTARTING
        # Of all, not only this row: if it is a later one's, started by hand meanwhile,
        # what is left of an earlier row is still to be done.
        self._batch = Batch(self.children)
        if due is not None:
            self._batch.due, self._batch.token = due, self.children.arm(due)

    # Giving up, and the end

    def _over_own_budget(self, child: Child, end: Exit, window: RestartWindow) -> None:
        if child.spec.escalates:
            self._over_budget(child, end, window, (end.cause,))
        else:
            self.children.settle(child, end)

    def _over_budget(
        self,
        child: Child,
        end: Exit,
        window: RestartWindow,
        causes: tuple[BaseException | None, ...],
    ) -> None:
        error = RestartIntensityError(
            self.children.path_of(child),
            window.intensity,
            window.period,
            tuple(cause for cause in causes if cause is not None),
        )
        self._give_up(child, end, error)

    def _escalate(self, child: Child, end: Exit) -> None:
        self._give_up(child, end, ChildEscalatedError(self.children.path_of(child)))

    def _give_up(self, child: Child, end: Exit, error: Exception) -> None:
        error.__cause__ = end.cause
        counted = len(self._window.restarts)
        self.children.settle(child, end, Decision.GIVE_UP, counted)
        self.children.out.append(GaveUp(error))
        self._wind_up(error)

    def _wind_up(self, error: BaseException | None) -> None:
        """Bring all children down, then end with *error*, if there is one."""
        if self.phase is not Phase.STOPPING:
            self.phase = Phase.STOPPING
            self._error = error
            self._bring_all_down()
        elif error is not None:
            self._error = error  # so late, only what ends the process comes to this

    def _bring_all_down(self) -> None:
        self._by_hand.closed = True
        self._disarm_batch()
        for child in list(self.children):
            if child.alive:
                child.leaving, child.returns = True, False
                if self._dynamic and child.state is not ChildState.STOPPING:
                    self.children.stop(child)
            else:
                self.children.rest(child)
        self._batch = Batch(self.children)

    # The batch

    def _advance(self) -> None:
        """Do the next thing that the batch calls for, if it can be done now."""
        batch = self._batch
        if (child := batch.to_stop()) is not None:
            if child.state is not ChildState.STOPPING:
                self.children.stop(child)
        elif self.phase is Phase.STOPPING:
            self.phase = Phase.ENDED
            self.children.out.append(End(self._error))
        elif batch.token is not None:
            return
        elif (child := batch.to_start()) is None:
            if self.phase is Phase.STARTING:
                self.phase = Phase.UP
                self.children.out.append(Up())
        elif child.waiting:
            self.children.start(child)

    def _disarm_batch(self) -> None:
        if self._batch.token is not None:
            self.children.disarm(self._batch.token)

    def _due(self, token: int) -> None:
        if self._batch.token == token:
            self._batch.due = self._batch.token = None
        elif (child := self.children.take_due(token)) is not None:
            self.children.start(child)
