"""The shell around a supervisor's core: it carries out what ``supervision`` decides.

One event at a time, and to its end.  That a child became ready, or what a caller
asks for, is dealt with in the task that brings it: waking another for it would
cost more than all that is done about it.  The supervisor's own task is there for
the ends of children, so that those of one instant are seen together, and for
what comes due.  Children run in tasks of their own and are never waited for: a
start that hangs delays no other call.
"""

from __future__ import annotations

import contextvars
import math
from collections import deque
from typing import assert_never

import outcome
import trio

from understudy_actors.guarded import guarded
from understudy_actors.incarnation import Incarnation
from understudy_actors.supervision import Supervision
from understudy_actors.supervision_messages import (
    Action,
    Answer,
    Arm,
    BecameReady,
    Begin,
    Disarm,
    Due,
    End,
    Ended,
    Event,
    GaveUp,
    Refuse,
    Reply,
    Report,
    StartLife,
    StopAsked,
    StopLife,
    TellGone,
    Up,
)
from understudy_actors.timers import Timers
from understudy_protocols.supervision import (
    ChildKind,
    Exit,
    ExitKind,
    Kill,
    Shutdown,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import (
    AdminError,
    ChildState,
    LifeState,
    Refusal,
    SupervisionEvent,
)


class SupervisorLoop:
    """The running part of one life of a supervisor; `Supervisor` is its handle.

    Attributes:
      path: where it stands in the tree.
      system: what it lives in.
      core: what decides.
      replies: who waits for an answer.
      gone: set when it takes no more events.
      result: that of the significant child whose end ended it.
    """

    def __init__(self, spec: SupervisorSpec, life: Incarnation) -> None:
        self.path = life.path
        self.system = life.system
        self.core = Supervision(
            spec,
            life.path,
            life.system.random.random,
            life.lineage,
            observed=life.system.observed,
        )
        self.replies = set[Reply]()
        self.gone = trio.Event()
        self.result: object = None
        self._life = life
        self._inbox = deque[Event]()
        self._parked: trio.lowlevel.Task | None = None
        self._serving = False  # events are handled as they come
        self._working = False  # one is being handled, and others wait for it
        self._alarm = trio.CancelScope()  # around the parked task
        self._armed = math.inf  # when it is cancelled to look what is due
        # Children begin in it, whichever task it is that starts them.
        self._context = contextvars.copy_context()
        self._timers = Timers[int | Incarnation]()
        self._lives: dict[str, Incarnation] = {}
        self._end: End | None = None
        self._cut_ends: dict[str, Exit] = {}  # of the lives cut together with us
        self._now = life.system.now()  # when this round of work began

    # What its children's lives call

    def life_ready(self, life: Incarnation, value: object) -> None:
        """See `Owner`."""
        self._timers.disarm(life)
        self.post(BecameReady(life.id, life.number, value))

    def life_ended(self, life: Incarnation, end: Exit) -> None:
        """See `Owner`."""
        if self._lives.get(life.id) is life and not self.gone.is_set():
            self.post(Ended(life.id, life.number, end))
        else:  # it was left behind: only observers want to know
            self._emit(life, _state_of(end), end)

    def below(self) -> list[object]:
        """Return the handles of the supervisors among the children, if they live."""
        handles = (life.handle for life in self._lives.values())
        return [handle for handle in handles if handle is not None]

    # The loop

    async def run(self, handle: object) -> None:
        """Be the code of the life that was given at the start.

        Args:
          handle: what it reports ready with.
        """
        self._life.handle = handle
        self._life.on_stop(lambda: self.post(StopAsked()))
        self.post(Begin())
        try:
            self._serving = True
            end = await self._serve()
        except BaseException:
            # Cut by force, or our own mistake.  Nothing else can reach the
            # children: their scopes are shielded.
            self._serving = self._working = False
            await self._abandon()
            raise
        finally:
            self.gone.set()
            for reply in self.replies:
                reply.refuse(AdminError(self.path, reply.child, Refusal.STOPPED))
        if isinstance(end.error, Shutdown):
            self.result = end.error.result
        if end.error is not None:
            raise end.error
        if not self._life.stopping:
            raise Shutdown

    async def _serve(self) -> End:
        while self._end is None:
            self._armed = math.inf
            with trio.CancelScope() as self._alarm:
                self._work()
                while self._end is None:
                    await self._park()
                    self._work()
        return self._end

    def _work(self) -> None:
        """Handle all that has come in and all that is due."""
        self._working = True
        due = self._work_off()
        self._working = False
        # Not moved back: each restart would do it twice, and an alarm for
        # nothing costs less, once in a start timeout.
        if due < self._armed:
            self._armed = self._alarm.deadline = due

    def _work_off(self) -> float:
        """Do the work of `_work`; return what is due next."""
        self._now = self.system.now()
        while True:
            while self._inbox:
                event = self._inbox.popleft()
                if isinstance(event, Ended):
                    self._timers.disarm(self._lives.pop(event.id))
                for action in self.core.handle(event, self._now):
                    self._do(action)
            due = self._timers.next_due()
            if due > self._now:
                return due
            for key in self._timers.take_due(self._now):
                if isinstance(key, int):
                    self._inbox.append(Due(key))
                else:
                    self._over_time(key)

    def _do(self, action: Action) -> None:
        match action:
            case Report():
                self._report(action)
            case StartLife():
                self._start_life(action)
            case StopLife():
                self._stop_life(self._lives[action.id], action.grace)
            case Answer():
                action.reply.answer(action.value)
            case Refuse():
                action.reply.refuse(action.error)
            case Arm():
                self._timers.arm(action.token, action.due)
            case Disarm():
                self._timers.disarm(action.token)
            case TellGone():
                self._tell_gone(action)
            case Up():
                self._life.ready(self._life.handle)
            case GaveUp():
                end = Exit(ExitKind.GAVE_UP, action.error)
                self._emit(self._life, LifeState.GAVE_UP, end)
            case End():
                self._end = action
            case _:
                assert_never(action)

    def _start_life(self, action: StartLife) -> None:
        life = self._lives[action.id] = Incarnation(
            self.system,
            self,
            f"{self.path}/{action.id}",
            action.number,
            kind=action.kind,
            lineage=action.lineage,
        )
        life.begin(action.start)
        self._bound(life, action.start_timeout)

    def _tell_gone(self, action: TellGone) -> None:
        path = f"{self.path}/{action.id}"
        error = guarded(lambda: action.on_gone(path, action.exit))
        if error is not None:
            end = Exit(ExitKind.CRASH, error)
            self._report(Report(action.id, action.number, LifeState.STOPPED, end))

    def _stop_life(self, life: Incarnation, grace: float | Kill) -> None:
        if isinstance(grace, Kill):
            life.kill()
            self._bound(life, self.system.kill_timeout)
            return
        if life.kind is ChildKind.WORKER and not life.is_ready:
            grace = 0.0
        for error in life.ask_to_stop():
            end = Exit(ExitKind.CRASH, error)
            self._emit(life, LifeState.STOPPING, end)
        self._bound(life, grace)

    def _bound(self, life: Incarnation, timeout: float) -> None:
        """Do not let *life* take longer, for what it is to do now; seconds."""
        if timeout < math.inf:
            self._timers.arm(life, self._now + timeout)

    def _over_time(self, life: Incarnation) -> None:
        """First cut it; if that did not end it, leave it behind."""
        life.cut()
        # Counted from the cut itself, which may have come from elsewhere.
        stuck_at = life.cut_at + self.system.kill_timeout
        if self._now < stuck_at:
            self._timers.arm(life, stuck_at)
        elif life.can_be_stuck:
            self._inbox.append(self._left_behind(life))

    def _left_behind(self, life: Incarnation) -> Ended:
        assert life.cut_kind is not None, "only what was cut is left behind"
        end = Exit(life.cut_kind, stuck=self.system.add_stuck(life))
        return Ended(life.id, life.number, end)

    async def _abandon(self) -> None:
        """Cut all children at once and leave behind those that do not end."""
        self._sweep()
        for child_id, life in self._lives.items():
            child = self.core.children.get(child_id)
            if child is not None and child.state is not ChildState.STOPPING:
                self._report(Report(child_id, life.number, LifeState.STOPPING))
            life.kill()
        with trio.CancelScope(shield=True) as bound:
            bound.deadline = self.system.now() + self.system.kill_timeout
            while self._sweep():
                await self._park()
        self._sweep()  # an end may have come in together with the deadline
        for life in self._lives.values():
            if life.can_be_stuck:
                self._inbox.append(self._left_behind(life))
        with trio.CancelScope(shield=True):
            while self._sweep():
                await self._park()
        for action in self.core.abandon(self._cut_ends):
            self._do(action)

    def _sweep(self) -> bool:
        """Take note of the ends that have come in; return whether any is missing."""
        while self._inbox:
            event = self._inbox.popleft()
            if isinstance(event, Ended):
                life = self._lives.pop(event.id)
                self._cut_ends[event.id] = event.exit
                self._emit(life, _state_of(event.exit), event.exit)
        return bool(self._lives)

    @trio.lowlevel.enable_ki_protection
    def post(self, event: Event) -> None:
        """Let *event* be handled, now or in its turn; dropped once the loop has ended.

        It raises nothing: a mistake of ours ends the loop, and not its caller.
        """
        if self.gone.is_set():
            return
        self._inbox.append(event)
        if self._parked is None or self._working:
            return  # whoever works, or is about to, takes this one too
        if not self._serving or isinstance(event, Ended):
            self._unpark()
            return
        try:
            self._context.run(self._work)
        except BaseException as error:  # noqa: BLE001 # raised again, in the loop
            self._unpark(outcome.Error(error))
        else:
            if self._end is not None:
                self._unpark()

    def _unpark(self, raising: outcome.Error | None = None) -> None:
        task, self._parked = self._parked, None
        if task is not None:
            trio.lowlevel.reschedule(task, raising or outcome.Value(None))

    async def _park(self) -> None:
        """Wait until something is posted; what was posted is never lost."""

        def give_up(_: object) -> trio.lowlevel.Abort:
            self._parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._parked = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(give_up)

    def _report(self, report: Report) -> None:
        end = report.exit
        self.system.emit(
            SupervisionEvent(
                self.system.now(),
                f"{self.path}/{report.id}",
                report.number,
                report.state,
                None if end is None else end.kind,
                None if end is None else end.cause,
                report.decision,
                report.restarts,
                report.due,
                "" if end is None else end.stuck,
                report.failures,
                report.critical,
            )
        )

    def _emit(self, life: Incarnation, state: LifeState, end: Exit) -> None:
        event = SupervisionEvent(
            self.system.now(),
            life.path,
            life.number,
            state,
            end.kind,
            end.cause,
            detail=end.stuck,
        )
        self.system.emit(event)


def _state_of(end: Exit) -> LifeState:
    if end.stuck:
        return LifeState.STUCK
    return LifeState.CRASHED if end.kind.abnormal else LifeState.STOPPED
