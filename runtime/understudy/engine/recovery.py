"""Bringing runs back: a cell for each, led through its records, and let go on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import cast

from understudy.budgets import RunBudget
from understudy.engine.book import MICROS, Book
from understudy.engine.flow import Flow
from understudy.engine.hosting import Hosted
from understudy.engine.replay import DivergedError, Replay
from understudy.engine.run_journal import RunJournal
from understudy.engine.shapes import CHANGED, ChangedError, Shapes, shape_of
from understudy.engine.strand import Run
from understudy.journal.values import restored
from understudy_protocols.budget import Budget
from understudy_protocols.errors import (
    CodecError,
    JournalError,
    RunHeldError,
)
from understudy_protocols.frozen import FrozenMap
from understudy_protocols.journal import Store, StoredRun
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import (
    Accepted,
    Held,
    Record,
)
from understudy_protocols.state import OrchestrationState
from understudy_protocols.usage import NO_USAGE

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_METADATA = FrozenMap[str, object]()


class Recovery:
    """Brings the runs of a journal back; see `Replay` for how.

    Args:
      account: the runtime's budget, which every run draws on.
    """

    def __init__(
        self, store: Store, book: Book, flow: Flow, account: RunBudget, shapes: Shapes
    ) -> None:
        self._store = store
        self._book = book
        self._flow = flow
        self._account = account
        self._shapes = shapes

    def cell(
        self,
        stored: StoredRun,
        accepted: Accepted,
        records: list[Record],
        hosted: Hosted,
    ) -> Run:
        """Return the cell of a run as it was accepted, with all its records still to follow.

        Raises:
          CodecError: its input cannot be read.
          JournalError: a large value is damaged.
        """
        now = self._flow.now()
        created = now - _last(records)
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
            len(records) + 1,
            stored.status,
        )
        return run

    def go_on(
        self, run: Run, hosted: Hosted, records: list[Record], held: Held | None
    ) -> None:
        """Follow the records of a run, and let it go on.

        Args:
          held: what it was held for, and goes on in spite of.

        Raises:
          RunHeldError: it is not to go on.
        """
        flow, journal = self._flow, run.journal
        assert journal is not None, "its cell was made with one"
        # Its clock stood still while nobody executed it, in line as well.
        created = flow.now() - _last(records)
        run.deadline += created - run.created
        run.created = journal.created = created
        replay = self.follow(run, hosted, records, held)
        run.deadline += replay.paused
        if held is None or held.reason != "unknown_outcome":
            _see_that_nothing_is_in_doubt(run, replay)
        run.replay = None
        if journal.shape != self._shapes.now[hosted.name]:
            journal.reshaped(self._shapes.now[hosted.name])
        if run.status.terminal:
            flow.write_end(run)
            return
        run.become(RunStatus.RUNNING)
        self._arm(run)
        replay.go_on()
        if run.status is RunStatus.RUNNING:
            journal.status(RunStatus.RUNNING)

    def follow(
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
            self._store.blob,
            self._book.keys,
            lambda: run.paused == run.leaves,
            run.remember,
        )
        run.replay = replay
        accepted_state = run.state
        try:
            shapes.compare(hosted.name, before, lambda: shapes.places(records))
            hosted.enter(run)
            replay.follow_all()
            shapes.compare(hosted.name, before, replay.standing)
            _see_that_it_is_over(run, replay)
        except ChangedError as error:
            raise RunHeldError(run.id, CHANGED, str(error)) from error
        except DivergedError as error:
            since = shapes.all_changes(hosted.name, run.journal.shape)
            detail = f"{error} ({since})" if since else str(error)
            raise RunHeldError(run.id, CHANGED, detail) from error
        except (CodecError, JournalError) as error:
            raise RunHeldError(run.id, "unreadable", str(error)) from error
        self._spent_before(run, replay)
        ended = replay.ended
        if ended is not None:
            status = RunStatus(ended.status)
            if run.status is not status:
                # Where its last records lead, it was not any more when it ended: they
                # were not safe yet.
                run.status, run.state = RunStatus.RUNNING, accepted_state
            self._flow.finish(run, status)
            failure = ended.failure
            run.failure = None if failure is None else replay.failure(failure)
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
        # Most steps call no model: nothing is added up for those.
        entries = [e for e in run.log if e.attempts or e.usage is not None]
        spent = replay.spent
        if entries or spent is not NO_USAGE:
            run.budget.spent_before(sum((one.used for one in entries), spent))

    def _value(self, plain: object) -> object:
        return restored(plain, self._store.blob, self._book.keys)


def _last(records: Sequence[Record]) -> float:
    """Return how long a run was active, as far as is known; seconds."""
    return max([getattr(record, "at", 0) for record in records], default=0) / MICROS


def _see_that_it_is_over(run: Run, replay: Replay) -> None:
    ended = replay.ended
    if ended is None or ended.status != RunStatus.COMPLETED.value:
        return
    if not run.ended:
        raise DivergedError("the run has completed, and would now have more to do")
    if run.status is not RunStatus.COMPLETED:
        raise DivergedError(
            f"the run has completed, and would now be {run.status.value}"
        )


def _see_that_nothing_is_in_doubt(run: Run, replay: Replay) -> None:
    for path, number in replay.in_doubt():
        raise RunHeldError(
            run.id,
            "unknown_outcome",
            f"attempt {number} of {path} had begun when its process ended; the step "
            "may or may not have had its effect, and is declared not to be repeated",
        )


def _budget(accepted: Accepted) -> Budget | None:
    if accepted.usd is accepted.tokens is accepted.calls is None:
        return None
    usd = None if accepted.usd is None else Decimal(accepted.usd) / MICROS
    return Budget(usd=usd, tokens=accepted.tokens, calls=accepted.calls)


def _metadata(value: object) -> FrozenMap[str, object]:
    if not isinstance(value, FrozenMap):
        return _NO_METADATA
    return cast("FrozenMap[str, object]", value)
