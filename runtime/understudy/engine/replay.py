"""Bringing a run back: its records are followed again, in their order.

The run goes through the same nodes as it did, by the same code.  Wherever it comes
to something that only the world can answer (a step, a pause, a question to the
user's code) it *arrives*: it leaves word there how to go on, and waits for the record
that says what came of it.  When no record is left, what has arrived and got no
answer is what was under way, and goes on for real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, cast

from understudy.engine.places import Place, StepEntry, used_by
from understudy.journal.sealing import Keys
from understudy.journal.values import restored
from understudy.models.function_journal import FunctionOutcome
from understudy_protocols.articles import with_article
from understudy_protocols.errors import UnderstudyError
from understudy_protocols.failures import AttemptRecord, Cause, Failure
from understudy_protocols.records import (
    Answered,
    Begun,
    Called,
    Ended,
    Failed,
    Finished,
    Held,
    Placed,
    Record,
    Released,
    Reserved,
    Reshaped,
    Retrying,
)
from understudy_protocols.usage import NO_USAGE, Usage

MICROS = 1_000_000


class DivergedError(UnderstudyError):
    """The records say what the workflow, as it is now, cannot have done."""


class Arrival(Protocol):
    """Where a strand has come to, as long as only the records know what follows."""

    @property
    def strand(self) -> Place:
        """Who has arrived."""
        ...

    def take(self, record: Placed, replay: Replay) -> bool:
        """Follow a record of this place; whether that is the last one here.

        Raises:
          DivergedError: there can be no such record here.
        """
        ...

    def go(self, replay: Replay) -> None:
        """Go on for real: there are no more records of this place."""
        ...


class Replay:
    """The records of one run that is brought back.

    Args:
      records: all after the first.
      path_of: gives the path of a node by its number.
      created: when the run was accepted, as if it had run all the time; seconds on
        the runtime's clock.
      fetch: gives the content of a large value by its digest.
      keys: open what is encrypted.
      all_paused: whether all of the run waits for somebody, as far as it is followed.
      on_called: takes what came of a function that must not run twice, with the
        path of its step and the position of its strand.

    Attributes:
      ended: how the run ended; None if it has not.
      open: attempts that did not end and what they can have used, by place.
      tried: the failed attempts of steps that have not ended, by place.
      paused: for how long, in all, the whole run waited for somebody, and then
        until it was at work again, as far as is known; seconds.
    """

    def __init__(
        self,
        records: Sequence[Record],
        path_of: Callable[[int], str],
        created: float,
        fetch: Callable[[bytes], bytes],
        keys: Keys,
        all_paused: Callable[[], bool],
        on_called: Callable[[str, str, FunctionOutcome], None],
    ) -> None:
        self._all_paused = all_paused
        self._on_called = on_called
        self.ended: Ended | None = None
        self.open: dict[tuple[str, str], tuple[int, Usage]] = {}
        self.tried: dict[tuple[str, str], tuple[AttemptRecord, ...]] = {}
        self.paused: float = 0.0
        self._paused_since: int | None = None
        self._begun: dict[tuple[str, str], int] = {}
        self._held_in_doubt = False
        self._records = records
        self._path_of = path_of
        self._created = created
        self._fetch = fetch
        self._keys = keys
        self._arrived: dict[tuple[str, str], Arrival] = {}

    def arrive(self, path: str, arrival: Arrival) -> None:
        """A strand has come to the node at *path*."""
        self._arrived[path, arrival.strand.position()] = arrival

    def follow_all(self) -> None:
        """Follow the records to the last.

        Raises:
          DivergedError: they do not fit.
          CodecError: a value in them cannot be read.
          JournalError: a large value is not there.
        """
        for number, record in enumerate(self._records, 1):
            match record:
                case Held():
                    self._held_in_doubt = record.reason == "unknown_outcome"
                case Reshaped():
                    pass
                case Released():
                    if self._held_in_doubt:
                        self._begun.clear()
                case Ended():
                    self.ended = record
                case _:
                    self._reckon(number, cast("Placed", record))

    def standing(self) -> list[str]:
        """Return the paths of the nodes that strands have come to, and wait at."""
        return [
            path
            for (path, _), arrival in self._arrived.items()
            if not arrival.strand.ended
        ]

    def in_doubt(self) -> Iterator[tuple[str, int]]:
        """Yield where an attempt began that must not be repeated, and its number.

        One that ended is not among them, nor one that was called off: nobody waits
        for what came of it.
        """
        for key, number in self._begun.items():
            if not self._arrived[key].strand.ended:
                yield key[0], number

    def go_on(self) -> None:
        """Let everything go on that was under way."""
        arrived, self._arrived = self._arrived, {}
        for arrival in arrived.values():
            if not arrival.strand.ended:
                arrival.go(self)

    def _reckon(self, number: int, record: Placed) -> None:
        """Follow a record, and see for how long nothing was at work before it."""
        since = self._paused_since
        if since is not None:
            self.paused += max(0, self._began(record) - since) / MICROS
        self._follow(number, record)
        # Once answered, the run may still have had to wait for a place.
        waits = since is not None and is_answer(record)
        self._paused_since = record.at if waits or self._all_paused() else None

    def _began(self, record: Placed) -> int:
        """Return when that began which a record is of; microseconds since acceptance."""
        match record:
            case Finished() | Failed() | Called():
                return record.at - record.took
            case Retrying():
                tries = self.attempts(record.attempts)
                took = tries[-1].ended - tries[-1].started if tries else 0.0
                return record.at - round(took * MICROS)
            case _:
                return record.at

    def _follow(self, number: int, record: Placed) -> None:
        path = self._path_of(record.node)
        key = (path, record.position)
        arrival = self._arrived.get(key)
        if arrival is None:
            at = f"{path} ({record.position})" if record.position else path
            raise DivergedError(
                f"record {number} is of {at}, which the run does not come to"
            )
        match record:
            case Begun():
                self._begun[key] = record.number
                return
            case Reserved():
                worst = cast("Usage", self.value(record.worst))
                self.open[key] = (record.number, worst + Usage(estimated=True))
                return
            case Called():
                self._on_called(path, record.position, self._outcome(record))
                return
            case _:
                before = self.tried.get(key, ())
                for kept in (self._begun, self.open, self.tried):
                    kept.pop(key, None)
                if isinstance(record, Retrying):
                    self.tried[key] = _joined(before, self.attempts(record.attempts))
        if arrival.strand.ended:
            return  # it was called off while the record was being written
        # Before it is followed: the strand may come here again at once.
        del self._arrived[key]
        if not arrival.take(record, self):
            self._arrived[key] = arrival

    @property
    def spent(self) -> Usage:
        """What steps have used, or can have, that have not ended."""
        if not self.open and not self.tried:
            return NO_USAGE
        worst = [usage for _, usage in self.open.values()]
        return sum([*map(used_by, self.tried.values()), *worst], NO_USAGE)

    # What arrivals need of the records

    def broken_off(self, path: str, strand: Place) -> AttemptRecord | None:
        """Return the attempt of a step that a process ended in, if calls were made."""
        found = self.open.get((path, strand.position()))
        if found is None:
            return None
        number, usage = found
        failure = Failure.of(
            Cause.UNKNOWN_OUTCOME, "the process ended in this attempt", where=path
        )
        return AttemptRecord(number, self._created, self._created, failure, usage)

    def value(self, plain: object) -> object:
        """Return a value that stands in a record."""
        return restored(plain, self._fetch, self._keys)

    def failure(self, plain: object) -> Failure:
        """Return a failure that stands in a record."""
        found = self.value(plain)
        if not isinstance(found, Failure):
            raise DivergedError(
                f"{with_article(type(found).__name__)} stands in place of a failure"
            )
        return found

    def attempts(self, plain: object) -> tuple[AttemptRecord, ...]:
        """Return the attempts that stand in a record."""
        if plain is None:
            return ()
        return cast("tuple[AttemptRecord, ...]", self.value(plain))

    def usage(self, plain: object) -> Usage | None:
        """Return the usage that stands in a record."""
        return cast("Usage | None", self.value(plain))

    def entry(self, path: str, record: Finished | Failed) -> StepEntry:
        """Return what a run remembers of a step that has ended."""
        ended = self.moment(record.at)
        return StepEntry(
            path,
            record.position,
            ended - record.took / MICROS,
            ended,
            record.number,
            self.attempts(record.attempts),
            self.failure(record.failure) if isinstance(record, Failed) else None,
            self.usage(record.usage),
        )

    def _outcome(self, record: Called) -> FunctionOutcome:
        ended = self.moment(record.at)
        return FunctionOutcome(
            record.key,
            record.name,
            record.turn,
            str(self.value(record.text)),
            record.failed,
            ended - record.took / MICROS,
            ended,
        )

    def moment(self, at: int) -> float:
        """Return when that was, on the runtime's clock; seconds."""
        return self._created + at / MICROS

    @staticmethod
    def misfit(path: str, record: Placed) -> DivergedError:
        """Return the error for a record that cannot be at *path*."""
        kind = type(record).__name__.lower()
        return DivergedError(f"{path} has a record {kind!r}, which cannot be there")


def _joined(
    before: tuple[AttemptRecord, ...], more: tuple[AttemptRecord, ...]
) -> tuple[AttemptRecord, ...]:
    """Return all of the attempts, also if *more* begins with those of *before*."""
    last = before[-1].number if before else 0
    return (*before, *(one for one in more if one.number > last))


def is_answer(record: Record) -> bool:
    """Whether a record is of a pause, which has its value or was not answered in time."""
    return isinstance(record, Answered) or (
        isinstance(record, Failed) and record.number == 0
    )
