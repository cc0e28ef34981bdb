"""Runs that are written down: accepting them, finding them again, bringing them back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from understudy.budgets import RunBudget
from understudy.engine.book import MICROS, Book, micros_of
from understudy.engine.flow import Flow
from understudy.engine.forks import admitted, forked
from understudy.engine.hosting import Hosted
from understudy.engine.recovery import Recovery
from understudy.engine.replay import is_answer
from understudy.engine.run_journal import RunJournal
from understudy.engine.shapes import CHANGED, ChangedError, Shapes, held_for, shape_of
from understudy.engine.strand import Run
from understudy.journal.recorder import Recorder
from understudy.journal.references import references
from understudy.journal.sealing import Keys
from understudy.journal.values import stored
from understudy_protocols.budget import Budget
from understudy_protocols.errors import (
    AdmissionError,
    JournalCorruptError,
    RunHeldError,
    SetupError,
)
from understudy_protocols.journal import MAX_RECOVERIES, Store, StoredRun
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import (
    Accepted,
    Held,
    Record,
    decode_record,
    encode_record,
)


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
        self._book = Book(recorder, keys, lambda: flow.now(), utcnow)
        self._rows = 0
        self._shapes = shapes
        self._recovery = Recovery(store, self._book, flow, account, shapes)
        # Of this process's own time: the store may not know of them yet.
        self._held: dict[str, RunHeldError] = {}

    def open(self, mark: bytes | None) -> None:
        """Take the journal over.

        Args:
          mark: what is to stand among its fingerprints besides.

        Raises:
          JournalError: it cannot be used; the error says why.
        """
        store = self.store
        store.open()
        try:
            self._rows = store.next_row - 1
            self._shapes.open()
            if mark is not None:
                store.fingerprint_id(mark)
        except BaseException:
            store.close()
            raise

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
        """Write down that *run* was accepted; it stands at the door already.

        It begins when it was told to `RunJournal.wait_until_safe`, and that is so.
        """
        journal = run.journal
        assert journal is not None, "it was opened"
        known = StoredRun(
            journal.row,
            run.id,
            run.workflow,
            self._shapes.now[run.workflow],
            RunStatus.RUNNING if run.begin is None else RunStatus.QUEUED,
            accepted.created_at,
            accepted.created_at,
        )
        journal.accepted(known, accepted)
        begin = run.begin
        if begin is None:
            return

        def begin_in_turn(run: Run) -> None:
            if not run.ended:
                journal.status(RunStatus.RUNNING)
            begin(run)

        run.begin = begin_in_turn

    # --- runs that are there -------------------------------------------------------

    def find(self, run_id: str) -> StoredRun | None:
        """Return what is known of a run."""
        return self.store.find(run_id)

    def bring_back(
        self,
        stored: StoredRun,
        hosted: Hosted,
        contents: Sequence[bytes] | None = None,
        *,
        release: bool = False,
    ) -> tuple[Run, bool]:
        """Return the cell of a run that an earlier process left.

        What happened to it is followed when it begins, or at once if it is over.

        Args:
          contents: its records, if they were read.
          release: it goes on although it was held.

        Returns:
          The cell, and whether all of the run will wait for somebody.

        Raises:
          JournalError: its records are damaged.
          RunHeldError: it is held.
        """
        if contents is None:
            contents = self.store.records(stored.row)
        records = [decode_record(one) for one in contents]
        run = self._revived(stored, records, hosted, release=release)
        # Where an answer is the last that is known it may be about to go on.
        waits = stored.status is RunStatus.PAUSED and not is_answer(records[-1])
        return run, waits and not release

    def _revived(
        self,
        stored: StoredRun,
        records: list[Record],
        hosted: Hosted,
        *,
        release: bool,
    ) -> Run:
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
            if held.reason != CHANGED:
                raise RunHeldError(stored.run_id, held.reason, held.detail)
            self._see_that_it_fits(stored, accepted, rest, hosted, held)
            # It goes on as if it had never been held, and nothing is accepted.
            release, held = True, None
        run = self._recovery.cell(stored, accepted, rest, hosted)
        journal = run.journal
        assert journal is not None, "its cell was made with one"
        if stored.status.terminal:
            self._recovery.follow(run, hosted, rest, None)
            journal.over = True
            run.settle()
            return run
        died = stored.status is RunStatus.RUNNING and not release
        if died and stored.recoveries + 1 >= MAX_RECOVERIES:
            journal.recovered(stored.recoveries + 1)
            self.hold(
                run,
                "poisoned",
                f"{stored.recoveries + 1} processes have died while it ran",
            )
            return run
        if release:
            self._held.pop(run.id, None)
            journal.released()
            # Whoever cancels it does so before it begins, and could be held again.
            journal.wait_until_safe()

        def go_on() -> None:
            if run.ended:
                return
            try:
                self._recovery.go_on(run, hosted, rest, held)
            except RunHeldError as error:
                self.hold(run, error.reason, error.detail)

        def begin(_: Run) -> None:
            if run.ended:
                return  # in line, and its end is not safe yet
            if stored.status is not RunStatus.PAUSED:
                # Else it is about to wait, and kills no process.
                run.become(RunStatus.RUNNING)
                if died:
                    journal.recovered(stored.recoveries + 1)
                else:
                    journal.status(RunStatus.RUNNING)
                journal.wait_until_safe()
            journal.when_safe(go_on)

        run.begin = begin
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
        contents = [encode_record(record) for record in records]
        # All that can be refused is refused before anything is handed over.
        revived = [decode_record(content) for content in contents]
        run = self._revived(known, revived, hosted, release=False)
        batch = self.recorder.batch
        for content in contents:
            # Whoever deletes old runs must not take away what this one refers to.
            for digest in references(content) - batch.blobs.keys():
                batch.blobs[digest] = self.store.blob(digest)
        batch.runs.append(known)
        batch.records += [(known.row, n, one) for n, one in enumerate(contents)]
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

    def _see_that_it_fits(
        self,
        stored: StoredRun,
        accepted: Accepted,
        records: list[Record],
        hosted: Hosted,
        held: Held,
    ) -> None:
        """See that a run that other code was not fit for can go on with this.

        Its records are followed in a cell of which nothing is kept: until it is known
        where they lead, it stays held, and nobody need hear of it.

        Raises:
          RunHeldError: it cannot; if it is for another reason, that is on record.
        """
        run = self._recovery.cell(stored, accepted, records, hosted)
        try:
            self._recovery.follow(run, hosted, records, None)
        except RunHeldError as error:
            if error.reason == CHANGED and error.detail != held.detail:
                assert run.journal is not None, "its cell was made with one"
                run.journal.held(error.reason, error.detail)
                self._held[run.id] = error
            raise

    def _records(self, known: StoredRun) -> list[Record]:
        return [decode_record(one) for one in self.store.records(known.row)]

    def _stored(self, value: object) -> object:
        return stored(value, self.recorder.batch.blobs.setdefault, self._book.keys)
