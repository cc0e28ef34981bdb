"""The gate: who is let in, in which order, when not, and until when."""

from __future__ import annotations

import pytest
import trio
from gate_probe import FOREVER, ONE, at_rest, enter, free, refused, run, seeded

from understudy.gates.gate import MAX_CLOSURE
from understudy.gates.limits import Limits
from understudy.gates.line import Need
from understudy.gates.rates import Said
from understudy_protocols.failures import Cause

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


@seeded
def test_those_who_wait_for_a_probe_go_in_when_its_answer_begins(seed: int) -> None:
    """And not when it has come to its end, which may take minutes."""

    async def main() -> None:
        to, times = free(), list[float]()

        async def ask() -> None:
            ticket = await enter(to)
            times.append(trio.current_time())
            to.succeeded(ticket, 0)

        to.failed(await enter(to), Cause.RATE_LIMIT, 7.0, 0)
        probe = await to.enter(ONE, latest=FOREVER, key="probe")
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
            await trio.sleep(1)
            to.accepted(key="another")
            await trio.sleep(1)
            assert times == []
            to.accepted(key="probe")
        assert times == pytest.approx([9, 9, 9])
        # What comes of the rest of it is the model's affair.
        to.failed(probe, Cause.TRANSPORT, None, 0)
        assert to.blocked(ONE) is None
        at_rest(to)

    run(main, seed)


def test_the_beginning_of_an_answer_says_nothing_of_a_model_that_fails() -> None:
    async def main() -> None:
        to = free()
        for _ in range(5):
            to.failed(await enter(to), Cause.SERVER, None, 0)
        probe = await to.enter(ONE, latest=FOREVER, key="probe")
        to.accepted(key="probe")
        assert to.blocked(ONE) is not None
        to.succeeded(probe, 0)
        assert to.blocked(ONE) is None

    run(main)


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


def test_a_probe_that_is_asked_to_wait_waits_as_long_as_it_is_asked_to() -> None:
    """And not longer and longer, as after a probe that simply fails."""

    async def main() -> None:
        to = free()
        for count in range(5):
            ticket = await enter(to)
            assert trio.current_time() == pytest.approx(2 * count)
            to.failed(ticket, Cause.RATE_LIMIT, 2.0, 0)
        to.succeeded(await enter(to), 0)
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


# --- the provider's word on rates


def test_a_higher_limit_of_the_provider_does_not_lift_the_users() -> None:
    async def main() -> None:
        to = free(Limits(requests_per_minute=60))
        to.heard(Said(requests_left=100, requests_limit=10_000), key="")
        for _ in range(60):
            to.succeeded(await enter(to), 0)
        assert to.blocked(ONE) is not None

    run(main)
