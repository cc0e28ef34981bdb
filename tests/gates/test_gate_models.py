"""The pure parts of a gate against naive models, and the bounds that they are for."""

from __future__ import annotations

import heapq
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from understudy.gates.adaptive import (
    DECREASE,
    RECENT,
    SLOW,
    SLOWDOWN,
    USUAL,
    AdaptiveLimit,
)
from understudy.gates.breaker import Breaker, BreakerState
from understudy.gates.bucket import Bucket
from understudy.gates.rates import Rates, Reserved, Said
from understudy.gates.retry_budget import RetryBudget
from understudy_protocols.errors import ConfigError

# Times and amounts are drawn as eighths: exact in a float, so that only what the
# code does can differ.
eighths = st.integers(0, 200).map(lambda n: n / 8)


class BucketMachine(RuleBasedStateMachine):
    """A bucket, and its level in exact numbers."""

    SIZE = 60

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.bucket = Bucket(self.SIZE, self.now)
        self.size = Fraction(self.SIZE)
        self.level = Fraction(self.SIZE)
        self.out: list[float] = []

    def lift(self) -> None:
        self.level = min(self.size, self.level)

    @rule(seconds=eighths)
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.level += Fraction(seconds) * self.size / 60
        self.lift()

    @rule(units=st.integers(0, 90))
    def reserve(self, units: int) -> None:
        self.bucket.reserve(units, self.now)
        self.level -= units
        self.out.append(units)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), used=st.integers(0, 120))
    def settle(self, data: st.DataObject, used: int) -> None:
        units = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        self.bucket.settle(units, used, self.now)
        self.level += Fraction(units) - used
        self.lift()

    @rule(left=st.integers(0, 100), limit=st.none() | st.integers(0, 100))
    def correct(self, left: int, limit: int | None) -> None:
        self.bucket.correct(left, limit, self.now)
        if limit:
            self.size = Fraction(min(self.SIZE, limit))
        self.level = Fraction(left) - sum(map(Fraction, self.out))
        self.lift()

    @invariant()
    def agrees(self) -> None:
        assert self.bucket.level(self.now) == pytest.approx(float(self.level))
        assert self.bucket.reserved == sum(self.out)
        assert self.bucket.per_minute == self.size <= self.SIZE

    @invariant()
    def says_when(self) -> None:
        for units in (1, 30, 500):
            wanted = min(Fraction(units), self.size)
            at = self.bucket.ready_at(units, self.now)
            missing = max(Fraction(0), wanted - self.level)
            assert at == pytest.approx(self.now + float(missing * 60 / self.size))


TestBucketMachine = BucketMachine.TestCase


@given(
    per_minute=st.integers(1, 120),
    asked=st.lists(st.tuples(st.integers(1, 40), eighths), min_size=1, max_size=60),
)
def test_no_stretch_of_time_gets_more_than_a_full_bucket_and_what_came_back(
    per_minute: int, asked: list[tuple[int, float]]
) -> None:
    """What a rate limit is for, said of the moments at which requests are sent."""
    bucket, now = Bucket(per_minute, 0.0), 0.0
    sent: list[tuple[float, int]] = []
    for units, pause in asked:
        units = min(units, per_minute)
        now = max(now + pause, bucket.ready_at(units, now + pause))
        bucket.reserve(units, now)
        sent.append((now, units))
        bucket.settle(units, units, now)
    for place, (start, _) in enumerate(sent):
        total = 0
        for at, units in sent[place:]:
            total += units
            assert total <= per_minute + (at - start) * per_minute / 60 + 1e-6


def test_a_bucket_without_a_limit_always_has_room() -> None:
    bucket = Bucket(math.inf, 0.0)
    bucket.reserve(10**9, 0.0)
    assert bucket.ready_at(10**12, 0.0) == 0.0
    bucket.settle(10**9, 10**9, 0.0)
    bucket.correct(5, 10, 0.0)  # but the provider has one
    assert bucket.ready_at(6, 0.0) == pytest.approx(6.0)


@pytest.mark.parametrize("limit", [0, -1, math.nan])
def test_a_limit_that_lets_nothing_through_is_refused(limit: float) -> None:
    with pytest.raises(ConfigError, match="lets nothing through"):
        Bucket(limit, 0.0)


