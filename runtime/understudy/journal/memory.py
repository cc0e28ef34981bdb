"""A journal in memory: for tests, and the model of what a store does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from understudy_protocols.errors import JournalBusyError, JournalCorruptError
from understudy_protocols.journal import Batch, Request, StoredRun

AT_ONCE = 50
"""Runs that `MemoryStore.left_over` returns at once; a count."""


class MemoryStore:
    """Keeps records as long as it lives; a `Store`.

    Give the same one to the next runtime, and it goes on where the last one ended.

    Attributes:
      writes: how many batches were written; a count.
    """

    in_place: bool = True

    def __init__(self) -> None:
        self.writes: int = 0
        self._owned = False
        self._runs: dict[int, StoredRun] = {}
        self._rows: dict[str, int] = {}
        self._last = 0  # the highest row
        self._records: dict[int, list[bytes]] = {}
        self._blobs: dict[bytes, bytes] = {}
        self._shapes: list[bytes] = []
        self._requests: dict[int, Request] = {}
        self._asked = 0
        self.outcomes: dict[int, str] = {}
        """What came of the requests that were dealt with."""

    def open(self) -> None:
        """See `Store`."""
        if self._owned:
            raise JournalBusyError("another runtime executes the runs of this journal")
        self._owned = True

    def close(self) -> None:
        """See `Store`."""
        self._owned = False

    def write(self, batch: Batch) -> None:
        """See `Store`."""
        self.writes += 1
        for run in batch.runs:
            assert run.run_id not in self._rows, "an id is that of one run"
            self._runs[run.row] = run
            self._rows[run.run_id] = run.row
            self._last = max(self._last, run.row)
            self._records[run.row] = []
        for row, number, content in batch.records:
            records = self._records[row]
            assert number == len(records), "records come in order, without gaps"
            records.append(content)
        for row, (status, moment) in batch.statuses.items():
            before = self._runs[row]
            assert not before.status.terminal, "a run ends once"
            self._runs[row] = msgspec.structs.replace(
                before, status=status, changed_at=moment
            )
        for row, count in batch.recoveries.items():
            before = self._runs[row]
            self._runs[row] = msgspec.structs.replace(before, recoveries=count)
        for digest, content in batch.blobs.items():
            self._blobs.setdefault(digest, content)
        for number, outcome in batch.done.items():
            del self._requests[number]
            self.outcomes[number] = outcome

    def copy(self) -> MemoryStore:
        """Return what a crash at this moment would leave."""
        image = MemoryStore()
        image._runs = dict(self._runs)
        image._rows = dict(self._rows)
        image._last = self._last
        image._records = {row: list(them) for row, them in self._records.items()}
        image._blobs = dict(self._blobs)
        image._shapes = list(self._shapes)
        image._requests = dict(self._requests)
        image._asked = self._asked
        return image

    @property
    def next_row(self) -> int:
        """See `Store`."""
        return self._last + 1

    def fingerprint_id(self, document: bytes) -> int:
        """See `Store`."""
        if document not in self._shapes:
            self._shapes.append(document)
        return self._shapes.index(document)

    def fingerprint(self, number: int) -> bytes:
        """See `Store`."""
        return self._shapes[number]

    def unfinished(self) -> Iterator[StoredRun]:
        """Yield the runs that have no terminal status, by row."""
        runs = [run for run in self._runs.values() if not run.status.terminal]
        yield from sorted(runs, key=lambda run: run.row)

    def left_over(
        self, after: int, damaged: Callable[[str], None] | None = None
    ) -> Sequence[tuple[StoredRun, list[bytes] | None]]:
        """See `Store`."""
        behind = map(self._runs.get, range(after + 1, self._last + 1))
        open_ones = (run for run in behind if run and not run.status.terminal)
        return [(run, self.records(run.row)) for run in islice(open_ones, AT_ONCE)]

    def find(self, run_id: str) -> StoredRun | None:
        """See `Store`."""
        row = self._rows.get(run_id)
        return None if row is None else self._runs[row]

    def records(self, row: int) -> list[bytes]:
        """See `Store`."""
        return list(self._records[row])

    def blob(self, digest: bytes) -> bytes:
        """See `Store`."""
        try:
            return self._blobs[digest]
        except KeyError:
            raise JournalCorruptError(
                f"the journal in memory has no value {digest.hex()}"
            ) from None

    def requests(self) -> Iterable[Request]:
        """See `Store`."""
        return tuple(self._requests.values())

    def ask(self, run_id: str, what: str, body: bytes = b"{}") -> int:
        """Ask something of whoever executes the runs; return the request's id."""
        self._asked += 1
        self._requests[self._asked] = Request(self._asked, run_id, what, body)
        return self._asked
