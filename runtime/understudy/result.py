"""What comes of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Generic, TypeVar, cast

import msgspec

from understudy.engine.places import StepEntry
from understudy.engine.strand import Run
from understudy_protocols.errors import UnderstudyError
from understudy_protocols.failures import AttemptRecord, Failure
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.own_tags import tag_later
from understudy_protocols.sensitive import redacted
from understudy_protocols.usage import Usage

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


class StepResult(msgspec.Struct, frozen=True):
    """One execution of one step of a run, or one call of a journaled function.

    Args:
      path: the step's place in the workflow; below it, a function's name.
      position: which branch, item or round it was, as ``3/left``; empty outside.
        A function's goes on with its round, and its place in that: ``3/left/1/2``.
      status: ``completed``, ``failed`` or ``skipped``.
      started: when the last attempt began; seconds since the run was accepted.
      ended: when it was over; seconds since the run was accepted.
      number: attempts made, those within model calls included; a count, and 0 of
        a function, whose attempts are its step's.
      attempts: the attempts that failed, in order.
      usage: what its model calls used, those of attempts that failed included.
      failure: why it failed, if it did.
      value: what a function's model was told; None of a step, whose value is among
        the outputs.
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
    value: str | None = None

    @property
    def duration(self) -> float:
        """How long the last attempt took; seconds."""
        return self.ended - self.started


tag_later(StepResult, "understudy.step_result")


class RunResult(msgspec.Struct, Generic[Out_co], frozen=True, eq=False):
    """The end of a run; it changes no more."""

    # A view of the run's cell, which nothing touches once the run is settled;
    # most callers look at little of it.
    _run: Run

    @property
    def run_id(self) -> str:
        """Which run."""
        return self._run.id

    @property
    def status(self) -> RunStatus:
        """One of the four terminal statuses."""
        return self._run.status

    @property
    def ok(self) -> bool:
        """Whether the run completed."""
        return self._run.status is RunStatus.COMPLETED

    @property
    def value(self) -> Out_co:
        """The workflow's value.

        Raises:
          RunFailed: the run did not complete; the error holds this result.
        """
        if self._run.status is not RunStatus.COMPLETED:
            raise RunFailed(self)
        return cast("Out_co", self._run.value)

    @property
    def outputs(self) -> Mapping[str, object]:
        """The values of the outermost nodes, in the order they were made."""
        return self._run.state.outputs

    @property
    def failure(self) -> Failure | None:
        """Why the run did not complete; None if it did."""
        return self._run.failure

    @property
    def usage(self) -> Usage:
        """What it used of its budget."""
        return self._run.budget.spent

    @property
    def duration(self) -> float:
        """From acceptance to the end; seconds."""
        return self._run.finished - self._run.created

    @property
    def created_at(self) -> datetime:
        """When it was accepted; aware, UTC."""
        return self._run.state.created_at

    @property
    def stuck(self) -> tuple[str, ...]:
        """Steps whose code did not end when it was cut, and may still run."""
        return self._run.stuck

    @property
    def steps(self) -> tuple[StepResult, ...]:
        """The steps and journaled functions that ran, in the order of their ends."""
        accepted = self._run.created
        return tuple(_step_result(entry, accepted) for entry in self._run.log)

    @property
    def attempts(self) -> int:
        """Attempts made by all steps together; a count."""
        return sum(entry.number for entry in self._run.log)

    def __repr__(self) -> str:
        shown = repr(redacted(self._run.value)) if self.ok else str(self.failure)
        return f"RunResult({self.run_id!r}, {self.status.value}, {shown})"


def _step_result(entry: StepEntry, accepted: float) -> StepResult:
    status = "failed" if entry.failure else "skipped" if entry.skipped else "completed"
    return StepResult(
        entry.path,
        entry.position,
        status,
        entry.started - accepted,
        entry.ended - accepted,
        entry.number,
        entry.attempts,
        entry.used,
        entry.failure,
        entry.value,
    )
