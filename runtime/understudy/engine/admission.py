"""The door: which runs may be under way, and which wait or are turned away."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from understudy.engine.pauses import OpenPause
from understudy.engine.strand import Run
from understudy.engine.waiting_line import WaitingLine
from understudy_protocols.errors import AdmissionError
from understudy_protocols.outcomes import RunStatus

PLACES_AT_ONCE = 50
"""Places given away in one breath when a door is opened; a count."""


class Door:
    """Lets at most so many runs be under way at once, and a bounded line wait.

    A run takes a place when it begins.  While all of it waits in pauses it stands
    aside, and its place is another one's; once answered it takes the next place
    that is free, before those that have not begun.  So only runs with a place can
    have a message anywhere, which is what mailboxes are sized by.

    Args:
      max_runs: places; a count, 1 or more.
      max_waiting: runs that may wait to begin; a count, 0 or more.
      max_paused: runs that may stand aside; a count, 0 or more.  One that pauses
        beyond that keeps its place, so that at last no other one begins.
      go_on: called with a run that stood aside, or might have, and was answered,
        when it has its place.

    Attributes:
      live: all runs that are not over, by id, those that wait included.
      shut: why no run is let in now; None if the door is open.
    """

    def __init__(
        self,
        max_runs: int,
        max_waiting: int,
        max_paused: int,
        go_on: Callable[[Run], None],
    ) -> None:
        self.max_runs = max_runs
        self._places = max_runs  # fewer for as long as it is being opened
        self.max_waiting = max_waiting
        self.max_paused = max_paused
        self.live: dict[str, Run] = {}
        self.shut: str | None = "it has not been started"
        self._go_on = go_on
        self._inside = 0
        self._line: WaitingLine[Run] = WaitingLine()
        # Answered, and without a place yet.  Invariant: together with those aside
        # never more than may stand aside; so while anybody is here, no paused run
        # keeps a place.
        self._back: WaitingLine[Run] = WaitingLine()
        self._aside: set[Run] = set()
        # Paused and inside: so many stand aside already.
        self._staying: dict[Run, None] = {}
        self._filling = False
        self._closed = False

    @property
    def waiting(self) -> int:
        """Runs that wait to begin."""
        return len(self._line)

    def alone(self) -> bool:
        """Whether no more than one run has a place."""
        return self._inside < 2

    def enter(self, run: Run) -> None:
        """Let *run* begin, or wait in line.

        Raises:
          AdmissionError: the door is shut, or the line is full.
        """
        self.check_open()
        self._check_room()
        self.enter_again(run)

    def enter_again(self, run: Run, *, steps_aside: bool = False) -> None:
        """Let a run that was accepted before begin, or wait in line, however long.

        Args:
          steps_aside: it will in the same breath, and so it may while the door is
            held, if there is room.
        """
        self.live[run.id] = run
        places = self._places
        if steps_aside and len(self._aside) + len(self._back) < self.max_paused:
            places = self.max_runs
        # While there are free places and nobody gives them away, nobody waits.
        if self._inside < places and not (self._filling or self._closed):
            self._begin(run)
        else:
            self._line.add(run, run.priority, run.tenant)

    def hold(self) -> None:
        """Let nobody begin, and nobody who was answered go on, until it is opened."""
        self._places = 0

    def open(self, later: Callable[[Callable[[], None]], None]) -> None:
        """Give the places away, some now, and more each time that *later* calls back."""
        more = PLACES_AT_ONCE if self._line or self._back else self.max_runs
        self._places = min(self._places + more, self.max_runs)
        self._fill()
        if self._places < self.max_runs:
            later(lambda: self.open(later))

    def _check_room(self) -> None:
        if self._inside >= self._places and len(self._line) >= self.max_waiting:
            raise AdmissionError(
                f"{self._inside} runs are under way and {len(self._line)} wait",
                self.max_waiting,
            )

    def check_open(self) -> None:
        """Raise `AdmissionError` if the door is shut."""
        if self.shut is not None:
            raise AdmissionError(f"the runtime takes none: {self.shut}", 0)

    def step_aside(self, run: Run) -> None:
        """Take note that all of *run* has come to wait for somebody."""
        self._staying[run] = None
        self._fill()

    def come_back(self, run: Run) -> bool:
        """Let *run*, which was answered, go on in its turn; whether that is now."""
        if run in self._staying:
            del self._staying[run]
            self._go_on(run)
        else:
            self._aside.remove(run)
            self._back.add(run, run.priority, run.tenant)
            self._fill()
        return run.returning is None

    def leave(self, run: Run) -> None:
        """Take note that *run* is over: whatever it had is another one's."""
        del self.live[run.id]
        if run.begin is not None:
            self._line.remove(run, run.priority, run.tenant)
            run.begin = None
        elif run.returning is not None:
            self._back.remove(run, run.priority, run.tenant)
            run.returning = None
        elif run in self._aside:
            self._aside.remove(run)
        else:
            self._staying.pop(run, None)
            self._inside -= 1
        self._fill()

    def close(self) -> None:
        """Let nobody in any more, whoever leaves."""
        self._closed = True

    def at_rest(self) -> bool:
        """Whether nothing more will happen unless somebody outside does something.

        So it is when every run that has begun is paused, and none of its pauses
        has a time limit; those in line do not begin before one of these ends.
        """
        if self._inside > len(self._staying):
            return False
        if self._places < self.max_runs and self._line:
            return False  # whose turn is about to come
        begun = (run for run in self.live.values() if run.begin is None)
        return all(map(_waits_for_somebody, begun))

    def unfinished(self) -> Iterable[Run]:
        """Return the runs that are not over, those that wait included."""
        return tuple(self.live.values())

    def _fill(self) -> None:
        """Give free places away, as long as there are takers."""
        if self._filling or self._closed:
            return  # whoever is let in may give its place up in the same breath
        self._filling = True
        try:
            while self._give_one():
                pass
        finally:
            self._filling = False

    def _give_one(self) -> bool:
        while self._staying and len(self._aside) < self.max_paused:
            self._aside.add(self._staying.popitem()[0])
            self._inside -= 1
        if self._inside >= self._places:
            return False
        if len(self._back):
            self._inside += 1
            self._go_on(self._back.pop())
        elif len(self._line):
            self._begin(self._line.pop())
        else:
            return False
        return True

    def _begin(self, run: Run) -> None:
        self._inside += 1
        begin, run.begin = run.begin, None
        assert begin is not None, "a run begins once"
        begin(run)


def _waits_for_somebody(run: Run) -> bool:
    return run.status is RunStatus.PAUSED and not any(
        isinstance(pause, OpenPause) and pause.timer is not None
        for pause in run.pauses.values()
    )
