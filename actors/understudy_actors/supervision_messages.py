"""What goes into a supervisor's core and what comes out: events and actions.

They are the only way in and out of ``supervision``, so a recorded list of
events is a full account of what a supervisor did, and why.  Structs of
msgspec: making one costs a fifth of an attrs class, and each restart makes
about ten.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from understudy_actors.lineage import Lineage
from understudy_protocols.supervision import (
    ChildKind,
    ChildSpec,
    Exit,
    Gone,
    Kill,
    Start,
)
from understudy_protocols.supervision_records import Decision, LifeState


class Reply(Protocol):
    """Where the answer to an admin call goes; the core only hands it back."""

    @property
    def child(self) -> str:
        """The id that the call named."""
        ...

    def answer(self, value: object) -> None:
        """Give *value* to the one who waits."""
        ...

    def refuse(self, error: Exception) -> None:
        """Raise *error* at the one who waits."""
        ...


# Events


class Begin(msgspec.Struct, frozen=True):
    """Start the children, in order; the first event, and only once."""


class BecameReady(msgspec.Struct, frozen=True):
    """Life *number* of a child reported ready with *value*."""

    id: str
    number: int
    value: object


class Ended(msgspec.Struct, frozen=True):
    """Life *number* of a child ended, or was left behind as stuck."""

    id: str
    number: int
    exit: Exit


class Due(msgspec.Struct, frozen=True):
    """The time that was armed under *token* has come."""

    token: int


class StopAsked(msgspec.Struct, frozen=True):
    """Stop all children and end."""


class Add(msgspec.Struct, frozen=True):
    """Start a new child."""

    spec: ChildSpec
    reply: Reply


class StartAgain(msgspec.Struct, frozen=True):
    """Start, by hand, a child that is stopped."""

    id: str
    reply: Reply


class Terminate(msgspec.Struct, frozen=True):
    """Stop a child, by hand."""

    id: str
    reply: Reply


class Delete(msgspec.Struct, frozen=True):
    """Forget a child that is stopped."""

    id: str
    reply: Reply


class Withdraw(msgspec.Struct, frozen=True):
    """Nobody waits any more for the start that *reply* asked for."""

    id: str
    reply: Reply


Event = (
    Begin
    | BecameReady
    | Ended
    | Due
    | StopAsked
    | Add
    | StartAgain
    | Terminate
    | Delete
    | Withdraw
)

# Actions


class StartLife(msgspec.Struct, frozen=True):
    """Begin life *number* of a child; its end will be told."""

    id: str
    number: int
    start: Start
    start_timeout: float
    kind: ChildKind
    lineage: Lineage


class StopLife(msgspec.Struct, frozen=True):
    """Ask a life to stop, cut it when *grace* is over; its end will be told.

    A worker that is not ready has no grace: it has nothing to finish yet, and
    may hang.  Only its life knows that for sure, since it may have become ready
    and not been heard.
    """

    id: str
    grace: float | Kill


class Arm(msgspec.Struct, frozen=True):
    """Say `Due` with *token* at *due*."""

    token: int
    due: float


class Disarm(msgspec.Struct, frozen=True):
    """Do not say `Due` with *token*."""

    token: int


class Answer(msgspec.Struct, frozen=True):
    """Give *value* to the one who waits at *reply*."""

    reply: Reply
    value: object


class Refuse(msgspec.Struct, frozen=True):
    """Raise *error* at the one who waits at *reply*."""

    reply: Reply
    error: Exception


class Report(msgspec.Struct, frozen=True):
    """Tell observers about life *number* of a child."""

    id: str
    number: int
    state: LifeState
    exit: Exit | None = None
    decision: Decision | None = None
    restarts: int = 0
    due: float | None = None
    failures: int = 0
    critical: bool = False


class TellGone(msgspec.Struct, frozen=True):
    """Tell *on_gone* that a child is started no more.

    *number* is that of its last life, which ended with *exit*; None if it had
    none.
    """

    id: str
    number: int
    on_gone: Gone
    exit: Exit | None


class Up(msgspec.Struct, frozen=True):
    """All children of the first start are ready: so is the supervisor."""


class GaveUp(msgspec.Struct, frozen=True):
    """The supervisor will end with *error*, once its children are gone."""

    error: BaseException


class End(msgspec.Struct, frozen=True):
    """No child is left; end, by raising *error* if there is one.  The last action."""

    error: BaseException | None


Action = (
    StartLife
    | StopLife
    | Arm
    | Disarm
    | Answer
    | Refuse
    | Report
    | TellGone
    | Up
    | GaveUp
    | End
)
