"""What one life of an actor has to account for: messages in hand and aside, and debts.

However the life ends, each of them is answered, handed to the next life, or made
a dead letter; nobody waits for it any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from understudy_actors.behaviour import Answer, Conduct
from understudy_actors.envelope import Envelope
from understudy_actors.incarnation import Incarnation
from understudy_actors.notices import NOTICES
from understudy_actors.ref import Ref, stopped
from understudy_actors.reply import Reply
from understudy_protocols.errors import (
    SetupError,
    StashFullError,
    UnhandledMessageError,
)
from understudy_protocols.supervision import Life

M = TypeVar("M")
R = TypeVar("R")


class Custody(Generic[M, R]):
    """The messages of one life, and the answers that it owes.

    Args:
      ref: the actor's address.
      conduct: what it does with a message that it crashed on, and with those aside.
      life: what its supervisor knows of it.
      on_unstash: told how many messages were taken back.

    Attributes:
      in_hand: not answered, passed on, or put aside yet; None if there is none.
      aside: those put aside, oldest first.
    """

    __slots__ = (
        "_conduct",
        "_debts",
        "_life",
        "_on_unstash",
        "_ref",
        "aside",
        "in_hand",
    )

    def __init__(
        self,
        ref: Ref[M, R],
        conduct: Conduct,
        life: Life,
        on_unstash: Callable[[int], None],
    ) -> None:
        self._ref = ref
        self._conduct = conduct
        self._life = life
        self._on_unstash = on_unstash
        self.in_hand: Envelope | None = None
        self.aside: list[Envelope] = []
        self._debts: set[Reply[R]] | None = None  # answers promised for later

    def settle(self, reason: str, cause: BaseException | None) -> None:
        """Leave nobody waiting for this life."""
        if self.in_hand is None and not (self.aside or self._debts):
            return
        self.account(reason, cause)
        for reply in tuple(self._debts or ()):
            reply.fail(stopped(self._ref.path, reason, cause))

    def answer(self, envelope: Envelope, answer: R | Answer) -> None:
        """Answer the message in hand, if it still is in hand.

        Args:
          envelope: which it was.
          answer: what the handler returned.
        """
        if self.in_hand is None:
            return  # passed on, or put aside
        reply: Reply[R] | None = envelope.reply
        if not isinstance(answer, Answer):
            if reply is not None:
                reply.send(answer)
        elif answer is Answer.UNHANDLED:
            kind = type(envelope.message).__qualname__
            unhandled = UnhandledMessageError(self._ref.path, kind)
            self._ref.bury(envelope, "unhandled", unhandled)
        elif reply is not None:
            if self._debts is None:
                self._debts = set()
            reply.owed(self._debts)
        self.in_hand = None

    def done(self) -> None:
        """The handler ended the actor in good order: its message is handled."""
        envelope, self.in_hand = self.in_hand, None
        if envelope is not None and envelope.reply is not None:
            envelope.reply.fail(stopped(self._ref.path, "stopped", None))

    def failed(self, error: Exception) -> bool:
        """Let the message have failed; False if it is not here any more.

        Then nobody would hear of the error.
        """
        envelope, self.in_hand = self.in_hand, None
        if envelope is None:
            return False
        if envelope.reply is not None and envelope.reply.wanted:
            envelope.reply.fail(error)
        else:
            self._ref.bury(envelope, "failed", error)
        return True

    def account(self, reason: str, cause: BaseException | None) -> None:
        """Hand what is ours to the next life, or make it a dead letter."""
        self.account_in_hand(reason, cause)
        aside, self.aside = self.aside, []
        if not aside:
            return
        if self._conduct.stash_survives:
            self._put_back(aside, reason)
        else:
            for envelope in aside:
                self._lose(envelope, reason, cause)

    def _put_back(self, envelopes: list[Envelope], reason: str) -> None:
        for envelope in reversed(envelopes):
            self._ref.put_back(envelope, reason)

    def account_in_hand(self, reason: str, cause: BaseException | None) -> None:
        """As `account`, of the message in hand alone."""
        envelope, self.in_hand = self.in_hand, None
        if envelope is None:
            return
        if envelope.crashes < self._conduct.redeliver:
            once_more = msgspec.structs.replace(envelope, crashes=envelope.crashes + 1)
            self._ref.put_back(once_more, reason)
        else:
            self._lose(envelope, reason, cause)
            if self._life.stopping and isinstance(self._life, Incarnation):
                self._life.system.left_undone(in_flight=1)

    def _lose(
        self, envelope: Envelope, reason: str, cause: BaseException | None
    ) -> None:
        asked = envelope.reply is not None
        error = stopped(self._ref.path, reason, cause) if asked else None
        self._ref.bury(envelope, reason, error)

    async def forward(self, to: tuple[Ref[M, R], ...], timeout: float) -> None:
        """See `Actor.forward`."""
        envelope = self._movable()
        for ref in to:
            await ref.take_over(envelope, timeout)
        self.in_hand = None

    def give_up(self, reason: str) -> None:
        """See `Actor.give_up`."""
        envelope = self._movable()
        self.in_hand = None
        self._ref.bury(envelope, reason)

    def stash(self) -> None:
        """See `Actor.stash`."""
        envelope = self._movable()
        if len(self.aside) >= self._conduct.stash_capacity:
            raise StashFullError(self._ref.path, self._conduct.stash_capacity)
        self.aside.append(envelope)
        self.in_hand = None

    def unstash_all(self) -> None:
        """See `Actor.unstash_all`."""
        aside, self.aside = self.aside, []
        self._on_unstash(len(aside))
        self._put_back(aside, "stopped")

    def _movable(self) -> Envelope:
        envelope = self.in_hand
        if envelope is None or type(envelope.message) in NOTICES:
            raise SetupError(
                f"{self._ref.path} has no message in hand that could be passed on or put "
                "aside: do it once, from `handle`"
            )
        return envelope
