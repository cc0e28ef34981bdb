"""Whom a router gives a message to: the decisions, one class for each strategy.

A strategy sees the routees that are not gone, in the order in which they
joined, and never an empty row.  What it remembers, it remembers across the
restarts of its router.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from understudy_protocols.errors import ConfigError

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)


class Candidate(Protocol):
    """What a strategy knows of one routee."""

    @property
    def name(self) -> str:
        """What it is called among the routees."""
        ...

    @property
    def load(self) -> int:
        """Messages that wait for it or that it has in hand; a count."""
        ...

    @property
    def running(self) -> bool:
        """Whether it has a life just now; if not, it waits for its restart."""
        ...


C = TypeVar("C", bound=Candidate)


class Strategy(Protocol[M_contra]):
    """Chooses among routees."""

    def choose(self, message: M_contra, among: Sequence[C], /) -> Sequence[C]:
        """Return those that get *message*; none, to give it up."""
        ...


class RoundRobin:
    """Each in turn."""

    def __init__(self) -> None:
        self._turn = 0

    def choose(self, message: object, among: Sequence[C], /) -> Sequence[C]:
        """Return the next one."""
        self._turn = (self._turn + 1) % len(among)
        return (among[self._turn - 1],)


class LeastBusy:
    """The one with the least to do; of several, the one that joined first.

    One that waits for its restart gets nothing, unless all do.
    """

    def choose(self, message: object, among: Sequence[C], /) -> Sequence[C]:
        """Return the least busy one."""
        return (min(among, key=lambda one: (not one.running, one.load)),)


class ConsistentHash(Generic[M]):
    """The same one for the same key, as long as it is there.

    When a routee joins, it takes over its share of the keys and no other key
    moves; when one leaves, only its keys do.  One that is restarting is waited
    for: its messages stay in its mailbox.

    Args:
      key: what of a message decides.

    Source: highest random weight, or rendezvous, hashing (Thaler and
    Ravishankar, 1998).  A ring would save time with thousands of routees.
    """

    def __init__(self, key: Callable[[M], str]) -> None:
        self._key = key

    def choose(self, message: M, among: Sequence[C], /) -> Sequence[C]:
        """Return the one that the message's key belongs to."""
        # Not hash(): it differs between processes.
        key = hashlib.blake2b(_encoded(self._key(message))).digest()
        return (max(among, key=lambda one: _weight(key, one.name)),)


def _weight(key: bytes, name: str) -> bytes:
    return hashlib.blake2b(_encoded(name), key=key, digest_size=8).digest()


def _encoded(text: str) -> bytes:
    # Half of a surrogate pair, as texts from outside may have, is a key as well.
    return text.encode(errors="surrogatepass")


class Broadcast:
    """All of them."""

    def choose(self, message: object, among: Sequence[C], /) -> Sequence[C]:
        """Return all."""
        return among


class ByComplexity(Generic[M]):
    """The one that is made for inputs of this difficulty.

    ::

        ByComplexity(len, simple=100, standard=1000, complex=math.inf)

    sends texts of less than 100 characters to the routee ``simple``, other
    texts of less than 1,000 to ``standard``, and all else to ``complex``.  If
    the one that is meant is gone, the next more capable one gets the message.

    Args:
      measure: how difficult a message is; any number.
      tiers: for each routee, what it takes is below this; in rising order.

    Raises:
      ConfigError: no tier, or not in rising order.
    """

    def __init__(self, measure: Callable[[M], float], **tiers: float) -> None:
        limits = list(tiers.values())
        rising = all(low < high for low, high in itertools.pairwise(limits))
        if not limits or not rising or any(math.isnan(limit) for limit in limits):
            raise ConfigError(f"tiers must be given, in rising order; got {tiers!r}")
        self._measure = measure
        self._tiers = tiers

    def choose(self, message: M, among: Sequence[C], /) -> Sequence[C]:
        """Return the least capable one that is capable enough; none if none is."""
        difficulty = self._measure(message)
        there = {one.name: one for one in among}
        for name, limit in self._tiers.items():
            if difficulty < limit and name in there:
                return (there[name],)
        return ()
