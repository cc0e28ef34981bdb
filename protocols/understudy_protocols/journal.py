"""The port of the journal: what a runtime needs of whatever keeps its records.

A store is blocking and knows nothing of trio: its `write` is called from a
thread of its own and its `requests` from another one (or in place, if it wants that),
all else from wherever it does not matter.  Rows are what a store calls runs by: whole
numbers, which the one who executes them gives out in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec

from understudy_protocols.outcomes import RunStatus

MAX_RECOVERIES: Final = 5
"""A run that was executing in so many processes that died is held."""

REFUSED: Final = "refused: "
BEGUN: Final = "begun as "
BEGUN_AGAIN: Final = "begun again as "
"""How the words begin in which it is said what came of a request."""


class StoredRun(msgspec.Struct, frozen=True):
    """A run as its journal knows it, without its records.

    Args:
      row: what the store calls it by.
      run_id: its id, unique in the journal.
      workflow: the name of its workflow.
      fingerprint: the id of the shape of the workflow that it runs under.
      status: where it stands.
      created_at: when it was accepted; microseconds since 1970.
      changed_at: when its status last changed; microseconds since 1970.
      recoveries: how often a process has died while it ran; a count, at most
        `MAX_RECOVERIES`.
    """

    row: int
    run_id: str
    workflow: str
    fingerprint: int
    status: RunStatus
    created_at: int
    changed_at: int
    recoveries: int = 0


class Request(msgspec.Struct, frozen=True):
    """What another process asks of the one that executes the runs.

    Args:
      id: unique in the journal, in the order of asking.
      run_id: of which run.
      what: ``answer``, ``cancel``, ``retry`` and the like.
      body: what it takes; as JSON.
    """

    id: int
    run_id: str
    what: str
    body: bytes


class Batch:
    """What is written in one transaction; all of it or nothing.

    Attributes:
      runs: new ones.
      records: row of the run, number of the record in it (from 0, without gaps),
        content.
      statuses: by row, the new status, and when it changed.  A terminal status
        is never followed by another one.
      recoveries: by row, the new count.
      blobs: large values by their digest; those that are there already stay.
      done: requests that were dealt with, each with what came of it in words
        that begin as above, empty if it was done.
    """

    __slots__ = ("blobs", "done", "records", "recoveries", "runs", "statuses")

    def __init__(self) -> None:
        self.runs: list[StoredRun] = []
        self.records: list[tuple[int, int, bytes]] = []
        self.statuses: dict[int, tuple[RunStatus, int]] = {}
        self.recoveries: dict[int, int] = {}
        self.blobs: dict[bytes, bytes] = {}
        self.done: dict[int, str] = {}

    def __bool__(self) -> bool:
        return bool(
            self.records
            or self.runs
            or self.statuses
            or self.recoveries
            or self.blobs
            or self.done
        )


class Store(Protocol):
    """Keeps records; see the module.

    Every call may raise JournalError.
    """

    @property
    def in_place(self) -> bool:
        """Whether the trio thread itself does all, and nothing else happens meanwhile."""
        ...

    def open(self) -> None:
        """Take the journal over, for this process to execute its runs.

        Raises:
          JournalBusyError: another process does.
          JournalCorruptError: it is not what such a store writes.
        """
        ...

    def close(self) -> None:
        """Let go of the journal; what was written stays."""
        ...

    def write(self, batch: Batch) -> None:
        """Write a batch, and return when it is safe.

        Raises:
          JournalWriteError: nothing of it was written; it may be tried again.
          JournalStaleError: the journal is another process's now.
        """
        ...

    @property
    def next_row(self) -> int:
        """The first row that no run has had; 1 at least."""
        ...

    def fingerprint_id(self, document: bytes) -> int:
        """Return the id of a workflow's shape, and keep it if it is new."""
        ...

    def fingerprint(self, number: int) -> bytes:
        """Return the shape of that id."""
        ...

    def left_over(
        self, after: int, damaged: Callable[[str], None] | None = None
    ) -> Sequence[tuple[StoredRun, list[bytes] | None]]:
        """Return the next few runs that have no terminal status, each with its records.

        No more than an event loop can do without for some milliseconds.  None stands
        in place of records that are too many, or damaged: `records` reads them, or
        says what is wrong.

        Args:
          after: by row, from behind this one on; there are no more if none comes.
          damaged: told of each run that is damaged itself, in words, and the others
            come all the same; None to have that raised.
        """
        ...

    def find(self, run_id: str) -> StoredRun | None:
        """Return the run of that id, if there is one."""
        ...

    def records(self, row: int) -> list[bytes]:
        """Return the records of a run, in order.

        Raises:
          JournalCorruptError: one is damaged, or missing.
        """
        ...

    def blob(self, digest: bytes) -> bytes:
        """Return a large value.

        Raises:
          JournalCorruptError: it is damaged, or missing.
        """
        ...

    def requests(self) -> Iterable[Request]:
        """Return the requests that wait, in order."""
        ...
