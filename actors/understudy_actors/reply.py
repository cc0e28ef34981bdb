"""The one-shot cell behind an ask: one asker waits, one reply counts.

It is both the asker's place to wait and the address that the reply goes to.
When the asker leaves, the address is revoked: a reply that comes after that,
or after another one, is a dead letter and can satisfy no later ask.
"""

from __future__ import annotations

import enum
from typing import Generic, TypeVar, cast

import trio

from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_protocols.frozen import freeze
from understudy_protocols.frozen_types import admit

R = TypeVar("R")


class _State(enum.Enum):
    OPEN = "open"
    ANSWERED = "second_reply"
    REVOKED = "late_reply"


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
        "_dead_letters",
        "_debts",
        "_error",
        "_state",
        "_task",
        "_value",
    )

    def __init__(
        self, asked: str, asker: str | None, dead_letters: DeadLetters
    ) -> None:
        self._asked = asked
        self._asker = asker
        self._dead_letters = dead_letters
        self._debts: set[Reply[R]] | None = None
        self._error: BaseException | None = None
        self._state = _State.OPEN
        self._task: trio.lowlevel.Task | None = None
        self._value: object = None

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return self._state is _State.OPEN

    def send(self, value: R) -> None:
        """Answer; a dead letter if the asker has an answer or has left.

        Raises:
          NotFrozenError: *value* cannot be made immutable.
        """
        frozen = freeze(value, "reply")
        if self._state is _State.OPEN:
            self._value = frozen
            self._settle(_State.ANSWERED)
        else:
            to = self._asker or "an asker outside all actors"
            why = self._state.value
            self._dead_letters.add(DeadLetter(frozen, to, why, self._asked))

    def fail(self, error: BaseException) -> None:
        """Make the ask raise *error*; nothing happens if nobody waits."""
        if self._state is _State.OPEN:
            self._error = error
            self._settle(_State.ANSWERED)

    def owed(self, debts: set[Reply[R]]) -> None:
        """Stand in *debts* until settled, for whoever must not forget it."""
        if self._state is _State.OPEN:
            self._debts = debts
            debts.add(self)

    async def wait(self) -> R:
        """Return the answer; always a checkpoint.

        Cancellation: the address is revoked; the message stays sent.
        Raises:
          ActorStoppedError: the actor ended before it answered.
          Whatever the actor answers by `fail`.
        """
        if self._state is _State.OPEN:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._leave)
        else:
            await trio.lowlevel.checkpoint()
        if self._error is not None:
            raise self._error
        return cast("R", self._value)

    @trio.lowlevel.enable_ki_protection
    def _settle(self, state: _State) -> None:
        self._state = state
        if self._debts is not None:
            self._debts.discard(self)
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def _leave(self, _: object) -> trio.lowlevel.Abort:
        # Revoked here, not when the asker runs again: in between, a reply
        # would wake a task that is no longer parked.
        self._task = None
        self._settle(_State.REVOKED)
        return trio.lowlevel.Abort.SUCCEEDED


# A reply address may be handed on in a message, to whoever can answer.
admit(Reply)
