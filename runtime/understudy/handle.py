"""A run under way, as its submitter sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import trio

from understudy.engine.strand import Run
from understudy.result import RunResult
from understudy_protocols.outcomes import RunStatus

Out_co = TypeVar("Out_co", covariant=True)


class RunHandle(Generic[Out_co]):
    """A run that was accepted.  It goes on whether or not anybody holds this."""

    __slots__ = ("_cancel", "_result", "_run")

    def __init__(self, run: Run, cancel: Callable[[Run], None]) -> None:
        self._run = run
        self._cancel = cancel
        self._result: RunResult[Out_co] | None = None

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._run.id

    @property
    def status(self) -> RunStatus:
        """Where the run stands; over only when that is safe, if it is written down."""
        run = self._run
        if run.status.terminal and run.journal is not None and not run.on_end.is_set():
            return RunStatus.RUNNING
        return run.status

    @property
    def pauses(self) -> tuple[str, ...]:
        """The pauses that wait for an answer; see `Runtime.answer`."""
        return tuple(self._run.pauses)

    async def result(self) -> RunResult[Out_co]:
        """Wait until the run is over and nothing of it is in hand.

        Always a checkpoint.

        Cancellation: the run goes on.
        Raises:
          RunSuspendedError: the runtime stopped before the run was over, and its
            journal has it.
          RunHeldError: it does not go on until somebody decides.
        """
        await self._run.on_end.wait()
        if self._run.suspended is not None:
            raise self._run.suspended
        if self._result is None:
            self._result = RunResult(self._run)
        return self._result

    async def wait(self, until: RunStatus | None = None) -> RunStatus:
        """Wait until the run is over, or has the status *until*.

        Always a checkpoint.

        Cancellation: the run goes on.
        """
        await trio.lowlevel.checkpoint()
        while not self._run.on_end.is_set() and self.status is not until:
            await self._run.changed()
        return self.status

    def cancel(self) -> None:
        """Cancel the run, unless it is over; `result` says when it is."""
        self._cancel(self._run)
