"""The door: which runs may begin, and which wait or are turned away."""

from __future__ import annotations

from collections.abc import Iterable

from understudy.engine.pauses import OpenPause
from understudy.engine.strand import Run
from understudy.engine.waiting_line import WaitingLine
from understudy_protocols.errors import AdmissionError
from understudy_protocols.outcomes import RunStatus


class Door:
    """Lets at most so many runs in at once, and a bounded line wait.

    Args:
      max_runs: runs under way at once; a count, 1 or more.
      max_waiting: runs that may wait to begin; a count, 0 or more.

    Attributes:
      live: all runs that are not over, by id, those that wait included.
      shut: why no run is let in now; None if the door is open.
    """

    def __init__(self, max_runs: int, max_waiting: int) -> None:
        self.max_runs = max_runs
        self.max_waiting = max_waiting
        self.live: dict[str, Run] = {}
        self.shut: str | None = "it has not been started"
        self._inside = 0
        self._line: WaitingLine[Run] = WaitingLine()

    @property
    def waiting(self) -> int:
        """Runs that wait to begin."""
        return len(self._line)

    def enter(self, run: Run) -> None:
        """Let *run* begin, or wait in line.

        Raises:
          AdmissionError: the door is shut, or the line is full.
        """
        self.check_open()
        self._check_room()
        self._let_in(run)

    def enter_again(self, run: Run) -> None:
        """Let a run that was accepted before begin, or wait in line, however long."""
        self._let_in(run)

    def _check_room(self) -> None:
        if self._inside >= self.max_runs and len(self._line) >= self.max_waiting:
            raise AdmissionError(
                f"{self._inside} runs are under way and {len(self._line)} wait",
                self.max_waiting,
            )

    def _let_in(self, run: Run) -> None:
        self.live[run.id] = run
        if self._inside < self.max_runs:
            self._begin(run)
        else:
            self._line.add(run, run.priority, run.tenant)

    def check_open(self) -> None:
        """Raise `AdmissionError` if the door is shut."""
        if self.shut is not None:
            raise AdmissionError(f"the runtime takes none: {self.shut}", 0)

    def leave(self, run: Run) -> None:
        """Take note that *run* is over, and let the next one begin."""
        del self.live[run.id]
        if run.begin is not None:
            self._line.remove(run, run.priority, run.tenant)
            run.begin = None
            return
        self._inside -= 1
        while self._inside < self.max_runs and len(self._line):
            self._begin(self._line.pop())

    def at_rest(self) -> bool:
        """Whether nothing more will happen unless somebody outside does something.

        So it is when every run that has begun is paused, and none of its pauses
        has a time limit; those in line do not begin before one of these ends.
        """
        begun = (run for run in self.live.values() if run.begin is None)
        return all(map(_waits_for_somebody, begun))

    def unfinished(self) -> Iterable[Run]:
        """Return the runs that are not over, those that wait included."""
        return tuple(self.live.values())

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
