"""What an actor does, and how it is meant to take its failures."""

from __future__ import annotations

import abc
import enum
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic, Never, Protocol, TypeVar

import attrs
import trio

from understudy_actors.alarms import Alarm
from understudy_actors.notices import Notice
from understudy_actors.ref import DEFAULT_TIMEOUT, Ref
from understudy_actors.reply import Reply
from understudy_protocols.errors import ConfigError
from understudy_protocols.supervision import Exit, Life

M = TypeVar("M")
R = TypeVar("R")
M_co = TypeVar("M_co", covariant=True)
M_contra = TypeVar("M_contra", contravariant=True)
R_contra = TypeVar("R_contra", contravariant=True)


class Answer(enum.Enum):
    """What a handler returns when it has no answer to give."""

    LATER = "later"
    """`Actor.reply` is kept, here or elsewhere, and will be answered."""
    UNHANDLED = "unhandled"
    """The message is of a kind that this actor does not know."""


class OnError(enum.Enum):
    """What follows when a handler raises."""

    RESTART = "restart"
    """The actor is broken: its supervisor decides.  The default."""
    RESUME = "resume"
    """The message has failed, the actor has not: it takes the next one."""
    STOP = "stop"
    """The actor ends with kind SHUTDOWN."""
    ESCALATE = "escalate"
    """The actor's supervisor gives up."""


class OnStop(enum.Enum):
    """How an actor that is asked to stop ends its work."""

    DRAIN = "drain"
    """It handles what was queued when it was asked."""
    AFTER_CURRENT = "after_current"
    """It finishes the message in hand.  The default."""
    NOW = "now"
    """The handler is cancelled."""


class Messages(Protocol[M_co, R_contra]):
    """What an `Actor` can do with the message in hand, and with those put aside."""

    async def forward(
        self, to: tuple[Ref[M_co, R_contra], ...], timeout: float
    ) -> None: ...
    def give_up(self, reason: str) -> None: ...
    def stash(self) -> None: ...
    def unstash_all(self) -> None: ...


class Shell(Protocol[M_contra]):
    """What an `Actor` asks of the shell around its behaviour."""

    def order(
        self, message: M_contra, delay: float, interval: float | None
    ) -> Alarm: ...
    def expect_notices(self) -> None: ...


