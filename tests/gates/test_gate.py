"""The gate: who is let in, in which order, when not, and what is left afterwards."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable

import pytest
import trio
from call_probe import gate
from cancelling import CancelAt

from understudy.gates.gate import MAX_CLOSURE, Account, Gate, Limits, Ticket
from understudy.gates.line import Need
from understudy.gates.lock import Lock
from understudy.gates.rates import Said
from understudy.gates.retry_budget import RetryBudget
from understudy.gates.verdict import Part
from understudy.testing import run_seeded
from understudy_protocols.failures import Cause, ModelError

ONE = Need(10)
FOREVER = math.inf
seeded = pytest.mark.parametrize("seed", range(6))


def test_what_shut_a_gate_in_one_run_of_trio_is_forgotten_in_the_next() -> None:
    one = free(Limits(requests_per_minute=1))
    other = Gate(
        "other",
        Limits(),
        host=Lock(Cause.TRANSPORT),
        key=one._locks[Part.KEY],
        account=one.account,
    )

    async def first() -> None:
        one.begin(first)
        await trio.sleep(1_000)
        one.failed(await enter(one), Cause.AUTH, None, 10)
        # Within one run nothing is forgotten.
        one.begin(first)
        other.begin(first)
        assert (await refused(other, 1)).cause is Cause.AUTH

    async def second() -> None:
        one.begin(second)
        one.succeeded(await enter(one, latest=0.0), 10)
        assert (await refused(one, 1)).cause is Cause.RATE_LIMIT
        other.begin(second)
        other.succeeded(await enter(other, latest=0.0), 10)

    run(first)
    run(second)


def run(test: Callable[[], Awaitable[None]], seed: int = 0, defer: float = 0.0) -> None:
    run_seeded(test, seed=seed, defer=defer)


def free(limits: Limits | None = None) -> Gate:
    """Return a gate that nothing limits but what *limits* says."""
    return gate(limits=limits or Limits())


def at_rest(*gates: Gate) -> None:
    """Nothing is held any more."""
    for one in gates:
        assert (one.under_way, one.waiting) == (0, 0)
        assert one._by_key == {}
        rates = one._made
        assert rates is not None
        assert rates.requests.reserved == rates.tokens.reserved == 0
        for lock in one._locks.values():
            assert lock.breaker._probe is None


async def enter(to: Gate, latest: float = FOREVER) -> Ticket:
    return await to.enter(ONE, latest=latest)


async def refused(to: Gate, wait: float, need: Need = ONE) -> ModelError:
    """See that nobody is let in within *wait*; return what is said."""
    with pytest.raises(ModelError) as caught:
        await to.enter(need, latest=trio.current_time() + wait)
    assert caught.value.usage is not None
    assert caught.value.usage.calls == 0
    return caught.value


# --- the line


@seeded
@pytest.mark.parametrize("most", [1, 3])
def test_no_more_are_under_way_than_the_limit_and_all_come_in_turn(
    most: int, seed: int
) -> None:
    async def main() -> None:
        to, times = free(Limits(max_concurrent=most)), dict[int, float]()

        async def ask(number: int) -> None:
            ticket = await enter(to)
            times[number] = trio.current_time()
            assert to.under_way <= most
            await trio.sleep(1)
            to.succeeded(ticket, 10)

        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(ask, number)
                await trio.testing.wait_all_tasks_blocked()
        assert times == {number: number // most for number in range(12)}
        at_rest(to)

    run(main, seed, defer=0.2)


@seeded
def test_higher_priorities_go_first_even_before_the_first_in_line(seed: int) -> None:
    async def main() -> None:
        to, order = free(Limits(max_concurrent=1)), list[str]()

        async def ask(name: str, priority: int) -> None:
            ticket = await to.enter(ONE, latest=FOREVER, priority=priority)
            order.append(name)
            await trio.sleep(1)
            to.succeeded(ticket, 10)

        async with trio.open_nursery() as nursery:
            for name, priority in [("a", 0), ("b", 0), ("c", 1), ("d", 5), ("e", 1)]:
                nursery.start_soon(ask, name, priority)
                await trio.testing.wait_all_tasks_blocked()
        assert order == ["a", "d", "c", "e", "b"]
        at_rest(to)

    run(main, seed)


@seeded
def test_a_large_request_is_not_overtaken_by_small_ones(seed: int) -> None:
    async def main() -> None:
        to, order = free(Limits(tokens_per_minute=60)), list[int]()

        async def ask(tokens: int) -> None:
            ticket = await to.enter(Need(tokens), latest=FOREVER)
            order.append(tokens)
            to.succeeded(ticket, tokens)

        async with trio.open_nursery() as nursery:
            for tokens in (50, 60, 1, 2):
                nursery.start_soon(ask, tokens)
                await trio.testing.wait_all_tasks_blocked()
        assert order == [50, 60, 1, 2]
        assert trio.current_time() == pytest.approx(53)
        at_rest(to)

    run(main, seed)


def test_entering_is_a_checkpoint_also_when_nothing_is_in_the_way() -> None:
    async def main() -> None:
        to = free()
        with trio.testing.assert_checkpoints():
            ticket = await enter(to)
        to.given_up(ticket)
        with trio.CancelScope() as scope:
            scope.cancel()
            await enter(to)
        assert scope.cancelled_caught
        at_rest(to)

    run(main)


# --- what cannot wait is told so at once


def test_a_wait_known_to_be_too_long_is_not_begun() -> None:
    async def main() -> None:
        to = free(Limits(requests_per_minute=2))
        for _ in range(2):
            to.succeeded(await enter(to), 0)
        error = await refused(to, 29)
        assert trio.current_time() == 0
        assert (error.cause, error.retry_after) == (Cause.RATE_LIMIT, 30)
        to.succeeded(await enter(to, latest=30), 0)
        assert trio.current_time() == pytest.approx(30)

    run(main)


def test_a_wait_of_unknown_length_ends_at_the_latest() -> None:
    async def main() -> None:
        to = free(Limits(max_concurrent=1))
        ticket = await enter(to)
        error = await refused(to, 3)
        assert trio.current_time() == 3
        assert (error.cause, error.retry_after) == (Cause.OVERLOADED, None)
        to.succeeded(ticket, 0)
        at_rest(to)

    run(main)


def test_those_in_line_count_for_those_who_come() -> None:
    async def main() -> None:
        to = free(Limits(requests_per_minute=6))
        for _ in range(6):
            to.succeeded(await enter(to), 0)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(enter, to)
            await trio.testing.wait_all_tasks_blocked()
            error = await refused(to, 35)
            assert trio.current_time() == 0
            assert error.retry_after == pytest.approx(40)

    run(main)


@seeded
def test_a_closure_in_the_meantime_is_told_to_all_in_line(seed: int) -> None:
    async def main() -> None:
        to, told = free(Limits(max_concurrent=1)), list[float]()
        ticket = await enter(to)

        async def ask() -> None:
            error = await refused(to, 30)
            assert error.cause is Cause.RATE_LIMIT
            told.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
            await trio.sleep(1)
            to.failed(ticket, Cause.RATE_LIMIT, 60.0, 0)
        assert told == [1.0] * 5
        at_rest(to)

    run(main, seed)


# --- Retry-After


@seeded
def test_retry_after_closes_for_all_and_one_goes_first_afterwards(seed: int) -> None:
    async def main() -> None:
        to, times = free(Limits(max_concurrent=8)), list[float]()

        async def ask() -> None:
            ticket = await enter(to)
            times.append(trio.current_time())
            await trio.sleep(0.5)
            to.succeeded(ticket, 0)

        late = await enter(to)
        to.failed(await enter(to), Cause.RATE_LIMIT, 7.0, 0)
        assert to.limit == 4
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
            await trio.sleep(1)
            # One that was sent before says nothing of what was asked for since.
            to.succeeded(late, 0)
        assert times == pytest.approx([7, 7.5, 7.5])
        at_rest(to)

    run(main, seed)


def test_a_closure_holds_until_the_last_that_was_asked_for() -> None:
    async def main() -> None:
        to = free()
        first, second, third = [await enter(to) for _ in range(3)]
        to.failed(first, Cause.OVERLOADED, 9.0, 0)
        to.failed(second, Cause.RATE_LIMIT, 2.0, 0)
        probe = await enter(to)
        assert trio.current_time() == pytest.approx(9)
        # One more while the probe is out: what it finds does not open the gate.
        to.failed(third, Cause.SERVER, 5.0, 0)
        to.succeeded(probe, 0)
        to.succeeded(await enter(to), 0)
        assert trio.current_time() == pytest.approx(14)
        at_rest(to)

    run(main)


def test_no_closure_is_longer_than_its_bound() -> None:
    async def main() -> None:
        to = free()
        to.failed(await enter(to), Cause.RATE_LIMIT, 86_400.0, 0)
        error = await refused(to, 30)
        assert error.retry_after == MAX_CLOSURE
        to.succeeded(await enter(to), 0)
        assert trio.current_time() == pytest.approx(MAX_CLOSURE)

    run(main)


@pytest.mark.parametrize("cause", [Cause.TIMEOUT, Cause.CONFLICT, Cause.BAD_REQUEST])
def test_a_wait_asked_of_one_request_closes_for_nobody(cause: Cause) -> None:
    async def main() -> None:
        to = free()
        to.failed(await enter(to), cause, 50.0, 0)
        assert to.blocked(ONE) is None

    run(main)


# --- what a failure shuts


def shared(count: int, *, by: str) -> list[Gate]:
    """Return gates that share a host, or a key."""
    host, key = Lock(Cause.TRANSPORT), Lock(Cause.AUTH)
    account = Account(RetryBudget(), RetryBudget())
    return [
        Gate(
            f"m{number}",
            Limits(),
            host=host if by == "host" else Lock(Cause.TRANSPORT),
            key=key if by == "key" else Lock(Cause.AUTH),
            account=account,
        )
        for number in range(count)
    ]


async def fail(to: Gate, cause: Cause, *, sent: bool = True) -> None:
    to.failed(await enter(to), cause, None, 0 if sent else None)


@seeded
@pytest.mark.parametrize("cause", [Cause.SERVER, Cause.TIMEOUT, Cause.TRANSPORT])
def test_failures_in_a_row_open_it_and_one_probe_closes_it(
    cause: Cause, seed: int
) -> None:
    async def main() -> None:
        to, times = free(), list[float]()
        for _ in range(4):
            await fail(to, cause)
        to.succeeded(await enter(to), 0)
        for _ in range(5):
            assert to.blocked(ONE) is None
            await fail(to, cause)
        assert (await refused(to, 4)).cause is cause

        async def ask() -> None:
            ticket = await enter(to)
            times.append(trio.current_time())
            await trio.sleep(1)
            if len(times) == 1:
                to.failed(ticket, cause, None, 0)
            else:
                to.succeeded(ticket, 0)

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(ask)
        # Each probe that fails doubles the wait.
        assert times == pytest.approx([5, 16, 17, 17])
        at_rest(to)

    run(main, seed)


@seeded
def test_a_probe_that_is_given_up_lets_the_next_one_go(seed: int) -> None:
    async def main() -> None:
        to = free()
        for _ in range(5):
            await fail(to, Cause.SERVER)
        await trio.sleep(5)
        probe = await enter(to)

        async def ask() -> None:
            to.succeeded(await enter(to), 0)
            assert trio.current_time() == 7

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(2)
            to.given_up(probe)
        at_rest(to)

    run(main, seed)


@pytest.mark.parametrize(
    ("cause", "sent", "opens_after"),
    [
        (Cause.AUTH, True, 1),
        (Cause.QUOTA, True, 1),
        (Cause.MODEL_GONE, True, 1),
        (Cause.TRANSPORT, False, 5),
        (Cause.TRANSPORT, True, 5),
        (Cause.SERVER, True, 5),
        (Cause.TIMEOUT, True, 5),
        (Cause.OVERLOADED, True, 5),
        (Cause.RATE_LIMIT, True, None),
        (Cause.BAD_REQUEST, True, None),
        (Cause.BAD_REQUEST, False, None),
        (Cause.REFUSED, True, None),
        (Cause.STEP_ERROR, True, None),
    ],
)
def test_what_opens_a_gate_and_after_how_many_failures(
    cause: Cause, sent: bool, opens_after: int | None
) -> None:
    async def main() -> None:
        to = free()
        for count in range(1, 8):
            await fail(to, cause, sent=sent)
            if count == opens_after:
                assert (await refused(to, 1)).cause is cause
                return
            assert to.blocked(ONE) is None
        assert opens_after is None

    run(main)


@pytest.mark.parametrize(
    ("by", "cause", "sent", "shares"),
    [
        ("host", Cause.TRANSPORT, False, True),
        ("host", Cause.TRANSPORT, True, False),
        ("host", Cause.AUTH, True, False),
        ("key", Cause.AUTH, True, True),
        ("key", Cause.QUOTA, True, True),
        ("key", Cause.MODEL_GONE, True, False),
        ("key", Cause.SERVER, True, False),
        ("key", Cause.TRANSPORT, False, False),
    ],
)
def test_what_a_failure_shuts_is_what_it_says_something_of(
    by: str, cause: Cause, sent: bool, shares: bool
) -> None:
    async def main() -> None:
        first, second = shared(2, by=by)
        for _ in range(5):
            if first.blocked(ONE) is None:
                await fail(first, cause, sent=sent)
        assert first.blocked(ONE) is not None
        assert (second.blocked(ONE) is not None) == shares

    run(main)


@seeded
@pytest.mark.parametrize("by", ["host", "key"])
def test_what_one_gate_finds_out_wakes_those_who_wait_at_another(
    by: str, seed: int
) -> None:
    """And only one of them all tries."""
    cause = Cause.TRANSPORT if by == "host" else Cause.AUTH

    async def main() -> None:
        gates, times = shared(3, by=by), list[float]()
        for _ in range(5):
            if gates[0].blocked(ONE) is None:
                await fail(gates[0], cause, sent=by == "key")

        async def ask(to: Gate) -> None:
            ticket = await enter(to)
            times.append(trio.current_time())
            await trio.sleep(1)
            to.succeeded(ticket, 0)

        async with trio.open_nursery() as nursery:
            for to in gates * 2:
                nursery.start_soon(ask, to)
        assert times == pytest.approx([5, 6, 6, 6, 6, 6])
        at_rest(*gates)

    run(main, seed)


# --- the provider's word on rates


def test_a_higher_limit_of_the_provider_does_not_lift_the_users() -> None:
    async def main() -> None:
        to = free(Limits(requests_per_minute=60))
        to.heard(Said(requests_left=100, requests_limit=10_000), key="")
        for _ in range(60):
            to.succeeded(await enter(to), 0)
        assert to.blocked(ONE) is not None

    run(main)


# --- all at once


class Crowd:
    """Many who ask gates that share things, with any outcome, cut at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        host, key = Lock(Cause.TRANSPORT), Lock(Cause.AUTH)
        account = Account(RetryBudget(), RetryBudget())
        self.most = [self.random.randint(1, 4) for _ in range(3)]
        self.gates = [
            Gate(
                f"m{number}",
                Limits(
                    max_concurrent=most,
                    requests_per_minute=self.random.choice([math.inf, 60, 600]),
                    tokens_per_minute=self.random.choice([math.inf, 3000]),
                ),
                host=host,
                key=key,
                account=account,
            )
            for number, most in enumerate(self.most)
        ]
        self.inside = [0, 0, 0]
        self.probing = 0
        self.let_in = 0

    async def ask(self) -> None:
        source = self.random
        place = source.randrange(3)
        to, now = self.gates[place], trio.current_time()
        await trio.sleep(source.choice([0, 0, 1, 7]))
        with trio.move_on_after(source.choice([math.inf, 0, 0.5, 5, 60])):
            try:
                ticket = await to.enter(
                    Need(source.randrange(100)),
                    latest=now + source.choice([0, 1, 30, 300]),
                    priority=source.randrange(3),
                    key=source.choice(["", f"{source.random()}"]),
                )
            except ModelError:
                return
            self.let_in += 1
            await self.inside_of(place, ticket)

    async def inside_of(self, place: int, ticket: Ticket) -> None:
        source, to = self.random, self.gates[place]
        self.inside[place] += 1
        assert self.inside[place] <= to.under_way <= self.most[place]
        opened = [lock for lock in ticket.probes if lock.breaker._opened]
        assert len(opened) == len(ticket.probes)
        try:
            await trio.sleep(source.choice([0, 0.1, 1, 20]))
            used = source.choice([None, 0, 50, 200])
            if source.random() < 0.6:
                to.succeeded(ticket, used or 0)
            else:
                cause = source.choice(list(Cause))
                wait = source.choice([None, None, 3.0, 500.0])
                to.failed(ticket, cause, wait, used)
        finally:
            self.inside[place] -= 1
            to.given_up(ticket)
            to.given_up(ticket)  # once more does nothing


