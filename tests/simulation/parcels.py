"""What is sent in a simulation: numbered work, and what is known of each piece."""

from __future__ import annotations

import enum
import math

import attrs

from understudy_actors.ref import Ref
from understudy_actors.reply import Reply
from understudy_protocols.supervision import Life


@attrs.frozen
class Work:
    """One message; no two have the same number.

    Attributes:
      number: which one it is.
      plain: handle it without doing anything else.
      poisoned: handle it, and break.
    """

    number: int
    plain: bool = False
    poisoned: bool = False


@attrs.frozen
class Done:
    """The answer to an ask.

    Attributes:
      number: that of the work that was asked for.
    """

    number: int


Player = Ref[Work, Done]


class Where(enum.IntEnum):
    """Where a message is; each is in one place."""

    SENDING = 0
    QUEUED = 1
    HAND = 2
    LIMBO = 3  # its handler raised; in the same step it must go elsewhere
    ASIDE = 4  # in the stash
    ORDERED = 5  # for later, by the one that it is for
    OVER = 6


class Line:
    """A ref, and how much of what is where.

    Attributes:
      ref: whose messages they are.
      most: how often one message may be handled there; a count.
      count: messages by where they are.
      incoming: messages that another actor is passing on to it; a count.
      front: those that were put back, the next one last.
      unstashed: when the last one that was put back had been put aside; infinite
        once other things have happened.
    """

    __slots__ = ("count", "front", "incoming", "most", "ref", "unstashed")

    def __init__(self, ref: Player, most: float) -> None:
        self.ref = ref
        self.most = most
        self.count = [0] * len(Where)
        self.incoming = 0
        self.front: list[Parcel] = []
        self.unstashed = math.inf


class Parcel:
    """One message and its story.

    Attributes:
      number: which one it is.
      line: whose it is.
      sender: who sent it; one task, which sends one after the other.
      deadline: of an ask; on trio's clock.
      asked: whether it is an ask.
      ordered: whether it still must come after those sent before it.
      where: where it is.
      starts: how often a handler began with it, as far as that is limited.
      holder: whose hand it is in.
      reply: to be settled when its handler has failed.
      excused: its handler failed, and that need leave no trace.
      passing: whom its holder is passing it on to.
      aside: when it was put aside last, as a number that grows.
      owner, life, due, interval: of one ordered for later: by whom, in which life,
        for when, and how long between; infinite if it comes once.
    """

    __slots__ = (
        "aside",
        "asked",
        "deadline",
        "due",
        "excused",
        "holder",
        "interval",
        "life",
        "line",
        "number",
        "ordered",
        "owner",
        "passing",
        "reply",
        "sender",
        "starts",
        "where",
    )

    def __init__(self, number: int, line: Line, sender: str) -> None:
        self.number = number
        self.line: Line = line
        self.sender = sender
        self.deadline = math.inf
        self.asked = False
        self.ordered = True
        self.where = Where.SENDING
        self.starts = 0
        self.holder: object = None
        self.reply: Reply[Done] | None = None
        self.excused = False
        self.passing: Line | None = None
        self.aside = 0
        self.owner: object = None
        self.life: Life | None = None
        self.due = math.inf
        self.interval = math.inf
        line.count[Where.SENDING] += 1

    def __str__(self) -> str:
        return f"#{self.number} {self.sender} -> {self.line.ref.path}"

    def move(self, where: Where, line: Line | None = None) -> None:
        """Be elsewhere, and perhaps another's."""
        if self in self.line.front:
            self.line.front.remove(self)
        self.line.count[self.where] -= 1
        self.line = line or self.line
        self.line.count[where] += 1
        self.where = where
        if where is not Where.HAND:
            self.holder = None
        self.pass_to(None)

    def pass_to(self, line: Line | None) -> None:
        """Be on the way to another, or no more."""
        if self.passing is not None:
            self.passing.incoming -= 1
        self.passing = line
        if line is not None:
            line.incoming += 1
