"""A worker of a step actor, and what it does with its messages."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import trio

from understudy_actors.stacks import stack_of
from understudy_actors.watchdog import Cut, Slot

M = TypeVar("M")


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

        What this raises before it was cut breaks the worker, at the expense of
        the step's restart budget.  The slot of *worker* is this function's to arm and to
        disarm.
        """
        ...

    def cut_off(self, message: M, reason: Cut, error: Exception | None) -> None:
        """The handler was cut before it was done.

        Args:
          error: what the handler's clean-up raised, if it raised.
        """
        ...

    def stuck(self, message: M | None, reason: Cut, stack: str) -> None:
        """The worker was cut and has not ended within the grace.

        Args:
          message: what it has in hand; None in `setup` and `teardown`.
          stack: where its task stands, innermost last.
        """
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
      lost: whether it was given up as stuck; it then ends by itself, unseen, and
        keeps the permit for a message in hand until it does.
      spent: set by a handler that left something behind in the worker's task,
        such as a context variable: the worker ends after this message.
      task: its trio task, once it has run.
      tearing_down: whether it is on its way out, with a bound of its own.
      tired: set by a handler that held everybody up: other tasks run before the
        worker's next message.
      wave: which wave of setups it belongs to, until it is set up.
    """

    __slots__ = (
        "_pool",
        "holds_permit",
        "lost",
        "message",
        "slot",
        "spent",
        "task",
        "tearing_down",
        "tired",
        "wave",
        "work",
    )

    def __init__(self, pool: Pool[M], work: Work[M]) -> None:
        self._pool = pool
        self.work: Work[M] = work
        self.slot: Slot = Slot(self._overdue)
        self.message: M | None = None
        self.holds_permit: bool = True
        self.lost: bool = False
        self.spent: bool = False
        self.task: trio.lowlevel.Task | None = None
        self.tearing_down: bool = False
        self.tired: bool = False
        self.wave: int | None = None

    def will_look(self) -> None:
        """Say that nothing is waited for any more before the handler returns.

        The worker then looks for the next message by itself, and so nobody is
        woken for one that the handler puts into its own mailbox.
        """
        self._pool.looking = True

    def lend_permit(self) -> None:
        """Let another message be handled while this one only waits."""
        if self.holds_permit:
            self.holds_permit = False
            self._pool.permit_freed()

    async def regain_permit(self) -> None:
        """Take the permit again, ahead of all messages not yet begun.

        Always a checkpoint.

        Cancellation: the permit was not taken.
        """
        await self._pool.regain(self)

    def leave_idle(self, _: object) -> trio.lowlevel.Abort:
        """Stop waiting to be woken: the worker was cancelled."""
        return self._pool.leave_idle(self)

    def stack(self) -> str:
        """Return where the worker's task stands, innermost last."""
        assert self.task is not None, "a worker that has not run is not stuck"
        return stack_of(self.task)

    def _overdue(self) -> None:
        self._pool.overdue(self)


class Pool(Protocol[M]):
    """What a worker asks of its step actor."""

    looking: bool

    def permit_freed(self) -> None: ...
    async def regain(self, worker: Worker[M]) -> None: ...
    def leave_idle(self, worker: Worker[M]) -> trio.lowlevel.Abort: ...
    def overdue(self, worker: Worker[M]) -> None: ...
