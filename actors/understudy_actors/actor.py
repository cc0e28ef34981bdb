"""The way in: a behaviour becomes a child that a supervisor can start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from understudy_actors.ambient import System
from understudy_actors.behaviour import Behaviour, Conduct
from understudy_actors.cell import Cell
from understudy_actors.exits import named_reason
from understudy_actors.incarnation import Incarnation
from understudy_actors.names import Name
from understudy_actors.ref import Ref
from understudy_protocols.restart_policy import Backoff, RestartBudget
from understudy_protocols.supervision import (
    ChildSpec,
    Exit,
    Kill,
    Life,
    Restart,
)
from understudy_protocols.workload import Workload

M = TypeVar("M")
R = TypeVar("R")

DEFAULT_CONDUCT = Conduct()


def actor_child(
    ref: Ref[M, R],
    behaviour: Callable[[], Behaviour[M, R]],
    *,
    conduct: Conduct = DEFAULT_CONDUCT,
    restart: Restart = Restart.PERMANENT,
    shutdown: float | Kill = 5.0,
    start_timeout: float = 30.0,
    significant: bool = False,
    budget: RestartBudget | None = None,
    backoff: Backoff | None = None,
    escalates: bool = False,
    name: Name[M, R] | None = None,
) -> ChildSpec:
    """Return the spec of an actor that reads the inbox of *ref*.

    The ref is good before the actor starts, and across its restarts.  It is
    closed when no other life is to follow, and opens again if one does after
    all; what is sent to it meanwhile is a dead letter.

    Args:
      ref: its address; the last part of its path is the child's id.
      behaviour: makes what it does, anew for each life; a class will do.
      conduct: how it takes errors, stops and overlong messages.
      start_timeout: how long `Behaviour.setup` may take; seconds.
      restart, shutdown, significant, budget, backoff, escalates: those of
        `ChildSpec`.
      name: what it is called in its system, from its first start until it is
        gone for good; see `System.names`.  A name that is taken fails the start.
    """
    lives = _Lives(ref, behaviour, conduct, name)
    return ChildSpec(
        ref.path.rpartition("/")[2],
        lives.start,
        restart=restart,
        shutdown=shutdown,
        start_timeout=start_timeout,
        significant=significant,
        budget=budget,
        backoff=backoff,
        escalates=escalates,
        on_gone=lives.gone,
        workload=lives.workload,
    )


class _Lives(Generic[M, R]):
    """What the lives of one actor have in common.

    No closures: there is one of these for each actor, and it is a third of them.
    """

    __slots__ = ("_behaviour", "_cell", "_conduct", "_name", "_ref", "_system")

    def __init__(
        self,
        ref: Ref[M, R],
        behaviour: Callable[[], Behaviour[M, R]],
        conduct: Conduct,
        name: Name[M, R] | None,
    ) -> None:
        self._ref = ref
        self._behaviour = behaviour
        self._conduct = conduct
        self._name = name
        self._system: System | None = None  # what the last life was in
        self._cell: Cell[M, R] | None = None  # that life

    def start(self, life: Life) -> Awaitable[object]:
        """Begin the next life."""
        if isinstance(life, Incarnation):
            self._system = life.system
            if self._name is not None:
                self._system.names.register(self._name, self._ref)
        self._cell = Cell(self._ref, self._behaviour(), self._conduct, life)
        return self._cell.run()

    def gone(self, path: str, end: Exit | None) -> None:
        """Close the inbox: no other life is to follow."""
        cause = None if end is None else end.cause
        queued = self._ref.retire(path, named_reason(end), cause)
        system, self._system, self._cell = self._system, None, None
        if system is not None:
            system.left_undone(queued=queued)
            if self._name is not None:
                system.names.release(self._name, self._ref)

    def workload(self) -> Workload:
        """Say what there is to do."""
        busy = self._cell is not None and self._cell.busy
        return Workload(int(busy), 1, self._ref.queued)
