"""Pauses: places where a run waits for somebody outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

from understudy.engine.flow import Flow, Then
from understudy.engine.strand import Run, Strand
from understudy.workflows.nodes import Pause
from understudy_actors.watchdog import Timer
from understudy_protocols.errors import CodecError
from understudy_protocols.failures import Cause, Failure
from understudy_protocols.frozen import freeze
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import Answered, Failed, Paused, Placed
from understudy_protocols.state import OrchestrationState

if TYPE_CHECKING:
    # Loaded by those who have a journal.
    from understudy.engine.replay import Replay


class PauseOp:
    """A compiled `pause`."""

    def __init__(
        self, flow: Flow, path: str, node: Pause[Never, object, Never], then: Then
    ) -> None:
        self.flow = flow
        self.path = path
        self.name: str = node.name
        self.output: object = node.output
        self.timeout: float | None = node.timeout
        self.default: object = freeze(node.default, f"the default of {path}")
        self.has_default: bool = node.has_default
        self.then = then

    def enter(self, strand: Strand, state: OrchestrationState[object]) -> None:
        """Keep the strand here until it is answered."""
        pause = OpenPause(self, strand, state)
        replay = strand.run.replay
        if replay is None:
            pause.open(self.timeout)
        else:
            replay.arrive(self.path, PauseArrival(pause))

    def unanswered(self) -> Failure:
        """Return what it means that nobody answered in time."""
        return Failure.of(
            Cause.TIMEOUT,
            f"nobody answered within {self.timeout:g} s",
            where=self.path,
        )


class OpenPause:
    """One strand that waits for an answer.

    Attributes:
      key: by which it is answered: the path, and the position within a fan-out.
    """

    __slots__ = ("key", "op", "state", "strand", "timer")

    def __init__(
        self, op: PauseOp, strand: Strand, state: OrchestrationState[object]
    ) -> None:
        self.op: PauseOp = op
        self.strand: Strand = strand
        self.state: OrchestrationState[object] = state
        self.timer: Timer | None = None
        position = strand.position()
        self.key: str = f"{op.path}#{position}" if position else op.path

    @property
    def name(self) -> str:
        """The pause's own name."""
        return self.op.name

    @property
    def path(self) -> str:
        """Where it stands in the workflow."""
        return self.op.path

    @property
    def output(self) -> object:
        """The type that the answer must have."""
        return self.op.output

    def open(self, timeout: float | None, *, known: bool = False) -> None:
        """Begin to wait.

        Args:
          timeout: for so long; seconds, None for ever.
          known: it stands here already, and that is on record.
        """
        run, flow = self.strand.run, self.op.flow
        if not known:
            self.wait()
            if run.journal is not None:
                run.journal.paused(self.strand, self.op.path, timeout)
        if timeout is not None:
            at = flow.now() + max(0.0, timeout)
            self.timer = flow.watchdog.call_at(at, self._timed_out)
        if flow.observers:
            flow.tell("paused", self.strand, path=self.op.path, detail=self.key)
        if run.paused == run.leaves:
            flow.stop_clock(run)

    def wait(self) -> None:
        """Let the strand stand here."""
        run = self.strand.run
        self.strand.waiting = self
        run.pauses[self.key] = self
        run.paused += 1

    def leave(self) -> None:
        """Let the strand stand here no more."""
        self.strand.waiting = None
        self.cancel()

    def answer(self, value: object) -> None:
        """Go on with *value*, which is frozen and of the right type.

        Raises:
          CodecError: it cannot be written down; the pause stays open.
        """
        strand, journal = self.strand, self.strand.run.journal
        recorded = None
        if journal is not None:
            recorded = journal.answered(strand, self.op.path, value)
        self._close()
        if strand.ended:
            return  # the run's time was over: its end is on record
        if recorded is None:
            self._answered(value)
        else:
            recorded(lambda: self._answered(value))

    def _answered(self, value: object) -> None:
        flow = self.op.flow
        if flow.observers:
            flow.tell("answered", self.strand, path=self.op.path)
        flow.in_turn(self.strand, lambda: self.go_on(value))

    def go_on(self, value: object) -> None:
        """Lead the strand on."""
        flow = self.op.flow
        try:
            self.op.then(self.strand, self.state, value)
        except Exception as error:  # noqa: BLE001 - the run's affair, not the answerer's
            flow.derail(self.strand, error)

    def cancel(self) -> None:
        """Forget the strand."""
        run = self.strand.run
        run.pauses.pop(self.key, None)
        run.paused -= 1
        if self.timer is not None:
            self.timer.cancel()

    def _close(self) -> None:
        run: Run = self.strand.run
        self.leave()
        if run.status is RunStatus.PAUSED:
            self.op.flow.come_back(run)

    def _timed_out(self) -> None:
        self.timer = None
        failure = self.op.unanswered()
        if self.op.has_default:
            try:
                self.answer(self.op.default)
            except CodecError as error:
                failure = Failure.from_error(error, where=self.op.path)
            else:
                return
        self._close()
        self.op.flow.fail_at(self.strand, self.op.path, failure)


class PauseArrival:
    """A strand that is brought back has come to a pause; an `Arrival`."""

    __slots__ = ("_known", "_pause", "_until", "strand")

    def __init__(self, pause: OpenPause) -> None:
        self._pause: OpenPause = pause
        self._known: bool = False
        self._until: int | None = None
        self.strand: Strand = pause.strand

    def take(self, record: Placed, replay: Replay) -> bool:
        """See `Arrival`."""
        pause = self._pause
        match record:
            case Paused():
                self._known, self._until = True, record.until
                pause.wait()
                return False
            case Answered():
                pause.leave()
                pause.go_on(replay.value(record.value))
            case Failed():
                pause.leave()
                pause.op.flow.fail(self.strand, replay.failure(record.failure))
            case _:
                raise replay.misfit(pause.op.path, record)
        return True

    def go(self, replay: Replay) -> None:
        """See `Arrival`."""
        pause, journal = self._pause, self.strand.run.journal
        assert journal is not None, "what is brought back was written down"
        if not self._known:
            pause.open(pause.op.timeout)
        elif self._until is None or pause.op.timeout is None:
            pause.open(None, known=True)
        else:
            # No longer than it may take: a clock may have been set back.
            left = min(journal.until(self._until), pause.op.timeout)
            pause.open(left, known=True)
