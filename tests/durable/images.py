"""What a crash would leave at each moment of a run, and what is known of it then."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs
import trio

from understudy.journal.memory import MemoryStore
from understudy_protocols.journal import Batch
from understudy_protocols.records import Finished, Record, decode_record

RUN = "the run"


class Filmed(MemoryStore):
    """A store that keeps an image of itself after each write, with the time.

    Args:
      before: what an earlier process has left.
    """

    def __init__(self, before: MemoryStore | None = None) -> None:
        super().__init__()
        if before is not None:
            vars(self).update(vars(before.copy()))
        self.images: list[tuple[float, MemoryStore]] = [(0.0, self.copy())]

    def write(self, batch: Batch) -> None:
        super().write(batch)
        self.images.append((trio.current_time(), self.copy()))


def utcnow(start: float = 0.0) -> Callable[[], datetime]:
    """Return a wall clock that goes with the virtual one, from *start* seconds on."""
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=start)
    return lambda: begin + timedelta(seconds=trio.current_time())


def records_of(store: MemoryStore, run_id: str = RUN) -> list[Record]:
    """Return the records of a run; none if it was not accepted."""
    found = store.find(run_id)
    return (
        []
        if found is None
        else [decode_record(one) for one in store.records(found.row)]
    )


@attrs.frozen
class Known:
    """What is on record of the steps of a run.

    Args:
      finished: the keys of those that gave a value.
    """

    finished: frozenset[str]


def known(store: MemoryStore, run_id: str = RUN) -> Known:
    """Return what a store knows of a run."""
    keys = {
        key(run_id, store.fingerprint(record.node).decode(), record.position)
        for record in records_of(store, run_id)
        if isinstance(record, Finished)
    }
    return Known(frozenset(keys))


def key(run_id: str, path: str, position: str) -> str:
    """Return the idempotency key of a step at its place."""
    return hashlib.sha256(f"{run_id}\0{path}\0{position}".encode()).hexdigest()[:32]
