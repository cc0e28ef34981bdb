"""The system: one nursery for all actor tasks, one root supervisor, one way out.

::

    async with ActorSystem(SupervisorSpec(children)) as system:
        await system.root.start_child(...)

However the block ends, the tree has been stopped in order when it is left,
and what leaves it is one plain exception: the body's own, as the same object;
or that of the root, if it gave up; never a group.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from types import TracebackType
from typing import Literal, Self

import trio

from understudy_actors.ambient import System
from understudy_actors.exits import leaf
from understudy_actors.incarnation import Incarnation
from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_protocols.errors import (
    ConfigError,
    EscalationError,
    RestartIntensityError,
    RuntimeFailed,
    SetupError,
    StartFailedError,
)
from understudy_protocols.restart_policy import is_length
from understudy_protocols.supervision import (
    ChildKind,
    Exit,
    ExitKind,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import (
    LifeState,
    StopReport,
    SupervisionEvent,
    TreeSnapshot,
)


class ActorSystem(System):
    """A supervision tree and what its actors share; an async context manager.

    Entering returns when the first children are ready.  Leaving stops the tree:
    after a clean body each child has its own grace; if the body raised or is
    cancelled, all of them together have *stop_timeout*.  It always waits for
    the tasks themselves, also for stuck ones, since trio cannot kill.

    Args:
      root: the root supervisor.
      name: its path.
      random: the source of jitter and ids; default: a fresh one.
      on_event: called synchronously with each event; it must not block, and
        cannot fail us: see `observer_failures`.
      kill_timeout: how long a cut task may take before it counts as stuck;
        seconds.
      stop_timeout: how long the whole stop may take when the body did not end
        cleanly, before everything is cut; seconds.

    Attributes:
      root: the live root supervisor.
      stop_report: what the stop left undone; None before it.

    Raises:
      ConfigError: a timeout that cannot be meant.
    Raises, on entering:
      StartFailedError: a first child did not start; those before it have been
        stopped.
    Raises, on leaving:
      RuntimeFailed: the root gave up; the body was cancelled.
    """

    root: Supervisor

    def __init__(
        self,
        root: SupervisorSpec,
        *,
        name: str = "root",
        random: Random | None = None,
        on_event: Callable[[SupervisionEvent], None] | None = None,
        kill_timeout: float = 1.0,
        stop_timeout: float = 10.0,
    ) -> None:
        if not (is_length(kill_timeout) and kill_timeout > 0):
            raise ConfigError(f"kill_timeout must be above 0 s; got {kill_timeout!r}")
        if not is_length(stop_timeout):
            raise ConfigError(f"stop_timeout must be 0 s or more; got {stop_timeout!r}")
        super().__init__(name, random or Random(), kill_timeout, on_event)
        self.stop_timeout = stop_timeout
        self.stop_report: StopReport | None = None
        self._root_spec = root
        self._spec = supervisor_child(name, root)
        self._life: Incarnation | None = None
        self._body = trio.CancelScope()
        self._up = trio.Event()
        self._gone = trio.Event()
        self._end: Exit | None = None
        self._interrupt: KeyboardInterrupt | None = None

    def tree(self) -> TreeSnapshot:
        """Return the whole tree as it is at this moment.

        There is nothing in it before the block is entered.
        """
        root = None if self._life is None else self._life.handle
        if isinstance(root, Supervisor):
            return root.tree()
        spec = self._root_spec
        return TreeSnapshot(
            self.name, spec.strategy, spec.intensity, spec.period, (), ()
        )

    async def stop(self) -> StopReport:
        """Stop the whole tree in order; return what was left undone.

        Any number of callers may ask; all return when it is gone.  A caller
        inside the tree returns at once, with an incomplete report.

        Cancellation: the stop goes on.
        """
        self._ask_to_stop()
        if self.caller_is_below(self.name):
            await trio.lowlevel.checkpoint()
            return self.report(complete=False)
        await self._gone.wait()
        return self.report()

    async def ended(self) -> object:
        """Return when the root has ended, with its result; see `Supervisor.result`.

        Cancellation: nothing is lost.
        """
        await self._gone.wait()
        return self.root.result

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> Self:
        if self._life is not None:
            raise SetupError("an ActorSystem can be entered only once")
        self._manager = trio.open_nursery()
        self.nursery = await self._manager.__aenter__()
        self._life = Incarnation(self, self, self.name, 1, kind=ChildKind.SUPERVISOR)
        self._tell(LifeState.STARTING)
        self._life.begin(self._spec.start)
        error: BaseException | None = None
        try:
            await self._up.wait()
        except BaseException as raised:  # noqa: BLE001 # raised again below
            error = raised
        if error is None and self._end is not None and self._failure() is None:
            error = StartFailedError(self.name, "it was stopped before it was ready")
        if error is None and self._end is None:
            self._body.__enter__()
            return self
        await self._bring_down()
        joined = await self._join(error)
        leaving = self._leaving(error) or joined
        assert leaving is not None, "entering failed with no reason"
        raise leaving

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        error = self._leave_body(exc)
        if error is None:
            try:
                await self.stop()
            except BaseException as raised:  # noqa: BLE001 # raised again below
                error = raised
        await self._bring_down()
        joined = await self._join(error)
        leaving = self._leaving(error) if joined is None else joined
        if leaving is None or leaving is exc:
            return False
        raise leaving

    # What the root's life calls

    def life_ready(self, life: Incarnation, value: object) -> None:
        """See `Owner`."""
        assert isinstance(value, Supervisor), "the root is a supervisor"
        self.root = value
        self._tell(LifeState.READY)
        self._up.set()

    def life_ended(self, life: Incarnation, end: Exit) -> None:
        """See `Owner`."""
        self._end = end
        self._tell(LifeState.CRASHED if end.kind.abnormal else LifeState.STOPPED, end)
        self._up.set()
        self._gone.set()
        if self._failure() is not None:
            self._body.cancel(reason="the root supervisor ended")

    # The way out

    def _ask_to_stop(self) -> None:
        assert self._life is not None, "an ActorSystem is used inside its block"
        if not self._life.stopping and self._end is None:
            self._tell(LifeState.STOPPING)
            self._life.ask_to_stop()

    def _leave_body(self, exc: BaseException | None) -> BaseException | None:
        """Return what the body raised, less our own cancellation of it."""
        try:
            absorbed = self._body.__exit__(*_as_raised(exc))
        except BaseException as rest:  # noqa: BLE001 # raised again by __aexit__
            return leaf(rest)
        return None if absorbed else exc

    async def _bring_down(self) -> None:
        """Stop the tree in bounded time, whatever happens to the caller."""
        self._ask_to_stop()
        with trio.move_on_after(self.stop_timeout, shield=True):
            await self._insist(self._gone.wait)
        if not self._gone.is_set():
            self._cut_all()
        with trio.CancelScope(shield=True):
            # Bounded: a supervisor that is cut leaves behind what does not end.
            await self._insist(self._gone.wait)
            self.stop_report = self.report()
            self._cut_all()
            await self._insist(self.join)

    async def _insist(self, wait: Callable[[], Awaitable[object]]) -> None:
        """Wait; a further Ctrl-C does not end the wait, it cuts everything."""
        while True:
            try:
                await wait()
            except KeyboardInterrupt as interrupt:
                self._interrupt = interrupt
                self._cut_all()
            else:
                return

    def _cut_all(self) -> None:
        for life in list(self.lives):
            life.kill()

    async def _join(self, error: BaseException | None) -> BaseException | None:
        """Close the nursery; return what leaves it, without the group around it.

        No actor raises into it.  Other tasks may have been started in it, and
        then it has cancelled the body, and its own Cancelled must go back to it.
        """
        if not self.nursery.cancel_scope.cancel_called:
            error = None
        try:
            await self._manager.__aexit__(*_as_raised(error))
        except BaseException as raised:  # noqa: BLE001 # raised again by the caller
            return leaf(raised)
        return None

    def _leaving(self, error: BaseException | None) -> BaseException | None:
        """Return the one exception that leaves the block."""
        failure = self._failure()
        if failure is not None and not isinstance(failure, Exception):
            return failure
        if error is None:
            return self._interrupt or failure
        if failure is not None:
            error.add_note(f"moreover, {failure}")
        return error

    def _failure(self) -> BaseException | None:
        """Return what the end of the root raises, if it was not asked for."""
        end = self._end
        if end is None or not end.kind.abnormal or end.kind is ExitKind.KILLED:
            return None
        cause = end.cause
        if end.fatal or isinstance(cause, StartFailedError):
            return cause
        causes = tuple[BaseException, ...](() if cause is None else (cause,))
        if isinstance(cause, RestartIntensityError):
            causes = cause.causes
        failure = RuntimeFailed(str(cause), causes)
        while isinstance(cause, EscalationError) and cause.__cause__ is not None:
            cause = cause.__cause__
        failure.__cause__ = cause
        return failure

    def _tell(self, state: LifeState, end: Exit | None = None) -> None:
        kind, cause = (end.kind, end.cause) if end is not None else (None, None)
        self.emit(SupervisionEvent(self.now(), self.name, 1, state, kind, cause))


def _as_raised(
    error: BaseException | None,
) -> tuple[type[BaseException] | None, BaseException | None, TracebackType | None]:
    """Return *error* in the shape in which context managers take it."""
    if error is None:
        return None, None, None
    return type(error), error, error.__traceback__
