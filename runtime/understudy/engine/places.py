"""What the journal of a run has to know of its strands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec

from understudy_protocols.failures import AttemptRecord, Cause, Failure
from understudy_protocols.usage import NO_USAGE, Usage

if TYPE_CHECKING:
    # Loaded by those who have models.
    from understudy.models.function_journal import FunctionOutcome


class Waiting(Protocol):
    """Something that a strand waits in, and that can be called off."""

    def cancel(self) -> None:
        """Forget the strand; harmless if it has gone on already."""
        ...


class Place(Protocol):
    """A strand, as what it waits in sees it."""

    ended: bool
    waiting: Waiting | None

    def position(self) -> str:
        """Return the labels from the run down to here, as ``a/3/b``."""
        ...


class Landing(msgspec.Struct):
    """What a strand waits in while its record is being written, or for a place.

    Args:
      follow: how it goes on; None when it has, or does not.
    """

    strand: Place
    follow: Callable[[], None] | None

    def cancel(self) -> None:
        """Forget the strand: its record stays, and leads to nothing."""
        self.follow = None

    def __call__(self) -> None:
        """Go on, unless the strand was called off."""
        follow, self.follow = self.follow, None
        if follow is not None:
            self.strand.waiting = None
            follow()


class StepEntry(msgspec.Struct, frozen=True):
    """What a run remembers of one step that has ended, or one journaled function.

    Args:
      attempts: those that failed.
      usage: what was used besides what those used.
      value: what the model was told, of a function.
    """

    path: str
    position: str
    started: float
    ended: float
    number: int
    attempts: tuple[AttemptRecord, ...]
    failure: Failure | None
    usage: Usage | None
    skipped: bool = False
    value: str | None = None

    @property
    def used(self) -> Usage:
        """What all attempts used."""
        return used_by(self.attempts) + (self.usage or NO_USAGE)


def used_by(attempts: Iterable[AttemptRecord]) -> Usage:
    """Return what attempts used together."""
    return sum((one.usage for one in attempts if one.usage is not None), NO_USAGE)


def function_entry(path: str, position: str, outcome: FunctionOutcome) -> StepEntry:
    """Return the entry of a function that a step's model asked for.

    Args:
      path: of the function, below its step.
      position: of the step.
    """
    text = outcome.text
    return StepEntry(
        path,
        "/".join(filter(None, (position, outcome.position))),
        outcome.started,
        outcome.ended,
        0,
        (),
        Failure.of(Cause.STEP_ERROR, text, where=path) if outcome.failed else None,
        None,
        value=None if outcome.failed else text,
    )
