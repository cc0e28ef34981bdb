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
import math
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

from understudy_actors.breakages import Breakages
from understudy_actors.contexts import same_variables
from understudy_actors.exits import leaf
from understudy_actors.mailbox import Mailbox
from understudy_actors.restart_window import RestartWindow
from understudy_actors.setup_waves import SetupWaves
from understudy_actors.watchdog import Cut, Watchdog
from understudy_actors.worker import Work, Worker
from understudy_protocols.supervision import Life
from understudy_protocols.workload import Workload

M = TypeVar("M")

FAIRNESS_QUANTUM = 64
"""Messages handled in a row before a worker lets other tasks run."""

MAX_IDLE = 8
"""Idle workers kept for the next burst; further ones end."""

SETUP_TIMEOUT = 30.0
"""How long a worker may take to set up before it counts as broken; seconds."""


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

    Attributes:
      busy: workers that hold a permit; a count.
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
        self._watchdog = watchdog
        self._nursery = nursery
        self._context = contextvars.copy_context()
        # Invariant: busy is the number of workers with holds_permit, and at
        # most max_concurrent unless that was lowered while they worked.  A worker
        # that is stuck with a message counts until it ends: it is still at it.
        self.busy: int = 0
        self._waking: Worker[M] | None = None
        self.looking = False
        self._serving = False
        self._idle: list[Worker[M]] = []
        # Tasks that want their worker's permit back, in line.  Nobody waits
        # here while a permit is free.
        self._returning: dict[trio.lowlevel.Task, Worker[M]] = {}
        # Workers that are not ready yet; each will take a message.
        self._setting_up: set[Worker[M]] = set()
        self._waves = SetupWaves()
        self._workers: dict[Worker[M], None] = {}
        self._failure: BaseException | None = None
        self._breakages = Breakages(path, window)
        self._lost = 0  # workers that were left behind, and are at it still
        self._changed = trio.Event()
        mailbox.on_ready = self._wake

    def workload(self, limit: int | None) -> Workload:
        """Return what there is to do; *limit* is the one that the step declares."""
        return Workload(
            in_hand=self.busy,
            limit=limit,
            queued=len(self.mailbox),
            replaced=self._breakages.replaced,
            stuck=self._lost,
            due=None if self._workers else self._waves.due,
            down=self._failure is not None,
            cause=self._breakages.cause,
        )

    async def run(self, life: Life) -> None:
        """Serve until asked to stop or until too many workers broke.

        Raises:
          RestartIntensityError: more workers broke than the window allows;
            their errors are its ``causes``, and the last one is ``__cause__``.
        """
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
        self.busy -= 1
        if self._returning:
            self._give_back(next(iter(self._returning.values())))
        elif self.mailbox.waiting:
            self._wake()

    async def regain(self, worker: Worker[M]) -> None:
        """See `Worker.regain_permit`."""
        if worker.holds_permit:
            await trio.lowlevel.checkpoint()
        elif self.busy < self.max_concurrent and not self._returning:
            self.busy += 1
            worker.holds_permit = True
            await trio.lowlevel.checkpoint()
        else:
            # Not always the worker's own task: a step may have made others.
            task = trio.lowlevel.current_task()
            self._returning[task] = worker

            def abort(_: object) -> trio.lowlevel.Abort:
                del self._returning[task]
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(abort)

    def _give_back(self, worker: Worker[M]) -> None:
        self.busy += 1
        worker.holds_permit = True
        # One permit serves all tasks of the worker that wait for it.
        for task in [t for t, w in self._returning.items() if w is worker]:
            del self._returning[task]
            trio.lowlevel.reschedule(task)

    def _grant(self, worker: Worker[M]) -> None:
        self.busy += 1
        worker.holds_permit = True
        assert worker.task is not None, "only a running worker is idle"
        trio.lowlevel.reschedule(worker.task)

    def _wake(self) -> None:
        if (
            self._waking is not None
            or self.looking
            or not self._serving
            or self.busy >= self.max_concurrent
        ):
            return
        if self._idle:
            self._waking = self._idle.pop()
            self._grant(self._waking)
        elif len(self.mailbox) > len(self._setting_up) and self._waves.due is None:
            self.busy += 1
            worker = self._waking = Worker(self, self._make_work())
            self._workers[worker] = None
            if worker.work.stateful:
                worker.wave = self._waves.number
            # The new task must not inherit the context of whoever sent this.
            self._context.run(self._nursery.start_soon, self._work, worker)

    def _awake(self, worker: Worker[M]) -> None:
        """End the wake-up that is under way, if it is that of *worker*."""
        if self._waking is worker:
            self._waking = None

    # --- one worker --------------------------------------------------------

    async def _work(self, worker: Worker[M]) -> None:
        """Be a worker; nothing that its code raises reaches the nursery."""
        worker.task = trio.lowlevel.current_task()
        work = worker.work
        try:
            if work.stateful:
                await self._set_up(worker)
            while self._goes_on(worker) and await self._serve_on(worker, work):
                pass
        except BaseException as error:  # noqa: BLE001 - a behaviour failed: classified
            self._broken(worker, error)
        try:
            if work.stateful:
                await self._tear_down(worker)
        except BaseException as error:  # noqa: BLE001 - a behaviour failed: classified
            self._broken(worker, error)
        self._gone(worker)

    def _goes_on(self, worker: Worker[M]) -> bool:
        return self._serving and not (worker.lost or worker.spent)

    async def _set_up(self, worker: Worker[M]) -> None:
        # This may take long: the messages behind the first one do not wait for it.
        self._awake(worker)
        self._setting_up.add(worker)
        self._wake()
        try:
            await self._bounded(worker, worker.work.setup, SETUP_TIMEOUT)
        finally:
            self._setting_up.discard(worker)
        worker.wave = None
        self._waves.succeeded()

    async def _tear_down(self, worker: Worker[M]) -> None:
        worker.tearing_down = True
        await self._bounded(worker, worker.work.teardown, self._watchdog.grace)

    async def _bounded(
        self, worker: Worker[M], call: Callable[[], Awaitable[None]], timeout: float
    ) -> None:
        """Make a call that is cut after *timeout*, or when the actor is stopped.

        Raises:
          TimeoutError: it was cut for its time.
        """
        slot = worker.slot
        with slot.renew() as scope:
            self._watchdog.arm(slot, self._watchdog.now() + timeout)
            await call()
        slot.deadline = math.inf
        if scope.cancelled_caught and slot.fired is Cut.TIMEOUT:
            raise TimeoutError(f"a worker of {self.path} took over {timeout:g} s")

    async def _serve_on(self, worker: Worker[M], work: Work[M]) -> bool:
        """Serve within one scope; whether the worker should go on in another."""
        try:
            if not await self._serve(worker, work):
                return False
        except Exception as error:
            if worker.slot.fired is None:
                raise
            # Its clean-up failed after the cut: the cut is the reason.  Caught out
            # here, since the scope takes its Cancelled out of a group on the way.
            self.looking = False
            self._after_cut(worker, work, error)
        if not same_variables(contextvars.copy_context(), self._context):
            worker.spent = True
        return True

    async def _serve(self, worker: Worker[M], work: Work[M]) -> bool:
        """Handle messages until the scope is cut, or the worker should end (False)."""
        slot, mailbox = worker.slot, self.mailbox
        handled = 0
        with slot.renew():
            self._awake(worker)
            while True:
                if not (
                    mailbox.waiting
                    and worker.holds_permit
                    and not self._returning
                    and self.busy <= self.max_concurrent
                ):
                    if not self._may_idle(worker):
                        return False
                    self._idle.append(worker)
                    await trio.lowlevel.wait_task_rescheduled(worker.leave_idle)
                    handled = 0
                    self._awake(worker)
                    if not self._serving:
                        return False
                    continue
                message = worker.message = mailbox.take_nowait()
                if self._waking is None and mailbox.waiting:
                    self._wake()
                await work.handle(message, worker)
                self.looking = False
                worker.message = None
                if slot.fired is not None or worker.spent:
                    return True
                handled += 1
                if handled == FAIRNESS_QUANTUM or worker.tired:
                    handled = 0
                    worker.tired = False
                    await trio.lowlevel.checkpoint()
        self._after_cut(worker, work, None)
        return True

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
        # Else the watchdog would keep the worker until its last deadline.
        worker.slot.retire(self._watchdog)
        self.looking = False
        self._awake(worker)
        self._workers.pop(worker, None)
        self._lost -= worker.lost
        if worker.holds_permit:
            worker.holds_permit = False
            self.permit_freed()
        self._changed.set()

    def _broken(self, worker: Worker[M], error: BaseException) -> None:
        cause = leaf(error)
        self._awake(worker)
        if not worker.lost:
            message, worker.message = worker.message, None
            self._count(worker, cause)
            if message is not None:
                worker.work.broken(message, cause)
        # A Cancelled here is one that the step let out of a scope of its own.
        if not isinstance(cause, Exception | trio.Cancelled | BaseExceptionGroup):
            self._fail(cause)

    def overdue(self, worker: Worker[M]) -> None:
        """Go on without a worker that does not end; it has broken nothing yet."""
        if worker.lost:
            return
        self._workers.pop(worker, None)
        self._setting_up.discard(worker)
        worker.lost = True
        self._lost += 1
        message, worker.message = worker.message, None
        reason = worker.slot.fired
        if reason is not None:
            worker.work.stuck(message, reason, worker.stack())
        if message is None:
            self._count(worker, TimeoutError(f"a worker of {self.path} is stuck"))
            if worker.holds_permit:
                worker.holds_permit = False
                self.permit_freed()
        self._changed.set()

    def _count(self, worker: Worker[M], error: BaseException) -> None:
        """Count a worker that broke; after a failed setup, rest before the next."""
        wave, worker.wave = worker.wave, None
        if wave is not None:
            due = self._waves.failed(wave, self._watchdog.now())
            if due is None:
                return
            self._watchdog.call_at(due, self._rested)
        failure = self._breakages.add(error, self._watchdog.now())
        if failure is not None:
            self._fail(failure)

    def _rested(self) -> None:
        self._waves.due = None
        if self.mailbox.waiting:
            self._wake()

    def _fail(self, error: BaseException) -> None:
        if self._failure is None or not isinstance(error, Exception):
            self._failure = error
        self._stop()

    def _stop(self) -> None:
        """Cut what is in hand; teardowns that are under way have their own bound."""
        if self._serving:
            self._serving = False
            for worker in [w for w in self._workers if not w.tearing_down]:
                worker.slot.cut(Cut.STOPPED, self._watchdog)
        self._changed.set()
