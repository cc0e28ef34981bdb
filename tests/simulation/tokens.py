"""Limits, and who holds what of them: S149, S150, S151."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

from book import Book

from understudy_actors.limiter import Limiter


class Limit:
    """One shared limiter, and what its holders say of it."""

    def __init__(self, number: int, total: int) -> None:
        self.limiter = Limiter(total, f"limit {number}")
        self.holding = 0
        self.most = total  # allowed now: more than there are after a resize


class Tokens:
    """The limiters that the actors of one run share.

    Args:
      source: of their sizes.
      book: where violations go.
      pause: may let others run.
    """

    def __init__(
        self, source: Random, book: Book, pause: Callable[[], Awaitable[None]]
    ) -> None:
        self._random = source
        self._book = book
        self._pause = pause
        self._limits = [Limit(number, source.choice((1, 1, 2))) for number in range(2)]
        self._line: dict[str, tuple[Limit, int]] = {}
        self._borrowers = 0

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None]:
        """Hold a token of one of the limiters."""
        limit = self._random.choices(self._limits, (4, 1))[0]
        priority = self._random.choice((0, 0, 1))
        await self._pause()
        # Numbered in the very step in which it asks: the order of the line.
        self._borrowers += 1
        borrower = f"{self._borrowers:06}"
        self._line[borrower] = limit, priority
        try:
            async with limit.limiter.held(priority, borrower=borrower):
                self._check_turn(borrower)
                limit.holding += 1
                try:
                    self.check()
                    await self._pause()
                    yield
                finally:
                    limit.holding -= 1
                    self._settle(limit)
        finally:
            self._line.pop(borrower, None)

    def resize(self) -> None:
        """Change the size of one of the limiters."""
        limit = self._random.choices(self._limits, (4, 1))[0]
        total = self._random.choice((1, 2, 3))
        limit.most = max(total, len(limit.limiter.holders))
        limit.limiter.resize(total)
        self._book.note("resized", limit.limiter.name, total)

    def check(self) -> None:
        """See that no more hold a token than may."""
        for limit in self._limits:
            fits = limit.holding <= len(limit.limiter.holders) <= limit.most
            about = limit.limiter.name, limit.holding, limit.most
            self._book.require(fits, "S149 more holders than tokens", *about)

    def check_at_rest(self) -> None:
        """See that all tokens are back, and nobody waits."""
        for limit in self._limits:
            left = limit.limiter.holders, limit.limiter.waiting
            self._book.require(left == ((), ()), "S150 not given back", *left)

    def _settle(self, limit: Limit) -> None:
        # Called with the token still out: after a smaller size the holders
        # become fewer one by one, and never more again.
        limiter = limit.limiter
        limit.most = max(limiter.total, min(limit.most, len(limiter.holders)))

    def _check_turn(self, borrower: str) -> None:
        limit, priority = self._line.pop(borrower)
        self._book.count("token taken")
        # Those before it in line; one with more priority that came later may
        # have come after the token was handed over.
        passed = [
            other
            for other in limit.limiter.waiting
            if other < borrower and self._line[other][1] >= priority
        ]
        self._book.require(not passed, "S151 out of turn", borrower, *passed)
