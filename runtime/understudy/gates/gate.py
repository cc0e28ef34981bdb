"""The gate before one model: who may ask it now, and who has to wait, and for what.

It knows no socket and sends nothing.  A request enters with what it will use at
most, and leaves by saying what came of it; from that the gate learns how much
the provider takes.

Who cannot go in at once stands in line.  Only the first is let in, when there is
a free slot, its rate limits have room for it, and nothing is shut; so nobody
overtakes, and what a probe finds out is known to the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import msgspec
import trio

from understudy.gates.adaptive import AdaptiveLimit
from understudy.gates.limits import Limits
from understudy.gates.line import Line, Need, Place
from understudy.gates.lock import Lock
from understudy.gates.rates import Rates, Reserved, Said
from understudy.gates.retry_budget import RetryBudget
from understudy.gates.verdict import Part, Verdict, verdict
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.usage import NO_USAGE

MAX_CLOSURE = 120.0
"""No provider closes a gate for longer, whatever it asks for; seconds.  Then one
request tries."""

_TOO_MUCH = frozenset({Cause.RATE_LIMIT, Cause.OVERLOADED})
_ASKS_FOR_PEACE = _TOO_MUCH | {Cause.SERVER, Cause.QUOTA}
"""Failures whose Retry-After is meant for all, and not for the one request."""


class Account:
    """What all models of one account share.

    Args:
      retries: how many retries it may make.
      hedges: how many second requests it may send while the first is late.
    """

    def __init__(self, retries: RetryBudget, hedges: RetryBudget) -> None:
        self.retries = retries
        self.hedges = hedges


class Blocked(msgspec.Struct, frozen=True):
    """Why a request cannot go through now.

    Args:
      why: in a few words, the same for all of a kind.
      cause: the failure that it is for one who cannot wait.
      until: not before; infinite if nobody can say.
    """

    why: str
    cause: Cause
    until: float


class Ticket:
    """A request that has entered a gate and has not left it.

    Args:
      gate: which it has entered.
      key: by which those who send it know it; may be empty.
      reserved: of the rate limits.
      began: when it was sent; seconds on the gate's clock.
      probes: the locks that it tries for all, with the number of each try.
    """

    __slots__ = ("began", "gate", "key", "probes", "reserved")

    def __init__(
        self,
        gate: Gate,
        key: str,
        reserved: Reserved,
        began: float,
        probes: Mapping[Lock, int],
    ) -> None:
        self.gate: Gate = gate
        self.key: str = key
        self.reserved: Reserved = reserved
        self.began: float = began
        self.probes: Mapping[Lock, int] = probes


class Gate:
    """The gate before one model under one key.

    Args:
      name: what the model is called in errors.
      limits: what the provider allows.
      host: opens when its address cannot be reached; shared by all behind it.
      key: opens when the key is not accepted; shared by all that use it.
      account: what is shared by all models of the account.
      now: the clock; seconds.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        *,
        host: Lock,
        key: Lock,
        account: Account,
        now: Callable[[], float] = trio.current_time,
    ) -> None:
        self.name = name
        self.account = account
        self.longest_wait: float = limits.longest_wait
        self._locks = {
            Part.HOST: host,
            Part.KEY: key,
            Part.RATE: Lock(Cause.RATE_LIMIT),  # by what a provider asked for
            Part.MODEL: Lock(Cause.OVERLOADED),
        }
        for lock in self._locks.values():
            lock.gates.append(self)
        self._now = now
        self._limits = limits
        self._life: object = None
        self._start_afresh()

    def begin(self, life: object) -> None:
        """Forget what was before *life*, unless it was known already.

        Args:
          life: as long as it is the same, so is the clock.  Each run of trio has
            one of its own: what was to last a second might last for days.
        """
        if self._life is not life:
            self._life = life
            self._start_afresh()
        for lock in self._locks.values():
            lock.begin(life)

    def _start_afresh(self) -> None:
        self._adaptive = AdaptiveLimit(self._limits.max_concurrent)
        self._made: Rates | None = None
        self._line = Line()
        self._under_way: dict[Ticket, None] = {}
        self._by_key: dict[str, Ticket] = {}

    @property
    def limit(self) -> int:
        """Requests that may be under way at once, as of now; a count."""
        return self._adaptive.limit

    @property
    def under_way(self) -> int:
        """Requests that have entered and not left; a count."""
        return len(self._under_way)

    @property
    def waiting(self) -> int:
        """Requests that stand in line; a count."""
        return len(self._line)

    def blocked(self, need: Need, priority: int = 0) -> Blocked | None:
        """Return why a request could not go through at once; None if it could.

        If there are several reasons, it is the one that is known to last longest.
        """
        return self._blocked(need, *self._line.ahead_of(priority))

    async def enter(
        self, need: Need, *, latest: float, priority: int = 0, key: str = ""
    ) -> Ticket:
        """Wait until a request may be sent.

        Always a checkpoint.

        Args:
          need: what it will use at most.
          latest: the moment after which it is not worth sending; seconds on the
            gate's clock.  A wait that is known to be longer is not begun.
          priority: higher ones go first.
          key: of the request; see `heard`.

        Cancellation: nothing was taken.
        Raises:
          ModelError: it cannot be sent by *latest*; ``cause`` says why, and
            ``retry_after`` for how long it is so, if that is known.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        blocked = self.blocked(need, priority)
        if blocked is not None:
            await self._wait(blocked, Place(need, priority), latest)
        ticket = self._let_in(need, key)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return ticket

    # What came of it

    def succeeded(self, ticket: Ticket, used_tokens: int) -> None:
        """Let a request out that was answered.

        Args:
          used_tokens: what it used; a count.
        """
        under_way = self.under_way
        if self._left(ticket):
            now = self._now()
            self._rates(now).settle(ticket.reserved, used_tokens, now)
            self._adaptive.succeeded(now - ticket.began, under_way, now)
            self._learn(ticket, verdict(None, sent=True))

    def failed(
        self,
        ticket: Ticket,
        cause: Cause,
        retry_after: float | None,
        used_tokens: int | None,
    ) -> None:
        """Let a request out that failed.

        Args:
          cause: what went wrong.
          retry_after: how long the provider asks to be left alone; seconds.
          used_tokens: what it used; a count, None if it was never sent.
        """
        if not self._left(ticket):
            return
        now = self._now()
        self._rates(now).settle(ticket.reserved, used_tokens, now)
        if cause in _TOO_MUCH:
            self._adaptive.overloaded(ticket.began, now)
        known = verdict(cause, sent=used_tokens is not None)
        if retry_after is None or cause not in _ASKS_FOR_PEACE:
            self._learn(ticket, known, cause)
            return
        # For as long as the provider says, and not as we would have thought.
        part = Part.KEY if cause is Cause.QUOTA else Part.RATE
        others = tuple(one for one in known.failed if one is not part)
        self._learn(ticket, msgspec.structs.replace(known, failed=others), cause)
        self._locks[part].shut_until(cause, now + min(retry_after, MAX_CLOSURE))

    def given_up(self, ticket: Ticket) -> None:
        """Let a request out that nobody waits for any more; it counts as reserved."""
        if self._left(ticket):
            now, reserved = self._now(), ticket.reserved
            self._rates(now).settle(reserved, reserved.tokens or 0, now)
            for lock, probe in ticket.probes.items():
                lock.given_up(probe)

    def heard(self, said: Said, *, key: str) -> None:
        """Take over what a provider says of its limits.

        Args:
          key: of the request that it says so to.
        """
        now = self._now()
        ticket = self._by_key.get(key)
        counted = None if ticket is None else ticket.reserved
        self._rates(now).heard(said, counted, now)
        self._line.wake_first()

    def accepted(self, *, key: str) -> None:
        """Take note that a provider has begun with a good answer.

        It has passed all but the model: who waits for what a probe finds out there
        need not wait until the answer has come to its end.

        Args:
          key: of the request that it answers.
        """
        ticket = self._by_key.get(key)
        if ticket is not None:
            for part in (Part.HOST, Part.KEY, Part.RATE):
                lock = self._locks[part]
                lock.passed(ticket.probes.get(lock))

    def look_again(self) -> None:
        """Let all who wait here see what has changed."""
        self._line.wake_all()

    # Inside

    def _blocked(
        self, need: Need, requests_before: int, tokens_before: int
    ) -> Blocked | None:
        now = self._now()
        found = [
            Blocked(lock.why, lock.cause, ready)
            for lock in self._locks.values()
            if (ready := lock.breaker.ready_at(now)) > now
        ]
        if self.under_way >= self.limit:
            found.append(Blocked("no free slot", Cause.OVERLOADED, math.inf))
        if requests_before:
            found.append(Blocked("others are before it", Cause.OVERLOADED, math.inf))
        tokens = tokens_before + need.tokens
        at = self._rates(now).ready_at(requests_before + 1, tokens, now)
        if at > now:
            found.append(Blocked("its rate limit", Cause.RATE_LIMIT, at))
        known = [one for one in found if one.until < math.inf]
        return max(known or found, key=lambda one: one.until, default=None)

    async def _wait(self, blocked: Blocked, place: Place, latest: float) -> None:
        """Stand in line until nothing is in the way."""
        self._check(blocked, latest)
        self._line.join(place)
        try:
            while True:
                is_first = self._line.first is place
                await place.woken(min(latest, blocked.until) if is_first else latest)
                is_first = self._line.first is place
                now_blocked = self._blocked(place.need, 0 if is_first else 1, 0)
                if now_blocked is None:
                    return
                blocked = now_blocked
                self._check(blocked, latest)
        finally:
            self._line.leave(place)

    def _check(self, blocked: Blocked, latest: float) -> None:
        """See that it is worth to wait.

        Raises:
          ModelError: it is not.
        """
        now = self._now()
        if now < latest and not latest < blocked.until < math.inf:
            return
        wait = blocked.until - now
        known = wait < math.inf
        when = f"for {wait:.3g} s more" if known else "for how long is not known"
        raise ModelError(
            f"the gate of {self.name} lets nothing through in time: "
            f"{blocked.why}, {when}",
            cause=blocked.cause,
            retry_after=wait if known else None,
            model=self.name,
            usage=NO_USAGE,
        )

    def _let_in(self, need: Need, key: str) -> Ticket:
        now = self._now()
        reserved = self._rates(now).reserve(need.tokens, now)
        entered = {lock: lock.breaker.enter(now) for lock in self._locks.values()}
        probes = {lock: n for lock, n in entered.items() if n is not None}
        ticket = Ticket(self, key, reserved, now, probes)
        self._under_way[ticket] = None
        if key:
            self._by_key[key] = ticket
        return ticket

    def _left(self, ticket: Ticket) -> bool:
        """Take a request out; False if that was done already."""
        if ticket not in self._under_way:
            return False
        del self._under_way[ticket]
        if self._by_key.get(ticket.key) is ticket:
            del self._by_key[ticket.key]
        self._line.wake_first()
        return True

    def _learn(
        self, ticket: Ticket, known: Verdict, cause: Cause = Cause.SERVER
    ) -> None:
        """Let each lock know what came of a request."""
        for part, lock in self._locks.items():
            probe = ticket.probes.get(lock)
            # Too much is asked again and again by those who may ask at all: only
            # the provider's own word shuts the gate for that, or the probe's.
            counts = part is not Part.RATE or probe is not None
            if part in known.passed:
                lock.passed(probe)
            elif part in known.failed and counts:
                lock.failed(cause, self._now(), probe, at_once=known.at_once)
            else:
                lock.given_up(probe)

    def _rates(self, now: float) -> Rates:
        if self._made is None:  # not before there is a clock
            limits = self._limits
            self._made = Rates(
                limits.requests_per_minute, limits.tokens_per_minute, now
            )
        return self._made
