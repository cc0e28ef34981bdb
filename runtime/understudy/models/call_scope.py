"""What a model call may use of the attempt around it, and what it has to tell it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from understudy.budgets import Hold
from understudy.models.function_journal import FunctionJournal
from understudy.models.input_limit import InputLimit
from understudy_protocols.failures import Failure
from understudy_protocols.retry import RetryConfig
from understudy_protocols.usage import Usage


class CallScope(FunctionJournal, Protocol):
    """The attempt around a call: what it may use, and what it has to know."""

    number: int

    @property
    def retry(self) -> RetryConfig:
        """The step's retry rules."""
        ...

    @property
    def input_limit(self) -> InputLimit | None:
        """The most that a model is to read in one request."""
        ...

    @property
    def time_left(self) -> float:
        """Until the nearest deadline around the attempt; seconds."""
        ...

    @property
    def priority(self) -> int:
        """The run's: higher ones get a free slot first."""
        ...

    def jitter(self) -> float:
        """A number from 0 to 1, from the runtime's random source."""
        ...

    def call_key(self) -> str:
        """An idempotency key for one logical call."""
        ...

    def request_begins(self) -> None:
        """From here on the request has a bound of its own."""
        ...

    def request_ends(self) -> None:
        """From here on the step's own code is bounded again."""
        ...

    def waiting(self, why: str) -> AbstractAsyncContextManager[None]:
        """Let other messages pass while the block waits.

        Args:
          why: for what; those who watch the run are told.
        """
        ...

    async def wait(self, delay: float, why: str) -> None:
        """Wait *delay* seconds, as in `waiting`."""
        ...

    async def show(self, value: object) -> None:
        """Show *value* to those who watch the run; waits for the one who began it."""
        ...

    def reserve(self, worst: Usage) -> Hold:
        """Put the worst case aside; BudgetExceededError if it could pass a cap."""
        ...

    async def on_record(self, hold: Hold) -> None:
        """Return when it is safe that *hold* was put aside, if runs are written down.

        Cancellation: nothing was sent; it may be on record all the same.
        """
        ...

    @property
    def money_capped(self) -> bool:
        """Whether money has a cap."""
        ...

    @property
    def tokens_capped(self) -> bool:
        """Whether tokens have a cap."""
        ...

    def settle(self, hold: Hold, used: Usage) -> None:
        """Count what a call used in place of what was put aside for it, once."""
        ...

    def failed_in_place(self, failure: Failure, started: float, usage: Usage) -> None:
        """Record an attempt that failed within the step's function."""
        ...

    def final(self, error: BaseException) -> None:
        """Take note that *error* is the last word of a call."""
        ...
