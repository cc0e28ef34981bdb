"""Accepting runs: from an input and terms to a run's cell, before the door."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from understudy.budgets import RunBudget, checked_budget
from understudy.engine.admission import Door
from understudy.engine.flow import Flow
from understudy.engine.hosting import Hosted
from understudy.engine.strand import Run
from understudy_actors.contexts import same_variables
from understudy_protocols.budget import Budget
from understudy_protocols.errors import ConfigError, SetupError
from understudy_protocols.frozen import FrozenMap
from understudy_protocols.state import OrchestrationState

if TYPE_CHECKING:
    # Loaded by those who have a journal.
    from understudy.engine.durable_runs import DurableRuns
    from understudy_protocols.journal import StoredRun

_NO_METADATA = FrozenMap[str, object]()


class Terms(msgspec.Struct, frozen=True):
    """What is asked for one run besides its input; see `Runtime.run`."""

    run_id: str | None = None
    deadline: float | None = None
    expires_at: datetime | None = None
    budget: Budget | None = None
    priority: int = 0
    tenant: str = ""
    metadata: Mapping[str, object] | None = None


class Reception:
    """Makes the cells of runs and brings them to the door.

    Args:
      account: the runtime's budget, which every run draws on.
      new_id: gives an id that nobody has.
      utcnow: the wall clock.

    Attributes:
      durable: writes runs down; None if they are not.
    """

    def __init__(
        self,
        flow: Flow,
        door: Door,
        account: RunBudget,
        new_id: Callable[[], str],
        utcnow: Callable[[], datetime],
    ) -> None:
        self._flow = flow
        self._door = door
        self._account = account
        self._new_id = new_id
        self._utcnow = utcnow
        self.durable: DurableRuns | None = None

    def accept(
        self,
        hosted: Hosted,
        given: object,
        terms: Terms,
        on_done: Callable[[], None] | None = None,
    ) -> Run:
        """Accept a run: it begins at once, or waits in line.

        Args:
          on_done: called when the run is over and nothing of it is in hand.

        Raises:
          AdmissionError: the door is shut, or the line is full.
          InputError: the input is not what the workflow takes.
          SetupError: the id is that of a run under way with another input or
            of another workflow.
          ConfigError: terms that cannot be meant.
        """
        frozen = hosted.admit(given)
        if terms.run_id is not None:
            known = self._known(hosted, terms.run_id)
            if known is not None:
                return _same_run(known, hosted, frozen)
        flow, durable = self._flow, self.durable
        now, moment = flow.now(), self._utcnow().astimezone(UTC)
        # All that can be refused is refused before the run stands at the door.
        left = None if terms.expires_at is None else _left(terms.expires_at, moment)
        run = self._cell(hosted, frozen, terms, now, moment)
        run.on_done = on_done
        turn: list[Run] = []
        run.begin = hosted.begin
        if durable is None:
            run.begin = turn.append
            self._door.enter(run)
            if not turn:
                run.begin = hosted.begin  # in line
        else:
            durable.check()
            record = durable.accepted_record(
                run, terms.deadline, terms.expires_at, terms.budget
            )
            run.journal = durable.opened(run)
            self._door.enter(run)
            durable.accept(run, record)
        if flow.observers:
            flow.tell("accepted", run, detail=hosted.name)
        if terms.deadline is not None:
            flow.arm(run)
        if left is not None:
            flow.arm_expiry(run, now + left)
        # Not before: one whose turn it is may do all that it does in this breath.
        if run.journal is not None:
            run.journal.wait_until_safe()
        elif turn:
            hosted.begin(run)
        return run

    def resume(
        self,
        stored: StoredRun,
        hosted: Hosted,
        contents: Sequence[bytes] | None = None,
        *,
        release: bool = False,
    ) -> Run:
        """Let a run go on that an earlier process left; see `DurableRuns.bring_back`."""
        assert self.durable is not None, "only what is written down can be resumed"
        run, waits = self.durable.bring_back(stored, hosted, contents, release=release)
        if run.begin is not None:
            self._door.enter_again(run, steps_aside=waits)
        return run

    def _known(self, hosted: Hosted, run_id: str) -> Run | None:
        """Return the run of that id, if it is under way or written down."""
        run = self._door.live.get(run_id)
        if run is not None or self.durable is None:
            return run
        self._door.check_open()
        stored = self.durable.find(run_id)
        if stored is None:
            return None
        if stored.workflow != hosted.name:
            raise _taken(run_id, f"in another workflow, {stored.workflow!r}")
        return self.resume(stored, hosted)

    def _cell(
        self,
        hosted: Hosted,
        frozen: object,
        terms: Terms,
        now: float,
        moment: datetime,
    ) -> Run:
        state = OrchestrationState.accepted(
            terms.run_id or self._new_id(),
            frozen,
            _NO_METADATA if terms.metadata is None else FrozenMap(terms.metadata),
            moment,
        )
        account = RunBudget(checked_budget(terms.budget), self._account)
        run = Run(state.task_id, hosted.name, account, state, now)
        run.priority, run.tenant = terms.priority, terms.tenant
        if terms.deadline is not None:
            run.deadline = now + _length("deadline", terms.deadline)
        context = copy_context()
        if not same_variables(context, self._flow.context):
            run.context = context
        return run


def _same_run(run: Run, hosted: Hosted, frozen: object) -> Run:
    if run.workflow != hosted.name:
        raise _taken(run.id, f"in another workflow, {run.workflow!r}")
    if run.state.inputs != frozen:
        raise _taken(run.id, "with another input")
    return run


def _taken(run_id: str, what: str) -> SetupError:
    return SetupError(f"there is a run {run_id!r} {what}; give this one another id")


def _left(expires_at: datetime, moment: datetime) -> float:
    if expires_at.utcoffset() is None:
        raise ConfigError(
            f"expires_at is {expires_at!r}, which has no time zone; give one that has"
        )
    return (expires_at - moment).total_seconds()


def _length(what: str, value: float) -> float:
    if isinstance(value, bool) or not value >= 0:
        raise ConfigError(f"{what} is {value!r}; give seconds, 0 or more")
    return value
