"""The cells of runs and branches, and the message that travels between actors.

A *strand* is one line of control of a run: the run itself, or one branch of a
fan-out, one round of a loop, one tier of a cascade, one child workflow.  While
it lives it is in exactly one place: a mailbox, a worker's hand, a timer, a
pause, or split into strands of its own.  Messages refer to their strand; what
ends a strand sets one mark, and whoever meets a message of it drops it.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec
import trio

from understudy.budgets import RunBudget
from understudy.engine.places import Landing, StepEntry, Waiting, function_entry
from understudy_actors.watchdog import Timer
from understudy_actors.worker import Worker
from understudy_protocols.errors import RunSuspendedError
from understudy_protocols.failures import AttemptRecord, Failure
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.state import OrchestrationState
from understudy_protocols.usage import Usage

if TYPE_CHECKING:
    # Loaded by those who have a journal, or models.
    from understudy.engine.replay import Replay
    from understudy.engine.run_journal import RunJournal
    from understudy.models.function_journal import FunctionOutcome


class Fork(Protocol):
    """A strand that has split, as its branches see it."""

    def ended(self, strand: Strand, value: object) -> None:
        """Take the value of a branch."""
        ...

    def skipped(self, strand: Strand) -> None:
        """Take note that a branch had nothing to run, and has no value."""
        ...

    def failed(self, strand: Strand, failure: Failure) -> None:
        """Take the failure of a branch."""
        ...

    def live(self) -> Iterable[Strand]:
        """Return the branches that have not ended."""
        ...


class Answerable(Waiting, Protocol):
    """An open pause."""

    @property
    def name(self) -> str:
        """The name of its node."""
        ...

    @property
    def path(self) -> str:
        """Where its node stands in the workflow."""
        ...

    @property
    def output(self) -> object:
        """The type that the answer must have."""
        ...

    def answer(self, value: object) -> None:
        """Go on with *value*."""
        ...


class Drawn(Protocol):
    """What an attempt has used up, known also after it was cut."""

    @property
    def number(self) -> int:
        """The attempt under way, from 1."""
        ...

    @property
    def failures(self) -> tuple[AttemptRecord, ...]:
        """Attempts that failed within it, and were made again in place."""
        ...

    @property
    def rest(self) -> Usage:
        """What its model calls cost besides those attempts."""
        ...

    def is_final(self, error: BaseException) -> bool:
        """Whether a model call gave up with *error*, so that nothing is repeated."""
        ...

    def give_up(self) -> None:
        """Charge the calls under way at their worst: nobody waits for them."""
        ...


class Strand:
    """One line of control; see the module.

    Attributes:
      parent: the strand that split into this one; None for the run's own.
      label: which branch of its parent it is: a label, an item's index, a round.
      ended: nothing of it is to go on; set once.
      worker: the worker that has it in hand.
      fork: what it has split into.
      waiting: the timer or pause that it waits in.
      attempt: what the step in hand was given, if it takes one.
      since: when the attempt in hand began; seconds on the system's clock.
      item, previous, round: see `Context`.
    """

    __slots__ = (
        "attempt",
        "ended",
        "fork",
        "item",
        "label",
        "parent",
        "previous",
        "round",
        "since",
        "waiting",
        "worker",
    )

    label: str | int
    parent: Strand | None

    def __init__(self) -> None:
        self.ended: bool = False
        self.worker: Worker[StepMessage] | None = None
        self.fork: Fork | None = None
        self.waiting: Waiting | None = None
        self.attempt: Drawn | None = None
        self.since: float = 0.0
        self.item: object = None
        self.previous: object = None
        self.round: int = 0

    @property
    def run(self) -> Run:
        """The run that it belongs to."""
        raise NotImplementedError

    def position(self) -> str:
        """Return the labels from the run down to here, as ``a/3/b``."""
        parent = self.parent
        if parent is None:
            return ""
        if parent.parent is None:
            return str(self.label)
        labels: list[str] = []
        strand: Strand = self
        while strand.parent is not None:
            labels.append(str(strand.label))
            strand = strand.parent
        return "/".join(reversed(labels))


class Branch(Strand):
    """A strand that another one has split into."""

    __slots__ = ("run",)
    run: Run  # a slot in place of a property: it is read for every message

    def __init__(self, parent: Strand, label: str | int) -> None:
        self.run = parent.run  # pyright: ignore[reportIncompatibleMethodOverride]
        self.parent: Strand | None = parent
        self.label = label
        self.ended = False
        self.worker: Worker[StepMessage] | None = None
        self.fork: Fork | None = None
        self.waiting: Waiting | None = None
        self.attempt: Drawn | None = None
        self.since: float = 0.0
        self.item: object = parent.item
        self.previous: object = parent.previous
        self.round: int = parent.round


class Viewer(Protocol):
    """Who began a run to read its events."""

    async def caught_up(self) -> None:
        """Return when it is not far behind, or has left; a checkpoint."""
        ...


class Run(Strand):
    """The cell of a whole run.

    Attributes:
      id: its identity, unique in the runtime.
      status: where it stands.
      context: the variables that its submitter had set; None if no others than
        when the runtime was entered.
      deadline: when its active time is over; seconds on the system's clock,
        infinite without one.  Meaningless while `remaining` is set.
      hard_deadline: when it is over in any case, paused or not; as `deadline`.
      remaining: the active time left while its clock stands still.
      lingering: workers that were cut and have not let go yet.
      state: the run's own state: as accepted, and then as it ended.
      pauses: those that are open, by key.
      begin: sets the run going, while it waits to begin.
      workflow: the name of what it runs.
      on_end: set when the run is over and nothing of it is in hand.
      on_done: called then.
      returning: what is to follow when it has a place again, while it waits for
        one after an answer; None otherwise.
      leaves: strands that are in one place, as opposed to split.
      paused: how many of these are in a pause.
      log: the steps that have ended, in that order.
      functions: what came of calls of journaled functions, by their keys.
      viewer: the one who began it and reads its events; None if nobody does.
      journal: where it is written down; None if it is not.
      replay: what it goes by while it is brought back; None once it runs.
      suspended: why it is left as it is, for later; None if it is not.
    """

    __slots__ = (
        "_change",
        "begin",
        "budget",
        "context",
        "created",
        "deadline",
        "expiry",
        "failure",
        "finished",
        "functions",
        "hard_deadline",
        "hard_expiry",
        "id",
        "journal",
        "leaves",
        "lingering",
        "log",
        "on_done",
        "on_end",
        "paused",
        "pauses",
        "priority",
        "remaining",
        "replay",
        "returning",
        "state",
        "status",
        "stuck",
        "suspended",
        "tenant",
        "value",
        "viewer",
        "workflow",
    )

    def __init__(
        self,
        id: str,  # noqa: A002
        workflow: str,
        budget: RunBudget,
        state: OrchestrationState[object],
        created: float,
    ) -> None:
        super().__init__()
        self.parent: Strand | None = None
        self.label: str | int = ""
        self.id: str = id
        self.workflow: str = workflow
        self.status: RunStatus = RunStatus.QUEUED
        self.budget: RunBudget = budget
        self.created: float = created
        self.finished: float = math.nan
        self.deadline: float = math.inf
        self.remaining: float | None = None
        self.expiry: Timer | None = None
        self.hard_deadline: float = math.inf
        self.hard_expiry: Timer | None = None
        self.context: contextvars.Context | None = None
        self.lingering: int = 0
        self.leaves: int = 1
        self.paused: int = 0
        self.log: list[StepEntry] = []
        self.functions: dict[str, FunctionOutcome] = {}
        self.stuck: tuple[str, ...] = ()
        self.failure: Failure | None = None
        self.value: object = None
        self.state: OrchestrationState[object] = state
        self.pauses: dict[str, Answerable] = {}
        self.priority: int = 0
        self.tenant: str = ""
        self.viewer: Viewer | None = None
        self.journal: RunJournal | None = None
        self.replay: Replay | None = None
        self.suspended: RunSuspendedError | None = None
        self.begin: Callable[[Run], None] | None = None
        self.returning: list[Landing] | None = None
        self.on_done: Callable[[], None] | None = None
        self.on_end: trio.Event = trio.Event()
        self._change: trio.Event | None = None

    @property
    def run(self) -> Run:
        """The run itself: not kept, so that a run over is freed at once."""
        return self

    @property
    def over(self) -> bool:
        """Whether it has ended, and that is safe if it is written down."""
        return self.status.terminal and (self.journal is None or self.journal.over)

    def remember(self, path: str, position: str, outcome: FunctionOutcome) -> None:
        """Keep what came of a function that must not run twice.

        Args:
          path: of the step whose model asked for it.
          position: of the step's strand.
        """
        self.functions[outcome.key] = outcome
        entry = function_entry(f"{path}/{outcome.name}", position, outcome)
        self.log.append(entry)

    def become(self, status: RunStatus) -> None:
        """Take another status, and tell those who wait for one."""
        self.status = status
        if self._change is not None:
            self._change.set()
            self._change = None

    async def changed(self) -> None:
        """Wait for the next change of status, or for the end."""
        if self._change is None:
            self._change = trio.Event()
        await self._change.wait()

    def settle(self) -> None:
        """The run is over and nothing of it is in hand: let everybody know."""
        self.on_end.set()
        self.become(self.status)
        if self.on_done is not None:
            self.on_done()


class StepMessage(msgspec.Struct, frozen=True):
    """What actors send one another: whose turn, and the state it travels with.

    Args:
      number: which attempt this will be, from 1; all that a resent message
        has used up counts.
      begun: it is on record that this attempt begins.
      attempts: the failed attempts so far.
      due: when the step with all its retries must be done; seconds on the
        system's clock.
    """

    strand: Strand
    state: OrchestrationState[object]
    number: int = 1
    attempts: tuple[AttemptRecord, ...] = ()
    due: float = math.inf
    begun: bool = False
