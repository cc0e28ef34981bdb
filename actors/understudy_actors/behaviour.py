"""What an actor does, and how it is meant to take its failures."""

from __future__ import annotations

import abc
import enum
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

import attrs

from understudy_actors.ref import Ref
from understudy_actors.reply import Reply
from understudy_protocols.errors import ConfigError
from understudy_protocols.supervision import Exit, Life

M = TypeVar("M")
R = TypeVar("R")


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

    __slots__ = ("deadline", "life", "ref", "reply", "sender")

    def __init__(self, ref: Ref[M, R], life: Life) -> None:
        self.ref = ref
        self.life = life
        self.sender: str | None = None
        self.reply: Reply[R] | None = None
        self.deadline = math.inf


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

    Raises:
      ConfigError: a value that cannot be used.
    """

    on_error: _Rules = attrs.field(default=_NO_RULES, converter=_own)
    on_stop: OnStop = OnStop.AFTER_CURRENT
    redeliver: float = 0
    handler_timeout: float = math.inf
    teardown_timeout: float = 5.0

    def __attrs_post_init__(self) -> None:
        if not self.redeliver >= 0:
            raise ConfigError(
                f"redeliver must be a count from 0, or math.inf; got {self.redeliver!r}"
            )
        for name in ("handler_timeout", "teardown_timeout"):
            if not getattr(self, name) > 0:
                raise ConfigError(
                    f"{name} must be seconds above 0; got {getattr(self, name)!r}"
                )

    def after(self, error: BaseException) -> OnError:
        """Return what follows when a handler raised *error*."""
        for cls in type(error).__mro__:
            if cls in self.on_error:
                return self.on_error[cls]
        return OnError.RESTART
