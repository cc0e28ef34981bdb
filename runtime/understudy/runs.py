"""What can be asked of a runtime about its runs, while they last and afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.engine.admission import Door
from understudy.engine.desk import Desk
from understudy.engine.strand import Run
from understudy.handle import RunHandle
from understudy_protocols.outcomes import RunStatus


class Runs:
    """The runs of a runtime, as `Runtime` shows them."""

    _desk: Desk
    _door: Door

    def _cancel(self, run: Run) -> None:
        self._desk.end(run)

    def get(self, run_id: str) -> RunHandle[object]:
        """Return a run that is not over.

        Raises:
          SetupError: there is none of that id.
        """
        return RunHandle(self._desk.live(run_id), self._cancel)

    def list(self, status: RunStatus | None = None) -> tuple[RunHandle[object], ...]:
        """Return the runs that are not over, or those of one status."""
        handles: tuple[RunHandle[object], ...] = tuple(
            RunHandle(run, self._cancel) for run in self._door.unfinished()
        )
        return tuple(one for one in handles if status is None or one.status is status)

    def cancel(self, run_id: str) -> None:
        """Cancel a run that is not over.

        Raises:
          SetupError: there is none of that id.
        """
        self._desk.cancel(run_id)

    def resume(self, run_id: str) -> RunHandle[object]:
        """Let a run of the journal go on that was left for later.

        Raises:
          SetupError: there is none of that id, or it is over.
          RunHeldError: it is held; `retry` lets it go on.
        """
        self._desk.resume(run_id)
        return self.get(run_id)

    def retry(self, run_id: str) -> RunHandle[object]:
        """Let a held run go on, or begin again where one has failed.

        The second is a new run, which has what the old one had done before it failed.
        What a held run was held for may then happen twice.

        Raises:
          SetupError: there is none of that id in the journal, it is under way, or
            it has completed.
        """
        return self.get(self._desk.retry(run_id))

    def fork(
        self,
        run_id: str,
        from_step: str,
        *,
        changes: Mapping[str, object] | None = None,
        new_id: str | None = None,
    ) -> RunHandle[object]:
        """Begin a new run that has what another one had done before a step.

        Args:
          run_id: the other one; under way or over, in the journal.
          from_step: the path of the first step that is run again, or its name.
          changes: other values for steps before it, by path or name.
          new_id: of the new run; drawn if not given.

        Raises:
          SetupError: there is no such run or step, or the id is taken.
        """
        return self.get(self._desk.fork(run_id, from_step, changes or {}, new_id))

    def answer(self, run_id: str, pause: str, value: object) -> None:
        """Answer an open pause; the first answer wins.

        Args:
          pause: its name, its path, or its key among `RunHandle.pauses`.
          value: must have the type that the pause declares.

        Raises:
          SetupError: there is no such run or open pause.
          InputError: the value has another type.
        """
        self._desk.answer(run_id, pause, value)
