"""The limiter against a naive model, under any schedule."""

from __future__ import annotations

import itertools

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.testing import run_seeded, seeds
from understudy_actors.limiter import Limiter

# What one borrower does: its priority, when it comes, how long it holds, and
# how long it is willing to wait; seconds.
borrowers = st.tuples(
    st.integers(0, 2), st.integers(0, 9), st.integers(0, 5), st.integers(1, 20)
)


def parsed(name: str) -> tuple[int, int]:
    priority, ordinal = name.split()
    return int(priority), int(ordinal)


@settings(max_examples=150, deadline=None)
@given(
    seed=seeds(),
    plans=st.lists(borrowers, min_size=1, max_size=12),
    total=st.integers(0, 3),
    resizes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=3),
)
def test_s149_never_more_holders_than_tokens_and_all_come_back(
    seed: int,
    plans: list[tuple[int, int, int, int]],
    total: int,
    resizes: list[tuple[int, int]],
) -> None:
    """Served in order within each priority; at rest nothing is out."""

    async def main() -> None:
        limiter = Limiter(total)
        held: list[str] = []
        ordinals = itertools.count()

        async def borrow(priority: int, come: int, hold: int, patience: int) -> None:
            await trio.sleep(come)
            ordinal = next(ordinals)
            name = f"{priority} {ordinal}"
            with trio.move_on_after(patience):
                token = await limiter.acquire(priority, borrower=name)
                held.append(name)
                for priority_left, ordinal_left in map(parsed, limiter.waiting):
                    assert priority_left != priority or ordinal_left > ordinal
                try:
                    await trio.sleep(hold)
                finally:
                    held.remove(name)
                    token.release()

        async def resize(when: int, to: int) -> None:
            await trio.sleep(when + 0.5)
            grown = to - len(limiter.holders)
            waiting = limiter.waiting
            limiter.resize(to)
            woken = len(waiting) - len(limiter.waiting)
            assert woken == max(0, min(grown, len(waiting)))

        async def watch() -> None:
            largest = max([total, *(to for _, to in resizes)])
            for _ in range(40):
                await trio.sleep(1)
                assert len(held) <= largest
                assert set(held) <= set(limiter.holders)
                line = [parsed(name) for name in limiter.waiting]
                assert line == sorted(line, key=lambda who: (-who[0], who[1]))
                # If a token is free, nobody waits.
                assert len(limiter.holders) >= limiter.total or not limiter.waiting

        async with trio.open_nursery() as nursery:
            for plan in plans:
                nursery.start_soon(borrow, *plan)
            for when, to in resizes:
                nursery.start_soon(resize, when, to)
            nursery.start_soon(watch)
        assert limiter.holders == limiter.waiting == ()

    run_seeded(main, seed=seed)
