"""What comes of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Generic, TypeVar, cast

import attrs
from understudy_protocols.errors import UnderstudyError
from understudy_protocols.failures import AttemptRecord, Failure
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.usage import NO_USAGE, Usage

from understudy.engine.strand import Run, StepEntry

Out_co = TypeVar("Out_co", covariant=True)


class RunFailed(UnderstudyError):
    """The value of a run was asked for that did not complete.

    Attributes:
      result: the run's result.
    """

    def __init__(self, result: RunResult[object]) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        result = self.result
        why = "" if result.failure is None else f": {result.failure}"
        return f"run {result.run_id} {result.status.value}{why}"


@attrs.frozen
class StepResult:
    """One execution of one step of a run.

    Args:
      path: the step's place in the workflow.
      position: which branch, item or round it was, as ``3/left``; empty outside.
      status: ``completed``, ``failed`` or ``skipped``.
      started: when the last attempt began; seconds since the run was accepted.
      ended: when it was over; seconds since the run was accepted.
      number: attempts made, those within model calls included; a count.
      attempts: the attempts that failed, in order.
      usage: what its model calls used.
      failure: why it failed, if it did.
    """

    path: str
    position: str
    status: str
    started: float
    ended: float
    number: int
    attempts: tuple[AttemptRecord, ...]
    usage: Usage
    failure: Failure | None

    @property
    def duration(self) -> float:
        """How long the last attempt took; seconds."""
        return self.ended - self.started


@attrs.frozen
class RunResult(Generic[Out_co]):
    """The end of a run; made once, and final.

    Args:
      run_id: which run.
      status: one of the four terminal statuses.
      outputs: the values of the outermost nodes, in the order they were made.
      failure: why the run did not complete; None if it did.
      usage: what it used of its budget.
      duration: from acceptance to the end; seconds.
      created_at: when it was accepted; aware, UTC.
      stuck: steps whose code did not end when it was cut, and may still run.
    """

    run_id: str
    status: RunStatus
    outputs: Mapping[str, object]
    failure: Failure | None
    usage: Usage
    duration: float
    created_at: datetime
    stuck: tuple[str, ...]
    _value: object = attrs.field(repr=False)
    _log: tuple[StepEntry, ...] = attrs.field(repr=False)
    _accepted: float = attrs.field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the run completed."""
        return self.status is RunStatus.COMPLETED

    @property
    def value(self) -> Out_co:
        """The workflow's value.

        Raises:
          RunFailed: the run did not complete; the error holds this result.
        """
        if self.status is not RunStatus.COMPLETED:
            raise RunFailed(self)
        return cast("Out_co", self._value)

    @property
    def steps(self) -> tuple[StepResult, ...]:
        """The steps that ran, in the order in which they ended."""
        return tuple(_step_result(entry, self._accepted) for entry in self._log)

    @property
    def attempts(self) -> int:
        """Attempts made by all steps together; a count."""
        return sum(entry.number for entry in self._log)


def result_of(run: Run) -> RunResult[object]:
    """Return the result of a run that has ended."""
    state = run.state
    return RunResult(
        run.id,
        run.status,
        state.outputs,
        run.failure,
        run.budget.spent,
        run.finished - run.created,
        state.created_at,
        run.stuck,
        run.value,
        tuple(run.log),
        run.created,
    )


def _step_result(entry: StepEntry, accepted: float) -> StepResult:
    status = "failed" if entry.failure else "skipped" if entry.skipped else "completed"
    return StepResult(
        entry.path,
        entry.strand.position(),
        status,
        entry.started - accepted,
        entry.ended - accepted,
        entry.number,
        entry.attempts,
        entry.usage or NO_USAGE,
        entry.failure,
    )
