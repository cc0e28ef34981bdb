"""Where strands come to that no step stands: a question to the user's code, an early end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from understudy.engine.strand import Fork, Strand
from understudy_protocols.errors import CodecError
from understudy_protocols.failures import Failure
from understudy_protocols.records import Decided, Failed, Passed, Placed

if TYPE_CHECKING:
    # Loaded by those who have a journal.
    from understudy.engine.replay import Replay


class Question:
    """The user's code is asked something, and the answer is recorded.

    What it said once is never asked again: it might say something else.

    Args:
      turn: which time it is asked at this place; a count from 0.
      ask: gives the answer, or the failure that came of asking.
      follow: goes on with the answer.
    """

    __slots__ = ("_ask", "_follow", "_fork", "_path", "_turn", "strand")

    def __init__(
        self,
        strand: Strand,
        path: str,
        turn: int,
        ask: Callable[[], object],
        follow: Callable[[object], None],
    ) -> None:
        self.strand: Strand = strand
        self._path: str = path
        self._turn: int = turn
        self._ask: Callable[[], object] = ask
        self._follow: Callable[[object], None] = follow
        # Until it is answered the strand is in one place, between two branches.
        self._fork: Fork | None = strand.fork
        strand.fork = None

    def go(self, replay: Replay | None = None) -> None:
        """Ask, and go on when the answer is on record."""
        strand, path = self.strand, self._path
        journal = strand.run.journal
        assert journal is not None, "without a journal nobody has to wait"
        answer = self._ask()
        if strand.ended:
            return
        try:
            journal.decided(
                strand, path, self._turn, answer, lambda: self._answered(answer)
            )
        except CodecError as error:
            failure = Failure.from_error(error, where=path)
            journal.decided(
                strand, path, self._turn, failure, lambda: self._answered(failure)
            )

    def take(self, record: Placed, replay: Replay) -> bool:
        """See `Arrival`."""
        if not isinstance(record, Decided) or record.turn != self._turn:
            raise replay.misfit(self._path, record)
        self._answered(replay.value(record.answer))
        return True

    def _answered(self, answer: object) -> None:
        self.strand.fork = self._fork
        self._follow(answer)


class Passage:
    """A node is done as soon as it is entered.

    What follows is called soon and not at once: else the stack would grow with
    the length of the workflow.

    Args:
      failure: what it ends with; None if it ends well.
      follow: goes on.
      later: makes a call soon, unless the strand ends before.
    """

    __slots__ = ("_failure", "_follow", "_later", "_path", "strand")

    def __init__(
        self,
        strand: Strand,
        path: str,
        failure: Failure | None,
        follow: Callable[[], None],
        later: Callable[[Strand, float, Callable[[], None]], None],
    ) -> None:
        self.strand: Strand = strand
        self._path: str = path
        self._failure: Failure | None = failure
        self._follow: Callable[[], None] = follow
        self._later = later

    def go(self, replay: Replay | None = None) -> None:
        """Go on soon, when that is on record."""
        journal = self.strand.run.journal
        if journal is None:
            self._later(self.strand, 0.0, self._follow)
        elif self._failure is None:
            journal.passed(self.strand, self._path, self._follow)
        else:
            journal.lost(self.strand, self._path, self._failure, self._follow)

    def take(self, record: Placed, replay: Replay) -> bool:
        """See `Arrival`."""
        if not isinstance(record, Passed | Failed):
            raise replay.misfit(self._path, record)
        self._follow()
        return True
