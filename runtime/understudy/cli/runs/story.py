"""What happened in a run, told by its records alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from understudy.cli.runs.values import Fetch, known, shown
from understudy.engine.places import used_by
from understudy_protocols.failures import AttemptRecord, Failure
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
    Placed,
    Record,
    Released,
    Reserved,
    Reshaped,
    Retrying,
    Skipped,
)
from understudy_protocols.usage import NO_USAGE, Usage

MICROS = 1_000_000


@attrs.frozen
class Try:
    """One attempt at a step.

    Args:
      begin, end: seconds since the run was accepted.
      failure: why it did not succeed; None if it did.
    """

    begin: float
    end: float
    failure: Failure | None = None


@attrs.define
class Event:
    """What happened at one node, in one branch, item or round.

    Args:
      path: the node.
      position: which branch, item or round; as ``3/left``, empty outside.
      kind: ``step``, ``pause``, ``decision``, or ``function``: one that a step's
        model asked for, and that must not run twice.
      status: ``completed``, ``failed``, ``skipped``, ``retrying``, ``in hand``,
        ``waiting``, ``answered`` or ``decided``.
      begin, end: seconds since the run was accepted; an end of None is open.
      tries: the attempts that are known of, oldest first.
      number: attempts made, those within model calls included; a count.
      usage: what it used.
      value: what it gave, or what was answered or decided; as plain data.
      failure: why it failed, if it did.
      until: when a pause or a wait for the next attempt ends, on the calendar;
        microseconds, None if by nothing or at once.
    """

    path: str
    position: str
    kind: str
    status: str
    begin: float
    end: float | None
    tries: tuple[Try, ...] = ()
    number: int = 0
    usage: Usage = NO_USAGE
    value: object = None
    failure: Failure | None = None
    until: int | None = None

    @property
    def name(self) -> str:
        """Where it was, for people."""
        return f"{self.path} [{self.position}]" if self.position else self.path


@attrs.frozen
class Story:
    """A run from its acceptance to where it stands.

    Args:
      input: what it is about; as plain data.
      accepted: its first record.
      events: what happened at its nodes, in the order in which that began.
      held: why it does not go on; None if nothing holds it.
      ended: how it ended, if it did.
      failure: why it did not complete, if it ended so.
      last: when the last of it happened; seconds since acceptance.
      records: a count.
      size: of them; bytes.
    """

    input: object
    accepted: Accepted
    events: tuple[Event, ...]
    held: Held | None
    ended: Ended | None
    failure: Failure | None
    last: float
    records: int
    size: int

    @property
    def usage(self) -> Usage:
        """What all of it used."""
        return sum((event.usage for event in self.events), NO_USAGE)

    @property
    def open_pauses(self) -> tuple[Event, ...]:
        """The pauses that wait for an answer."""
        return tuple(event for event in self.events if event.status == "waiting")


def story_of(
    accepted: Accepted,
    records: Iterable[Record],
    path_of: Callable[[int], str],
    fetch: Fetch,
    size: int,
) -> Story:
    """Return what the records of a run tell.

    Args:
      records: all after the first.
      path_of: gives the path of a node by its number.
      fetch: gives the content of a large value.
      size: of all records; bytes.

    Raises:
      JournalError: a large value is damaged or missing.
      CodecError: a large value cannot be read.
    """
    telling = _Telling(path_of, fetch)
    for record in records:
        telling.take(record)
    ended = telling.ended
    return Story(
        shown(accepted.inputs, fetch),
        accepted,
        # Stable: what began at once stays in the order of its records.
        tuple(sorted(telling.events, key=lambda event: event.begin)),
        None if ended is not None else telling.held,
        ended,
        None if ended is None else known(ended.failure, Failure),
        telling.last,
        telling.count + 1,
        size,
    )


class _Telling:
    """What has been told so far."""

    def __init__(self, path_of: Callable[[int], str], fetch: Fetch) -> None:
        self._path_of = path_of
        self._fetch = fetch
        self._open: dict[tuple[int, str], Event] = {}
        self.events: list[Event] = []
        self.held: Held | None = None
        self.ended: Ended | None = None
        self.last = 0.0
        self.count = 0

    def take(self, record: Record) -> None:
        self.count += 1
        match record:
            case Accepted() | Reshaped():
                pass
            case Held():
                self.held = record
            case Released():
                self.held = None
            case Ended():
                self.ended = record
                self.last = max(self.last, record.at / MICROS)
            case _:
                self.last = max(self.last, record.at / MICROS)
                self._placed(record)

    def _placed(self, record: Placed) -> None:
        at = record.at / MICROS
        match record:
            case Finished() | Failed():
                self._over(record, at)
            case Retrying():
                event = self._at(record, "step", at)
                event.status, event.until = "retrying", record.due
                event.number = record.number - 1
                last = _attempts(record.attempts)[-1:]
                for attempt in last:
                    took = attempt.ended - attempt.started
                    begin = max(0.0, at - took)
                    event.begin = min(event.begin, begin)
                    event.tries += (Try(begin, at, attempt.failure),)
            case Begun() | Reserved():
                event = self._at(record, "step", at)
                event.status, event.number = "in hand", record.number
            case Paused():
                event = self._at(record, "pause", at)
                event.status, event.until = "waiting", record.until
            case Answered():
                event = self._at(record, "pause", at)
                event.value = shown(record.value, self._fetch)
                self._close(record, event, "answered", at)
            case Decided():
                event = self._new(record, "decision", at)
                event.status, event.end = "decided", at
                event.value = shown(record.answer, self._fetch)
            case Called():
                event = self._new(record, "function", at - record.took / MICROS)
                event.path = f"{event.path} {record.name}()"
                event.status = "failed" if record.failed else "completed"
                event.end = at
                event.value = shown(record.text, self._fetch)
            case Skipped():
                self._close(record, self._at(record, "step", at), "skipped", at)
            case Passed():
                self._close(record, self._at(record, "step", at), "completed", at)

    def _over(self, record: Finished | Failed, at: float) -> None:
        begin = max(0.0, at - record.took / MICROS)
        event = self._at(record, "step", begin)
        event.begin = min(event.begin, begin)
        event.number = record.number
        last = known(record.usage, Usage) or NO_USAGE
        event.usage = used_by(_attempts(record.attempts)) + last
        if isinstance(record, Finished):
            event.value = shown(record.value, self._fetch)
            status = "completed"
        else:
            event.failure = known(record.failure, Failure)
            status = "failed"
        if event.kind == "step" and record.number:
            event.tries += (Try(begin, at, event.failure),)
        self._close(record, event, status, at)

    def _at(self, record: Placed, kind: str, at: float) -> Event:
        """Return what is under way where a record belongs."""
        event = self._open.get((record.node, record.position))
        return self._new(record, kind, at) if event is None else event

    def _new(self, record: Placed, kind: str, at: float) -> Event:
        path = self._path_of(record.node)
        event = Event(path, record.position, kind, "in hand", at, None)
        self.events.append(event)
        if kind in {"step", "pause"}:
            self._open[record.node, record.position] = event
        return event

    def _close(self, record: Placed, event: Event, status: str, at: float) -> None:
        event.status, event.end, event.until = status, at, None
        self._open.pop((record.node, record.position), None)


def _attempts(plain: object) -> tuple[AttemptRecord, ...]:
    found = known(plain, tuple)
    return () if found is None else found
