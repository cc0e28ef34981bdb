"""What failures shut, for whom, and how it opens again."""

from __future__ import annotations

import pytest
import trio
from gate_probe import ONE, at_rest, enter, free, refused, run, seeded

from understudy.gates.gate import Account, Gate
from understudy.gates.limits import Limits
from understudy.gates.lock import Lock
from understudy.gates.retry_budget import RetryBudget
from understudy.gates.verdict import Part
from understudy_protocols.failures import Cause


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