@given(
    said=st.tuples(*[st.none() | st.integers(1, 100)] * 4),
    others=st.lists(st.integers(0, 50), max_size=4),
    tokens=st.integers(0, 50),
    used=st.none() | st.integers(0, 80),
)
def test_a_request_that_the_provider_has_counted_is_not_counted_again(
    said: tuple[int | None, int | None, int | None, int | None],
    others: list[int],
    tokens: int,
    used: int | None,
) -> None:
    rates = Rates(1000, 1000, 0.0)
    under_way: list[Reserved] = [rates.reserve(units, 0.0) for units in others]
    mine = rates.reserve(tokens, 0.0)
    told = Said(*said)
    rates.heard(told, mine, 0.0)
    rates.settle(mine, used, 0.0)
    requests, left = told.requests_left, told.tokens_left
    if requests is not None:
        top = rates.requests.per_minute
        assert rates.requests.level(0.0) == min(top, requests - len(others))
    if left is not None:
        top = rates.tokens.per_minute
        assert rates.tokens.level(0.0) == min(top, left - sum(others))
    for reserved in under_way:
        rates.settle(reserved, 0, 0.0)
    assert rates.requests.reserved == rates.tokens.reserved == 0


# --- the adaptive limit


class AdaptiveMachine(RuleBasedStateMachine):
    """Additive increase, multiplicative decrease, written down as they are said."""

    MOST = 8

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.limit = AdaptiveLimit(self.MOST, 4)
        self.exact = 4.0
        self.last_cut = -math.inf
        self.times: list[float] = []

    def mean(self, weight: float) -> float:
        mean = 0.0
        for count, seconds in enumerate(self.times, start=1):
            share = max(weight, 1 / count)
            mean = (1 - share) * mean + share * seconds
        return mean

    @rule(seconds=eighths)
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        seconds=st.sampled_from([0.125, 0.25, 0.25, 4.0, 8.0]),
        under_way=st.integers(1, MOST),
    )
    def succeeded(self, seconds: float, under_way: int) -> None:
        self.limit.succeeded(seconds, under_way, self.now)
        self.times.append(seconds)
        slow = self.mean(RECENT) > SLOW * self.mean(USUAL)
        if slow and self.now - seconds >= self.last_cut:
            self.exact, self.last_cut = max(1.0, self.exact * SLOWDOWN), self.now
        elif under_way >= int(self.exact):
            self.exact = min(self.MOST, self.exact + 1 / self.exact)

    @rule(ago=eighths)
    def overloaded(self, ago: float) -> None:
        began = self.now - ago
        self.limit.overloaded(began, self.now)
        if began >= self.last_cut:
            self.exact, self.last_cut = max(1.0, self.exact * DECREASE), self.now

    @invariant()
    def agrees(self) -> None:
        # As near to a whole number as numbers are rounded, either is right.
        near = {int(self.exact - 1e-9), int(self.exact + 1e-9)}
        assert self.limit.limit in near
        assert 1 <= self.limit.limit <= self.MOST


TestAdaptiveMachine = AdaptiveMachine.TestCase


def _crowded(seed: int, spread: float, slower: float = 1.0) -> list[int]:
    """Return the limit after each answer of a model that is asked as much as it may be.

    Args:
      spread: of the logarithm of the time that an answer takes.
      slower: by how much all take longer in the second half.
    """
    source, limit, now = random.Random(seed), AdaptiveLimit(64), 0.0
    under_way: list[tuple[float, float]] = []
    limits = list[int]()
    for number in range(8000):
        while len(under_way) < limit.limit:
            seconds = source.lognormvariate(1.0, spread)
            seconds *= slower if number > 4000 else 1.0
            heapq.heappush(under_way, (now + seconds, seconds))
        many = len(under_way)
        now, seconds = heapq.heappop(under_way)
        limit.succeeded(seconds, many, now)
        limits.append(limit.limit)
    return limits


@pytest.mark.parametrize("seed", range(3))
def test_answers_of_different_length_are_no_slowdown(seed: int) -> None:
    limits = _crowded(seed, spread=1.0)
    assert sum(limits) / len(limits) > 0.95 * 64


@pytest.mark.parametrize("seed", range(3))
def test_a_slowdown_is_seen_among_answers_of_different_length(seed: int) -> None:
    limits = _crowded(seed, spread=0.6, slower=3.0)
    assert min(limits[:4000]) > 50
    assert min(limits[4000:4400]) < 50


def test_requests_of_one_burst_cut_the_limit_once() -> None:
    limit = AdaptiveLimit(64)
    for _ in range(64):
        limit.overloaded(began=1.0, now=2.0)
    assert limit.limit == 32
    limit.overloaded(began=2.0, now=3.0)
    assert limit.limit == 16


