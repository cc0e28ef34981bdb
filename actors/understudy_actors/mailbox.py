"""The mailbox: the one place that knows how messages are carried.

It keeps the promises of a trio memory channel: FIFO among senders, a bound,
and an item that is either sent or not when its sender is cancelled.  It is not
made of one, since a message through a channel's own two calls costs as much as
all the rest of a step that does nothing (``benchmarks/``, the 50-run row).

Nobody ever waits in a receive: a parked receiver takes every message through
the scheduler, one pass each, while consumers that park by themselves and are
woken one at a time take message after message without a checkpoint.  So
reading is ``take_nowait``, and waking is the business of whoever owns the
mailbox, through ``on_ready``.

A mailbox belongs to an address, not to one life of the actor behind it: it
outlives restarts, and messages wait in it meanwhile.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, assert_never

import outcome
import trio

from understudy_protocols.errors import (
    ActorStoppedError,
    ConfigError,
    MailboxFullError,
)

T = TypeVar("T")

# Stands for the line of a mailbox that holds nothing, and can take nothing.  A
# deque of its own would be a tenth of an idle actor.
_NO_LINE: Final[deque[Any]] = deque(maxlen=0)


class Overflow(enum.Enum):
    """What a full mailbox does with one message more."""

    BLOCK = "block"
    """The sender waits for room, in line; ``put_nowait`` raises."""
    REJECT = "reject"
    """The sender gets a ``MailboxFullError``."""
    DROP_NEW = "drop_new"
    """The message that came is given up."""
    DROP_OLD = "drop_old"
    """The message that waited longest is given up."""


def _nobody_to_wake() -> None:
    return None


def _nobody_to_tell(_item: object, _reason: str) -> None:
    return None


class Mailbox(Generic[T]):
    """A bounded line of messages with a declared overflow policy.

    Args:
      address: whose mailbox it is; named in errors.
      capacity: messages it holds; 1 or more, or ``math.inf``.  Those put in
        front do not count.
      overflow: what happens to one more.
      on_dropped: called with a message that the policy gave up, and the reason;
        it must not raise.

    Attributes:
      on_ready: called after a message became available, for the owner to decide
        whom to wake.  It is not called again for a message that is left lying:
        a consumer that stops looking while there are some hands its turn on.
      overflows: how often the policy had to be applied; a count.
      waiting: the messages, in line.  Others may look whether there are any: that is
        done several times for each message.
    """

    __slots__ = (
        "_ahead",
        "_blocked",
        "_on_dropped",
        "_reason",
        "address",
        "capacity",
        "on_ready",
        "overflow",
        "overflows",
        "waiting",
    )

    def __init__(
        self,
        address: str,
        capacity: float,
        overflow: Overflow = Overflow.REJECT,
        on_dropped: Callable[[T, str], None] | None = None,
    ) -> None:
        if not (capacity == math.inf or (isinstance(capacity, int) and capacity >= 1)):
            raise ConfigError(
                f"the mailbox of {address} cannot hold {capacity!r} messages; "
                "give it a whole number from 1, or math.inf"
            )
        self.address: str = address
        self.capacity: float = capacity
        self.overflow: Overflow = overflow
        self.overflows: int = 0
        self.on_ready: Callable[[], None] = _nobody_to_wake
        self._on_dropped: Callable[[T, str], None] = on_dropped or _nobody_to_tell
        self._reason: str | None = None
        self.waiting: deque[T] = _NO_LINE
        # How many of the first items were put in front, and so do not count.
        self._ahead = 0
        # Senders that wait for room, in line, each with its item; made for the
        # first.  Nobody waits while there is room.
        self._blocked: dict[trio.lowlevel.Task, T] | None = None

    def put_nowait(self, item: T) -> None:
        """Put *item* behind all others, without waiting.

        Raises:
          MailboxFullError: there is no room, and the policy is to reject or to
            block.
          ActorStoppedError: the mailbox is closed.
        """
        if self._reason is not None:
            raise self._stopped()
        items = self.waiting
        if items is _NO_LINE:
            items = self.waiting = deque()
        if len(items) - self._ahead < self.capacity:
            items.append(item)
            self.on_ready()
        else:
            self._put_in_full(item)

    async def put(self, item: T) -> None:
        """Put *item* behind all others; under BLOCK, wait for room in line.

        Always a checkpoint.

        Cancellation: *item* was not sent.
        Raises:
          MailboxFullError: there is no room, and the policy is to reject.
          ActorStoppedError: the mailbox is closed, or was while we waited.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.overflow is not Overflow.BLOCK or self.has_room or self.closed:
            self.put_nowait(item)
            # The message is out of our hands: a Cancelled raised from here on
            # would say that it is not.
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        self.overflows += 1
        task = trio.lowlevel.current_task()
        if self._blocked is None:
            self._blocked = {}
        self._blocked[task] = item

        def abort(_: object) -> trio.lowlevel.Abort:
            assert self._blocked is not None, "this sender stands in it"
            del self._blocked[task]
            return trio.lowlevel.Abort.SUCCEEDED

        # Whoever takes a message moves this one in and goes on looking, so
        # there is nobody to wake when we come back.
        await trio.lowlevel.wait_task_rescheduled(abort)

    def put_front(self, item: T) -> None:
        """Put *item* ahead of all others; it is never refused for want of room.

        Raises:
          ActorStoppedError: the mailbox is closed.
        """
        if self._reason is not None:
            raise self._stopped()
        if self.waiting is _NO_LINE:
            self.waiting = deque()
        self.waiting.appendleft(item)
        self._ahead += 1
        self.on_ready()

    def take_nowait(self) -> T:
        """Take the first message; a blocked sender's then moves in.

        Raises:
          trio.WouldBlock: there is none, which a closed mailbox always says.
        """
        if not self.waiting:
            raise trio.WouldBlock
        item = self.waiting.popleft()
        if self._ahead:
            self._ahead -= 1
        if self._blocked and self.has_room:
            sender = next(iter(self._blocked))
            self.waiting.append(self._blocked.pop(sender))
            trio.lowlevel.reschedule(sender)
        return item

    def rest(self) -> None:
        """Let go of the room for messages, as nothing is in it; called when idle."""
        if not self.waiting:
            self.waiting = _NO_LINE

    def __len__(self) -> int:
        return len(self.waiting)

    @property
    def has_room(self) -> bool:
        """Whether one message more would be within the capacity."""
        return len(self.waiting) - self._ahead < self.capacity

    @property
    def blocked(self) -> int:
        """How many senders wait for room."""
        return len(self._blocked or ())

    @property
    def closed(self) -> bool:
        """Whether the mailbox takes no further message, ever."""
        return self._reason is not None

    @property
    def reason(self) -> str | None:
        """Why the mailbox was closed; None if it was not."""
        return self._reason

    def close(self, reason: str, cause: BaseException | None = None) -> list[T]:
        """Take no more messages, and return those that waited, in order.

        Senders that are blocked get an ActorStoppedError, *cause* behind it.
        Closing again returns nothing and leaves the first reason.
        """
        if self._reason is not None:
            return []
        self._reason = reason
        left = [*self.waiting]
        self.waiting = _NO_LINE
        self._ahead = 0
        blocked, self._blocked = self._blocked or (), None
        for sender in blocked:
            error = self._stopped()
            error.__cause__ = cause
            trio.lowlevel.reschedule(sender, outcome.Error(error))
        return left

    def _put_in_full(self, item: T) -> None:
        self.overflows += 1
        match self.overflow:
            case Overflow.BLOCK | Overflow.REJECT:
                raise MailboxFullError(self.address, self.capacity) from None
            case Overflow.DROP_NEW:
                self._on_dropped(item, "overflow")
            case Overflow.DROP_OLD:
                # What was put in front is older than its place says.
                oldest = self.waiting[self._ahead]
                del self.waiting[self._ahead]
                self.waiting.append(item)
                self.on_ready()
                self._on_dropped(oldest, "overflow")
            case _:
                assert_never(self.overflow)

    def _stopped(self) -> ActorStoppedError:
        return ActorStoppedError(self.address, self._reason or "stopped")
