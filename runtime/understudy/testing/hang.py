"""A hang is a failure: notice a run that does not end, say where, and end it.

A watcher beside the run looks at the virtual clock.  With an autojump clock a
deadlock costs no real time: the next deadline is then the watcher's own.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio

from understudy.testing.scheduler import SeededOrder, shields_of
from understudy_actors.stacks import await_frames
from understudy_protocols.errors import UnderstudyError

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

# More stacks than this hide the one that matters.
_MAX_STACKS = 40
# How long clean-up may take after the cut, and how often shields are taken off
# again: code that goes on shielding itself is ended with the loop.
_GRACE = 60.0
_MAX_CUTS = 10
_ROUNDS_AFTER_CUT = 10_000
_TRIO_FOLDER = Path(trio.__file__).parent


class HangError(UnderstudyError):
    """A run under test did not end.

    Attributes:
      reason: which limit it passed.
      stacks: one text per task that was still there: its name, then where it
        waits, outermost call first.
    """

    def __init__(self, reason: str, stacks: tuple[str, ...]) -> None:
        super().__init__(reason, stacks)
        self.reason = reason
        self.stacks = stacks

    def __str__(self) -> str:
        head = (
            f"the run hangs: {self.reason}; {len(self.stacks)} task(s) still there "
            "(threads and sockets count as idle under an autojump clock)"
        )
        return "\n".join((head, *self.stacks[:_MAX_STACKS]))


class HangWatch:
    """Runs one function, and cuts it when it passes a limit.

    Args:
      horizon: longest virtual time of the run; seconds.
    """

    def __init__(self, horizon: float) -> None:
        self.hang: HangError | None = None
        self._horizon = horizon
        self._too_many_rounds = trio.Event()
        self._scope = trio.CancelScope()

    def too_many_rounds(self) -> None:
        """Cut the run at the next step, since time does not move for it."""
        self._too_many_rounds.set()

    async def run(
        self,
        order: SeededOrder,
        async_fn: Callable[[*_Ts], Awaitable[_T]],
        *args: *_Ts,
    ) -> _T:
        """Await ``async_fn(*args)`` and return what it returns.

        Cancellation: the function is cancelled; the watcher ends with the run.
        Raises:
          HangError: a limit was passed; what the function raised when it was
            cut, if anything, is the cause.
        """
        main = trio.lowlevel.current_task()
        trio.lowlevel.spawn_system_task(self._watch, main, order)
        try:
            with self._scope:
                result = await async_fn(*args)
                if self.hang is None:
                    return result
        except BaseException as error:
            if self.hang is None:
                raise
            raise self.hang from error
        assert self.hang is not None, "only the watcher cancels this scope"
        raise self.hang

    async def _watch(self, main: trio.lowlevel.Task, order: SeededOrder) -> None:
        reason = f"it was not done after {self._horizon:g} s of virtual time"
        with trio.move_on_after(self._horizon):
            await self._too_many_rounds.wait()
            reason = f"no end after {order.rounds:,} rounds of the scheduler"
        self.hang = HangError(reason, tuple(map(_stack, _tasks_below(main))))
        order.end_after(_ROUNDS_AFTER_CUT, self.hang)
        for _ in range(_MAX_CUTS):
            for task in _tasks_below(main):
                for scope in shields_of(task):
                    scope.shield = False
            self._scope.cancel()
            await trio.sleep(_GRACE)
        order.end_after(0, self.hang)


def _tasks_below(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    todo = [task]
    while todo:
        task = todo.pop()
        yield task
        children = [
            child for nursery in task.child_nurseries for child in nursery.child_tasks
        ]
        # Child tasks are a set of objects, ordered by address: names are not.
        todo.extend(sorted(children, key=lambda child: child.name, reverse=True))


def _stack(task: trio.lowlevel.Task) -> str:
    summary = traceback.StackSummary.extract(await_frames(task))
    lines = [
        f"    {Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}"
        for frame in summary
        if _TRIO_FOLDER not in Path(frame.filename).parents
    ]
    return "\n".join((f"  {task.name}", *lines))
