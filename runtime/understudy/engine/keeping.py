"""What a runtime with a journal has besides: the store, its writer, and their actor."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path

import trio

from understudy.budgets import RunBudget
from understudy.engine.bringing_back import bring_all_back
from understudy.engine.durable_runs import DurableRuns
from understudy.engine.flow import Flow
from understudy.engine.hosting import Hosted
from understudy.engine.reception import Reception
from understudy.engine.requests import Requests, Serving
from understudy.engine.shapes import Shapes
from understudy.journal.recorder import Durability, Recorder
from understudy.journal.sealing import MARK, Keys
from understudy.journal.tags import give_tags
from understudy.journal.writer_thread import WriterThread
from understudy.workflows.declared_types import classes_in, declared_types
from understudy.workflows.plan import Plan
from understudy_protocols.errors import ConfigError, JournalError
from understudy_protocols.journal import Batch, Request, Store
from understudy_protocols.sensitive import sensitive_fields
from understudy_protocols.supervision import ChildSpec

_LOG = logging.getLogger("understudy.journal")


class Keeping:
    """A journal in a runtime.

    Attributes:
      runs: those that are written down.
    """

    def __init__(
        self,
        runs: DurableRuns,
        thread: WriterThread | None,
        keys: Keys,
        *,
        sensitive: bool,
    ) -> None:
        self.runs = runs
        self._keys = keys
        self._sensitive = sensitive
        self._thread = thread
        self._requests: Requests | None = None

    def open(self) -> None:
        """See `DurableRuns.open`."""
        self.runs.open(MARK if self._sensitive else None)

    def close(self) -> bool:
        """Let go of the journal; what was handed over is written, if it can be.

        Returns:
          Whether all of it was.
        """
        if self._thread is not None:
            self._thread.close()
        try:
            for batch in self.runs.recorder.rest():
                self.runs.store.write(batch)
        except JournalError as error:
            _LOG.error("%s; the runs go on from what was written before", error)
            return False
        finally:
            self.runs.close()
        return True

    def children(self) -> tuple[ChildSpec, ...]:
        """Return the actors that a journal needs."""
        return (ChildSpec("journal", self.runs.recorder.run),)

    def requests(self, serving: Serving) -> tuple[ChildSpec, ...]:
        """Return the actor that does what other processes ask of *serving*."""
        recorder = self.runs.recorder
        read = _reading(self.runs.store)
        requests = self._requests = Requests(
            read, serving, lambda: recorder.batch, recorder.wake, self._keys
        )
        return (ChildSpec("requests", requests.run),)

    def all_there(self) -> None:
        """All runs are there that requests can be about."""
        assert self._requests is not None, "it was made with the runtime's tree"
        self._requests.all_there.set()

    async def bring_all_back(
        self, live: Container[str], reception: Reception, hosted: Mapping[str, Hosted]
    ) -> None:
        """See there; those that are to be cancelled come first."""
        assert self._requests is not None, "it was made with the runtime's tree"
        store = self.runs.store
        with suppress(JournalError):  # whoever looks for requests says so
            self._requests.end_first(store.requests())
        await bring_all_back(store, live, reception, hosted)


def keeping(
    journal: Store | str | Path,
    durability: Durability,
    flow: Flow,
    account: RunBudget,
    utcnow: Callable[[], datetime],
    new_id: Callable[[], str],
    plans: Mapping[str, Plan],
    accept_changes: bool,
    alone: Callable[[], bool],
) -> Keeping:
    """Return what a runtime with this journal has besides.

    Args:
      plans: of the workflows, by name; the classes that they declare get tags.
      accept_changes: see `Runtime`.
      alone: whether no more than one run is under way.

    Raises:
      ConfigError: a durability that there is not, two classes of one name, or
        something sensitive that there is no key for.
      UnnamedFunctionError: a function has no name that stays the same.
    """
    if durability not in ("step", "async"):
        raise ConfigError(f"durability is {durability!r}; give 'step' or 'async'")
    classes = classes_in(chain.from_iterable(map(declared_types, plans.values())))
    give_tags(classes)
    keys = Keys()
    sensitive = _sensitive_field(classes)
    if sensitive:
        _check_keys(keys, sensitive)
    store = _store(journal)
    thread = None if store.in_place else WriterThread(store.write)
    write = _in_place(store) if thread is None else thread.write
    now = None
    if durability == "step":
        now = _in_one_breath(store, thread, alone)
    recorder = Recorder(write, durability, now)
    shapes = Shapes(store, plans, accept_changes)
    runs = DurableRuns(store, recorder, flow, account, utcnow, new_id, shapes, keys)
    return Keeping(runs, thread, keys, sensitive=bool(sensitive))


def _sensitive_field(classes: Iterable[type]) -> str:
    """Return one sensitive field, for people; empty if there is none."""
    found = (
        f"{cls.__qualname__}.{name}"
        for cls in classes
        for name in sorted(sensitive_fields(cls))
    )
    return next(found, "")


def _check_keys(keys: Keys, field: str) -> None:
    try:
        keys.check()
    except ConfigError as error:
        raise ConfigError(
            f"{field} is sensitive, and is encrypted in a journal: {error}"
        ) from error


def _store(journal: Store | str | Path) -> Store:
    if not isinstance(journal, str | Path):
        if not hasattr(journal, "in_place"):
            raise ConfigError(
                f"journal is {journal!r}; give the name of a file, or a store"
            )
        return journal
    # Loaded by those who have a journal in a file.
    from understudy.journal.sqlite import SqliteStore

    return SqliteStore(journal)


def _in_one_breath(
    store: Store, thread: WriterThread | None, alone: Callable[[], bool]
) -> Callable[[Batch], bool]:
    """Return what writes for a run that is alone, while nothing else goes on."""

    # If it is not, others are about to have something to write along.
    def in_place(batch: Batch) -> bool:
        if not alone():
            return False
        store.write(batch)
        return True

    if thread is None:
        return in_place
    wait = thread.write_now
    return lambda batch: alone() and wait(batch)


def _reading(store: Store) -> Callable[[], Awaitable[Iterable[Request]]]:
    """Return what reads the requests, and holds nobody up while the file is slow."""
    if not store.in_place:
        # One of its own: those of steps may be busy, and one that is stuck is enough.
        alone = trio.CapacityLimiter(1)
        return partial(
            trio.to_thread.run_sync,
            store.requests,
            abandon_on_cancel=True,
            limiter=alone,
        )

    async def read() -> Iterable[Request]:
        return store.requests()

    return read


def _in_place(store: Store) -> Callable[[Batch], Awaitable[None]]:
    # Without a checkpoint, which would be a turn of the loop for each record.
    async def write(batch: Batch) -> None:
        store.write(batch)

    return write
