"""The actor that does what other processes ask by way of the journal."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, cast

import msgspec
import trio

from understudy.engine.desk import NotYetError
from understudy.journal.sealing import Keys
from understudy_protocols.errors import JournalError, UnderstudyError
from understudy_protocols.frozen import freeze
from understudy_protocols.journal import BEGUN, BEGUN_AGAIN, REFUSED, Batch, Request
from understudy_protocols.supervision import Life

_LOG = logging.getLogger("understudy.journal")

LOOKS = 0.25
"""How often the journal is looked into for requests; seconds."""


class Serving(Protocol):
    """Who does what is asked; each call is done, or raises UnderstudyError."""

    def answer(self, run_id: str, pause: str, value: object) -> None:
        """Answer a pause."""
        ...

    def cancel(self, run_id: str) -> None:
        """Cancel a run."""
        ...

    def resume(self, run_id: str) -> None:
        """Let a run go on."""
        ...

    def retry(self, run_id: str) -> str:
        """Try again."""
        ...

    def fork(
        self,
        run_id: str,
        from_step: str,
        changes: dict[str, object],
        new_id: str | None,
    ) -> str:
        """Fork a run."""
        ...


class _Answer(msgspec.Struct):
    pause: str
    value: object = None


class _Fork(msgspec.Struct):
    from_: str = msgspec.field(name="from")
    set: dict[str, object] = {}
    id: str | None = None


class Requests:
    """Takes requests out of the journal, in order, each once.

    That one was dealt with is written together with what it led to.

    Args:
      read: returns those that wait.
      batch: gives what is written next.
      wake: sees that it is written soon.
      keys: open what is encrypted.

    Attributes:
      all_there: set when the runs are there that it can be about.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Iterable[Request]]],
        serving: Serving,
        batch: Callable[[], Batch],
        wake: Callable[[], None],
        keys: Keys,
    ) -> None:
        self._read = read
        self._serving = serving
        self._batch = batch
        self._wake = wake
        self._keys = keys
        self._dealt_with: set[int] = set()
        self.all_there: trio.Event = trio.Event()
        self._trouble = ""

    async def run(self, life: Life) -> None:
        """Look for requests until asked to stop.

        Cancellation: what was not dealt with is looked at when it begins anew.
        """
        life.ready()
        with trio.CancelScope() as scope:
            life.on_stop(scope.cancel)
            await self.all_there.wait()
            while True:
                # Not at once: what was left by others goes on first.
                await trio.sleep(LOOKS)
                await self._look()

    def end_first(self, waiting: Iterable[Request]) -> None:
        """Do what is asked of runs that are to be cancelled, before anything goes on.

        Whoever asks for it while nobody executes them wants no step of theirs to run.

        Args:
          waiting: all requests, in order.
        """
        waiting = tuple(waiting)
        called_off = {one.run_id for one in waiting if one.what == "cancel"}
        for request in waiting:
            if request.run_id in called_off:
                self._deal_with(request)

    async def _look(self) -> None:
        """Do what is asked now."""
        try:
            waiting = tuple(await self._read())
        except JournalError as error:
            # Runs do not end because nothing can be asked about them.
            if str(error) != self._trouble:
                _LOG.error("requests cannot be read: %s", error)
            self._trouble = str(error)
            return
        self._dealt_with &= {request.id for request in waiting}
        for request in waiting:
            if request.id not in self._dealt_with:
                self._deal_with(request)

    def _deal_with(self, request: Request) -> None:
        self._wake()  # before: what it leads to is not to be written at once, alone
        try:
            outcome = self._done(request)
        except NotYetError:
            return  # it is asked again
        self._dealt_with.add(request.id)
        self._batch().done[request.id] = outcome

    def _done(self, request: Request) -> str:
        """Return what came of a request, in words; empty if it was simply done."""
        try:
            return self._do(request)
        except NotYetError:
            raise
        except UnderstudyError as error:
            return f"{REFUSED}{error}"
        except msgspec.MsgspecError as error:
            return f"{REFUSED}{request.what} cannot be read: {error}"

    def _do(self, request: Request) -> str:
        serving, run_id = self._serving, request.run_id
        body = self._keys.opened_body(request.body)
        match request.what:
            case "answer":
                answer = msgspec.json.decode(body, type=_Answer)
                value = freeze(answer.value, "the answer")
                serving.answer(run_id, answer.pause, value)
            case "cancel":
                serving.cancel(run_id)
            case "resume":
                serving.resume(run_id)
            case "retry":
                new = serving.retry(run_id)
                return "" if new == run_id else f"{BEGUN_AGAIN}{new}"
            case "fork":
                fork = msgspec.json.decode(body, type=_Fork)
                changes = cast("dict[str, object]", freeze(fork.set, "the changes"))
                new = serving.fork(run_id, fork.from_, dict(changes), fork.id)
                return f"{BEGUN}{new}"
            case other:
                return f"{REFUSED}nobody here knows what {other!r} is"
        return ""
