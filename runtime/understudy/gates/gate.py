"""The gate before one model: who may ask it now, and who has to wait, and for what.

It knows no socket and sends nothing.  A request enters with what it will use at
most, and leaves by saying what came of it; from that the gate learns how much
the provider takes.

In line stand those who wait for a free slot, first come first served within a
priority.  Who has a slot has its place in the buckets too, however long it
waits for it, so nobody overtakes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import msgspec
import trio

from understudy.gates.adaptive import AdaptiveLimit
from understudy.gates.breaker import Breaker
from understudy.gates.bucket import Bucket
from understudy.gates.retry_budget import RetryBudget
from understudy_actors.limiter import Limiter, Token
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.usage import NO_USAGE

MAX_CLOSURE = 120.0
"""No provider closes a gate for longer, whatever it asks for; seconds.  Then one
request tries."""


class Need(msgspec.Struct, frozen=True):
    """What a request will use at most.

    Args:
      tokens: read and written together; an estimate, a count.
    """

    tokens: int = 0


@attrs.frozen(kw_only=True)
class Limits:
    """What a provider allows, as far as we know beforehand.

    Args:
      requests_per_minute: a count.
      tokens_per_minute: read and written together; a count.
      max_concurrent: requests under way at once; a count.
      longest_wait: no request waits longer to be sent; seconds.
    """

    requests_per_minute: float = math.inf
    tokens_per_minute: float = math.inf
    max_concurrent: int = 64
    longest_wait: float = 30.0


class Blocked(msgspec.Struct, frozen=True):
    """Why a request cannot go through now.

    Args:
      why: in a few words, the same for all of a kind.
      cause: the failure that it is for one who cannot wait.
      until: when it is worth to look again; infinite if nobody can say.
    """

    why: str
    cause: Cause
    until: float


class Account:
    """What all models of one account share.

    Args:
      retries: how many retries it may make.
      hedges: how many second requests it may send while the first is late.
    """

    def __init__(self, retries: RetryBudget, hedges: RetryBudget) -> None:
        self.retries = retries
        self.hedges = hedges


_TOO_MUCH = frozenset({Cause.RATE_LIMIT, Cause.OVERLOADED})
_FINAL = frozenset({Cause.AUTH, Cause.QUOTA, Cause.MODEL_GONE})
"""Failures that the next request would meet just the same."""

_WHY = {
    Cause.RATE_LIMIT: "closed by the provider",
    Cause.TRANSPORT: "its address cannot be reached",
    Cause.AUTH: "its key is not accepted",
    Cause.QUOTA: "its account has spent what it may",
    Cause.MODEL_GONE: "the provider does not have it",
    Cause.OVERLOADED: "the provider has too much to do",
    Cause.SERVER: "the provider fails again and again",
    Cause.TIMEOUT: "it does not answer in time",
}


class Lock:
    """A breaker, and the failure for which it is open.

    Args:
      breaker: what decides.
      cause: the failure, as long as there was none.
    """

    __slots__ = ("breaker", "cause", "gates")

    def __init__(self, cause: Cause, breaker: Breaker | None = None) -> None:
        self.breaker = breaker or Breaker()
        self.cause = cause
        self.gates: list[Gate] = []  # all behind it


class Ticket:
    """A request that has entered a gate and has not left it.

    Args:
      gate: which it has entered.
      need: what was reserved for it.
      slot: its right to be under way.
      began: when it entered; seconds on the gate's clock.
      probes: the breakers that it is the probe of.
    """

    __slots__ = ("_probes", "_slot", "began", "gate", "need")

    def __init__(
        self,
        gate: Gate,
        need: Need,
        slot: Token,
        began: float,
        probes: tuple[Breaker, ...],
    ) -> None:
        self.gate = gate
        self.need = need
        self.began = began
        self._slot: Token | None = slot
        self._probes = probes

    def is_probe(self, breaker: Breaker) -> bool:
        """Whether it is the one that tries whether *breaker* can close."""
        return breaker in self._probes

    def leave(self) -> bool:
        """Give the slot back; False if that was done already."""
        slot, self._slot = self._slot, None
        if slot is None:
            return False
        slot.release()
        return True


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
        self.longest_wait = limits.longest_wait
        self._host = host
        self._key = key
        self._model = Lock(Cause.OVERLOADED)
        self._closure = Lock(Cause.RATE_LIMIT)  # by what a provider asked for
        self._locks = (self._closure, key, host, self._model)
        for lock in self._locks:
            lock.gates.append(self)
        self._now = now
        self._adaptive = AdaptiveLimit(limits.max_concurrent)
        self._slots = Limiter(limits.max_concurrent, f"the slots of {name}")
        self._limits = limits
        self._made: tuple[Bucket, Bucket] | None = None
        self._changed = trio.Event()
        self._waiting = 0

    @property
    def limit(self) -> int:
        """Requests that may be under way at once, as of now; a count."""
        return self._adaptive.limit

    @property
    def under_way(self) -> int:
        """Requests that have a slot; a count."""
        return len(self._slots.holders)

    def blocked(self) -> Blocked | None:
        """Return why no request at all can go through now; None if one can."""
        now = self._now()
        worst: Blocked | None = None
        for lock in self._locks:
            ready = lock.breaker.ready_at(now)
            if ready > now and (worst is None or ready > worst.until):
                worst = Blocked(_WHY[lock.cause], lock.cause, ready)
        return worst

    def would_wait(self, need: Need) -> float:
        """Return how long a request would have to wait, as far as one can say; seconds.

        Infinite if nobody can say: there is no slot, or a probe is out.
        """
        now = self._now()
        blocked = self.blocked()
        until = now if blocked is None else blocked.until
        if len(self._slots.holders) >= self._slots.total:
            return math.inf
        return max(until, self._ready_at(need, now)) - now

    async def enter(self, need: Need, *, latest: float, priority: int = 0) -> Ticket:
        """Wait until a request may be sent.

        Always a checkpoint.

        Args:
          need: what it will use at most.
          latest: the moment after which it is not worth sending; seconds on the
            gate's clock.  A wait that is known to be longer is not begun.
          priority: higher ones get a slot first.

        Cancellation: nothing was taken.
        Raises:
          ModelError: it cannot be sent by *latest*; ``cause`` says why, and
            ``retry_after`` for how long it is so, if that is known.
        """
        self._refuse_hopeless(latest)
        slot: Token | None = None
        with trio.move_on_at(latest):
            slot = await self._slots.acquire(priority, borrower=self.name)
        if slot is None:
            raise self._refusal(Blocked("no free slot", Cause.OVERLOADED, math.inf))
        now = self._now()
        try:
            at = self._reserve(need, now, latest)
        except BaseException:
            slot.release()
            raise
        try:
            await self._reach(at, latest)
        except BaseException:
            self._unreserve(need)
            slot.release()
            raise
        began = self._now()
        probes = tuple(
            lock.breaker for lock in self._locks if lock.breaker.enter(began)
        )
        return Ticket(self, need, slot, began, probes)

    # What came of it

    def succeeded(self, ticket: Ticket, used_tokens: int) -> None:
        """Let a request out that was answered.

        Args:
          used_tokens: what it used; a count.
        """
        now, under_way = self._now(), self.under_way
        if ticket.leave():
            self._settle(ticket.need, used_tokens)
            for lock in self._locks:
                lock.breaker.succeeded()
            self._adaptive.succeeded(now - ticket.began, under_way, now)
            self._adapt()

    def failed(
        self,
        ticket: Ticket,
        cause: Cause,
        retry_after: float | None,
        used_tokens: int | None = None,
    ) -> None:
        """Let a request out that failed.

        Args:
          cause: what went wrong.
          retry_after: how long the provider asks to be left alone; seconds.
          used_tokens: what it used; None if nobody can say.
        """
        now = self._now()
        if not ticket.leave():
            return
        self._settle(
            ticket.need, ticket.need.tokens if used_tokens is None else used_tokens
        )
        self._blame(ticket, cause, now)
        if cause in _TOO_MUCH:
            self._adaptive.overloaded(ticket.began, now)
            if retry_after is not None:
                self._closure.breaker.open_until(now + min(retry_after, MAX_CLOSURE))
        self._adapt()

    def given_up(self, ticket: Ticket) -> None:
        """Let a request out that nobody waits for any more; it counts as reserved."""
        if ticket.leave():
            self._settle(ticket.need, ticket.need.tokens)
            for lock in self._locks:
                lock.breaker.given_up(probe=ticket.is_probe(lock.breaker))
            self._adapt()

    def heard(
        self,
        requests_left: float | None,
        requests_limit: float | None,
        tokens_left: float | None,
        tokens_limit: float | None,
    ) -> None:
        """Take over what a provider says of its limits; None where it says nothing.

        Args:
          requests_left, tokens_left: what it would still let through; counts.
          requests_limit, tokens_limit: its limits a minute; counts.
        """
        now = self._now()
        requests, tokens = self._buckets(now)
        if requests_left is not None:
            requests.correct(requests_left, requests_limit, now)
        if tokens_left is not None:
            tokens.correct(tokens_left, tokens_limit, now)
        self._wake()

    # Inside

    def _blame(self, ticket: Ticket, cause: Cause, now: float) -> None:
        """Let each lock know what a failure says of it.

        They stand one behind the other: address, key, model.  What fails at one
        has passed those before it, and says nothing of those behind.
        """
        closure, model = self._closure, self._model
        at = {
            Cause.TRANSPORT: self._host,
            Cause.AUTH: self._key,
            Cause.QUOTA: self._key,
            Cause.MODEL_GONE: model,
            Cause.SERVER: model,
            Cause.TIMEOUT: model,
            Cause.OVERLOADED: model,
            Cause.RATE_LIMIT: closure,
        }.get(cause)
        row = (self._host, self._key, closure, model)
        passed = len(row) if at is None else row.index(at)
        for lock in row[:passed]:
            lock.breaker.succeeded()
        for lock in row[passed:]:
            probe = ticket.is_probe(lock.breaker)
            if lock is at and (probe or lock is not closure):
                lock.cause = cause
                lock.breaker.failed(now, probe=probe, at_once=cause in _FINAL)
            else:
                lock.breaker.given_up(probe=probe)

    def _refuse_hopeless(self, latest: float) -> None:
        blocked = self.blocked()
        if blocked is not None and latest < blocked.until < math.inf:
            raise self._refusal(blocked)

    def _reserve(self, need: Need, now: float, latest: float) -> float:
        """Take a place in the buckets; return when it is one's turn."""
        at = self._ready_at(need, now)
        if at > latest:
            raise self._refusal(Blocked("its rate limit", Cause.RATE_LIMIT, at))
        requests, tokens = self._buckets(now)
        requests.reserve(1, now)
        tokens.reserve(need.tokens, now)
        return at

    def _unreserve(self, need: Need) -> None:
        now = self._now()
        requests, tokens = self._buckets(now)
        requests.settle(1, 0, now)
        tokens.settle(need.tokens, 0, now)
        self._wake()

    def _settle(self, need: Need, used_tokens: int) -> None:
        now = self._now()
        requests, tokens = self._buckets(now)
        requests.settle(1, 1, now)
        tokens.settle(need.tokens, used_tokens, now)

    async def _reach(self, at: float, latest: float) -> None:
        """Wait until *at*, and until nothing is closed."""
        while True:
            now, blocked = self._now(), self.blocked()
            until = at if blocked is None else max(at, blocked.until)
            if until <= now:
                return
            if blocked is not None and (now >= latest or latest < until < math.inf):
                raise self._refusal(blocked)
            self._waiting += 1
            try:
                with trio.move_on_at(min(until, latest)):
                    await self._changed.wait()
            finally:
                self._waiting -= 1

    def _ready_at(self, need: Need, now: float) -> float:
        requests, tokens = self._buckets(now)
        return max(requests.ready_at(1, now), tokens.ready_at(need.tokens, now))

    def _buckets(self, now: float) -> tuple[Bucket, Bucket]:
        if self._made is None:  # not before there is a clock
            limits = self._limits
            self._made = (
                Bucket(limits.requests_per_minute, now),
                Bucket(limits.tokens_per_minute, now),
            )
        return self._made

    def _adapt(self) -> None:
        self._slots.resize(self._adaptive.limit)
        self._wake()

    def _wake(self) -> None:
        """Let all look again who wait for what may have changed."""
        for lock in self._locks:
            for gate in lock.gates:
                gate.look_again()

    def look_again(self) -> None:
        """Let those who wait here see what has changed."""
        if self._waiting:
            self._changed.set()
            self._changed = trio.Event()

    def _refusal(self, blocked: Blocked) -> ModelError:
        wait = blocked.until - self._now()
        known = wait < math.inf
        when = f"for {wait:.3g} s more" if known else "for how long is not known"
        return ModelError(
            f"the gate of {self.name} lets nothing through in time: "
            f"{blocked.why}, {when}",
            cause=blocked.cause,
            retry_after=wait if known else None,
            model=self.name,
            usage=NO_USAGE,
        )
