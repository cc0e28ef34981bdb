"""The limiter: who holds a token, who is next, and what comes back."""

from __future__ import annotations

import pytest
import trio

from understudy.testing import run_seeded
from understudy_actors.limiter import Limiter
from understudy_protocols.errors import ConfigError

SEEDS = range(10)


@pytest.mark.parametrize("total", [-1, True, 1.5])
def test_a_total_that_is_no_count_is_refused(total: int) -> None:
    with pytest.raises(ConfigError, match="gate cannot have"):
        Limiter(total, "gate")


def test_tokens_are_out_until_they_are_given_back() -> None:
    async def main() -> None:
        limiter = Limiter(2)
        first = await limiter.acquire(borrower="a")
        limiter.acquire_nowait(borrower="b")
        assert (limiter.holders, limiter.total) == (("a", "b"), 2)
        with pytest.raises(trio.WouldBlock):
            limiter.acquire_nowait()
        first.release()
        assert limiter.holders == ("b",)

    run_seeded(main, seed=0)


def test_a_holder_without_a_name_goes_by_its_task() -> None:
    async def main() -> None:
        limiter = Limiter(1)

        async def borrow() -> None:
            async with limiter.held():
                assert limiter.holders == ("the-borrower",)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(borrow, name="the-borrower")

    run_seeded(main, seed=0)


def test_a_newcomer_cannot_take_the_token_of_one_who_waited() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        async with trio.open_nursery() as nursery:
            token = await limiter.acquire()

            async def wait() -> None:
                await limiter.acquire(borrower="waited")

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            token.release()
            with pytest.raises(trio.WouldBlock):
                limiter.acquire_nowait()
            assert limiter.holders == ("waited",)

    run_seeded(main, seed=0)
