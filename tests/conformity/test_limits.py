"""Tokens: each comes back once, to those who wait in order."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from understudy.testing import run_seeded
from understudy_actors.limiter import Limiter, Token
from understudy_protocols.errors import SetupError

SEEDS = range(10)


def test_s150_a_token_is_given_back_once() -> None:
    async def main() -> None:
        limiter, other = Limiter(1), Limiter(1, "other")
        token = await limiter.acquire()
        with pytest.raises(SetupError, match="not out"):
            other.release(token)
        token.release()
        with pytest.raises(SetupError, match="given back once"):
            token.release()
        assert limiter.holders == ()

    run_seeded(main, seed=0)


def test_s150_a_block_returns_its_token_on_every_way_out() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        with pytest.raises(KeyError):
            async with limiter.held():
                raise KeyError
        with trio.move_on_after(1):
            async with limiter.held():
                await trio.sleep_forever()
        async with limiter.held() as token:
            token.release()  # lent out, and not had back
        assert limiter.holders == ()

    run_seeded(main, seed=0)


def test_s151_waiters_are_served_first_come_first_served_per_priority() -> None:
    async def main() -> list[str]:
        limiter = Limiter(1)
        served: list[str] = []

        async def want(name: str, priority: int) -> None:
            async with limiter.held(priority, borrower=name):
                served.append(name)

        async with trio.open_nursery() as nursery:
            token = await limiter.acquire()
            for name, priority in [("a", 0), ("b", 0), ("c", 1), ("d", -1), ("e", 1)]:
                nursery.start_soon(want, name, priority)
                await trio.testing.wait_all_tasks_blocked()
            assert limiter.waiting == ("c", "e", "a", "b", "d")
            token.release()
        return served

    for seed in SEEDS:
        assert run_seeded(main, seed=seed) == ["c", "e", "a", "b", "d"]


def test_s151_a_waiter_that_is_cancelled_leaves_no_gap() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        served: list[int] = []

        async def want(number: int, scope: trio.CancelScope) -> None:
            with scope:
                async with limiter.held():
                    served.append(number)

        scopes = [trio.CancelScope() for _ in range(4)]
        async with trio.open_nursery() as nursery:
            token = await limiter.acquire()
            for number, scope in enumerate(scopes):
                nursery.start_soon(want, number, scope)
                await trio.testing.wait_all_tasks_blocked()
            scopes[0].cancel()
            scopes[2].cancel()
            # The first in line is cancelled and not gone yet: it gets no token.
            token.release()
        assert served == [1, 3]
        assert limiter.holders == limiter.waiting == ()

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s153_changing_the_limit_wakes_exactly_the_new_number() -> None:
    async def main() -> None:
        limiter = Limiter(0)
        got: list[Token] = []

        async def want() -> None:
            got.append(await limiter.acquire())

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(want)
            for total, served in [(0, 0), (2, 2), (3, 3), (1, 3)]:
                limiter.resize(total)
                await trio.testing.wait_all_tasks_blocked()
                assert len(got) == served
            for back, served in [(1, 3), (2, 3), (3, 4), (4, 5)]:
                got[back - 1].release()
                await trio.testing.wait_all_tasks_blocked()
                assert len(got) == served
        assert len(limiter.holders) == 1

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s160_acquire_in_a_cancelled_scope_takes_nothing() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        with trio.CancelScope() as scope:
            scope.cancel()
            await limiter.acquire()
        assert scope.cancelled_caught
        assert limiter.holders == ()

    run_seeded(main, seed=0)


def test_s161_acquire_is_a_checkpoint_and_the_rest_is_none() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        with trio.testing.assert_checkpoints():
            token = await limiter.acquire()
        with trio.testing.assert_no_checkpoints():
            token.release()
            limiter.acquire_nowait().release()
            limiter.resize(2)

    run_seeded(main, seed=0)
