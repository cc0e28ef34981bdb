"""A step actor with work that the test writes, in a real system."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from understudy_actors.mailbox import Mailbox
from understudy_actors.restart_window import RestartWindow
from understudy_actors.step_actor import StepActor
from understudy_actors.system import ActorSystem
from understudy_actors.watchdog import Cut, Watchdog
from understudy_actors.worker import Worker
from understudy_protocols.supervision import (
    ChildSpec,
    Life,
    Restart,
    Strategy,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import SupervisionEvent

Handler = Callable[[object, Worker[object]], Awaitable[None]]
GRACE = 1.0


async def nothing() -> None:
    """Do nothing; no checkpoint."""


async def let_out_cancelled() -> trio.Cancelled:
    """Return a Cancelled whose scope is over: nobody is there to catch it."""
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            return error
    raise AssertionError("a cancelled scope cancels")


class Bench:
    """What the workers did.

    Attributes:
      handler: what they do with a message.
      timeout: how long each message may take; seconds.
      log: ("cut", message, reason), ("stuck", ...), ("broken", ...), in order.
      lives: how many workers were made.
      errors: what the actor itself ended with.
    """

    def __init__(self, handler: Handler, *, stateful: bool = False) -> None:
        self.handler = handler
        self.timeout = 1e9
        self.stateful = stateful
        self.setup: Callable[[], Awaitable[None]] = nothing
        self.teardown: Callable[[], Awaitable[None]] = nothing
        self.log: list[tuple[object, ...]] = []
        self.lives = 0
        self.errors: list[BaseException] = []
        self.events: list[SupervisionEvent] = []
        self.mailbox: Mailbox[object] = Mailbox("bench", 100_000)
        self.dog = Watchdog(trio.current_time, GRACE)
        self.actor: StepActor[object]
        self.system: ActorSystem

    def make_work(self) -> BenchWork:
        self.lives += 1
        return BenchWork(self)

    @asynccontextmanager
    async def running(
        self, *, max_concurrent: int = 1, intensity: int = 3
    ) -> AsyncGenerator[None]:
        """Serve for the length of a block."""

        async def serve(life: Life) -> None:
            self.actor = StepActor(
                life.path,
                self.mailbox,
                self.make_work,
                max_concurrent=max_concurrent,
                window=RestartWindow(intensity, 5.0),
                watchdog=self.dog,
                nursery=self.system.nursery,
            )
            try:
                await self.actor.run(life)
            except BaseException as error:
                self.errors.append(error)
                raise

        spec = SupervisorSpec(
            (
                ChildSpec("dog", self.dog.run),
                ChildSpec("step", serve, restart=Restart.TEMPORARY),
            ),
            strategy=Strategy.REST_FOR_ONE,
        )
        self.system = ActorSystem(spec, on_event=self.events.append)
        async with self.system:
            yield

    def workers(self) -> int:
        """Worker tasks that exist just now."""
        tasks = self.system.nursery.child_tasks
        return sum("_work" in task.name for task in tasks)


class BenchWork:
    """The work of one worker of a bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    @property
    def stateful(self) -> bool:
        return self.bench.stateful

    async def setup(self) -> None:
        await self.bench.setup()

    async def handle(self, message: object, worker: Worker[object]) -> None:
        bench = self.bench
        bench.dog.arm(worker.slot, trio.current_time() + bench.timeout)
        await bench.handler(message, worker)
        worker.slot.deadline = float("inf")

    def cut_off(self, message: object, reason: Cut, error: Exception | None) -> None:
        self.bench.log.append(("cut", message, reason, error))

    def stuck(self, message: object, reason: Cut, stack: str) -> None:
        self.bench.log.append(("stuck", message, reason, stack))

    def broken(self, message: object, error: BaseException) -> None:
        self.bench.log.append(("broken", message, error))

    async def teardown(self) -> None:
        await self.bench.teardown()
