"""The door: which runs may begin, and which wait or are turned away."""

from __future__ import annotations

from collections.abc import Iterable

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
        if self.shut is not None:
            raise AdmissionError(f"the runtime takes none: {self.shut}", 0)
        if self._inside >= self.max_runs and len(self._line) >= self.max_waiting:
            raise AdmissionError(
                f"{self._inside} runs are under way and {len(self._line)} wait",
                self.max_waiting,
            )
        self.live[run.id] = run
        if self._inside < self.max_runs:
            self._begin(run)
        else:
            self._line.add(run, run.priority, run.tenant)

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

    def all_paused(self) -> bool:
        """Whether every run that is not over waits for somebody outside."""
        return all(run.status is RunStatus.PAUSED for run in self.live.values())

    def unfinished(self) -> Iterable[Run]:
        """Return the runs that are not over, those that wait included."""
        return tuple(self.live.values())

    def _begin(self, run: Run) -> None:
        self._inside += 1
        begin, run.begin = run.begin, None
        assert begin is not None, "a run begins once"
        begin(run)