class Actor(Generic[M, R]):
    """One life of an actor, as its behaviour sees it.

    Attributes:
      ref: its own address.
      life: which life this is; it says whether the actor was asked to stop.
      sender: the path of the actor that sent the message in hand; None if no
        actor did.
      reply: where its answer goes; None for a tell.
      deadline: the message's; on trio's clock, infinite if it has none.
    """

    __slots__ = ("_messages", "_shell", "deadline", "life", "ref", "reply", "sender")

    def __init__(
        self, ref: Ref[M, R], life: Life, shell: Shell[M], messages: Messages[M, R]
    ) -> None:
        self.ref = ref
        self.life = life
        self.sender: str | None = None
        self.reply: Reply[R] | None = None
        self.deadline = math.inf
        self._shell = shell
        self._messages = messages

    # The message in hand

    async def forward(self, *to: Ref[M, R], timeout: float = DEFAULT_TIMEOUT) -> None:
        """Pass the message in hand on, as its sender sent it.

        It is the receiver's then: what the handler returns answers nothing.  Of
        several receivers the first answer counts.

        Args:
          to: who gets it; each in turn.  One that is gone, or has no room, makes
            a dead letter.
          timeout: how long to wait for room in each, under BLOCK; seconds.

        Cancellation: those before the one that is waited for have it.
        Raises:
          SetupError: there is no message in hand, or it was put aside.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        await self._messages.forward(to, timeout)
        # They have it: a Cancelled raised from here on would say that they do not.
        await trio.lowlevel.cancel_shielded_checkpoint()

    def give_up(self, reason: str) -> None:
        """Make the message in hand a dead letter; the asker gets the reason.

        Args:
          reason: why; a word or two, the same for all of a kind.

        Raises:
          SetupError: there is no message in hand.
        """
        self._messages.give_up(reason)

    def stash(self) -> None:
        """Put the message in hand aside, for `unstash_all`; the asker waits on.

        Raises:
          StashFullError: the `Conduct` allows no more; the message is in hand.
          SetupError: there is no message in hand, or it was passed on.
        """
        self._messages.stash()

    def unstash_all(self) -> None:
        """Take what was put aside back, ahead of all messages, in its old order."""
        self._messages.unstash_all()

    # Later

    def send_after(self, delay: float, message: M) -> Alarm:
        """Order *message* from oneself, once, after *delay* seconds.

        It comes ahead of all messages in the mailbox, and not at all if this
        life has ended by then, or was asked to stop.
        """
        return self._shell.order(message, delay, None)

    def send_every(self, interval: float, message: M) -> Alarm:
        """Order *message* from oneself every *interval* seconds; see `send_after`.

        The interval begins anew when the message has been handled: an actor that
        is slow gets fewer, and never a heap of them.
        """
        return self._shell.order(message, interval, interval)

    def watch(self, other: Ref[Never, object], *, restarts: bool = False) -> None:
        """Be notified of the end of *other*; see `Ref.watch`.

        Raises:
          SetupError: the behaviour has no `notified` of its own.
        """
        self._shell.expect_notices()
        self.ref.watch(other, restarts=restarts)

    def unwatch(self, other: Ref[Never, object]) -> None:
        """Watch *other* no more; see `Ref.unwatch`."""
        self.ref.unwatch(other)


class Behaviour(abc.ABC, Generic[M, R]):
    """What an actor does in one life; each life gets a new one."""

    async def setup(self, actor: Actor[M, R]) -> None:
        """Get ready; nothing is handled before this returns."""

    @abc.abstractmethod
    async def handle(self, message: M, actor: Actor[M, R]) -> R | Answer:
        """Deal with *message*, and return the answer if it was an ask.

        No other message is handled meanwhile.  What it raises goes by the
        actor's `on_error`; an ask gets the error too.  `Shutdown` ends the
        actor in good order.
        """

    async def notified(self, notice: Notice, actor: Actor[M, R]) -> None:
        """Take note of what the runtime says: see `Actor.watch` and `Conduct`.

        It runs as a handler does: alone, within its time, under `on_error`.
        """

    async def teardown(self, exit: Exit) -> None:  # noqa: A002 # the field's own word
        """Let go of what `setup` took; runs once if `setup` was done.

        It does not run if the actor is cut by force.

        Args:
          exit: how this life ended.
        """


_Rules = Mapping[type[Exception], OnError]


def _own(rules: _Rules) -> _Rules:
    return MappingProxyType(dict(rules))


_NO_RULES: _Rules = _own({})


def _may_cut(conduct: Conduct) -> bool:
    return conduct.handler_timeout < math.inf or conduct.on_stop is OnStop.NOW


@attrs.frozen(kw_only=True)
class Conduct:
    """How an actor takes errors, stops and overlong messages.

    Args:
      on_error: what follows an exception of each class; the nearest class of
        its ancestry counts.  RESTART for those not listed.
      on_stop: how it ends its work when asked to stop.
      redeliver: lives that one message may cost: after a crash it is handed to
        the next life, ahead of all others, until so many have ended with it in
        hand.  A count, or ``math.inf``; at 0 it is a dead letter at once.
      handler_timeout: how long one message may take; seconds, above 0.
      teardown_timeout: how long `teardown` may take; seconds, above 0.
      receive_timeout: after so long without a message `Behaviour.notified` gets
        a `ReceiveTimeout`, again and again; seconds, above 0.
      stash_capacity: messages that may be put aside; a count, 0 or more.
      stash_survives: whether they go to the next life, ahead of all others, or
        are dead letters with the life that put them aside.

    Attributes:
      cuts_handlers: whether a handler may be cancelled before it returns.

    Raises:
      ConfigError: a value that cannot be used.
    """

    on_error: _Rules = attrs.field(default=_NO_RULES, converter=_own)
    on_stop: OnStop = OnStop.AFTER_CURRENT
    redeliver: float = 0
    handler_timeout: float = math.inf
    teardown_timeout: float = 5.0
    receive_timeout: float = math.inf
    stash_capacity: float = 1000
    stash_survives: bool = True
    cuts_handlers: bool = attrs.field(
        default=attrs.Factory(_may_cut, takes_self=True),
        init=False,
        eq=False,
        repr=False,
    )

    def __attrs_post_init__(self) -> None:
        if not self.redeliver >= 0:
            raise ConfigError(
                f"redeliver must be a count from 0, or math.inf; got {self.redeliver!r}"
            )
        if not self.stash_capacity >= 0:
            raise ConfigError(
                "stash_capacity must be a count from 0, or math.inf; "
                f"got {self.stash_capacity!r}"
            )
        for name in ("handler_timeout", "teardown_timeout", "receive_timeout"):
            if not getattr(self, name) > 0:
                raise ConfigError(
                    f"{name} must be seconds above 0; got {getattr(self, name)!r}"
                )

    def after(self, error: BaseException) -> OnError:
        """Return what follows when a handler raised *error*."""
        if not self.on_error:
            return OnError.RESTART
        for cls in type(error).__mro__:
            if cls in self.on_error:
                return self.on_error[cls]
        return OnError.RESTART