# --- the breaker


class BreakerMachine(RuleBasedStateMachine):
    """A breaker as one would explain it: closed, open until, or one probe out."""

    FAILURES, COOL_OFF, MOST = 3, 1.0, 6.0

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(self.FAILURES, self.COOL_OFF, self.MOST)
        self.out: list[int | None] = []  # what `enter` said of requests under way
        self.row = 0
        self.waits: list[float] = []  # of the openings in a row
        self.until: float | None = None  # None while closed
        self.probe: int | None = None
        self.seen: set[int] = set()

    def may_enter(self) -> bool:
        if self.until is None:
            return True
        return self.now >= self.until and self.probe is None

    def open(self, until: float) -> None:
        self.until = until if self.until is None else max(until, self.until)
        self.probe, self.row = None, 0

    @rule(seconds=eighths.map(lambda x: x / 8))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def enter(self) -> None:
        ready = self.breaker.ready_at(self.now) <= self.now
        assert ready == self.may_enter()
        if not ready:
            return
        probe = self.breaker.enter(self.now)
        assert (probe is not None) == (self.until is not None)
        if probe is not None:
            assert probe not in self.seen
            self.seen.add(probe)
        self.probe = probe
        self.out.append(probe)

    def leaving(self, data: st.DataObject) -> int | None:
        return self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def succeeded(self, data: st.DataObject) -> None:
        probe = self.leaving(data)
        closes = self.until is not None and probe is not None and probe == self.probe
        assert self.breaker.succeeded(probe) == closes
        if closes or self.until is None:
            self.until, self.row, self.waits, self.probe = None, 0, [], None

    @precondition(lambda self: self.out)
    @rule(data=st.data(), at_once=st.booleans())
    def failed(self, data: st.DataObject, at_once: bool) -> None:
        probe = self.leaving(data)
        if self.until is None:
            self.row += 1
            opens = at_once or self.row == self.FAILURES
        else:
            opens = probe is not None and probe == self.probe
        assert self.breaker.failed(self.now, probe, at_once=at_once) == opens
        if opens:
            self.waits.append(min(self.MOST, self.COOL_OFF * 2 ** len(self.waits)))
            self.open(self.now + self.waits[-1])

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def given_up(self, data: st.DataObject) -> None:
        probe = self.leaving(data)
        was = probe is not None and probe == self.probe
        assert self.breaker.given_up(probe) == was
        if was:
            self.probe = None

    @rule(seconds=eighths)
    def shut(self, seconds: float) -> None:
        self.breaker.open_until(self.now + seconds)
        self.waits = self.waits or [0.0]
        self.open(self.now + seconds)

    @invariant()
    def agrees(self) -> None:
        state = self.breaker.state(self.now)
        if self.until is None:
            assert state is BreakerState.CLOSED
            assert self.breaker.ready_at(self.now) == self.now
        elif self.now < self.until:
            assert state is BreakerState.OPEN
            assert self.breaker.ready_at(self.now) == self.until
        else:
            assert state is BreakerState.HALF_OPEN
            assert self.breaker.ready_at(self.now) == (
                self.now if self.probe is None else math.inf
            )


TestBreakerMachine = BreakerMachine.TestCase


@pytest.mark.parametrize(
    ("failures", "cool_off", "most"),
    [(0, 1.0, 2.0), (1, 0.0, 2.0), (1, 3.0, 2.0), (1, 1.0, math.inf)],
)
def test_a_breaker_that_cannot_be_meant_is_refused(
    failures: int, cool_off: float, most: float
) -> None:
    with pytest.raises(ConfigError, match="cannot be meant"):
        Breaker(failures, cool_off, most)


# --- the budget of retries


@given(
    share=st.integers(0, 8).map(lambda n: n / 8),
    reserve=st.integers(0, 5),
    asked=st.lists(st.booleans(), max_size=60),
)
def test_retries_never_pass_what_was_there_and_a_share_of_the_first_requests(
    share: float, reserve: int, asked: list[bool]
) -> None:
    budget, left = RetryBudget(share, reserve), Fraction(reserve)
    retries = firsts = 0
    for is_retry in asked:
        if is_retry:
            got = budget.take()
            assert got == (left >= 1)
            left -= int(got)
            retries += int(got)
        else:
            budget.asked()
            firsts += 1
            left = min(Fraction(reserve), left + Fraction(share))
        assert budget.left == left
        assert retries <= reserve + share * firsts
