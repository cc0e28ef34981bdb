"""What the journal of a run has to know of its strands."""

from __future__ import annotations

from typing import Protocol

import msgspec

from understudy_protocols.failures import AttemptRecord, Failure
from understudy_protocols.usage import Usage


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


class StepEntry(msgspec.Struct, frozen=True):
    """What a run remembers of one step that has ended."""

    path: str
    position: str
    started: float
    ended: float
    number: int
    attempts: tuple[AttemptRecord, ...]
    failure: Failure | None
    usage: Usage | None
    skipped: bool = False
