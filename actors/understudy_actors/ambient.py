"""What all actors of one system share: clock, randomness, ids, nursery, events.

It stands apart from ``system`` so that the parts which every system is made
of can name what they live in without knowing who builds it.
"""

from __future__ import annotations

import abc
import random
from collections.abc import Callable
from typing import Protocol

import trio

from understudy_actors.guarded import guarded
from understudy_actors.names import Names
from understudy_protocols.supervision_records import (
    StopReport,
    StuckChild,
    SupervisionEvent,
)


class LiveTask(Protocol):
    """What the system can do with a life without knowing more of it."""

    @property
    def path(self) -> str: ...
    @property
    def number(self) -> int: ...
    def kill(self) -> None: ...
    def stack(self) -> str: ...


class System(abc.ABC):
    """The surroundings of every actor in one system.

    Attributes:
      name: the root supervisor's path.
      nursery: every actor's task lives in it; it never sees an exception of one.
      random: the only source of randomness and ids.
      names: what its actors are called.
      kill_timeout: how long a cut task may take to end before it counts as
        stuck; seconds.
      lives: the lives that have not ended, in the order they began.
      tasks: whose life each task is; only tasks that run.
      observer_failures: how often the event observer raised; a count.
    """

    nursery: trio.Nursery

    def __init__(
        self,
        name: str,
        source: random.Random,
        kill_timeout: float,
        on_event: Callable[[SupervisionEvent], None] | None,
    ) -> None:
        self.name = name
        self.random = source
        self.names = Names()
        self.kill_timeout = kill_timeout
        self.lives: dict[LiveTask, None] = {}
        self.tasks: dict[trio.lowlevel.Task, LiveTask] = {}
        self.observer_failures = 0
        self._on_event = on_event
        self._in_flight = 0
        self._queued = 0
        self._stuck: dict[LiveTask, StuckChild] = {}
        self._joined: trio.Event | None = None

    def now(self) -> float:
        """Return the time on the clock of this run; seconds."""
        return trio.current_time()

    def new_id(self) -> str:
        """Return an id that no other call returns: 32 hexadecimal digits."""
        return f"{self.random.getrandbits(128):032x}"

    @property
    def observed(self) -> bool:
        """Whether anyone takes the events."""
        return self._on_event is not None

    def emit(self, event: SupervisionEvent) -> None:
        """Hand *event* to the observer; it cannot fail us."""
        observer = self._on_event
        if observer is not None and guarded(lambda: observer(event)) is not None:
            self.observer_failures += 1

    def left_undone(self, *, in_flight: int = 0, queued: int = 0) -> None:
        """Add to what the report of the stop says was left undone; counts."""
        self._in_flight += in_flight
        self._queued += queued

    def add_stuck(self, life: LiveTask) -> str:
        """Note that *life* was cut and has not ended; return where it stands."""
        stack = life.stack()
        self._stuck[life] = StuckChild(life.path, life.number, stack)
        return stack

    def forget(self, life: LiveTask) -> None:
        """Note that the task of *life* takes no further step."""
        del self.lives[life]
        del self.tasks[trio.lowlevel.current_task()]
        self._stuck.pop(life, None)
        if not self.lives and self._joined is not None:
            self._joined.set()

    async def join(self) -> None:
        """Return when no life is left.

        Cancellation: nothing is lost.
        """
        if self.lives:
            self._joined = trio.Event()
            await self._joined.wait()

    def report(self, *, complete: bool = True) -> StopReport:
        """Return what is left undone by now."""
        stuck = tuple(self._stuck.values())
        return StopReport(complete, stuck, self._in_flight, self._queued)

    def caller_is_below(self, path: str) -> bool:
        """Whether the current task is that of *path*, or of a life below it.

        Such a caller must not wait for the end of *path*: it would wait for
        its own.
        """
        task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        while task is not None:
            nursery = task.parent_nursery
            if nursery is self.nursery:
                life = self.tasks.get(task)
                # A task of the nursery that is no life is somewhere below the root.
                at = self.name if life is None else life.path
                return f"{at}/".startswith(f"{path}/")
            task = None if nursery is None else nursery.parent_task
        return False

    @abc.abstractmethod
    async def stop(self) -> StopReport:
        """Stop the whole tree in order."""
