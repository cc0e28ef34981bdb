"""The inbox of an actor with one consumer: two lanes, one place to wait.

The runtime's own messages have a lane to themselves: they are taken before any
other message, no bound or policy drops them, and a flood of user messages does
not delay them.  The consumer parks in one place for both lanes, and for being
told to stop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable
from typing import Generic, TypeVar

import trio

from understudy_actors.mailbox import Mailbox

T = TypeVar("T")


class Inbox(Generic[T]):
    """A mailbox with a lane for signals beside it, read by one task.

    Args:
      mailbox: for user messages; its `on_ready` hook is taken over.
    """

    __slots__ = ("_parked", "_signals", "mailbox")

    def __init__(self, mailbox: Mailbox[T]) -> None:
        self.mailbox = mailbox
        # Made for the first one, as few actors ever get any.
        self._signals: deque[T] | None = None
        self._parked: trio.lowlevel.Task | None = None
        mailbox.on_ready = self.wake

    def __len__(self) -> int:
        waiting = len(self.mailbox)
        return waiting + len(self._signals) if self._signals else waiting

    def signal(self, item: T) -> None:
        """Put *item* behind the signals and ahead of all user messages."""
        if self._signals is None:
            self._signals = deque()
        self._signals.append(item)
        self.wake()

    def take(self) -> T | None:
        """Take the first signal, or the first message; None if there is neither."""
        if self._signals:
            return self._signals.popleft()
        return self.mailbox.take_nowait() if len(self.mailbox) else None

    def close(self, reason: str, cause: BaseException | None = None) -> list[T]:
        """Close the mailbox, and return what is left of both lanes, in order."""
        signals, self._signals = self._signals or (), None
        return [*signals, *self.mailbox.close(reason, cause)]

    def wake(self) -> None:
        """Let the parked consumer look again; without one, do nothing."""
        task, self._parked = self._parked, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def park(self) -> Awaitable[object]:
        """Wait for `wake`; the caller has seen that there is nothing to take.

        Cancellation: nothing was taken.
        """
        assert self._parked is None, "an inbox has one consumer"
        self._parked = trio.lowlevel.current_task()
        self.mailbox.rest()
        wait = trio.lowlevel.wait_task_rescheduled
        return wait(self._leave)  # not awaited here: one frame less when idle

    def _leave(self, _: object) -> trio.lowlevel.Abort:
        self._parked = None
        return trio.lowlevel.Abort.SUCCEEDED
