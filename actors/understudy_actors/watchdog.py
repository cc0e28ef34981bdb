"""All deadlines and timers of one system, in one heap and one task.

A fresh cancel scope per message costs more than the message itself.  So each
worker keeps one standing scope and one `Slot`; arming a deadline is a store
into the slot, and only an *earlier* deadline than the one already queued has
to touch the heap.  Entries that turn out too early, because the deadline has
moved on or was disarmed since, are put right when their time comes.
"""

from __future__ import annotations

import enum
import heapq
import itertools
import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol

import trio

from understudy_protocols.supervision import Life

_NEVER = math.inf

_COMPACT_FROM = 1024
"""Below this many entries a heap is too small for dead ones to matter."""


class Cut(enum.Enum):
    """Why a worker's scope was cancelled."""

    TIMEOUT = "timeout"
    """The deadline in its slot passed."""
    CANCELLED = "cancelled"
    """The run that it worked for ended."""
    STOPPED = "stopped"
    """Its actor was told to stop at once."""


class Due(Protocol):
    """Something that waits in the heap of a `Watchdog`."""

    @property
    def dead(self) -> bool:
        """Whether nothing is to be done any more when its time comes."""
        ...

    def due(self, now: float, at: float, watchdog: Watchdog) -> None:
        """Act on an entry made for the time *at*, which has come."""
        ...


class Slot:
    """Where one worker's deadline stands.

    Attributes:
      deadline: when the worker is to be cut; seconds on the system's clock,
        infinite while nothing is in hand.
      queued: the time of this slot's live heap entry; infinite if none.  It is
        never later than `deadline`, so the watchdog always looks in time.
      fired: why the scope was cancelled, or None.  The worker leaves a fired
        scope before it takes another message.
      scope: the worker's standing scope.
      on_overdue: called when a cut worker is still there after the grace.
    """

    __slots__ = ("_shields", "deadline", "fired", "on_overdue", "queued", "scope")

    def __init__(self, on_overdue: Callable[[], None]) -> None:
        self.deadline: float = _NEVER
        self.queued: float = _NEVER
        self.fired: Cut | None = None
        self.scope: trio.CancelScope = trio.CancelScope(shield=True)
        self.on_overdue: Callable[[], None] = on_overdue
        self._shields: list[trio.CancelScope] = []

    def renew(self) -> trio.CancelScope:
        """Forget a fired scope and return a fresh one to enter."""
        self.fired = None
        self.deadline = _NEVER
        self.scope = trio.CancelScope(shield=True)
        return self.scope

    @contextmanager
    def shield(self) -> Generator[None]:
        """Shield a block from all scopes around it but this slot's own cut."""
        with trio.CancelScope(shield=True) as scope:
            self._shields.append(scope)
            try:
                yield
            finally:
                self._shields.remove(scope)

    def cut(self, reason: Cut, watchdog: Watchdog) -> None:
        """Cancel what is in hand, once; the grace begins now."""
        if self.fired is not None:
            return
        self.fired = reason
        self.scope.cancel(reason.value)
        for shield in self._shields:
            shield.cancel(reason.value)
        self.deadline = watchdog.now() + watchdog.grace
        if self.deadline < self.queued:
            watchdog.push(self)

    def retire(self, watchdog: Watchdog) -> None:
        """Let go of a worker that has ended; its heap entry may stay a while."""
        self.deadline = _NEVER
        self.on_overdue = _nothing_overdue
        if self.queued != _NEVER:
            watchdog.note_dead()

    @property
    def dead(self) -> bool:
        """Whether its worker has ended."""
        return self.on_overdue is _nothing_overdue

    def due(self, now: float, at: float, watchdog: Watchdog) -> None:
        """Cut the worker, or look again when its deadline really comes."""
        if at != self.queued:
            return  # an earlier entry has taken this one's place
        self.queued = _NEVER
        if self.dead:
            watchdog.note_gone()
        elif self.deadline > now:
            if self.deadline != _NEVER:
                watchdog.push(self)
        elif self.fired is None:
            self.cut(Cut.TIMEOUT, watchdog)
        else:
            self.deadline = _NEVER
            self.on_overdue()


def _nothing_overdue() -> None:
    """Stand in for the report of a worker that has ended."""


class Timer:
    """A call to be made at a time; made by `Watchdog.call_at`."""

    __slots__ = ("_call", "_watchdog")

    def __init__(self, call: Callable[[], None], watchdog: Watchdog) -> None:
        self._call: Callable[[], None] | None = call
        self._watchdog = watchdog

    def cancel(self) -> None:
        """Make sure that the call is not made; harmless if it already was."""
        if self._call is not None:
            self._call = None
            self._watchdog.note_dead()

    @property
    def dead(self) -> bool:
        """Whether the call was made or called off."""
        return self._call is None

    def due(self, now: float, at: float, watchdog: Watchdog) -> None:
        """Make the call, unless it was called off."""
        call, self._call = self._call, None
        if call is None:
            watchdog.note_gone()
        else:
            call()


class Watchdog:
    """One task that cuts what is overdue and makes calls that are due.

    Args:
      now: the system's clock; seconds.
      grace: how long a cut worker may take to clean up before it counts as
        stuck; seconds.
    """

    def __init__(self, now: Callable[[], float], grace: float) -> None:
        self.now = now
        self.grace = grace
        self._heap: list[tuple[float, int, Due]] = []
        self._ordinals = itertools.count()
        self._dead = 0
        self._wait: trio.CancelScope | None = None

    def __len__(self) -> int:
        return len(self._heap)

    def arm(self, slot: Slot, deadline: float) -> None:
        """Cut *slot*'s worker at *deadline*, unless it is moved or disarmed."""
        slot.deadline = deadline
        if deadline < slot.queued:
            self.push(slot)

    def push(self, slot: Slot) -> None:
        """Look at *slot* when its deadline comes; it is earlier than any queued."""
        slot.queued = slot.deadline
        self._add(slot.deadline, slot)

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        """Make *call* at *when*; it must be quick and must not raise."""
        timer = Timer(call, self)
        self._add(when, timer)
        return timer

    def note_dead(self) -> None:
        """Count an entry that is dead before its time, and sweep when most are."""
        self._dead += 1
        if self._dead * 2 > len(self._heap) >= _COMPACT_FROM:
            self._heap = [entry for entry in self._heap if not entry[2].dead]
            heapq.heapify(self._heap)
            self._dead = 0

    def note_gone(self) -> None:
        """A dead entry has left the heap by itself."""
        self._dead -= 1

    async def run(self, life: Life) -> None:
        """Serve until asked to stop; entries outlive a restart of this task."""
        stopping = False

        def stop() -> None:
            nonlocal stopping
            stopping = True
            if self._wait is not None:
                self._wait.cancel("ordered stop")

        life.on_stop(stop)
        life.ready()
        while not stopping:
            deadline = self._heap[0][0] if self._heap else _NEVER
            with trio.CancelScope(deadline=deadline) as self._wait:
                await trio.sleep_forever()
            self._wait = None
            if not stopping:
                self.fire()

    def fire(self) -> None:
        """Act on every entry whose time has come."""
        now = self.now()
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, target = heapq.heappop(heap)
            target.due(now, at, self)
            heap = self._heap  # a sweep may have replaced it

    def _add(self, when: float, target: Due) -> None:
        heapq.heappush(self._heap, (when, next(self._ordinals), target))
        if self._wait is not None and when < self._wait.deadline:
            self._wait.deadline = when
