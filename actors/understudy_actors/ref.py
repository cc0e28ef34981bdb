"""The reference to an actor: what others hold, send to, and ask.

It owns the actor's inbox, so it can be handed out before the actor starts and
stays good while the actor is restarted; messages wait meanwhile.  A message
that cannot be delivered is a dead letter, never an exception that would crash
a sending actor, unless the sender asks for one.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Callable
from typing import Any, Generic, Never, TypeVar

import trio

from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.death_watch import DeathWatch
from understudy_actors.envelope import Address, Envelope, current_hand
from understudy_actors.inbox import Inbox
from understudy_actors.mailbox import Mailbox, Overflow
from understudy_actors.notices import NOTICES, Notice, Restarted, Terminated
from understudy_actors.occupant import Occupant
from understudy_actors.reply import Reply
from understudy_protocols.errors import (
    ActorStoppedError,
    AskRefusedError,
    AskTimeoutError,
    DeliveryError,
    MailboxFullError,
    SetupError,
)
from understudy_protocols.frozen import freeze
from understudy_protocols.frozen_types import admit

M_contra = TypeVar("M_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

DEFAULT_CAPACITY = 1000
"""Enough to ride out a burst; a line longer than this is a fault to be seen."""

DEFAULT_TIMEOUT = 30.0
"""No wait for another actor is without an end; seconds."""


class Ref(Address, Generic[M_contra, R_co]):
    """The address of one actor that takes *M* and answers asks with *R*.

    Args:
      path: its name in errors, dead letters and chains of asks.
      capacity: messages that may wait; 1 or more, or ``math.inf``.
      overflow: what happens to one more.
      dead_letters: where undeliverable messages go; one of its own by default.

    Attributes:
      heir: takes the messages that are left when the actor is gone for good,
        and returns those that it does not want.
    """

    __slots__ = (
        "_capacity",
        "_death_watch",
        "_home",
        "_inbox",
        "_occupant",
        "_overflow",
        "dead_letters",
        "heir",
    )

    def __init__(
        self,
        path: str,
        *,
        capacity: float = DEFAULT_CAPACITY,
        overflow: Overflow = Overflow.REJECT,
        dead_letters: DeadLetters | None = None,
    ) -> None:
        super().__init__(path)
        self.dead_letters = dead_letters or DeadLetters()
        self.heir: Callable[[list[Envelope]], list[Envelope]] | None = None
        self._capacity = capacity
        self._overflow = overflow
        self._occupant: Occupant | None = None
        self._home: str | None = None  # the path of the child that read it last
        self._death_watch: DeathWatch | None = None  # made when it is needed
        self._inbox = self._new_inbox()

    @property
    def queued(self) -> int:
        """Messages that nobody has begun to handle; a count."""
        return len(self._inbox)

    @property
    def load(self) -> int:
        """Messages that wait or are being handled; a count."""
        in_hand = self._occupant is not None and self._occupant.busy
        return len(self._inbox) + in_hand

    @property
    def closed(self) -> bool:
        """Whether the actor is gone for good, unless it is started by hand."""
        return self._inbox.mailbox.closed

    @property
    def running(self) -> bool:
        """Whether the actor has a life just now: not before its start, and not
        while it waits for its restart."""
        return self._occupant is not None

    @property
    def home(self) -> str | None:
        """The path of the child that reads it, or did last; None before its start."""
        return self._home

    def tell_nowait(
        self, message: M_contra, *, deadline: float = math.inf, strict: bool = False
    ) -> None:
        """Send *message* without waiting; no room is no room, even under BLOCK.

        Args:
          message: what to send; containers are frozen on the way.
          deadline: past it the message is not handled any more; on trio's clock.
          strict: raise if it cannot be delivered, instead of making it a dead
            letter.

        Raises:
          NotFrozenError: some part of *message* can change.
          MailboxFullError, ActorStoppedError: only if *strict*.
        """
        envelope = self._envelope(message, deadline)
        try:
            self._inbox.mailbox.put_nowait(envelope)
        except DeliveryError as error:
            self._undelivered(envelope, error, strict)

    async def tell(
        self,
        message: M_contra,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        deadline: float = math.inf,
        strict: bool = False,
    ) -> None:
        """Send *message*; under BLOCK, wait for room.

        An actor never waits for room in its own mailbox: only it could make any.

        Args:
          message: what to send; containers are frozen on the way.
          timeout: how long to wait for room; seconds.
          deadline: past it the message is not handled any more; on trio's clock.
          strict: raise if it cannot be delivered, instead of making it a dead
            letter.

        Cancellation: the message was not sent.
        Raises:
          NotFrozenError: some part of *message* can change.
          MailboxFullError, ActorStoppedError: only if *strict*.
        """
        envelope = self._envelope(message, deadline)
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            await self._deliver(envelope, timeout)
        except DeliveryError as error:
            self._undelivered(envelope, error, strict)
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def ask(
        self,
        message: M_contra,
        timeout: float = DEFAULT_TIMEOUT,
        *,
        fail_fast: bool = False,
    ) -> R_co:
        """Send *message* and return the actor's answer.

        Args:
          message: what to send; containers are frozen on the way.
          timeout: how long to wait for room and the answer together; seconds.
            The deadline of the message in hand, if nearer, counts instead.
          fail_fast: raise at once if the actor is not `running`, instead of
            waiting for its restart.

        Cancellation: the message may have been sent; an answer is a dead letter.
        Raises:
          AskTimeoutError: no answer came in time.
          AskRefusedError: the actor asked waits, itself or through others, for
            the one that asks.
          ActorStoppedError: it is not there, or ended before it answered; then
            the cause of its end is ``__cause__``.  With *fail_fast* and the
            reason "not running" also if it is to be started again.
          MailboxFullError: there is no room, and the policy is not BLOCK.
          NotFrozenError: some part of *message* can change.
          Whatever the actor's handler raises and its `on_error` maps to RESUME.
        """
        hand = current_hand()
        chain = () if hand is None else hand.chain
        if self in chain:
            raise AskRefusedError((*(actor.path for actor in chain), self.path))
        now = trio.current_time()
        deadline, limit = now + timeout, "timeout"
        if hand is not None and hand.deadline < deadline:
            deadline, limit = hand.deadline, "deadline of the message in hand"
        await trio.lowlevel.checkpoint_if_cancelled()
        if fail_fast and not self.running:
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise ActorStoppedError(self.path, "not running")
        if deadline > now:
            sender = None if hand is None else hand.holder.path
            reply: Reply[Any] = Reply(self.path, sender, self.dead_letters)
            with trio.CancelScope(deadline=deadline):
                envelope = Envelope(
                    freeze(message, "message"),
                    contextvars.copy_context(),
                    sender,
                    reply,
                    chain,
                    deadline,
                )
                await self._deliver(envelope, math.inf)
                answer: R_co = await reply.wait()
                return answer
        raise AskTimeoutError(self.path, deadline - now, limit)

    # Watching

    def watch(self, other: Ref[Never, object], *, restarts: bool = False) -> None:
        """Have this actor notified of the end of *other*; see `Behaviour.notified`.

        Exactly one `Terminated` comes, however often it is asked for; at once if
        *other* is gone already.  A watch outlives the restarts of both.  Of its
        own end an actor is not told: nobody would be there.

        Args:
          restarts: whether to be told of each `Restarted` too.
        """
        if other.closed:
            self.notify(other._terminated("stopped", None))
        elif not self.closed and other is not self:
            self._watches().watch(other._watches(), restarts=restarts)

    def unwatch(self, other: Ref[Never, object]) -> None:
        """Watch *other* no more; a notice on its way still comes."""
        self._watches().unwatch(other._watches())

    def notify(self, notice: Notice) -> None:
        """Send a notice of the runtime's own, ahead of all messages.

        It is never dropped for want of room; if the actor is gone, it is a dead
        letter.
        """
        envelope = Envelope(notice, contextvars.Context())
        if self.closed:
            self.bury(envelope, "stopped")
        else:
            self._inbox.signal(envelope)

    def _watches(self) -> DeathWatch:
        if self._death_watch is None:
            self._death_watch = DeathWatch(self)
        return self._death_watch

    def _terminated(self, reason: str, cause: BaseException | None) -> Terminated:
        return Terminated(self, self._inbox.mailbox.reason or reason, cause)

    # What the actor's own shell uses

    def occupy(self, occupant: Occupant) -> Inbox[Envelope]:
        """Give *occupant* the inbox to read; opens it again if it was closed.

        Raises:
          SetupError: another child reads it.
        """
        if self._occupant is not None:
            if self._occupant.path != occupant.path:
                raise SetupError(
                    f"{occupant.path} cannot serve {self.path}: "
                    f"{self._occupant.path} does; give each actor a ref of its own"
                )
            # An earlier life of the same child that could not be cut.
            self._occupant.displace("stuck", None)
        self._occupant = occupant
        self._home = occupant.path
        if self.closed:
            self._inbox = self._new_inbox()
        return self._inbox

    def restarted(self, incarnation: int) -> None:
        """Tell those who watch for it that a later life is ready."""
        if self._death_watch is not None:
            self._death_watch.restarted(Restarted(self, incarnation))

    async def take_over(self, envelope: Envelope, timeout: float) -> None:
        """Take a message that another actor passes on; under BLOCK, wait for room.

        It stays what it was: its sender, its asker, its deadline.

        Args:
          timeout: how long to wait for room; seconds.

        Cancellation: it was not taken.
        """
        try:
            await self._deliver(envelope, timeout)
        except DeliveryError as error:
            self._undelivered(envelope, error, strict=False)

    def vacate(self, occupant: Occupant) -> None:
        """Note that *occupant* reads no more."""
        if self._occupant is occupant:
            self._occupant = None

    def retire(self, home: str, reason: str, cause: BaseException | None) -> int:
        """Close, as `close` does, because the child at *home* is started no more.

        Another child's inbox is left alone: *home* was refused it.
        """
        if self._home is not None and self._home != home:
            return 0
        if self._occupant is not None:  # it was cut, and has not ended yet
            self._occupant.displace("stuck", cause)
        return self.close(reason, cause)

    def put_back(self, envelope: Envelope, reason: str = "stopped") -> None:
        """Put *envelope* ahead of all messages; a dead letter if we are closed."""
        if self.closed:
            self.bury(envelope, reason)
        else:
            self._inbox.mailbox.put_front(envelope)

    def close(self, reason: str, cause: BaseException | None = None) -> int:
        """Take no more messages; those left are dead letters, in order.

        Args:
          reason: how the actor ended; in the errors of those who ask it.
          cause: the exception behind it.

        Returns:
          how many messages were left to nobody; a count, notices aside.
        """
        left = self._inbox.close(reason, cause)
        if left and self.heir is not None:
            left = self.heir(left)
        if self._occupant is not None:
            self._occupant.displace("stopped", cause)
        for envelope in left:
            self.bury(envelope, "stopped", stopped(self.path, reason, cause))
        if self._death_watch is not None:
            self._death_watch.terminated(self._terminated(reason, cause))
        return sum(type(envelope.message) not in NOTICES for envelope in left)

    def bury(
        self, envelope: Envelope, reason: str, error: BaseException | None = None
    ) -> None:
        """Make *envelope* a dead letter, and fail the ask behind it.

        Args:
          error: what the asker gets; by default, that the actor has stopped.
        """
        self.dead_letters.add(
            DeadLetter(envelope.message, self.path, reason, envelope.sender)
        )
        if envelope.reply is not None:
            envelope.reply.fail(error or ActorStoppedError(self.path, reason))

    async def _deliver(self, envelope: Envelope, timeout: float) -> None:
        mailbox = self._inbox.mailbox
        if mailbox.has_room or mailbox.overflow is not Overflow.BLOCK:
            mailbox.put_nowait(envelope)
            return
        hand = current_hand()
        if hand is None or hand.holder is not self:
            with trio.move_on_after(timeout):
                await mailbox.put(envelope)
                return
        raise MailboxFullError(self.path, mailbox.capacity)

    def _undelivered(
        self, envelope: Envelope, error: DeliveryError, strict: bool
    ) -> None:
        if strict:
            raise error
        full = isinstance(error, MailboxFullError)
        self.bury(envelope, "overflow" if full else "stopped", error)

    def _dropped(self, envelope: Envelope, reason: str) -> None:
        self.bury(envelope, reason, MailboxFullError(self.path, self._capacity))

    def _envelope(self, message: object, deadline: float) -> Envelope:
        hand = current_hand()
        sender = None if hand is None else hand.holder.path
        frozen = freeze(message, "message")
        context = contextvars.copy_context()
        return Envelope(frozen, context, sender, deadline=deadline)

    def _new_inbox(self) -> Inbox[Envelope]:
        return Inbox(Mailbox(self.path, self._capacity, self._overflow, self._dropped))


def stopped(path: str, reason: str, cause: BaseException | None) -> ActorStoppedError:
    """Return the error for those who wait for an actor that ended."""
    error = ActorStoppedError(path, reason)
    error.__cause__ = cause
    return error


# A ref may be sent in a message: that is how actors come to know each other.
admit(Ref)
