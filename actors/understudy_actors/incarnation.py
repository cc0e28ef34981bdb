"""One life of one child: its task, its shielded scope, and how it ends.

Nothing that a child raises reaches the nursery.  Here, and nowhere else, it
is caught, given one exit kind, and told to the supervisor.  So no exception
group forms, and a crash costs a fifth of one that passes through a nursery.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import trio

from understudy_actors.ambient import System
from understudy_actors.exits import Circumstances, classify
from understudy_actors.guarded import guarded
from understudy_actors.lineage import Lineage
from understudy_actors.stacks import stack_of
from understudy_protocols.errors import SetupError
from understudy_protocols.supervision import ChildKind, Exit, ExitKind, Start


class Owner(Protocol):
    """Who is told about a life; called from the child's task, must not block."""

    def life_ready(self, life: Incarnation, value: object) -> None:
        """The child reported ready with *value*."""
        ...

    def life_ended(self, life: Incarnation, end: Exit) -> None:
        """The child's task takes no further step."""
        ...


class Incarnation:
    """One life of one child; what its code receives as `Life`.

    Attributes:
      system: what the child lives in.
      id: the child's.
      path: where it stands in the tree.
      number: which life of this child it is; 1 for the first.
      kind: worker or supervisor.
      scope: shielded, so that only the child's supervisor can cut it.
      task: its trio task; None before it runs.
      lineage: the numbers of the children below, if it is a supervisor.
      handle: the live supervisor, if it is one and its code runs.
      cut_kind: what it ends with if it was cut, and ends because of it.
      cut_at: when that was; on the system's clock, infinite if it was not.
    """

    __slots__ = (
        "_asked",
        "_callbacks",
        "_owner",
        "_ready",
        "_stop_event",
        "_when_cut",
        "cut_at",
        "cut_kind",
        "handle",
        "id",
        "kind",
        "lineage",
        "number",
        "path",
        "scope",
        "system",
        "task",
    )

    def __init__(
        self,
        system: System,
        owner: Owner,
        path: str,
        number: int,
        *,
        kind: ChildKind = ChildKind.WORKER,
        lineage: Lineage | None = None,
    ) -> None:
        self.system = system
        self.path = path
        self.id = path.rpartition("/")[2]
        self.number = number
        self.kind = kind
        self.scope = trio.CancelScope(shield=True)
        self.task: trio.lowlevel.Task | None = None
        self.lineage = lineage or Lineage()
        self.handle: object = None
        self._owner = owner
        self._ready = False
        self._asked = False
        self.cut_kind: ExitKind | None = None
        self.cut_at = math.inf
        self._when_cut: Callable[[], None] | None = None
        self._stop_event: trio.Event | None = None
        self._callbacks: tuple[Callable[[], None], ...] = ()

    def begin(self, start: Start) -> None:
        """Spawn the task that runs *start*."""
        self.system.lives[self] = None
        self.system.nursery.start_soon(self._live, start, name=self.path)

    # What the child uses

    def ready(self, value: object = None) -> None:
        """Report that the start is done; *value* is the child's handle."""
        if self._ready:
            raise SetupError(f"{self.path} reported ready twice")
        if self.cut_kind is not None:
            return  # too late: it is being cut, and its end says so
        self._ready = True
        if not self._asked:
            self._owner.life_ready(self, value)

    @property
    def is_ready(self) -> bool:
        """Whether the child has reported that its start is done."""
        return self._ready

    @property
    def stopping(self) -> bool:
        """Whether the child was asked to stop."""
        return self._asked

    async def wait_stop(self) -> None:
        """Return when the child is asked to stop; always a checkpoint.

        Cancellation: nothing is lost; `stopping` stays true once it is.
        """
        if self._asked:
            await trio.lowlevel.checkpoint()
            return
        if self._stop_event is None:
            self._stop_event = trio.Event()
        await self._stop_event.wait()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call *callback* when the child is asked to stop, at once if it was."""
        if self._asked:
            callback()
        else:
            self._callbacks = (*self._callbacks, callback)

    def on_cut(self, callback: Callable[[], None]) -> None:
        """Call *callback* when the child is cut, at once if it was.

        It must neither block nor raise.  For what the child's code must not do
        any more even if it swallows the cut.
        """
        if self.cut_kind is None:
            self._when_cut = callback
        else:
            callback()

    # What its supervisor uses

    def ask_to_stop(self) -> list[Exception]:
        """Ask the child to stop; return what its callbacks raised."""
        self._asked = True
        if self._stop_event is not None:
            self._stop_event.set()
        callbacks, self._callbacks = self._callbacks, ()
        return [error for call in callbacks if (error := guarded(call)) is not None]

    def cut(self) -> None:
        """Cut the child because it is over its time, to start or to stop."""
        timely = self._ready or self._asked
        self._cancel(ExitKind.KILLED if timely else ExitKind.TIMEOUT)

    def kill(self) -> None:
        """Cut the child now, whether it was asked to stop or not."""
        self._cancel(ExitKind.KILLED)

    def _cancel(self, kind: ExitKind) -> None:
        if self.cut_kind is None:
            self.cut_kind = kind
            self.cut_at = self.system.now()
            self.scope.cancel(reason=f"{self.path}: {kind.value}")
            if self._when_cut is not None:
                self._when_cut()

    @property
    def _called_off(self) -> bool:
        """Whether it is to end before its first step: then nothing of it is to appear.

        A supervisor begins even so, since it tells the owners of its children.
        """
        stopped = self._asked or self.cut_kind is not None
        return stopped and self.kind is ChildKind.WORKER

    @property
    def can_be_stuck(self) -> bool:
        """Whether it may be left behind if it does not end when it is cut.

        A supervisor may not: what it does then is bounded.  Nor a child that
        has not begun, however late it is: it ends at its first step.
        """
        return self.kind is ChildKind.WORKER and self.task is not None

    def stack(self) -> str:
        """Return where the child's task stands, innermost last."""
        assert self.task is not None, "a task that has not begun cannot be stuck"
        return stack_of(self.task)

    @trio.lowlevel.enable_ki_protection
    async def _live(self, start: Start) -> None:
        """Run the child's code; everything it does ends here.

        Ctrl-C is kept out of the child: trio gives it to the main task, which
        stops the system in order.
        """
        error: BaseException | None = None
        result: object = None
        self.task = trio.lowlevel.current_task()
        self.system.tasks[self.task] = self
        try:
            with self.scope:
                if not self._called_off:
                    code = start(self)
                    # A temporary child's arguments are its own to keep or drop.
                    del start
                    result = await code
        except BaseException as raised:  # noqa: BLE001 # classified below, whatever it is
            error = raised
        self._callbacks, self._when_cut = (), None
        self.system.forget(self)
        try:
            self._owner.life_ended(self, self._classify(error, result))
        finally:
            # The error's traceback holds this frame: a cycle, for each crash.
            del error

    def _classify(self, error: BaseException | None, result: object) -> Exit:
        cut = self.cut_kind
        if cut is None and self.scope.cancel_called:
            cut = ExitKind.KILLED  # by the child itself
        caught = self.scope.cancelled_caught
        of = Circumstances(self.path, self._ready, self._asked, cut, caught, result)
        return classify(error, of)
