"""What the runtime tells an actor by itself: notices, never queued behind messages."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from understudy_actors.envelope import Address


class Terminated(msgspec.Struct, frozen=True):
    """A watched actor is gone for good; told once, and the watch is over.

    Args:
      actor: the ref that was watched.
      reason: how it ended, as in `ActorStoppedError.reason`.
      cause: the exception behind it; None if there is none.
    """

    actor: Address
    reason: str
    cause: BaseException | None = None


class Restarted(msgspec.Struct, frozen=True):
    """A watched actor is ready again after a failure; told to those who asked for it.

    Args:
      actor: the ref that is watched.
      incarnation: the number of the life that is ready.
    """

    actor: Address
    incarnation: int


class ReceiveTimeout(msgspec.Struct, frozen=True):
    """Nothing has come in for the actor's `receive_timeout`."""


Notice: TypeAlias = Terminated | Restarted | ReceiveTimeout

NOTICES: frozenset[type] = frozenset({Terminated, Restarted, ReceiveTimeout})
"""The types of all notices, for a look-up that is quicker than `isinstance`."""
