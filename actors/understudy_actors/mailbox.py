"""The mailbox: the one place that knows how messages are carried.

The transport is a trio memory channel, for its FIFO senders, its bound and its
atomicity under cancellation.  Nobody ever waits in the channel's ``receive``:
a parked receiver takes every message through the scheduler, one pass each,
while consumers that park by themselves and are woken one at a time take
message after message without a checkpoint.  So reading is ``take_nowait``, and
waking is the business of whoever owns the mailbox, through ``on_ready``.

A mailbox belongs to an address, not to one life of the actor behind it: it
outlives restarts, and messages wait in it meanwhile.

Methods that change it are protected from Ctrl-C, which must not fall between a
message and its count; the protection costs nothing when they are called.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar, assert_never

import trio

from understudy_protocols.errors import (
    ActorStoppedError,
    ConfigError,
    MailboxFullError,
)

T = TypeVar("T")


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
      waiting: messages to be taken; a count, kept beside the channel because
        asking it for its statistics costs more than taking a message.
    """

    __slots__ = (
        "_front",
        "_give",
        "_on_dropped",
        "_putting",
        "_reason",
        "_receiver",
        "_sender",
        "_take",
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
        # With no receiver ever parked, a channel of capacity 0 could not pass
        # on a single message.
        if not (capacity == math.inf or (isinstance(capacity, int) and capacity >= 1)):
            raise ConfigError(
                f"the mailbox of {address} cannot hold {capacity!r} messages; "
                "give it a whole number from 1, or math.inf"
            )
        self.address = address
        self.capacity = capacity
        self.overflow = overflow
        self.overflows = 0
        self.waiting = 0
        self.on_ready: Callable[[], None] = _nobody_to_wake
        self._on_dropped: Callable[[T, str], None] = on_dropped or _nobody_to_tell
        self._front: deque[T] = deque()
        # How many `put` are, or were until a moment ago, in line for room.
        self._putting = 0
        self._reason: str | None = None
        self._sender, self._receiver = trio.open_memory_channel[T](capacity)
        self._give = self._sender.send_nowait
        self._take = self._receiver.receive_nowait

    @trio.lowlevel.enable_ki_protection
    def put_nowait(self, item: T) -> None:
        """Put *item* behind all others, without waiting.

        Raises:
          MailboxFullError: there is no room, and the policy is to reject or to
            block.
          ActorStoppedError: the mailbox is closed.
        """
        try:
            self._give(item)
        except trio.WouldBlock:
            self._put_in_full(item)
        except trio.ClosedResourceError:
            raise self._stopped() from None
        else:
            self.waiting += 1
            self.on_ready()

    @trio.lowlevel.enable_ki_protection
    async def put(self, item: T) -> None:
        """Put *item* behind all others; under BLOCK, wait for room in line.

        Always a checkpoint.

        Cancellation: *item* was not sent.
        Raises:
          MailboxFullError: there is no room, and the policy is to reject.
          ActorStoppedError: the mailbox is closed, or was while we waited.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.overflow is not Overflow.BLOCK or self.has_room:
            self.put_nowait(item)
            # The message is out of our hands: a Cancelled raised from here on
            # would say that it is not.
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        self.overflows += 1
        self._putting += 1
        try:
            # Whoever takes a message brings this one in, counts it, and goes
            # on looking: there is nobody to wake when we come back.
            await self._sender.send(item)
        except trio.ClosedResourceError:
            raise self._stopped() from None
        finally:
            self._putting -= 1

    @trio.lowlevel.enable_ki_protection
    def put_front(self, item: T) -> None:
        """Put *item* ahead of all others; it is never refused for want of room.

        Raises:
          ActorStoppedError: the mailbox is closed.
        """
        if self._reason is not None:
            raise self._stopped()
        self._front.appendleft(item)
        self.waiting += 1
        self.on_ready()

    @trio.lowlevel.enable_ki_protection
    def take_nowait(self) -> T:
        """Take the first message; a blocked sender's then moves in.

        Raises:
          trio.WouldBlock: there is none, which a closed mailbox always says.
        """
        if self._front:
            self.waiting -= 1
            return self._front.popleft()
        try:
            item = self._take()
        except trio.ClosedResourceError:
            raise trio.WouldBlock from None
        if self._putting:  # one of them may just have moved in
            self.waiting = self._sender.statistics().current_buffer_used
        else:
            self.waiting -= 1
        return item

    def __len__(self) -> int:
        return self.waiting

    @property
    def has_room(self) -> bool:
        """Whether one message more would be within the capacity."""
        return self._sender.statistics().current_buffer_used < self.capacity

    @property
    def blocked(self) -> int:
        """How many senders wait for room."""
        return self._sender.statistics().tasks_waiting_send

    @property
    @trio.lowlevel.enable_ki_protection
    def closed(self) -> bool:
        """Whether the mailbox takes no further message, ever."""
        return self._reason is not None

    def close(self, reason: str) -> list[T]:
        """Take no more messages, and return those that waited, in order.

        Senders that are blocked get an ActorStoppedError.  Closing again
        returns nothing and leaves the first reason.
        """
        if self._reason is not None:
            return []
        self._reason = reason
        # Senders first: draining would let the blocked ones in.  And drained
        # before the receiving end closes: trio then discards what is left.
        self._sender.close()
        left = [*self._front]
        self._front.clear()
        self.waiting = 0
        try:
            while True:
                left.append(self._take())
        except trio.EndOfChannel:
            self._receiver.close()
        return left

    def _put_in_full(self, item: T) -> None:
        self.overflows += 1
        match self.overflow:
            case Overflow.BLOCK | Overflow.REJECT:
                raise MailboxFullError(self.address, self.capacity) from None
            case Overflow.DROP_NEW:
                self._on_dropped(item, "overflow")
            case Overflow.DROP_OLD:
                oldest = self._take()
                self._give(item)
                self.on_ready()
                self._on_dropped(oldest, "overflow")
            case _:
                assert_never(self.overflow)

    def _stopped(self) -> ActorStoppedError:
        return ActorStoppedError(self.address, self._reason or "stopped")
