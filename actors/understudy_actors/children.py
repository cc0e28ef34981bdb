"""A supervisor's table of children, and what can be done to one of them.

Nothing is decided here: these are the moves that ``supervision`` and
``administration`` decide about, each with the actions that go with it.
"""

from __future__ import annotations

from collections.abc import Iterator

from understudy_actors.lineage import Lineage
from understudy_actors.restart_window import RestartWindow
from understudy_actors.supervision_messages import (
    Action,
    Answer,
    Arm,
    Disarm,
    Refuse,
    Reply,
    Report,
    StartLife,
    StopLife,
    TellGone,
)
from understudy_protocols.supervision import (
    ChildKind,
    ChildSpec,
    Exit,
    ExitKind,
    Kill,
    Life,
    Restart,
)
from understudy_protocols.supervision_records import (
    AdminError,
    ChildCount,
    ChildState,
    ChildStatus,
    Decision,
    LifeState,
    Refusal,
)

# Tuples: hashing a member of an enum takes longer than comparing it with three.
_ALIVE = (ChildState.RUNNING, ChildState.STARTING, ChildState.STOPPING)
_WAITING = (ChildState.PENDING, ChildState.RESTARTING)


class Child:
    """What a supervisor knows of one child.

    Attributes:
      spec: how it is started and stopped; without the code of a temporary
        child once that has begun, so that what the code holds is not kept alive.
      lineage: how often it was started.
      first: the number of its first life under this life of the supervisor.
      state: what it is now.
      value: what it reported ready with.
      ready_at: when this life did; None before.
      returns: if it is to stop: whether only to be started again.
      leaving: it belongs to a row of children that is being brought down.
      newborn: it was added by hand and has never been ready.
      failures: failures in a row, which lengthen its backoff; a count.
      critical: whether these are more than its backoff calls usual.
      window: its own restart budget, if it has one.
      end: how its last life ended, until the next begins or none will.
      gone: its owner was told that it is started no more.
      token, due: the armed time of its restart, if it waits for one.
      starters, stoppers: who waits for it to be ready, and to be gone.
    """

    __slots__ = (
        "critical",
        "due",
        "end",
        "failures",
        "first",
        "gone",
        "leaving",
        "lineage",
        "newborn",
        "ready_at",
        "returns",
        "spec",
        "starters",
        "state",
        "stoppers",
        "token",
        "value",
        "window",
    )

    def __init__(self, spec: ChildSpec, lineage: Lineage, *, newborn: bool) -> None:
        self.spec = spec
        self.lineage = lineage
        self.first = lineage.count + 1
        self.state = ChildState.PENDING
        self.value: object = None
        self.ready_at: float | None
        self.returns: bool
        self.leaving = False
        self.newborn = newborn
        self.failures = 0
        self.critical = False
        budget = spec.budget
        self.window = (
            None if budget is None else RestartWindow(budget.intensity, budget.period)
        )
        self.end: Exit | None = None
        self.gone = False
        self.token: int | None = None
        self.due: float | None = None
        self.starters: list[Reply] = []
        self.stoppers: list[Reply] = []

    @property
    def alive(self) -> bool:
        """Whether it has a task."""
        return self.state in _ALIVE

    @property
    def waiting(self) -> bool:
        """Whether it is to be started without being asked for again."""
        return self.state in _WAITING


