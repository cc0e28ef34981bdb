"""Runs that are written down: accepting them, finding them again, bringing them back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import cast

import msgspec

from understudy.budgets import RunBudget
from understudy.engine.flow import Flow
from understudy.engine.forks import admitted, forked
from understudy.engine.hosting import Hosted
from understudy.engine.replay import DivergedError, Replay
from understudy.engine.run_journal import MICROS, Book, RunJournal, micros_of
from understudy.engine.shapes import CHANGED, ChangedError, Shapes, held_for, shape_of
from understudy.engine.strand import Run
from understudy.journal.recorder import Recorder
from understudy.journal.references import references
from understudy.journal.sealing import Keys
from understudy.journal.values import restored, stored
from understudy_protocols.budget import Budget
from understudy_protocols.errors import (
    AdmissionError,
    CodecError,
    JournalCorruptError,
    JournalError,
    RunHeldError,
    SetupError,
)
from understudy_protocols.frozen import FrozenMap
from understudy_protocols.journal import Store, StoredRun
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import (
    Accepted,
    Held,
    Record,
    decode_record,
    encode_record,
)
from understudy_protocols.state import OrchestrationState
from understudy_protocols.usage import NO_USAGE

MAX_RECOVERIES = 5
"""A run that was executing in so many processes that died is held."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DurableRuns:
    """The runs of one journal, as one runtime executes them.

    Args:
      store: keeps them.
      recorder: writes to it.
      account: the runtime's budget, which every run draws on.
      new_id: gives an id that nobody has.
      shapes: of the workflows.
      keys: for what is sensitive.
    """

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        flow: Flow,
        account: RunBudget,
        utcnow: Callable[[], datetime],
        new_id: Callable[[], str],
        shapes: Shapes,
        keys: Keys,
    ) -> None:
        self._new_id = new_id
        self.store = store
        self.recorder = recorder
        self._flow = flow
        self._account = account
        self._book = Book(recorder, keys, lambda: flow.now(), utcnow)
        self._rows = 0
        self._shapes = shapes
        # Of this process's own time: the store may not know of them yet.
        self._held: dict[str, RunHeldError] = {}

    def open(self) -> None:
        """Take the journal over.

        Raises:
          JournalError: it cannot be used; the error says why.
        """
        store = self.store
        store.open()
        self._rows = store.next_row - 1
        self._shapes.open()

    def close(self) -> None:
        """Let go of the journal."""
        self.store.close()

    # --- new runs ----------------------------------------------------------------

    def accepted_record(
        self,
        run: Run,
        deadline: float | None,
        expires_at: datetime | None,
        budget: Budget | None,
    ) -> Accepted:
        """Return the record of a run that is to be accepted.

        Raises:
          CodecError: a class in its input or metadata has no tag.
        """
        state = run.state
        return Accepted(
            self._stored(state.inputs),
            micros_of(state.created_at),
            self._stored(state.metadata) if state.metadata else None,
            None
            if deadline is None or deadline == math.inf
            else round(deadline * MICROS),
            None if expires_at is None else micros_of(expires_at),
            None if budget is None else budget.cost_micros,
            None if budget is None else budget.tokens,
            None if budget is None else budget.calls,
            run.priority,
            run.tenant,
        )

    def check(self) -> None:
        """See that runs can be written down at present.

        Raises:
          AdmissionError: they cannot.
        """
        if self.recorder.trouble is not None:
            raise AdmissionError(f"nothing can be written: {self.recorder.trouble}", 0)

    def opened(self, run: Run) -> RunJournal:
        """Return a journal for a new run; nothing is in it yet."""
        self._rows += 1
        return RunJournal(
            self._book,
            self._shapes.nodes[run.workflow],
            self._rows,
            run.created,
            self._shapes.now[run.workflow],
        )

    def accept(self, run: Run, accepted: Accepted) -> None:
        """Write down that *run* was accepted; it stands at the door already."""
        journal = run.journal
        assert journal is not None, "it was opened"
        known = StoredRun(
            journal.row,
            run.id,
            run.workflow,
            self._shapes.now[run.workflow],
            RunStatus.RUNNING if run.begin is None else RunStatus.QUEUED,
            accepted.created_at,
            self._book.moment(),
        )
        journal.accepted(known, accepted)

    # --- runs that are there -------------------------------------------------------

    def unfinished(self) -> Iterator[StoredRun]:
        """Yield the runs that are not over."""
        return self.store.unfinished()

    def find(self, run_id: str) -> StoredRun | None:
        """Return what is known of a run."""
        return self.store.find(run_id)

    def bring_back(
        self, stored: StoredRun, hosted: Hosted, *, release: bool = False
    ) -> Run:
        """Return the cell of a run that an earlier process left.

        What happened to it is followed when it begins, or at once if it is over.

        Args:
          release: it goes on although it was held.

        Raises:
          JournalError: its records are damaged.
          RunHeldError: it is held.
        """
        return self._revived(
            stored, self.store.records(stored.row), hosted, release=release
        )

    def _revived(
        self,
        stored: StoredRun,
        contents: Sequence[bytes],
        hosted: Hosted,
        *,
        release: bool,
    ) -> Run:
        records = [decode_record(one) for one in contents]
        if not records or not isinstance(records[0], Accepted):
            raise JournalCorruptError(
                f"run {stored.run_id!r} has no record of how it was accepted; "
                "see what else is wrong with `understudy runs verify`"
            )
        accepted, rest = records[0], records[1:]
        if stored.run_id in self._held and not release:
            raise self._held[stored.run_id]
        held = held_for(rest)
        if held and stored.status is RunStatus.HELD and not release:
            shape = shape_of(stored.fingerprint, rest)
            if not self._shapes.settle(held, hosted.name, shape):
                raise RunHeldError(stored.run_id, held.reason, held.detail)
            release = True
        run = self._cell(stored, accepted, rest, hosted)
        if stored.status.terminal:
            self._follow(run, hosted, rest, None)
            run.settle()
            return run
        if stored.status is RunStatus.RUNNING:
            assert run.journal is not None, "its cell was made with one"
            run.journal.recovered(stored.recoveries + 1)
            if stored.recoveries + 1 >= MAX_RECOVERIES:
                self.hold(
                    run,
                    "poisoned",
                    f"{stored.recoveries + 1} processes have died while it ran",
                )
                return run
        journal = run.journal
        assert journal is not None, "its cell was made with one"
        if release:
            self._held.pop(run.id, None)
            journal.released()

        def begin() -> None:
            if not run.ended:
                self._begin(run, hosted, rest, held)

        run.begin = lambda _: journal.when_safe(begin)
        return run

    def fork(
        self,
        source: StoredRun,
        hosted: Hosted,
        from_step: str | None,
        changes: Mapping[str, object],
        new_id: str | None,
    ) -> Run:
        """Return a new run that has what *source* had done before a step.

        Raises:
          SetupError: there is no such step, a change is not what its step gives, or
            the id is taken.
          CodecError: a change cannot be written down.
          JournalError: the records of *source* are damaged.
        """
        run_id = new_id or self._new_id()
        if self.store.find(run_id) is not None:
            raise SetupError(f"there is a run {run_id!r}; give the fork another id")
        shapes, theirs = self._shapes, self._records(source)

        def written(path: str, value: object) -> object:
            return self._stored(admitted(hosted.plan, path, value))

        records = forked(theirs, shapes.path_of, from_step, changes, written)
        before = shape_of(source.fingerprint, theirs)
        try:
            shapes.compare(hosted.name, before, lambda: shapes.places(records))
        except ChangedError as error:
            raise SetupError(
                f"what run {source.run_id!r} had done there has changed: {error}; "
                "fork it from an earlier step"
            ) from error
        self._rows += 1
        moment = self._book.moment()
        known = msgspec.structs.replace(
            source,
            row=self._rows,
            run_id=run_id,
            fingerprint=shapes.now[hosted.name],
            status=RunStatus.QUEUED,
            created_at=moment,
            changed_at=moment,
            recoveries=0,
        )
        first = records[0]
        assert isinstance(first, Accepted), "that is how every run begins"
        records[0] = msgspec.structs.replace(first, created_at=moment)
        batch = self.recorder.batch
        batch.runs.append(known)
        contents = [encode_record(record) for record in records]
        for content in contents:
            # Whoever deletes old runs must not take away what this one refers to.
            for digest in references(content) - batch.blobs.keys():
                batch.blobs[digest] = self.store.blob(digest)
        batch.records += [(self._rows, n, one) for n, one in enumerate(contents)]
        run = self._revived(known, contents, hosted, release=False)
        journal = run.journal
        assert journal is not None, "its cell was made with one"
        journal.wait_until_safe()
        return run

    def hold(self, run: Run, reason: str, detail: str) -> None:
        """Keep a run from going on until somebody decides."""
        assert run.journal is not None, "only what is written down can go on later"
        run.replay = None
        run.journal.held(reason, detail)
        error = self._held[run.id] = RunHeldError(run.id, reason, detail)
        self._flow.suspend(run, error, RunStatus.HELD)

    # --- inside --------------------------------------------------------------------

    def _cell(
        self,
        stored: StoredRun,
        accepted: Accepted,
        records: list[Record],
        hosted: Hosted,
    ) -> Run:
        last = max((getattr(record, "at", 0) for record in records), default=0)
        now = self._flow.now()
        created = now - last / MICROS
        state = OrchestrationState[object].accepted(
            stored.run_id,
            self._value(accepted.inputs),
            _metadata(self._value(accepted.metadata)),
            _EPOCH + timedelta(microseconds=accepted.created_at),
        )
        account = RunBudget(_budget(accepted), self._account)
        run = Run(stored.run_id, hosted.name, account, state, created)
        run.priority, run.tenant = accepted.priority, accepted.tenant
        if accepted.deadline is not None:
            run.deadline = created + accepted.deadline / MICROS
        if accepted.expires_at is not None:
            left = (accepted.expires_at - self._book.moment()) / MICROS
            run.hard_deadline = now + left
        run.journal = RunJournal(
            self._book,
            self._shapes.nodes[hosted.name],
            stored.row,
            created,
            shape_of(stored.fingerprint, records),
            number=len(records) + 1,
        )
        return run

    def _begin(
        self, run: Run, hosted: Hosted, records: list[Record], held: Held | None
    ) -> None:
        """Follow the records of a run, and let it go on.

        Args:
          held: what it was held for, and goes on in spite of.
        """
        flow, journal = self._flow, run.journal
        assert journal is not None, "its cell was made with one"
        if run.deadline != math.inf:
            # Its clock stood still while nobody executed it, in line as well.
            run.deadline += flow.now() - run.created - self._last(records)
        try:
            replay = self._follow(run, hosted, records, held)
        except RunHeldError as error:
            self.hold(run, error.reason, error.detail)
            return
        if held is not None and held.reason == "unknown_outcome":
            replay.begun.clear()
        for (path, _), number in replay.begun.items():
            self.hold(
                run,
                "unknown_outcome",
                f"attempt {number} of {path} had begun when its process ended; the "
                "step may or may not have had its effect, and is declared not to be "
                "repeated",
            )
            return
        run.replay = None
        if journal.shape != self._shapes.now[hosted.name]:
            journal.reshaped(self._shapes.now[hosted.name])
        if run.status.terminal:
            flow.write_end(run)
            return
        run.become(RunStatus.RUNNING)
        self._arm(run)
        if not run.ended:
            replay.go_on()
        if run.status is RunStatus.RUNNING:
            journal.status(RunStatus.RUNNING)

    def _follow(
        self, run: Run, hosted: Hosted, records: list[Record], held: Held | None
    ) -> Replay:
        """Lead a run through its records.

        Raises:
          RunHeldError: they do not fit what the workflow is now.
        """
        assert run.journal is not None, "its cell was made with one"
        shapes = self._shapes
        accepted = shapes.accept_changes or (
            held is not None and held.reason == CHANGED
        )
        before = None if accepted else run.journal.shape
        replay = Replay(
            records,
            shapes.path_of,
            run.journal.created,
            self.store.blob,
            self._book.keys,
            run.remember,
        )
        run.replay = replay
        try:
            shapes.compare(hosted.name, before, lambda: shapes.places(records))
            hosted.enter(run)
            replay.follow_all()
            shapes.compare(hosted.name, before, replay.standing)
            _see_that_it_is_over(run, replay)
        except ChangedError as error:
            raise RunHeldError(run.id, CHANGED, str(error)) from error
        except DivergedError as error:
            since = "" if before is None else shapes.all_changes(hosted.name, before)
            detail = f"{error} ({since})" if since else str(error)
            raise RunHeldError(run.id, CHANGED, detail) from error
        except (CodecError, JournalError) as error:
            raise RunHeldError(run.id, "unreadable", str(error)) from error
        self._spent_before(run, replay)
        ended = replay.ended
        if ended is not None:
            failure = None if ended.failure is None else replay.failure(ended.failure)
            self._flow.finish(run, RunStatus(ended.status), failure=failure)
            run.finished = replay.moment(ended.at)
        return replay

    def _arm(self, run: Run) -> None:
        flow = self._flow
        hard, run.hard_deadline = run.hard_deadline, math.inf
        if hard != math.inf:
            flow.arm_expiry(run, hard)
        if not run.ended:
            flow.arm(run)

    def _spent_before(self, run: Run, replay: Replay) -> None:
        used = [replay.spent]
        for entry in run.log:
            ends = [one.usage for one in entry.attempts]
            used += [usage for usage in (entry.usage, *ends) if usage is not None]
        run.budget.spent_before(sum(used, NO_USAGE))

    def _records(self, known: StoredRun) -> list[Record]:
        return [decode_record(one) for one in self.store.records(known.row)]

    def _stored(self, value: object) -> object:
        return stored(value, self.recorder.batch.blobs.setdefault, self._book.keys)

    def _value(self, plain: object) -> object:
        return restored(plain, self.store.blob, self._book.keys)

    @staticmethod
    def _last(records: list[Record]) -> float:
        return max((getattr(record, "at", 0) for record in records), default=0) / MICROS


def _see_that_it_is_over(run: Run, replay: Replay) -> None:
    ended = replay.ended
    if ended and ended.status == RunStatus.COMPLETED.value and not run.ended:
        raise DivergedError("the run has completed, and would now have more to do")


def _budget(accepted: Accepted) -> Budget | None:
    usd, tokens, calls = accepted.usd, accepted.tokens, accepted.calls
    if usd is None and tokens is None and calls is None:
        return None
    money = None if usd is None else Decimal(usd) / MICROS
    return Budget(usd=money, tokens=tokens, calls=calls)


def _metadata(value: object) -> FrozenMap[str, object]:
    if not isinstance(value, FrozenMap):
        return FrozenMap()
    return cast("FrozenMap[str, object]", value)
