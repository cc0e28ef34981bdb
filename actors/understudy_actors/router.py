"""The router: an actor that passes its messages on to others.

It is an actor like any other: messages wait in its mailbox while it restarts,
and those that it passes on stay what they were, so the one who asked is answered
by the routee itself.  The routees are not its children; they live where their
own supervisor put them, and it watches them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

import attrs

from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Answer, Behaviour, Conduct, OnError
from understudy_actors.envelope import Envelope
from understudy_actors.names import Name
from understudy_actors.notices import NOTICES, Notice, Terminated
from understudy_actors.ref import Ref
from understudy_actors.routing import Strategy
from understudy_protocols.errors import ConfigError
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import ChildSpec, Restart, Shutdown

M = TypeVar("M")
R = TypeVar("R")

TOLERANT = Conduct(on_error={Exception: OnError.RESUME})
"""A message that the strategy cannot place has failed; the router has not."""


class Leftovers(enum.Enum):
    """What becomes of the messages that wait for a routee when it is gone."""

    DEAD_LETTERS = "dead letters"
    REROUTE = "reroute"
    """They go back to the router, ahead of all others, to be placed anew."""


@attrs.frozen
class Routee(Generic[M, R]):
    """One of those that a router chooses among.

    Args:
      name: what it is called among them.
      ref: its address.
    """

    name: str
    ref: Ref[M, R]

    @property
    def load(self) -> int:
        """Messages that wait for it or that it has in hand; a count."""
        return self.ref.load

    @property
    def running(self) -> bool:
        """Whether it has a life just now."""
        return self.ref.running


class Routees(Generic[M, R]):
    """Those that a router chooses among, in the order in which they joined.

    It belongs to no life of the router.  A routee leaves by itself when it is
    gone for good; one that is started again by hand has to join again.

    Args:
      refs: the first ones, by name.
      leftovers: what becomes of the messages of one that is gone.
    """

    def __init__(
        self,
        refs: Mapping[str, Ref[M, R]] | None = None,
        *,
        leftovers: Leftovers = Leftovers.DEAD_LETTERS,
    ) -> None:
        self._leftovers = leftovers
        self._routees: dict[str, Routee[M, R]] = {}
        self._router: Ref[M, R] | None = None
        for name, ref in (refs or {}).items():
            self.join(name, ref)

    def __iter__(self) -> Iterator[Routee[M, R]]:
        return iter(self._routees.values())

    def __len__(self) -> int:
        return len(self._routees)

    def join(self, name: str, ref: Ref[M, R]) -> None:
        """Add a routee; it gets messages from now on.

        Raises:
          ConfigError: the name is taken.
        """
        if name in self._routees:
            raise ConfigError(f"there is a routee {name!r} already")
        self._routees[name] = Routee(name, ref)
        self._attend(ref)

    def leave(self, name: str) -> None:
        """Give this routee no more messages; it keeps those that it has.

        Nothing happens if there is none of that name.
        """
        routee = self._routees.pop(name, None)
        if routee is None or any(one.ref is routee.ref for one in self):
            return  # it has another name among them
        if routee.ref.heir == self._inherit:
            routee.ref.heir = None
        if self._router is not None:
            self._router.unwatch(routee.ref)

    def serve(self, router: Ref[M, R]) -> None:
        """Let *router* hear of the ends of all; what a life of it begins with."""
        self._router = router
        for routee in self:
            self._attend(routee.ref)

    def ended(self, notice: Terminated) -> None:
        """Take out those with the ref that is gone."""
        for name in [one.name for one in self if one.ref is notice.actor]:
            del self._routees[name]

    def _attend(self, ref: Ref[M, R]) -> None:
        if self._leftovers is Leftovers.REROUTE:
            ref.heir = self._inherit
        if self._router is not None:
            self._router.watch(ref)

    def _inherit(self, left: list[Envelope]) -> list[Envelope]:
        """Take what a routee leaves; return what is not for a router."""
        router = self._router
        if router is None or router.closed:
            return left
        for envelope in reversed(left):
            if type(envelope.message) not in NOTICES:
                router.put_back(envelope)
        return [one for one in left if type(one.message) in NOTICES]


class _Router(Behaviour[M, R]):
    def __init__(self, routees: Routees[M, R], strategy: Strategy[M]) -> None:
        self._routees = routees
        self._strategy = strategy

    async def setup(self, actor: Actor[M, R]) -> None:
        self._routees.serve(actor.ref)

    async def handle(self, message: M, actor: Actor[M, R]) -> R | Answer:
        # None of them is gone: the notice of an end comes before any message.
        routees = tuple(self._routees)
        chosen = self._strategy.choose(message, routees) if routees else ()
        if chosen:
            await actor.forward(*(routee.ref for routee in chosen))
        else:
            actor.give_up("no routee")
        return Answer.LATER  # not by us

    async def notified(self, notice: Notice, actor: Actor[M, R]) -> None:
        if isinstance(notice, Terminated):
            self._routees.ended(notice)
            if not self._routees:
                raise Shutdown("no routee is left")


def router_child(
    ref: Ref[M, R],
    routees: Routees[M, R],
    strategy: Strategy[M],
    *,
    conduct: Conduct = TOLERANT,
    restart: Restart = Restart.TRANSIENT,
    backoff: Backoff | None = None,
    name: Name[M, R] | None = None,
) -> ChildSpec:
    """Return the spec of an actor that passes messages on, as *strategy* says.

    It ends when the last of its routees has ended.  A message that comes while
    there is none is a dead letter, ``no routee``.  One that is meant for a
    routee whose mailbox is full waits, under BLOCK, and those behind it too.

    Args:
      ref: its address.
      routees: those that it chooses among.
      strategy: how it chooses; one object for each router, as it may remember.
      conduct: how it takes errors; by default a message that the strategy
        raises at has failed, and the next one is taken.
      restart, backoff, name: as for `actor_child`.
    """
    return actor_child(
        ref,
        lambda: _Router(routees, strategy),
        conduct=conduct,
        restart=restart,
        backoff=backoff,
        name=name,
    )
