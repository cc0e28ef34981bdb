"""The step actor: one mailbox and up to so many workers.

The step owns the mailbox and supervises its workers; each *worker* is the
actor in the strict sense: one message at a time, its own setup and teardown,
replaced alone when it breaks.  Concurrency is a count of permits, not of
tasks.  A put wakes one idle worker, or starts one if a permit is free, and
only one wake-up is under way at a time: the worker that takes a message and
leaves others behind wakes the next.  On the path of a message there is no
nursery, no cancel scope and no extra task, and no checkpoint while messages
are ready.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import trio
from understudy_protocols.errors import RestartIntensityError
from understudy_protocols.supervision import Life

from understudy_actors.mailbox import Mailbox
from understudy_actors.restart_window import RestartWindow
from understudy_actors.watchdog import Cut, Slot, Watchdog

M = TypeVar("M")

FAIRNESS_QUANTUM = 64
"""Messages handled in a row before a worker lets other tasks run."""

MAX_IDLE = 8
"""Idle workers kept for the next burst; further ones end."""


class Work(Protocol[M]):
    """What the workers of a step actor do with its messages.

    A step without state hands the same object to all its workers.
    """

    @property
    def stateful(self) -> bool:
        """Whether `setup` and `teardown` have anything to do."""
        ...

    async def setup(self) -> None:
        """Get ready; runs once in each worker, before its first message."""
        ...

    async def handle(self, message: M, worker: Worker[M]) -> None:
        """Deal with one message, its failures included.

        Whatever this raises breaks the worker, at the expense of the step's
        restart budget.  The slot of *worker* is this function's to arm and to
        disarm.
        """
        ...

    def cut_off(self, message: M, reason: Cut, error: Exception | None) -> None:
        """The handler was cut before it was done.

        Args:
          error: what the handler's clean-up raised, if it raised.
        """
        ...

    def stuck(self, message: M, reason: Cut) -> None:
        """The handler was cut and has not ended within the grace."""
        ...

    def broken(self, message: M, error: BaseException) -> None:
        """The worker broke with this message in hand."""
        ...

    async def teardown(self) -> None:
        """Let go of what `setup` took; runs once in each worker."""
        ...


class Worker(Generic[M]):
    """One worker of a step actor, as its handler sees it.

    Attributes:
      slot: where its deadline stands.
      message: what it has in hand; None between messages.
      holds_permit: whether it counts against the step's limit just now.
      lost: whether it was given up as stuck; it then ends by itself, unseen.
      spent: set by a handler that left something behind in the worker's task,
        such as a context variable: the worker ends after this message.
      task: its trio task, once it has run.
    """

    __slots__ = (
        "_pool",
        "holds_permit",
        "lost",
        "message",
        "slot",
        "spent",
        "task",
        "work",
    )

    def __init__(self, pool: _Pool[M], work: Work[M]) -> None:
        self._pool = pool
        self.work = work
        self.slot = Slot(self._overdue)
        self.message: M | None = None
        self.holds_permit = True
        self.lost = False
        self.spent = False
        self.task: trio.lowlevel.Task | None = None

    def lend_permit(self) -> None:
        """Let another message be handled while this one only waits."""
        if self.holds_permit:
            self.holds_permit = False
            self._pool.permit_freed()

    async def regain_permit(self) -> None:
        """Take the permit again, ahead of all messages not yet begun.

        Cancellation: the permit was not taken.
        """
        if not self.holds_permit:
            await self._pool.regain(self)

    def leave_idle(self, _: object) -> trio.lowlevel.Abort:
        """Stop waiting to be woken: the worker was cancelled."""
        return self._pool.leave_idle(self)

    def _overdue(self) -> None:
        self._pool.overdue(self)


class _Pool(Protocol[M]):
    """What a worker asks of its step actor."""

    def permit_freed(self) -> None: ...
    async def regain(self, worker: Worker[M]) -> None: ...
    def leave_idle(self, worker: Worker[M]) -> trio.lowlevel.Abort: ...
    def overdue(self, worker: Worker[M]) -> None: ...


class StepActor(Generic[M]):
    """A supervised pool of workers on one mailbox.

    Args:
      path: the actor's path in the tree, for errors.
      mailbox: where messages come from; its `on_ready` hook is taken over.
      make_work: gives each new worker its `Work`.
      max_concurrent: the most messages in hand at once; a count, 1 or more.
      window: the replacements of broken workers that are allowed.
      watchdog: keeps the workers' deadlines.
      nursery: where worker tasks live.
    """

    def __init__(
        self,
        path: str,
        mailbox: Mailbox[M],
        make_work: Callable[[], Work[M]],
        *,
        max_concurrent: int,
        window: RestartWindow,
        watchdog: Watchdog,
        nursery: trio.Nursery,
    ) -> None:
        self.path = path
        self.mailbox = mailbox
        self.max_concurrent = max_concurrent
        self._make_work = make_work
        self._window = window
        self._watchdog = watchdog
        self._nursery = nursery
        self._context = contextvars.copy_context()
        # Invariant: busy is the number of workers with holds_permit, and at
        # most max_concurrent unless that was lowered while they worked.
        self._busy = 0
        self._waking = False
        self._serving = False
        self._idle: list[Worker[M]] = []
        self._returning: deque[Worker[M]] = deque()
        self._workers: dict[Worker[M], None] = {}
        self._failure: BaseException | None = None
        self._changed = trio.Event()
        mailbox.on_ready = self._wake

    @property
    def busy(self) -> int:
        """Workers that hold a permit."""
        return self._busy

    async def run(self, life: Life) -> None:
        """Serve until asked to stop or until too many workers broke.

        Raises:
          RestartIntensityError: more workers broke than the window allows;
            the last one's error is ``__cause__``.
        """
        self._failure = None
        self._serving = True
        life.on_stop(self._stop)
        life.ready()
        self._wake()
        try:
            while self._serving or self._workers:
                self._changed = trio.Event()
                await self._changed.wait()
        finally:
            self._stop()
        if self._failure is not None:
            raise self._failure

    # --- permits -----------------------------------------------------------

    def permit_freed(self) -> None:
        """Give a free permit to a waiting worker, or to the next message."""
        self._busy -= 1
        if self._returning:
            self._grant(self._returning.popleft())
        elif len(self.mailbox):
            self._wake()

    async def regain(self, worker: Worker[M]) -> None:
        """See `Worker.regain_permit`."""
        if self._busy < self.max_concurrent and not self._returning:
            self._busy += 1
            worker.holds_permit = True
            await trio.lowlevel.checkpoint()
            return
        self._returning.append(worker)

        def abort(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self._returning.remove(worker)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _grant(self, worker: Worker[M]) -> None:
        self._busy += 1
        worker.holds_permit = True
        assert worker.task is not None, "only a running worker waits for a permit"
        trio.lowlevel.reschedule(worker.task)

    def _wake(self) -> None:
        if self._waking or not self._serving or self._busy >= self.max_concurrent:
            return
        if self._idle:
            self._waking = True
            self._grant(self._idle.pop())
        elif len(self.mailbox):
            self._waking = True
            self._busy += 1
            worker = Worker(self, self._make_work())
            self._workers[worker] = None
            # The new task must not inherit the context of whoever sent this.
            self._context.run(self._nursery.start_soon, self._work, worker)

    # --- one worker --------------------------------------------------------

    async def _work(self, worker: Worker[M]) -> None:
        worker.task = trio.lowlevel.current_task()
        work = worker.work
        try:
            if work.stateful:
                with worker.slot.renew():
                    await work.setup()
            while await self._serve(worker, work):
                pass
        except Exception as error:  # noqa: BLE001 - a behaviour failed: classified
            self._broken(worker, work, error)
        except trio.Cancelled as error:
            # Nobody here cancelled it, so the step let one out of its scope.
            self._broken(worker, work, error)
        except BaseException as error:
            self._broken(worker, work, error)
            self._fail(error)
        try:
            if work.stateful:
                with worker.slot.renew():
                    worker.slot.deadline = self._watchdog.now() + self._watchdog.grace
                    self._watchdog.push(worker.slot)
                    await work.teardown()
        except Exception as error:  # noqa: BLE001 - a behaviour failed: classified
            self._count_breakage(error)
        finally:
            self._gone(worker)

    async def _serve(self, worker: Worker[M], work: Work[M]) -> bool:
        """Handle messages inside one scope; whether another scope should follow."""
        slot, mailbox = worker.slot, self.mailbox
        handled = 0
        with slot.renew():
            self._waking = False
            while True:
                if not (
                    len(mailbox)
                    and worker.holds_permit
                    and not self._returning
                    and self._busy <= self.max_concurrent
                ):
                    if not self._may_idle(worker):
                        return False
                    self._idle.append(worker)
                    await trio.lowlevel.wait_task_rescheduled(worker.leave_idle)
                    handled = 0
                    self._waking = False
                    continue
                message = worker.message = mailbox.take_nowait()
                if not self._waking and len(mailbox):
                    self._wake()
                try:
                    await work.handle(message, worker)
                except Exception as error:
                    if slot.fired is None:
                        raise
                    # Its clean-up failed after the cut: the cut is the reason.
                    self._after_cut(worker, work, error)
                    return self._serving and not worker.lost
                worker.message = None
                if slot.fired is not None or worker.spent:
                    return self._serving and not worker.lost and not worker.spent
                handled += 1
                if handled == FAIRNESS_QUANTUM:
                    handled = 0
                    await trio.lowlevel.checkpoint()
        self._after_cut(worker, work, None)
        return self._serving and not worker.lost

    def _after_cut(
        self, worker: Worker[M], work: Work[M], error: Exception | None
    ) -> None:
        message, worker.message = worker.message, None
        if message is not None and not worker.lost:
            reason = worker.slot.fired
            assert reason is not None, "only a fired slot cancels a worker's scope"
            work.cut_off(message, reason, error)

    def _may_idle(self, worker: Worker[M]) -> bool:
        """Give the permit back; False if the worker should end instead of wait."""
        if worker.holds_permit:
            worker.holds_permit = False
            self.permit_freed()
        return self._serving and not worker.lost and len(self._idle) < MAX_IDLE

    def leave_idle(self, worker: Worker[M]) -> trio.lowlevel.Abort:
        """A worker that waits to be woken is cancelled instead."""
        self._idle.remove(worker)
        return trio.lowlevel.Abort.SUCCEEDED

    # --- ends --------------------------------------------------------------

    def _gone(self, worker: Worker[M]) -> None:
        if worker.lost:
            return
        self._workers.pop(worker, None)
        if worker.holds_permit:
            worker.holds_permit = False
            self.permit_freed()
        self._changed.set()

    def _broken(self, worker: Worker[M], work: Work[M], error: BaseException) -> None:
        self._waking = False
        if worker.lost:
            return
        message, worker.message = worker.message, None
        self._count_breakage(error)
        if message is not None:
            work.broken(message, error)

    def overdue(self, worker: Worker[M]) -> None:
        """Go on without a worker that does not end."""
        self._workers.pop(worker, None)
        worker.lost = True
        message, worker.message = worker.message, None
        reason = worker.slot.fired
        if message is not None and reason is not None:
            worker.work.stuck(message, reason)
            self._count_breakage(TimeoutError(f"a worker of {self.path} is stuck"))
        if worker.holds_permit:
            worker.holds_permit = False
            self.permit_freed()
        self._changed.set()

    def _count_breakage(self, error: BaseException) -> None:
        self._window = self._window.after_restart(self._watchdog.now())
        if self._window.exceeded:
            failure = RestartIntensityError(
                self.path, self._window.intensity, self._window.period
            )
            failure.__cause__ = error
            self._fail(failure)

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self._stop()

    def _stop(self) -> None:
        self._serving = False
        for worker in tuple(self._workers):
            worker.slot.cut(Cut.STOPPED, self._watchdog)
        self._changed.set()
