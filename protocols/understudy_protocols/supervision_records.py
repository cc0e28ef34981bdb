"""What a supervisor says: events, listings, refusals, and the report of a stop."""

from __future__ import annotations

import enum
import logging
from collections.abc import Mapping

import msgspec

from understudy_protocols.errors import UnderstudyError
from understudy_protocols.supervision import ChildKind, ExitKind, Restart, Strategy
from understudy_protocols.workload import Workload


class LifeState(enum.Enum):
    """What a `SupervisionEvent` says of one life of a child."""

    STARTING = "starting"
    READY = "ready"
    RESTARTED = "restarted"  # ready, in the place of a life that failed
    STOPPING = "stopping"  # asked to stop, or being cut
    STOPPED = "stopped"  # ended as expected
    CRASHED = "crashed"  # ended in another way
    STUCK = "stuck"  # cut, and not gone in time; left behind
    BACKING_OFF = "backing off"  # ended; the next life waits for its time
    GAVE_UP = "gave up"  # a supervisor that ends because of its children


_ENDED = frozenset({LifeState.STOPPED, LifeState.CRASHED})

LIFE_AUTOMATON: Mapping[LifeState | None, frozenset[LifeState]] = {
    None: frozenset({LifeState.STARTING, LifeState.STOPPED}),
    LifeState.STARTING: _ENDED
    | {
        LifeState.READY,
        LifeState.RESTARTED,
        LifeState.STOPPING,
        LifeState.STUCK,
        LifeState.GAVE_UP,
    },
    LifeState.READY: _ENDED | {LifeState.STOPPING, LifeState.GAVE_UP},
    LifeState.RESTARTED: _ENDED | {LifeState.STOPPING, LifeState.GAVE_UP},
    LifeState.GAVE_UP: _ENDED
    | {LifeState.READY, LifeState.RESTARTED, LifeState.STOPPING},
    LifeState.STOPPING: _ENDED
    | {LifeState.STOPPING, LifeState.STUCK, LifeState.GAVE_UP},
    LifeState.STUCK: _ENDED | {LifeState.BACKING_OFF},
    LifeState.STOPPED: frozenset({LifeState.BACKING_OFF, LifeState.STOPPED}),
    LifeState.CRASHED: frozenset({LifeState.BACKING_OFF, LifeState.STOPPED}),
    LifeState.BACKING_OFF: _ENDED,
}
"""Which event may follow which in one life (path and incarnation); None begins it.

STOPPING repeats when a callback for it raised.  An end after STUCK is late.
STOPPED after an end, or with nothing before it, says that `on_gone` raised.
GAVE_UP is a supervisor's own word, and may overtake that it was ready.
"""


_QUIET = frozenset(
    {LifeState.STARTING, LifeState.READY, LifeState.STOPPING, LifeState.STOPPED}
)


class Decision(enum.Enum):
    """What a supervisor does about a child that ended."""

    RESTART = "restart"
    KEEP = "keep"  # stays known, and stopped
    FORGET = "forget"  # its spec is gone too
    GIVE_UP = "give up"  # the supervisor ends
    SHUT_DOWN = "shut down"  # the supervisor ends, as its auto_shutdown says


class SupervisionEvent(msgspec.Struct, frozen=True):
    """One change of state of one life of a child.

    Args:
      time: on the system's clock; seconds.
      path: the child's.
      incarnation: which life of it.
      state: what it is now.
      kind: how it ended; None while it lives.
      cause: the exception behind it.
      decision: what follows from the end.
      restarts: how many restarts now count against the supervisor's intensity.
      due: when the next life starts, if it has to wait; on the system's clock.
      detail: more to read, as the await stack of a stuck child.
      failures: how often in a row it has failed, if it has; a count.
      critical: whether these are more than its backoff calls usual.
    """

    time: float
    path: str
    incarnation: int
    state: LifeState
    kind: ExitKind | None = None
    cause: BaseException | None = None
    decision: Decision | None = None
    restarts: int = 0
    due: float | None = None
    detail: str = ""
    failures: int = 0
    critical: bool = False

    @property
    def level(self) -> int:
        """How loud it is, as one of the levels of ``logging``.

        An end that a restart may mend is a warning, until there are too many
        in a row; an abnormal one that nothing follows is an error.
        """
        if self.state in _QUIET:
            return logging.DEBUG
        if self.state is LifeState.RESTARTED:
            return logging.INFO
        mended = self.decision in (None, Decision.RESTART) and not self.critical
        gave_up = self.state is LifeState.GAVE_UP
        return logging.WARNING if mended and not gave_up else logging.ERROR


