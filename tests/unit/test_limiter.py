"""The limiter: who holds a token, who is next, and what comes back."""

from __future__ import annotations

import pytest
import trio

from understudy.testing import run_seeded
from understudy_actors.limiter import Limiter
from understudy_protocols.errors import ConfigError, SetupError

SEEDS = range(10)


@pytest.mark.parametrize("total", [-1, True, 1.5])
def test_a_total_that_is_no_count_is_refused(total: int) -> None:
    with pytest.raises(ConfigError, match="gate cannot have"):
        Limiter(total, "gate")


def test_errors_name_what_is_limited() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match=r"^limiter cannot have -1 tokens; "):
            Limiter(-1)
        gate = Limiter(1, "gate")
        with pytest.raises(ConfigError, match=r"^gate cannot have -2 tokens; "):
            gate.resize(-2)
        token = gate.acquire_nowait(borrower="a")
        token.release()
        with pytest.raises(SetupError) as caught:
            token.release()
        assert str(caught.value) == (
            "a gave back a token of gate that is not out; each token is given back once"
        )

    run_seeded(main, seed=0)


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


def test_who_names_no_priority_has_priority_0() -> None:
    async def main() -> None:
        limiter = Limiter(1)

        async def hold(name: str) -> None:
            async with limiter.held(borrower=name):
                pass

        async def take(name: str, *priority: int) -> None:
            token = await limiter.acquire(*priority, borrower=name)
            token.release()

        async with trio.open_nursery() as nursery:
            token = await limiter.acquire()
            for line, wait in [("held", hold), ("acquired", take)]:
                nursery.start_soon(wait, line)
                await trio.testing.wait_all_tasks_blocked()
            for priority in (1, 0):
                nursery.start_soon(take, f"{priority}", priority)
                await trio.testing.wait_all_tasks_blocked()
            assert limiter.waiting == ("1", "held", "acquired", "0")
            token.release()

    run_seeded(main, seed=0)
