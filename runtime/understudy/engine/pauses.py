"""Pauses: places where a run waits for somebody outside."""

from __future__ import annotations

from typing import Never

from understudy.engine.flow import Flow, Then
from understudy.engine.strand import Run, Strand
from understudy.workflows.nodes import Pause
from understudy_actors.watchdog import Timer
from understudy_protocols.failures import Cause, Failure
from understudy_protocols.frozen import freeze
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.state import OrchestrationState


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
        OpenPause(self, strand, state).open()


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

    def open(self) -> None:
        """Begin to wait."""
        run, flow = self.strand.run, self.op.flow
        self.strand.waiting = self
        run.pauses[self.key] = self
        run.paused += 1
        if self.op.timeout is not None:
            self.timer = flow.watchdog.call_at(
                flow.now() + self.op.timeout, self._timed_out
            )
        if run.paused == run.leaves:
            flow.stop_clock(run)
        if flow.observers:
            flow.tell("paused", self.strand, path=self.op.path, detail=self.key)

    def answer(self, value: object) -> None:
        """Go on with *value*, which is frozen and of the right type."""
        if self.op.flow.observers:
            self.op.flow.tell("answered", self.strand, path=self.op.path)
        self._close()
        try:
            self.op.then(self.strand, self.state, value)
        except Exception as error:  # noqa: BLE001 - the run's affair, not the answerer's
            self.op.flow.derail(self.strand, error)

    def cancel(self) -> None:
        """Forget the strand."""
        run = self.strand.run
        run.pauses.pop(self.key, None)
        run.paused -= 1
        if self.timer is not None:
            self.timer.cancel()

    def _close(self) -> None:
        run: Run = self.strand.run
        self.strand.waiting = None
        self.cancel()
        if run.status is RunStatus.PAUSED:
            self.op.flow.start_clock(run)

    def _timed_out(self) -> None:
        self.timer = None
        if self.op.has_default:
            self.answer(self.op.default)
            return
        self._close()
        self.op.flow.fail(
            self.strand,
            Failure.of(
                Cause.TIMEOUT,
                f"nobody answered within {self.op.timeout:g} s",
                where=self.op.path,
            ),
        )
