"""Supervisors' cores that are watched: what they are told, say, and see done.

Three checks stand on the record of one core.  `Rules` says what a core may do
at all.  *The shell conforms*: what the core said is what happened, nothing
else, and in that order.  And *the core is the reference*: a fresh one that is
told the same says the same (`replay`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import cast

from book import TOLERANCE, Book
from lives import Lives
from rules import Rules

from understudy_actors.lineage import Lineage
from understudy_actors.supervision import Phase, Supervision
from understudy_actors.supervision_messages import (
    Action,
    Answer,
    Arm,
    Disarm,
    Due,
    End,
    Ended,
    Event,
    GaveUp,
    Refuse,
    Report,
    StartLife,
    StopLife,
    TellGone,
)
from understudy_protocols.supervision import (
    Exit,
    ExitKind,
    Kill,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import LifeState, SupervisionEvent

Told = tuple[Event | Mapping[str, Exit], float, list[Action]]


class Core(Supervision):
    """A core that writes down what it is told and what it says.

    Args:
      cores: those of the same run.
      The others are those of `Supervision`.
    """

    def __init__(
        self,
        cores: Cores,
        spec: SupervisorSpec,
        path: str,
        draw: Callable[[], float],
        lineage: Lineage,
        *,
        observed: bool,
    ) -> None:
        self._cores = cores
        self.path = path
        self.spec = spec
        self.lineage = _copied(lineage)
        self.draws: list[float] = []
        self.record: list[Told] = []
        self._actual_draw = draw
        super().__init__(spec, path, self._noted_draw, lineage, observed=observed)
        self.rules = Rules(cores.book, self, spec, path)
        self.shell = Shell(cores, path)

    def handle(self, event: Event, now: float) -> list[Action]:
        """As the base does, watched."""
        self.shell.told(event, now)
        self.rules.before(event)
        known = list(self.rules.entries)
        actions = super().handle(event, now)
        self.record.append((event, now, actions))
        self.rules.after(event, now, actions)
        self._cores.number(self.path, actions)
        for child_id in known:
            if child_id not in self.rules.entries:
                self._cores.forget(f"{self.path}/{child_id}")
        self.shell.must(actions)
        return actions

    def abandon(self, ends: Mapping[str, Exit]) -> list[Action]:
        """As the base does, watched."""
        self._cores.book.count("supervisor abandoned")
        actions = super().abandon(ends)
        self.record.append((dict(ends), 0.0, actions))
        self.shell.abandoned()
        self.shell.must(actions)
        return actions

    def _noted_draw(self) -> float:
        self.draws.append(self._actual_draw())
        return self.draws[-1]


class Shell:
    """What the shell around one core still has to do, and whether it does it."""

    def __init__(self, cores: Cores, path: str) -> None:
        self._cores = cores
        self._book = cores.book
        self._path = path
        self._due = deque[Report | TellGone | GaveUp]()
        self._actions: list[Action] = []
        self._numbers: dict[str, int] = {}
        self._stopped: dict[str, int] = {}
        self._armed: dict[int, float] = {}
        self._called_off: dict[int, float] = {}
        self._ended = False

    def told(self, event: Event, now: float) -> None:
        """The core is about to be told *event*: all it said before must be done."""
        self._check_done()
        match event:
            case Due():
                due = self._armed.pop(event.token, None)
                if due is None:  # it came due in the moment it was called off
                    due = self._called_off[event.token]
                self._require(now >= due - TOLERANCE, "S62 too early", due, now)
            case Ended():
                stuck = bool(event.exit.stuck)
                path = f"{self._path}/{event.id}"
                stopped = self._stopped.get(event.id) == event.number
                self._cores.lives.core_told(
                    path, event.number, stuck=stuck, stopped=stopped
                )
            case _:
                pass
        for due in self._armed.values():
            late = now > due + TOLERANCE and self._book.jumped_at < due
            self._require(not late, "S62 a time has passed", due, now)

    def must(self, actions: list[Action]) -> None:
        """The core has said *actions*, so they must be done."""
        self._require(not self._ended or not actions, "S88 active after its end")
        self._actions = actions
        for action in actions:
            match action:
                case Report() | TellGone() | GaveUp():
                    self._due.append(action)
                case StartLife():
                    self._numbers[action.id] = action.number
                    path = f"{self._path}/{action.id}"
                    self._cores.lives.expect(path, action.number)
                case StopLife():
                    self._stopped[action.id] = self._numbers[action.id]
                case Arm():
                    self._armed[action.token] = action.due
                case Disarm():
                    due = self._armed.pop(action.token, None)
                    if due is not None:
                        self._called_off[action.token] = due
                case End():
                    self._ended = True
                    self._require(not self._armed, "S90 a time is still armed")
                case _:
                    pass

    def abandoned(self) -> None:
        """The supervisor was cut: what its core still said is void."""
        self._due.clear()
        self._armed.clear()

    def takes(self, event: SupervisionEvent) -> bool:
        """Whether *event* is what the core said next; if so, it is done."""
        due = self._due[0] if self._due else None
        if isinstance(due, GaveUp):
            same = event.state is LifeState.GAVE_UP and event.path == self._path
        elif isinstance(due, Report):
            told = (event.path, event.incarnation, event.state, event.decision)
            path = f"{self._path}/{due.id}"
            same = told == (path, due.number, due.state, due.decision)
            same = same and _numbers(event) == _numbers(due)
        else:
            return False
        if same:
            self._due.popleft()
        return same

    def gone(self, child_id: str, end: Exit | None) -> bool:
        """Whether telling an owner is what the core said next."""
        due = self._due[0] if self._due else None
        if isinstance(due, TellGone) and due.id == child_id and due.exit is end:
            self._due.popleft()
            return True
        return False

    def _check_done(self) -> None:
        if self._due:
            self._require(False, "the shell did not do it", *self._due)
            self._due.clear()
        for action in self._actions:
            match action:
                case StopLife():
                    self._check_stop(action)
                case Answer() | Refuse():
                    done = getattr(action.reply, "done", False)
                    self._require(done, "the shell did not answer", action)
                case _:
                    pass

    def _check_stop(self, action: StopLife) -> None:
        path, number = f"{self._path}/{action.id}", self._numbers[action.id]
        one = self._cores.lives.latest(path, number)
        if one is None or one.over:
            return  # it has not begun, or is over
        cut, asked = self._cores.lives.was_cut(one), one.life.stopping
        at_once = isinstance(action.grace, Kill)
        right = cut and not asked if at_once else asked
        self._require(right, "S81 the shell did not stop it as said", one)

    def _require(self, holds: bool, what: str, *about: object) -> None:
        if not holds:
            self._book.require(False, what, self._path, *map(str, about))


class Cores:
    """All cores of one run.

    Args:
      book: where violations go.
      lives: the census.
      excused: what an event may carry that only the shell knows of: the errors
        of callbacks and owners.
    """

    def __init__(
        self, book: Book, lives: Lives, excused: tuple[type[Exception], ...]
    ) -> None:
        self.book = book
        self.lives = lives
        self._excused = excused
        self._all: list[Core] = []
        self._by_path: dict[str, Core] = {}
        self._numbers: dict[str, int] = {}

    def open(
        self,
        spec: SupervisorSpec,
        path: str,
        draw: Callable[[], float],
        lineage: Lineage,
        *,
        observed: bool,
    ) -> Core:
        """Return a new core; it takes the place of `Supervision`."""
        core = Core(self, spec, path, draw, lineage, observed=observed)
        self._all.append(core)
        self._by_path[path] = core
        static = {f"{path}/{child.id}" for child in spec.children}
        for known in list(self._numbers):
            above, _, name = known.rpartition("/")
            if above == path and f"{above}/{name}" not in static:
                self.forget(known)
        return core

    # The numbers of lives

    def number(self, path: str, actions: list[Action]) -> None:
        """See that each new life has the next number."""
        for action in actions:
            if isinstance(action, StartLife):
                child = f"{path}/{action.id}"
                right = self._numbers.get(child, 0) + 1
                about = child, action.number, right
                self.book.require(action.number == right, "S37 its number", *about)
                self._numbers[child] = action.number

    def forget(self, path: str) -> None:
        """Begin anew with the numbers at *path* and below."""
        for known in list(self._numbers):
            if f"{known}/".startswith(f"{path}/"):
                del self._numbers[known]

    # What is seen

    def event(self, event: SupervisionEvent, *, late: bool) -> None:
        """See that *event* is what the core said next, or only the shell's to say.

        Args:
          late: it is the end of a life that had been left behind.
        """
        if late:
            return
        above = event.path.rpartition("/")[0]
        if event.state is LifeState.GAVE_UP:
            above = event.path
        core = self._by_path.get(above)
        if core is None:
            root = not above
            self.book.require(root, "an event of nobody", event)
        elif not core.shell.takes(event):
            self.book.require(self._of_shell(event, above), "not said", str(event))

    def gone(self, path: str, end: Exit | None) -> None:
        """See that an owner is told what the core said."""
        above, _, child_id = path.rpartition("/")
        core = self._by_path.get(above)
        if core is None or not core.shell.gone(child_id, end):
            # Of a supervisor that had no life: the one above tells for it.
            unborn = core is None or core.phase is Phase.ENDED
            self.book.require(unborn and end is None, "S90 not said", path)

    def _of_shell(self, event: SupervisionEvent, above: str) -> bool:
        told = event.state in (LifeState.STOPPING, LifeState.STOPPED)
        if told and self._is_excused(event.cause):
            return True
        if event.state is LifeState.STOPPED and event.kind is ExitKind.CRASH:
            return False  # an owner that raised on its own account
        return event.decision is None and self.lives.was_cut_at(above)

    def _is_excused(self, error: BaseException | None) -> bool:
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            return all(map(self._is_excused, group.exceptions))
        return isinstance(error, self._excused)

    # At the end

    def check_at_rest(self) -> None:
        """Compare each core with a fresh one that is told the same."""
        for core in self._all:
            self._replay(core)

    def _replay(self, core: Core) -> None:
        draws = iter(core.draws)
        fresh = Supervision(
            core.spec, core.path, lambda: next(draws), core.lineage, observed=True
        )
        for told, now, actions in core.record:
            if isinstance(told, Mapping):
                again = fresh.abandon(told)
            else:
                again = fresh.handle(told, now)
            first, second = _described(actions), _described(again)
            if first != second:
                about = core.path, told, first, second
                self.book.require(False, "a fresh core says something else", *about)
                return
        rest = list(draws)
        self.book.require(not rest, "a fresh core draws less", core.path)


def _numbers(said: SupervisionEvent | Report) -> tuple[object, ...]:
    return said.restarts, said.due, said.failures, said.critical


def _copied(lineage: Lineage) -> Lineage:
    copy = Lineage()
    copy.count = lineage.count
    copy.below = {name: _copied(below) for name, below in lineage.below.items()}
    return copy


def _described(actions: list[Action]) -> list[tuple[object, ...]]:
    """Return *actions* with all that two cores cannot share left out."""
    return [
        (type(action).__name__, *map(_plain, _fields(action))) for action in actions
    ]


def _fields(action: Action) -> list[object]:
    return [getattr(action, name) for name in action.__struct_fields__]


def _plain(value: object) -> object:
    if isinstance(value, BaseException):
        return type(value).__name__, str(value)
    if isinstance(value, Lineage):
        return "lineage"  # it has gone on since
    if callable(value):
        return "code"
    return value
