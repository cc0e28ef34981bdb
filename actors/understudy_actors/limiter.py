"""A limit on how many may do something at once, with names to the holders.

A token is handed straight from the one who gives it back to the first in line,
with no moment in between at which a newcomer could take it.  So one thing
always holds: if a token is free, nobody waits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from understudy_protocols.errors import ConfigError, SetupError


class Token:
    """The right to do one thing, until it is given back.

    Attributes:
      borrower: who holds it; for people to read.
    """

    __slots__ = ("_limiter", "_task", "borrower")

    def __init__(self, limiter: Limiter, borrower: str | None) -> None:
        self._task = trio.lowlevel.current_task()
        self._limiter = limiter
        self.borrower = borrower or self._task.name

    def release(self) -> None:
        """Give it back; once.

        Raises:
          SetupError: it was given back already.
        """
        self._limiter.release(self)

    def hand_over(self) -> None:
        """Tell the one who waits for it that it is theirs now."""
        trio.lowlevel.reschedule(self._task)


class Limiter:
    """At most *total* tokens are out at any moment.

    It belongs to nobody: several supervisors may share one, and the restart of
    any of them leaves it as it is.

    Args:
      total: tokens there are; a count, 0 (nobody may) or more.
      name: what is limited; named in errors.
    """

    def __init__(self, total: int, name: str = "limiter") -> None:
        self.name = name
        self._total = _checked(total, name)
        self._holders: dict[Token, None] = {}
        # One line for each priority: within it, first come first served.  An
        # empty line leaves, so the highest key is always somebody's.
        self._lines: dict[int, OrderedDict[Token, None]] = {}

    @property
    def total(self) -> int:
        """Tokens there are."""
        return self._total

    @property
    def holders(self) -> tuple[str, ...]:
        """Who holds a token, longest first."""
        return tuple(token.borrower for token in self._holders)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Who waits for one, in the order in which they will be served."""
        return tuple(
            token.borrower
            for priority in sorted(self._lines, reverse=True)
            for token in self._lines[priority]
        )

    @trio.lowlevel.enable_ki_protection
    def acquire_nowait(self, *, borrower: str | None = None) -> Token:
        """Take a token that is free.

        Raises:
          trio.WouldBlock: none is.
        """
        if len(self._holders) >= self._total:
            raise trio.WouldBlock
        token = Token(self, borrower)
        self._holders[token] = None
        return token

    @trio.lowlevel.enable_ki_protection
    async def acquire(self, priority: int = 0, *, borrower: str | None = None) -> Token:
        """Take a token, after all who came before with this priority or a higher.

        Always a checkpoint.

        Args:
          borrower: who holds it; the task's name if not given.
        Cancellation: no token was taken, and the line closes up.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            token = self.acquire_nowait(borrower=borrower)
        except trio.WouldBlock:
            return await self._wait_in_line(priority, borrower)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return token

    @asynccontextmanager
    async def held(
        self, priority: int = 0, *, borrower: str | None = None
    ) -> AsyncGenerator[Token]:
        """Hold a token for the length of a block."""
        token = await self.acquire(priority, borrower=borrower)
        try:
            yield token
        finally:
            # The block may have lent it to others and not have it back.
            if token in self._holders:
                self.release(token)

    @trio.lowlevel.enable_ki_protection
    def release(self, token: Token) -> None:
        """Give *token* back, to the first in line if there is one.

        Raises:
          SetupError: it is not out: given back already, or another limiter's.
        """
        if token not in self._holders:
            raise SetupError(
                f"{token.borrower} gave back a token of {self.name} that is not out; "
                "each token is given back once"
            )
        del self._holders[token]
        self._serve()

    @trio.lowlevel.enable_ki_protection
    def resize(self, total: int) -> None:
        """Change how many tokens there are.

        More of them go to those in line at once.  Fewer: the holders keep
        theirs, and nobody gets one until enough are back.
        """
        self._total = _checked(total, self.name)
        self._serve()

    async def _wait_in_line(self, priority: int, borrower: str | None) -> Token:
        token = Token(self, borrower)
        line = self._lines.setdefault(priority, OrderedDict())
        line[token] = None

        def leave(_: object) -> trio.lowlevel.Abort:
            del line[token]
            if not line:
                del self._lines[priority]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)
        return token

    def _serve(self) -> None:
        while self._lines and len(self._holders) < self._total:
            priority = max(self._lines)
            line = self._lines[priority]
            token, _ = line.popitem(last=False)
            if not line:
                del self._lines[priority]
            self._holders[token] = None
            token.hand_over()


def _checked(total: int, name: str) -> int:
    if isinstance(total, bool) or not isinstance(total, int) or total < 0:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without a checker
        raise ConfigError(
            f"{name} cannot have {total!r} tokens; give it a count from 0"
        )
    return total
