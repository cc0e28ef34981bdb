"""What can be asked about runs from outside: answers, an end, another try, a fork."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from understudy.engine.admission import Door
from understudy.engine.flow import Flow
from understudy.engine.hosting import Hosted
from understudy.engine.reception import Reception
from understudy.engine.strand import Answerable, Run
from understudy.engine.terms import checked_id
from understudy.workflows.inputs import admit
from understudy_protocols.errors import SetupError, UnderstudyError
from understudy_protocols.failures import Cause, Failure
from understudy_protocols.outcomes import RunStatus

if TYPE_CHECKING:
    # Loaded by those who have a journal.
    from understudy.engine.durable_runs import DurableRuns
    from understudy_protocols.journal import StoredRun


class NotYetError(UnderstudyError):
    """What is asked of a run cannot be done before it has begun again."""


class Desk:
    """Serves those who ask about runs of one runtime.

    Args:
      hosted: gives a workflow by its name, or nothing.
    """

    def __init__(
        self,
        flow: Flow,
        door: Door,
        reception: Reception,
        hosted: Callable[[str], Hosted | None],
    ) -> None:
        self._flow = flow
        self._door = door
        self._reception = reception
        self._hosted = hosted

    def live(self, run_id: str) -> Run:
        """Return a run that is under way.

        Raises:
          SetupError: there is none of that id.
        """
        try:
            return self._door.live[run_id]
        except KeyError:
            raise SetupError(f"there is no run {run_id!r} under way") from None

    def answer(self, run_id: str, pause: str, value: object) -> None:
        """See `Runtime.answer`."""
        run = self.live(run_id)
        journal = run.journal
        if run.begin is not None or (journal and not journal.safe.is_set()):
            raise NotYetError(f"the run {run_id!r} waits to begin; answer it later")
        found = _open_pause(run, pause)
        found.answer(admit(value, found.output, f"the answer to {pause}"))

    def cancel(self, run_id: str) -> None:
        """Cancel a run that is not over, be it held or left for later.

        Raises:
          SetupError: there is none of that id.
        """
        run = self._door.live.get(run_id)
        if run is None:
            if self._reception.durable is None:
                raise SetupError(f"there is no run {run_id!r} under way")
            run = self._brought_back(self._unfinished(run_id), release=True)
        self.end(run)

    def end(self, run: Run) -> None:
        """Cancel *run*, unless it is over."""
        self._flow.finish(
            run,
            RunStatus.CANCELLED,
            failure=Failure.of(Cause.CANCELLED, "the run was cancelled"),
        )

    def resume(self, run_id: str) -> None:
        """Let a run go on that was left for later; nothing if it is under way.

        Raises:
          SetupError: there is none of that id, or it is over.
          RunHeldError: it is held; `retry` lets it go on.
        """
        if run_id not in self._door.live:
            self._brought_back(self._unfinished(run_id), release=False)

    def retry(self, run_id: str) -> str:
        """Let a held run go on, or begin again where one has failed; return its id.

        The second is a new run, which has all that the old one had done.

        Raises:
          SetupError: there is none of that id, it is under way, or completed.
        """
        if run_id in self._door.live:
            raise SetupError(f"the run {run_id!r} is under way; it needs no retry")
        stored = self._stored(run_id)
        if not stored.status.terminal:
            self._brought_back(stored, release=True)
            return run_id
        if stored.status is RunStatus.COMPLETED:
            raise SetupError(
                f"the run {run_id!r} has completed; to run a part of it again, fork it"
            )
        return self._fork(stored, None, {}, None)

    def fork(
        self,
        run_id: str,
        from_step: str,
        changes: Mapping[str, object],
        new_id: str | None,
    ) -> str:
        """See `Runtime.fork`."""
        if new_id is not None:
            new_id = checked_id("new_id", new_id)
            if new_id in self._door.live:
                # Which need not stand in the journal yet.
                raise SetupError(f"there is a run {new_id!r}; give the fork another id")
        return self._fork(self._stored(run_id), from_step, changes, new_id)

    # --- inside --------------------------------------------------------------

    def _fork(
        self,
        stored: StoredRun,
        from_step: str | None,
        changes: Mapping[str, object],
        new_id: str | None,
    ) -> str:
        durable, hosted = self._durable(), self._host_of(stored)
        run = durable.fork(stored, hosted, from_step, changes, new_id)
        self._door.enter_again(run)
        return run.id

    def _brought_back(self, stored: StoredRun, *, release: bool) -> Run:
        hosted = self._host_of(stored)
        return self._reception.resume(stored, hosted, release=release)

    def _durable(self) -> DurableRuns:
        durable = self._reception.durable
        if durable is None:
            raise SetupError(
                "this runtime has no journal, so nothing is known of runs that are "
                "over; give it one: Runtime(..., journal='runs.db')"
            )
        return durable

    def _stored(self, run_id: str) -> StoredRun:
        stored = self._durable().find(run_id)
        if stored is None:
            raise SetupError(f"there is no run {run_id!r} in the journal")
        return stored

    def _unfinished(self, run_id: str) -> StoredRun:
        stored = self._stored(run_id)
        if stored.status.terminal:
            raise SetupError(f"the run {run_id!r} is over: {stored.status.value}")
        return stored

    def _host_of(self, stored: StoredRun) -> Hosted:
        hosted = self._hosted(stored.workflow)
        if hosted is None:
            raise SetupError(
                f"the run {stored.run_id!r} is one of {stored.workflow!r}, which this "
                "runtime does not host"
            )
        return hosted


def _open_pause(run: Run, pause: str) -> Answerable:
    if pause in run.pauses:
        return run.pauses[pause]
    named = [key for key, one in run.pauses.items() if pause in (one.name, one.path)]
    if len(named) == 1:
        return run.pauses[named[0]]
    there = ", ".join(run.pauses) or "none"
    raise SetupError(
        f"run {run.id!r} has no single open pause {pause!r}; open are: {there}"
    )
