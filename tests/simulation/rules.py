"""What the core of a supervisor may do, told anew and naively: S26, S29, S37, S50, S60.

It sees the events and actions of one core, and knows its spec; of the core's
own state it uses only which children are in the table, and their order.
"""

from __future__ import annotations

from book import Book

from understudy_actors.supervision import Supervision
from understudy_actors.supervision_messages import (
    Action,
    Add,
    Arm,
    BecameReady,
    Ended,
    Event,
    GaveUp,
    Report,
    StartAgain,
    StartLife,
    StopAsked,
    StopLife,
    Terminate,
    Withdraw,
)
from understudy_protocols.errors import RestartIntensityError
from understudy_protocols.supervision import (
    ChildSpec,
    Exit,
    ExitKind,
    Restart,
    Strategy,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import Decision, LifeState

_MUST = (Decision.RESTART, Decision.GIVE_UP)


class Entry:
    """What is known of one child."""

    __slots__ = (
        "alive",
        "asked",
        "born",
        "by_hand",
        "manual",
        "ready",
        "returns",
        "spec",
        "started",
    )

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.alive = False
        self.asked = False  # to stop
        self.by_hand = False  # its stop was asked for by hand
        self.manual = False  # started by hand, and not ready since
        self.ready = False
        self.returns = False  # it ended, and is to be started again
        self.started = False
        self.born = 0  # after how many starts here its latest life began


class Rules:
    """Checks one core.

    Args:
      book: where violations go.
      core: whose table is looked at.
      spec: its flags and first children.
      path: where it stands in the tree.
    """

    def __init__(
        self, book: Book, core: Supervision, spec: SupervisorSpec, path: str
    ) -> None:
        self._book = book
        self._core = core
        self._spec = spec
        self._path = path
        self._dynamic = spec.strategy is Strategy.DYNAMIC
        first = () if self._dynamic else spec.children
        self.entries = {child.id: Entry(child) for child in first}
        self._starts = 0
        self._ending = False
        self._row: set[str] = set()  # who is brought down together
        self._row_at = 0  # after how many starts that began
        self._times: list[float] = []
        self._dues = set[float | None]()

    def before(self, event: Event) -> None:
        """Take note of *event*, which the core is about to handle."""
        match event:
            case StopAsked():
                self._end()
            case Terminate() | Withdraw():
                if (entry := self.entries.get(event.id)) is not None:
                    entry.by_hand, entry.returns = True, False
            case BecameReady():
                if (entry := self.entries.get(event.id)) is not None:
                    entry.ready = entry.alive and not entry.asked
                    entry.manual &= not entry.ready
            case Ended():
                if (entry := self.entries.get(event.id)) is not None:
                    entry.alive = False
            case _:
                pass

    def after(self, event: Event, now: float, actions: list[Action]) -> None:
        """Check what the core did about *event*."""
        exit_ = event.exit if isinstance(event, Ended) else None
        for action in actions:
            match action:
                case StartLife():
                    self._start(action, event)
                case StopLife():
                    self._stop(action, event)
                case Report(state=LifeState.BACKING_OFF):
                    self._dues.add(action.due)
                case Arm():
                    said = action.due in self._dues
                    self._require(said, "S64 armed for another time", action.due)
                case Report() if action.decision is not None:
                    self._decide(action, action.decision, exit_, now)
                case GaveUp():
                    self._give_up(action, now)
                case _:
                    pass
        table = self._core.children
        for child_id in [name for name in self.entries if table.get(name) is None]:
            del self.entries[child_id]

    def _end(self) -> None:
        if not self._ending:
            self._ending = True
            self._row, self._row_at = set(self.entries), self._starts

    def _start(self, action: StartLife, event: Event) -> None:
        if isinstance(event, Add):
            self.entries[event.spec.id] = Entry(event.spec)
        entry = self.entries[action.id]
        by_hand = isinstance(event, Add) or (
            isinstance(event, StartAgain) and event.id == action.id
        )
        self._require(not self._ending, "S26 started while it ends", action.id)
        self._require(not entry.alive, "S37 two lives at a time", action.id)
        temporary = entry.spec.restart is Restart.TEMPORARY
        twice = temporary and entry.started
        self._require(not twice, "S30 a temporary child again", action.id)
        if action.id in self._row and not by_hand:
            down = not any(map(self._must_go, self._row))
            self._require(down, "S40 S41 up before all are down", action.id)
        if not by_hand and not self._dynamic:
            earlier = self._order()[: self._order().index(action.id)]
            first = [other for other in earlier if self._comes_first(other)]
            self._require(not first, "S14 before earlier ones", action.id, *first)
        self._starts += 1
        entry.alive = entry.started = True
        entry.manual = by_hand or (entry.manual and not entry.by_hand)
        entry.asked = entry.by_hand = entry.ready = entry.returns = False
        entry.born = self._starts

    def _comes_first(self, child_id: str) -> bool:
        """Whether this child has to be up before those after it are started."""
        entry = self.entries[child_id]
        if not entry.started:
            return not entry.by_hand
        if self._spec.strategy is Strategy.ONE_FOR_ONE or entry.manual:
            return False
        return entry.returns or (entry.alive and not (entry.ready or entry.asked))

    def _order(self) -> list[str]:
        return [child.spec.id for child in self._core.children]

    def _must_go(self, child_id: str) -> bool:
        """Whether this child of the row that is brought down is still there."""
        entry = self.entries.get(child_id)
        return entry is not None and entry.alive and entry.born <= self._row_at

    def _stop(self, action: StopLife, event: Event) -> None:
        entry = self.entries[action.id]
        self._require(entry.alive, "S50 stopped, and not alive", action.id)
        self._require(not entry.asked, "S50 asked to stop twice", action.id)
        entry.asked = True
        if isinstance(event, Terminate | Withdraw) and event.id == action.id:
            return
        self._require(action.id in self._row, "S39 stopped for no reason", action.id)
        if self._dynamic:
            return
        order = self._order()
        later = order[order.index(action.id) + 1 :] if action.id in order else ()
        waits = [other for other in later if self._must_go(other)]
        self._require(not waits, "S50 S78 before later ones", action.id, *waits)

    def _decide(
        self, report: Report, decision: Decision, exit_: Exit | None, now: float
    ) -> None:
        if decision in (Decision.GIVE_UP, Decision.SHUT_DOWN):
            self._end()
            return
        entry = self.entries[report.id]
        assert report.exit is not None, "a decision follows an end"
        entry.returns = decision is Decision.RESTART
        if report.restarts and decision is Decision.RESTART:
            self._count(report, now)
            self._require(_calls(entry, report.exit), "S29 S58 restarted", report)
            self._begin_row(report.id)
        elif decision is Decision.RESTART:
            temporary = entry.spec.restart is Restart.TEMPORARY
            self._require(not temporary, "S42 a temporary child returns", report.id)
            self._require(report.id in self._row, "S50 not of the row", report.id)
        elif exit_ is not None and report.exit is exit_:
            stays = self._may_stay(entry, exit_)
            self._require(stays, "S28 S29 not restarted", report)

    def _may_stay(self, entry: Entry, end: Exit) -> bool:
        """Whether a child that ended so may be left stopped."""
        if self._ending or entry.by_hand or not _calls(entry, end):
            return True
        declined = end.kind is ExitKind.SHUTDOWN and not entry.ready
        by_hand = entry.manual and not entry.ready
        return declined or by_hand or entry.spec.budget is not None

    def _begin_row(self, child_id: str) -> None:
        order = self._order()
        match self._spec.strategy:
            case Strategy.ONE_FOR_ALL:
                row = order
            case Strategy.REST_FOR_ONE:
                row = order[order.index(child_id) :]
            case Strategy.ONE_FOR_ONE | Strategy.DYNAMIC:
                return
        self._book.count("group restart", self._spec.strategy.value)
        self._row, self._row_at = set(row) | self._left_of_row(), self._starts

    def _left_of_row(self) -> set[str]:
        return {name for name in self._row if self._must_go(name)}

    def _count(self, report: Report, now: float) -> None:
        self._times = [at for at in self._times if now - at < self._spec.period]
        self._times.append(now)
        right = report.restarts == len(self._times)
        self._require(right, "S60 miscounted", report.id, report.restarts)
        within = len(self._times) <= self._spec.intensity
        self._require(within, "S60 over its intensity", report.id, *self._times)

    def _give_up(self, action: GaveUp, now: float) -> None:
        self._book.count("gave up", type(action.error).__name__)
        error = action.error
        if not isinstance(error, RestartIntensityError):
            return
        entry = self.entries.get(error.child.rpartition("/")[2])
        if entry is None or entry.spec.budget is None:
            counted = [at for at in self._times if now - at < self._spec.period]
            over = len(counted) >= self._spec.intensity
            self._require(over, "S51 gave up too early", error.child, *counted)

    def _require(self, holds: bool, what: str, *about: object) -> None:
        if not holds:
            self._book.require(False, what, self._path, *map(str, about))


def _calls(entry: Entry, end: Exit) -> bool:
    """Whether the restart type calls for a restart after *end*."""
    if entry.spec.restart is Restart.PERMANENT:
        return True
    fine = end.kind in (ExitKind.NORMAL, ExitKind.SHUTDOWN)
    return entry.spec.restart is Restart.TRANSIENT and not fine