class Children:
    """The children of one supervisor by id, in start order.

    Args:
      path: the supervisor's.
      lineage: the numbers of its children's earlier lives.
      dynamic: whether a child that ended is always forgotten.
      observed: whether anyone reads reports.

    Attributes:
      out: the actions so far of the event being handled.
    """

    def __init__(
        self, path: str, lineage: Lineage, *, dynamic: bool, observed: bool
    ) -> None:
        self.path = path
        self._observed = observed
        self.out: list[Action]
        self._lineage = lineage
        self._dynamic = dynamic
        self._by_id: dict[str, Child] = {}
        self._armed: dict[int, Child] = {}
        self._tokens = 0

    # The table

    def __iter__(self) -> Iterator[Child]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, child_id: str) -> Child | None:
        """Return the child with this id, or None."""
        return self._by_id.get(child_id)

    def living(self, child_id: str, number: int) -> Child | None:
        """Return the child with this id if this is the life it has now."""
        child = self._by_id.get(child_id)
        if child is None or not child.alive or child.lineage.count != number:
            return None
        return child

    def add(self, spec: ChildSpec, *, newborn: bool = False) -> Child:
        """Append a child; its numbers go on where an earlier table left them."""
        lineage = self._lineage.below.setdefault(spec.id, Lineage())
        child = self._by_id[spec.id] = Child(spec, lineage, newborn=newborn)
        return child

    def remove(self, child: Child) -> None:
        """Forget *child*, and its numbers."""
        del self._by_id[child.spec.id]
        del self._lineage.below[child.spec.id]

    def path_of(self, child: Child) -> str:
        """Return where *child* stands in the tree."""
        return f"{self.path}/{child.spec.id}"

    def statuses(self) -> tuple[ChildStatus, ...]:
        """Return the listing, in start order."""
        return tuple(
            ChildStatus(
                child.spec.id,
                self.path_of(child),
                child.spec.kind,
                child.spec.restart,
                child.state,
                child.lineage.count,
                child.due,
                child.value,
                None if (ask := child.spec.workload) is None else ask(),
            )
            for child in self
        )

    def count(self) -> ChildCount:
        """Return how many there are of each."""
        supervisors = sum(child.spec.kind is ChildKind.SUPERVISOR for child in self)
        active = sum(child.alive for child in self)
        return ChildCount(len(self), active, supervisors, len(self) - supervisors)

    # Moves

    def start(self, child: Child) -> None:
        """Begin the next life of *child*."""
        assert not child.alive, "two lives of one child at a time"
        spec, lineage = child.spec, child.lineage
        assert spec.start is not _spent, "a temporary child is started once"
        lineage.count += 1
        child.state = ChildState.STARTING
        child.due = child.ready_at = child.end = None
        child.gone = False
        self.report(child, LifeState.STARTING)
        self.out.append(
            StartLife(
                spec.id,
                lineage.count,
                spec.start,
                spec.start_timeout,
                spec.kind,
                lineage,
            )
        )
        if spec.restart is Restart.TEMPORARY:
            child.spec = spec.named(spec.id, _spent)

    def stop(self, child: Child) -> None:
        """Ask *child* to stop."""
        child.state = ChildState.STOPPING
        self.report(child, LifeState.STOPPING)
        self.out.append(StopLife(child.spec.id, child.spec.shutdown))

    def settle(
        self,
        child: Child,
        end: Exit,
        decision: Decision | None = None,
        restarts: int = 0,
    ) -> None:
        """Leave *child*, which ended, stopped; or forget it, as its kind is."""
        decision = decision or self._last_decision(child)
        self.report_end(child, end, decision, restarts)
        self.rest(child)

    def take_down(self, child: Child) -> None:
        """Have *child* stopped for good, whatever it is about to do."""
        child.returns = False
        if not child.alive:
            self.rest(child)
        elif child.state is not ChildState.STOPPING:
            self.stop(child)

    def rest(self, child: Child) -> None:
        """Start *child* no more unless asked; tell those who wait for its start or end."""
        child.state = ChildState.STOPPED
        child.leaving = False
        child.due = None
        self.tell_gone(child)
        if child.token is not None:
            del self._armed[child.token]
            self.disarm(child.token)
            child.token = None
        for reply in child.starters:
            self.refuse(reply, Refusal.WITHDRAWN)
        child.starters.clear()
        self.out.extend(Answer(reply, None) for reply in child.stoppers)
        child.stoppers.clear()
        if self._last_decision(child) is Decision.FORGET:
            self.remove(child)

    def tell_gone(self, child: Child) -> None:
        """Tell the owner of *child*, once, that it is started no more."""
        if child.spec.on_gone is not None and not child.gone:
            number = child.lineage.count
            told = TellGone(child.spec.id, number, child.spec.on_gone, child.end)
            self.out.append(told)
        child.gone = True
        child.end = None

    def _last_decision(self, child: Child) -> Decision:
        temporary = child.spec.restart is Restart.TEMPORARY
        if temporary or child.newborn or self._dynamic:
            return Decision.FORGET
        return Decision.KEEP

    def arm(self, due: float, child: Child | None = None) -> int:
        """Ask for *due*; it is the restart time of *child*, if one is given."""
        self._tokens += 1
        if child is not None:
            child.token = self._tokens
            self._armed[child.token] = child
        self.out.append(Arm(self._tokens, due))
        return self._tokens

    def disarm(self, token: int) -> None:
        """Take back what `arm` asked for."""
        self.out.append(Disarm(token))

    def take_due(self, token: int) -> Child | None:
        """Return the child whose restart time has come."""
        child = self._armed.pop(token, None)
        if child is not None:
            child.token = None
        return child

    def refuse(self, reply: Reply, refusal: Refusal, value: object = None) -> None:
        """Refuse an admin call."""
        error = AdminError(self.path, reply.child, refusal, value)
        self.out.append(Refuse(reply, error))

    # Reports

    def report(
        self, child: Child, state: LifeState, *, due: float | None = None
    ) -> None:
        """Tell observers what *child* is now."""
        if self._observed:
            number = child.lineage.count
            critical = due is not None and child.critical
            self.out.append(
                Report(child.spec.id, number, state, due=due, critical=critical)
            )

    def report_end(
        self, child: Child, end: Exit, decision: Decision, restarts: int = 0
    ) -> None:
        """Tell observers how the life of *child* ended, and what follows."""
        if not self._observed:
            return
        meant = end.kind is ExitKind.KILLED and child.spec.shutdown is Kill.AT_ONCE
        state = LifeState.CRASHED
        if end.stuck:
            state = LifeState.STUCK
        elif meant or not end.kind.abnormal:
            state = LifeState.STOPPED
        self.out.append(
            Report(
                child.spec.id,
                child.lineage.count,
                state,
                end,
                decision,
                restarts,
                failures=child.failures,
                critical=child.critical,
            )
        )


async def _spent(life: Life) -> None:
    """Stand in for the code of a temporary child that has begun."""