async def _crowd(seed: int) -> int:
    crowd = Crowd(seed)
    async with trio.open_nursery() as nursery:
        for _ in range(60):
            nursery.start_soon(crowd.ask)
    at_rest(*crowd.gates)
    # And all of it works again, once what was closed is over.
    await trio.sleep(600)
    for to in crowd.gates:
        for _ in range(3):
            to.succeeded(await enter(to), 0)
        assert to.blocked(Need(0)) is None or to._limits.requests_per_minute < 100
    return crowd.let_in


@pytest.mark.parametrize("block", range(4))
def test_under_any_outcome_and_cancellation_all_comes_back(block: int) -> None:
    let_in = 0
    for seed in range(block * 60, block * 60 + 60):
        let_in += run_seeded(_crowd, seed, seed=seed, defer=0.1)
    assert let_in > 60 * 10


async def _cut(at: int) -> bool:
    to, cut = free(Limits(max_concurrent=1, requests_per_minute=60)), CancelAt(at)
    order: list[int] = []

    async def ask(number: int) -> None:
        scope = cut.scope if number == 2 else trio.CancelScope()
        with scope:
            ticket = await enter(to)
            try:
                order.append(number)
                await trio.sleep(1)
                to.succeeded(ticket, 10)
            finally:
                to.given_up(ticket)

    cut.start()
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(ask, number)
            await trio.testing.wait_all_tasks_blocked()
    cut.stop()
    assert [number for number in order if number != 2] == [0, 1, 3, 4]
    at_rest(to)
    return cut.came


@pytest.mark.parametrize("seed", range(3))
def test_cancelled_at_any_step_the_others_go_on_in_order(seed: int) -> None:
    at = 1
    while run_seeded(_cut, at, seed=seed):
        at += 1
    assert at > 20
