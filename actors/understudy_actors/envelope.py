"""What travels with a message, and what is known of the one in hand.

The context variables of the sender travel too, so a handler logs under the
trace of whoever sent the message, and not of whoever started the actor.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

import msgspec

from understudy_actors.reply import Reply

T = TypeVar("T")


class Address:
    """Where messages are sent.  One object for one actor: equal means the same.

    Attributes:
      path: its name, for people and errors.
    """

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"


class Envelope(msgspec.Struct, frozen=True, eq=False):
    """A message under way.

    Attributes:
      message: the payload, deeply immutable.
      context: the sender's context variables when it was sent.
      sender: the path of the actor that sent it; None if no actor did.
      reply: where the answer goes; None for a tell.
      chain: the actors that wait until this message is answered.
      deadline: past it the message is not handled any more; on trio's clock.
      crashes: how many lives of the actor ended with it in hand; a count, or
        infinite if it must not be handed to another life.
    """

    message: object
    context: contextvars.Context
    sender: str | None = None
    reply: Reply[Any] | None = None
    chain: tuple[Address, ...] = ()
    deadline: float = math.inf
    crashes: float = 0


class Hand:
    """The message that the running code is handling, as asks need to know it.

    Attributes:
      holder: the actor whose handler runs.
      over: whether the handler has returned.  Tasks that it started elsewhere
        inherit this object, and are not the handler any more.
    """

    __slots__ = ("_envelope", "holder", "over")

    def __init__(self, holder: Address, envelope: Envelope) -> None:
        self.holder = holder
        self.over = False
        self._envelope = envelope

    @property
    def chain(self) -> tuple[Address, ...]:
        """The actors that wait until the handler returns, holder included."""
        return (*self._envelope.chain, self.holder)

    @property
    def deadline(self) -> float:
        """The message's; on trio's clock."""
        return self._envelope.deadline


_NOTHING = Envelope(None, contextvars.Context())
"""What is in hand while no message is."""

_hand: contextvars.ContextVar[Hand | None] = contextvars.ContextVar(
    "understudy_hand", default=None
)


def current_hand() -> Hand | None:
    """Return what the running code has in hand; None outside all handlers."""
    hand = _hand.get()
    return None if hand is None or hand.over else hand


@contextlib.contextmanager
def in_hand(holder: Address) -> Generator[None]:
    """Let what *holder* does in this block be known as its own, as in a handler."""
    hand = Hand(holder, _NOTHING)
    token = _hand.set(hand)
    try:
        yield
    finally:
        hand.over = True
        _hand.reset(token)


@types.coroutine
def carry(
    envelope: Envelope, hand: Hand, driven: Coroutine[Any, Any, T]
) -> Generator[Any, Any, T]:
    """Run *driven* under the context variables that came with *envelope*.

    Each try runs in a copy of them: what it sets is not seen by the next.  The
    steps of *driven* are made here, inside that copy; its traps go on to trio.
    """
    context = envelope.context.copy()
    context.run(_hand.set, hand)
    try:
        trap = context.run(driven.send, None)
        while True:
            try:
                value = yield trap
            except BaseException as error:  # noqa: BLE001 # raised again, inside driven
                trap = context.run(driven.throw, error)
            else:
                trap = context.run(driven.send, value)
    except StopIteration as stop:
        result: T = stop.value
        return result
