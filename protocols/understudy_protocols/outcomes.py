"""How runs, branches and steps end."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

import attrs
import msgspec

from understudy_protocols.failures import AttemptRecord, Failure, StepError
from understudy_protocols.sensitive import redacted
from understudy_protocols.usage import Usage

T_co = TypeVar("T_co", covariant=True)


class RunStatus(Enum):
    """Where a run stands."""

    QUEUED = "queued"
    """It waits for a place: to begin, or to go on after an answer."""
    RUNNING = "running"
    """It is under way."""
    WAITING = "waiting"
    """No run has it today."""
    PAUSED = "paused"
    """All of it waits for answers."""
    HELD = "held"
    """It does not go on until somebody decides."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    if not TYPE_CHECKING:  # which takes it for a change of what it is
        # The identity of a member, which is all there is to it: Enum's is a call.
        __hash__ = object.__hash__

    @property
    def terminal(self) -> bool:
        """Whether the run has ended; every run does so in exactly one such status."""
        return self in _TERMINAL


_TERMINAL: Final = frozenset(
    {
        RunStatus.COMPLETED,
        RunStatus.FAILED,
        RunStatus.CANCELLED,
        RunStatus.EXPIRED,
    }
)


class StepStatus(Enum):
    """How one execution of a step ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class _Nothing(Enum):
    NOTHING = "nothing"


@attrs.frozen(repr=False)
class Outcome(Generic[T_co]):
    """A value, or the failure that stands in its place.

    Made as ``Outcome(value=...)`` or ``Outcome(failure=...)``, of which exactly
    one is given.  ``None`` is a value.
    """

    _value: T_co | _Nothing = attrs.field(default=_Nothing.NOTHING, alias="value")
    failure: Failure | None = None
    """Why there is no value; None if there is one."""

    def __attrs_post_init__(self) -> None:
        assert (self._value is _Nothing.NOTHING) != (self.failure is None), (
            "an Outcome has a value or a failure, and not both"
        )

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return self.failure is None

    @property
    def value(self) -> T_co:
        """The value.

        Raises:
          StepError: there is a failure; the error has its words and cause.
        """
        if self.failure is not None:
            raise StepError(
                str(self.failure),
                cause=self.failure.cause,
                retry_after=self.failure.retry_after,
            )
        return cast("T_co", self._value)

    def __repr__(self) -> str:
        if self.failure is not None:
            return f"Outcome(failure={self.failure!r})"
        return f"Outcome(value={redacted(self._value)!r})"


class StepReport(msgspec.Struct, frozen=True):
    """What a result tells of one execution of a step.

    Args:
      path: the node, as names from the workflow down: ``feedback.extract``.
      name: the name its value is stored under.
      status: how it ended.
      started: seconds on the clock of the system.
      ended: seconds on the same clock.
      position: which branch, item or round, as ``3/left``; empty outside of any.
      attempts: all attempts, oldest first; none if it was skipped.
      failure: what it ended with, if it failed.
      usage: the sum over its attempts; None if it called no model.
      decision: what a router or cascade chose, if it was one.
    """

    path: str
    name: str
    status: StepStatus
    started: float
    ended: float
    position: str = ""
    attempts: tuple[AttemptRecord, ...] = ()
    failure: Failure | None = None
    usage: Usage | None = None
    decision: str | None = None

    @property
    def duration(self) -> float:
        """From the start of the first attempt to the end of the last; seconds."""
        return self.ended - self.started