class ChildState(enum.Enum):
    """What a supervisor's listing says of a child."""

    PENDING = "pending"  # its turn has not come in the first start
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    RESTARTING = "restarting"  # waits for its backoff, or for its siblings
    STOPPED = "stopped"  # known, and started by hand only


class ChildStatus(msgspec.Struct, frozen=True):
    """One line of a supervisor's listing.

    Args:
      id: the child's name.
      path: where it stands in the tree.
      kind: worker or supervisor.
      restart: when it is started again.
      state: what it is now.
      incarnation: the number of its latest life; 0 before the first.
      due: when its next life starts; on the system's clock, None if not waiting.
      value: what it reported ready with; None unless it runs.
      workload: what it has to do; None if it does not say.
    """

    id: str
    path: str
    kind: ChildKind
    restart: Restart
    state: ChildState
    incarnation: int
    due: float | None
    value: object
    workload: Workload | None = None

    def __repr__(self) -> str:
        # Without the value, which is the child's own affair.
        names = (name for name in ChildStatus.__struct_fields__ if name != "value")
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"ChildStatus({shown})"


class ChildCount(msgspec.Struct, frozen=True):
    """How many children a supervisor has.

    Args:
      specs: all it knows.
      active: those with a task: starting, running or stopping.
      supervisors: how many of the known are supervisors.
      workers: and how many are not.
    """

    specs: int
    active: int
    supervisors: int
    workers: int


class TreeSnapshot(msgspec.Struct, frozen=True):
    """A supervisor and all below it, at one moment.

    Args:
      path: the supervisor's.
      strategy: which of its children share the fate of a restarted one.
      intensity: restarts that it allows inside one period; a count.
      period: length of that window; seconds.
      children: its listing, in start order.
      below: the snapshots of those children that are supervisors and live.
    """

    path: str
    strategy: Strategy
    intensity: int
    period: float
    children: tuple[ChildStatus, ...]
    below: tuple[TreeSnapshot, ...]


class StuckChild(msgspec.Struct, frozen=True):
    """A task that was cut and did not end.

    Args:
      path: the child's.
      incarnation: which life of it.
      stack: where it stands, innermost last; text.
    """

    path: str
    incarnation: int
    stack: str


class StopReport(msgspec.Struct, frozen=True):
    """What a stop left undone.

    Args:
      complete: whether the tree was gone when the report was made; False only
        for a caller inside the tree, which cannot wait for its own end.
      stuck: tasks that were cut and did not end in time.
      in_flight: messages that were being handled and were cut; a count.
      queued: messages that no one had begun to handle; a count.
    """

    complete: bool
    stuck: tuple[StuckChild, ...] = ()
    in_flight: int = 0
    queued: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing was left undone."""
        return self.complete and not (self.stuck or self.in_flight or self.queued)


class Refusal(enum.Enum):
    """Why a supervisor did not do what it was asked."""

    ALREADY_STARTED = "already started"
    ALREADY_PRESENT = "already present"
    NOT_FOUND = "not found"
    RUNNING = "running"
    RESTARTING = "restarting"
    MAX_CHILDREN = "max_children reached"
    STOPPING = "the supervisor is stopping"
    STOPPED = "the supervisor has stopped"
    WITHDRAWN = "stopped before it was ready"


class AdminError(UnderstudyError):
    """A supervisor refused an admin call; nothing was changed.

    Attributes:
      supervisor: its path.
      child: the id that the call named.
      refusal: why.
      value: the running child's handle, with ALREADY_STARTED.
    """

    def __init__(
        self, supervisor: str, child: str, refusal: Refusal, value: object = None
    ) -> None:
        super().__init__(supervisor, child, refusal, value)
        self.supervisor = supervisor
        self.child = child
        self.refusal = refusal
        self.value = value

    def __str__(self) -> str:
        return f"{self.supervisor}, child {self.child!r}: {self.refusal.value}"
