"""The one-shot cell behind an ask: one asker waits, one reply counts.

It is both the asker's place to wait and the address that the reply goes to.
When the asker leaves, the address is revoked: a reply that comes after that,
or after another one, is a dead letter and can satisfy no later ask.
"""

from __future__ import annotations

from typing import Generic, TypeVar, cast

import trio

from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_protocols.frozen import freeze
from understudy_protocols.frozen_types import admit

R = TypeVar("R")


# What a reply is that comes too late, by why it does.
_ANSWERED = "second_reply"
_REVOKED = "late_reply"


class Reply(Generic[R]):
    """Where the answer to one ask goes.

    Args:
      asked: the path of the actor that was asked.
      asker: the path of the actor that asks; None if no actor does.
      dead_letters: gets replies that nobody waits for.
    """

    __slots__ = (
        "_asked",
        "_asker",
        "_closed",
        "_dead_letters",
        "_debts",
        "_error",
        "_task",
        "_value",
    )

    def __init__(
        self, asked: str, asker: str | None, dead_letters: DeadLetters
    ) -> None:
        self._asked = asked
        self._asker = asker
        self._dead_letters = dead_letters
        self._closed: str | None = None  # what a further reply would be
        self._debts: set[Reply[R]] | None = None
        self._error: BaseException | None = None
        self._task: trio.lowlevel.Task | None = None
        self._value: object = None

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return self._closed is None

    def send(self, value: R) -> None:
        """Answer; a dead letter if the asker has an answer or has left.

        Raises:
          NotFrozenError: *value* cannot be made immutable.
        """
        frozen = freeze(value, "reply")
        if self._closed is None:
            self._value = frozen
            self._settle(_ANSWERED)
        else:
            to = self._asker or "an asker outside all actors"
            letter = DeadLetter(frozen, to, self._closed, self._asked)
            self._dead_letters.add(letter)

    def fail(self, error: BaseException) -> None:
        """Make the ask raise *error*; nothing happens if nobody waits."""
        if self._closed is None:
            self._error = error
            self._settle(_ANSWERED)

    def owed(self, debts: set[Reply[R]]) -> None:
        """Stand in *debts* until settled, for whoever must not forget it."""
        if self._closed is None:
            self._debts = debts
            debts.add(self)

    async def wait(self) -> R:
        """Return the answer; always a checkpoint.

        Cancellation: the address is revoked; the message stays sent.
        Raises:
          ActorStoppedError: the actor ended before it answered.
          Whatever the actor answers by `fail`.
        """
        if self._closed is None:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._leave)
        else:
            await trio.lowlevel.checkpoint()
        if self._error is not None:
            raise self._error
        return cast("R", self._value)

    @trio.lowlevel.enable_ki_protection
    def _settle(self, closed: str) -> None:
        self._closed = closed
        if self._debts is not None:
            self._debts.discard(self)
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def _leave(self, _: object) -> trio.lowlevel.Abort:
        # Revoked here, not when the asker runs again: in between, a reply
        # would wake a task that is no longer parked.
        self._task = None
        self._settle(_REVOKED)
        return trio.lowlevel.Abort.SUCCEEDED


# A reply address may be handed on in a message, to whoever can answer.
admit(Reply)
