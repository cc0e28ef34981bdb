"""The journal of one run: what happens to it becomes records, and then goes on.

What a run meets that it could not foresee is handed over as a record together
with what follows; what follows is done when the record is safe (or at once, if the
runtime is to be quick rather than sure).  See `understudy_protocols.records`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio

from understudy.engine.book import MICROS, Book
from understudy.engine.places import Landing, Place, StepEntry
from understudy.journal.values import kept_as_it_is, stored, stored_sealed
from understudy.models.function_journal import FunctionOutcome
from understudy_protocols.codec import to_plain
from understudy_protocols.failures import AttemptRecord, Failure
from understudy_protocols.journal import StoredRun
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import (
    Accepted,
    Answered,
    Begun,
    Called,
    Decided,
    Ended,
    Failed,
    Finished,
    Held,
    Passed,
    Paused,
    Record,
    Released,
    Reserved,
    Reshaped,
    Retrying,
    Skipped,
    encode_record,
)
from understudy_protocols.usage import Usage

_SAFE = trio.Event()  # of all that are found again
_SAFE.set()


class RunJournal:
    """Makes records of what happens to one run.

    Args:
      book: what the journals of all runs share.
      nodes: the number of each node's path.
      row: what the store calls the run by.
      created: when it was accepted; seconds on the runtime's clock.
      shape: the id of the shape that its records count as made under.
      number: of its next record.
      stands: where it stands, as far as others can see.

    Attributes:
      safe: set when it is safe that the run was accepted.
      over: whether it is safe that the run has ended.
      begin: sets the run going then, if it was its turn before.
      patient: what follows a record waits, even in a quick runtime.
    """

    __slots__ = (
        "_book",
        "_nodes",
        "_number",
        "begin",
        "created",
        "over",
        "patient",
        "row",
        "safe",
        "shape",
        "stands",
    )

    def __init__(
        self,
        book: Book,
        nodes: Mapping[str, int],
        row: int,
        created: float,
        shape: int,
        number: int = 0,
        stands: RunStatus | None = None,
    ) -> None:
        self._book: Book = book
        self._nodes: Mapping[str, int] = nodes
        self.created: float = created
        self._number: int = number
        self.row: int = row
        self.shape: int = shape
        self.stands: RunStatus | None = stands
        self.safe: trio.Event = _SAFE if number else trio.Event()
        self.over: bool = False
        self.begin: Callable[[], None] | None = None
        self.patient: bool = False

    # --- what happens at a node ------------------------------------------------

    def finished(
        self,
        strand: Place,
        entry: StepEntry,
        value: object,
        follow: Callable[[], None],
        *,
        alone: bool,
        last: bool,
    ) -> bool:
        """A step gave its value.

        Args:
          alone: nothing else of the run is under way.
          last: *follow* ends the run, which waits for both records at once.

        Returns:
          Whether it was written here and now, and everybody has waited for the disk.
        Raises:
          CodecError: the value cannot be written down; nothing was recorded.
        """
        # Most runs are made of these: asked here, and not in functions of their own.
        attempts, usage, ended = entry.attempts, entry.usage, entry.ended
        record = Finished(
            self._nodes[entry.path],
            entry.position,
            _micros(ended - self.created),
            _micros(ended - entry.started),
            value if kept_as_it_is(value) else self._stored(value),
            entry.number,
            _plain_attempts(attempts) if attempts else None,
            None if usage is None else to_plain(usage),
        )
        self._add(record)
        written = alone and not last and self._book.recorder.write_now()
        if last or written:
            follow()
        else:
            self._follow(strand, follow)
        return written

    def failed(
        self,
        strand: Place,
        entry: StepEntry,
        follow: Callable[[], None],
        *,
        last: bool,
    ) -> None:
        """A step has failed for good.

        Args:
          last: see `finished`.
        """
        record = Failed(
            *self._place(entry.path, entry.position, entry.ended),
            _micros(entry.ended - entry.started),
            to_plain(entry.failure),
            entry.number,
            _plain_attempts(entry.attempts),
            _plain_usage(entry.usage),
        )
        if last:
            self._add(record)
            follow()
        else:
            self._go_on(strand, record, follow)

    def skipped(
        self, strand: Place, entry: StepEntry, follow: Callable[[], None]
    ) -> None:
        """A step was not to run."""
        place = self._place(entry.path, entry.position, entry.ended)
        self._go_on(strand, Skipped(*place), follow)

    def retrying(
        self,
        strand: Place,
        path: str,
        number: int,
        attempts: tuple[AttemptRecord, ...],
        delay: float,
    ) -> None:
        """An attempt has failed, and the one of that *number* follows.

        Args:
          attempts: those that have failed and are not on record yet.
        """
        due = None
        if delay > 0:
            due = self._book.moment() + round(delay * MICROS)
        plain = _plain_attempts(attempts)
        self._note(Retrying(*self._here(path, strand), number, plain, due))

    def begun(
        self, strand: Place, path: str, number: int, follow: Callable[[], None]
    ) -> None:
        """An attempt is about to begin that must not be repeated: waits in any case."""
        self._note(Begun(*self._here(path, strand), number))
        self._wait(strand, follow)

    def decided(
        self,
        strand: Place,
        path: str,
        turn: int,
        answer: object,
        follow: Callable[[], None],
    ) -> None:
        """The user's code was asked.

        Raises:
          CodecError: the answer cannot be written down; nothing was recorded.
        """
        record = Decided(*self._here(path, strand), turn, self._stored(answer))
        self._go_on(strand, record, follow)

    def paused(self, strand: Place, path: str, timeout: float | None) -> None:
        """A strand waits for an answer."""
        until = None
        if timeout is not None:
            until = self._book.moment() + round(timeout * MICROS)
        self._note(Paused(*self._here(path, strand), until))

    def answered(
        self, strand: Place, path: str, value: object
    ) -> Callable[[Callable[[], None]], None]:
        """Return what records that a pause has its value, and then goes on.

        Raises:
          CodecError: the value cannot be written down.
        """
        record = Answered(*self._here(path, strand), self._stored(value))
        return lambda follow: self._go_on(strand, record, follow)

    def passed(self, strand: Place, path: str, follow: Callable[[], None]) -> None:
        """A node was done as soon as it was entered; *follow* is never called at once."""
        self._go_on_soon(strand, Passed(*self._here(path, strand)), follow)

    def lost(
        self, strand: Place, path: str, failure: Failure, follow: Callable[[], None]
    ) -> None:
        """A strand has failed at a node before anything was tried there.

        *follow* is never called at once.
        """
        record = Failed(*self._here(path, strand), 0, to_plain(failure))
        self._go_on_soon(strand, record, follow)

    async def reserved(
        self, strand: Place, path: str, number: int, worst: Usage
    ) -> None:
        """Money or tokens are put aside for a call: return when that is safe.

        Always a checkpoint.

        Cancellation: it may be recorded, and then counts as spent if the process
          ends before the attempt does.
        """
        self._note(Reserved(*self._here(path, strand), number, to_plain(worst)))
        await self._all_safe()

    async def called(self, strand: Place, path: str, outcome: FunctionOutcome) -> None:
        """A function has run that must not run twice: return when that is safe.

        Always a checkpoint.

        Cancellation: it is on record all the same, and not run again.
        """
        took = round((outcome.ended - outcome.started) * MICROS)
        place = self._place(path, strand.position(), outcome.ended)
        record = Called(
            *place,
            max(0, took),
            outcome.name,
            outcome.key,
            outcome.position,
            self._sealed(outcome.text)
            if outcome.sensitive
            else self._stored(outcome.text),
            outcome.failed,
        )
        self._note(record)
        await self._all_safe()

    # --- what happens to the run -------------------------------------------------

    def accepted(self, stored_run: StoredRun, record: Accepted) -> None:
        """The run is accepted, and is to `wait_until_safe`."""
        self.stands = stored_run.status
        self._book.recorder.batch.runs.append(stored_run)
        self._add(record)

    def _safe(self) -> None:
        self.safe.set()
        begin, self.begin = self.begin, None
        if begin is not None:
            begin()

    def status(self, status: RunStatus) -> None:
        """Let others see where the run stands, if it is not there already."""
        if status is self.stands:
            return
        self.stands = status
        self._book.recorder.batch.statuses[self.row] = (status, self._book.moment())
        self._book.recorder.wake()

    def held(self, reason: str, detail: str) -> None:
        """The run is kept from going on."""
        self.status(RunStatus.HELD)
        self._note(Held(reason, detail))

    def released(self) -> None:
        """Somebody lets the run go on: it may die as often again."""
        self._book.recorder.batch.recoveries[self.row] = 0
        self._note(Released())

    def reshaped(self, shape: int) -> None:
        """The run goes on under another shape of its workflow."""
        self.shape = shape
        self._note(Reshaped(shape))

    def recovered(self, count: int) -> None:
        """A process has died while it ran, for the so many-th time."""
        self._book.recorder.batch.recoveries[self.row] = count

    def wait_until_safe(self) -> None:
        """Let the run not begin before all that was handed over so far is safe.

        Else one that kills its process at once would do so for ever.
        """
        if self.safe.is_set():
            self.safe = trio.Event()
        # One in line is in no hurry, and others may come into line with it.
        if self.begin is not None and self._book.recorder.write_now():
            self._safe()
        else:
            self._book.recorder.follow(self._safe)

    def when_safe(self, begin: Callable[[], None]) -> None:
        """Set the run going, as soon as it is safe that it may."""
        if self.safe.is_set():
            begin()
        else:
            self.begin = begin

    def ended(
        self,
        status: RunStatus,
        at: float,
        failure: Failure | None,
        follow: Callable[[], None],
    ) -> None:
        """The run is over; *follow* is called when that is safe, in any case."""

        def over() -> None:
            self.over = True
            follow()

        plain = None if failure is None else to_plain(failure)
        self._add(Ended(status.value, self.at(at), plain))
        self._book.recorder.batch.statuses[self.row] = (status, self._book.moment())
        if self._book.recorder.write_now():
            over()
        else:
            self._book.recorder.follow(over)

    def until(self, due: int) -> float:
        """Return how long it is until a moment on the calendar; seconds."""
        return (due - self._book.moment()) / MICROS

    def at(self, now: float) -> int:
        """Return a moment of the runtime's clock in microseconds since acceptance."""
        return _micros(now - self.created)

    # --- inside ------------------------------------------------------------------

    def _here(self, path: str, strand: Place) -> tuple[int, str, int]:
        return self._place(path, strand.position(), self._book.now())

    def _place(self, path: str, position: str, now: float) -> tuple[int, str, int]:
        return self._nodes[path], position, self.at(now)

    async def _all_safe(self) -> None:
        safe = trio.Event()
        self._book.recorder.follow(safe.set)
        await safe.wait()

    def _stored(self, value: object) -> object:
        book = self._book
        return stored(value, book.recorder.batch.blobs.setdefault, book.keys)

    def _sealed(self, value: object) -> object:
        book = self._book
        return stored_sealed(value, book.recorder.batch.blobs.setdefault, book.keys)

    def _note(self, record: Record) -> None:
        """Hand a record over that nobody waits for."""
        self._add(record)
        self._book.recorder.wake()

    def _go_on(self, strand: Place, record: Record, follow: Callable[[], None]) -> None:
        """Hand a record over, and go on as soon as one may."""
        self._add(record)
        self._follow(strand, follow)

    def _follow(self, strand: Place, follow: Callable[[], None]) -> None:
        if self.patient or self._book.recorder.durability == "step":
            self._wait(strand, follow)
        else:
            self._book.recorder.wake()
            follow()

    def _go_on_soon(
        self, strand: Place, record: Record, follow: Callable[[], None]
    ) -> None:
        """Hand a record over, and go on as soon as one may, but not at once."""
        if self._book.recorder.durability == "step":
            self._note(record)
            self._wait(strand, follow)
            return

        def take_effect() -> None:
            # Not before: others do not wait, and records stand in the order in which
            # they took effect.
            self._note(record)
            follow()

        self._wait(strand, take_effect)

    def _add(self, record: Record) -> None:
        number = self._number
        self._book.recorder.batch.records.append(
            (self.row, number, encode_record(record))
        )
        self._number = number + 1

    def _wait(self, strand: Place, follow: Callable[[], None]) -> None:
        """Let a strand go on when all is safe that was handed over so far."""
        strand.waiting = landing = Landing(strand, follow)
        self._book.recorder.follow(landing)


def _micros(seconds: float) -> int:
    # Cut, not rounded: it takes a third of the time.
    return int(seconds * MICROS) if seconds > 0 else 0


def _plain_attempts(attempts: tuple[AttemptRecord, ...]) -> object:
    return to_plain(attempts) if attempts else None


def _plain_usage(usage: Usage | None) -> object:
    return None if usage is None else to_plain(usage)
