"""What a step is given besides its context: the means to do its work."""

from __future__ import annotations

import logging
import random
from typing import Generic, Protocol, TypeVar, cast

from understudy.budgets import Hold
from understudy.models.bound import BoundModels
from understudy_protocols.failures import AttemptRecord, Failure
from understudy_protocols.retry import RetryConfig
from understudy_protocols.usage import NO_USAGE, Usage

Deps_co = TypeVar("Deps_co", covariant=True)


class Post(Protocol):
    """The place an attempt is made at: the step, the run, the worker."""

    @property
    def key(self) -> str:
        """The step's idempotency key at this place of this run."""
        ...

    @property
    def path(self) -> str:
        """The step's place in the workflow."""
        ...

    @property
    def run_id(self) -> str:
        """The run."""
        ...

    @property
    def deps(self) -> object:
        """The user's own dependencies."""
        ...

    @property
    def retry(self) -> RetryConfig:
        """The step's retry rules."""
        ...

    @property
    def deadline(self) -> float:
        """The nearest deadline around the attempt; seconds on the clock of `now`."""
        ...

    @property
    def capped(self) -> bool:
        """Whether money or tokens have a cap."""
        ...

    def now(self) -> float:
        """The runtime's clock; seconds."""
        ...

    def jitter(self) -> float:
        """A number from 0 to 1, from the runtime's random source."""
        ...

    def seeded(self) -> random.Random:
        """A random source that depends on the runtime's seed and the key alone."""
        ...

    def models(self, attempt: Attempt[object]) -> BoundModels:
        """The runtime's models, bound to *attempt*."""
        ...

    def bound_request(self) -> None:
        """Suspend the bound on the step's own code."""
        ...

    def bound_body(self) -> None:
        """Set the bound on the step's own code again."""
        ...

    async def wait(self, delay: float, why: str) -> None:
        """Wait with the permit given back."""
        ...

    def reserve(self, worst: Usage) -> Hold:
        """Put *worst* aside in the run's budget."""
        ...

    def emit(self, value: object, number: int) -> None:
        """Show *value* to those who watch the run."""
        ...


class Attempt(Generic[Deps_co]):
    """One attempt of a step, as the step's function sees it.

    Attributes:
      number: which attempt this is, from 1; model calls that are made again in
        place count.
      failures: the attempts that failed within this one, in model calls.
      usage: what the model calls of this attempt have used so far.
    """

    __slots__ = ("_calls", "_final", "_models", "_post", "failures", "number", "usage")

    def __init__(self, post: Post, number: int) -> None:
        self._post = post
        self._models: BoundModels | None = None
        self._final: tuple[BaseException, ...] = ()
        self._calls = 0
        self.number = number
        self.failures: tuple[AttemptRecord, ...] = ()
        self.usage: Usage = NO_USAGE

    @property
    def models(self) -> BoundModels:
        """The runtime's models by name, within this attempt's limits."""
        if self._models is None:
            self._models = self._post.models(self)
        return self._models

    @property
    def deps(self) -> Deps_co:
        """The user's own dependencies, as given to the runtime."""
        return cast("Deps_co", self._post.deps)

    @property
    def key(self) -> str:
        """The idempotency key: the same for every attempt at this place of this run."""
        return self._post.key

    @property
    def run_id(self) -> str:
        """The run that this attempt works for."""
        return self._post.run_id

    @property
    def deadline(self) -> float:
        """When the attempt is cut at the latest; on the clock of `trio`, seconds."""
        return self._post.deadline

    @property
    def time_left(self) -> float:
        """Until `deadline`; seconds."""
        return self._post.deadline - self._post.now()

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that knows run, step and attempt."""
        facts = {"run": self.run_id, "step": self._post.path, "attempt": self.number}
        return logging.LoggerAdapter(logging.getLogger("understudy.step"), facts)

    def random(self) -> random.Random:
        """Return a random source seeded by the runtime's seed and `key`."""
        return self._post.seeded()

    def emit(self, value: object) -> None:
        """Show *value* to those who watch the run, as it is; nothing is stored."""
        self._post.emit(value, self.number)

    async def wait(self, delay: float, why: str = "the step waits") -> None:
        """Sleep for *delay* seconds, and let other messages pass meanwhile.

        Cancellation: raised as by ``trio.sleep``.
        """
        await self._post.wait(delay, why)

    def is_final(self, error: BaseException) -> bool:
        """Whether a model call gave up with *error*, so that nothing is repeated.

        A nursery of the step's own may have put a group around it.
        """
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            return any(self.is_final(one) for one in group.exceptions)
        return any(error is one for one in self._final)

    # What model calls need; see `understudy.models.bound.CallScope`.

    @property
    def retry(self) -> RetryConfig:
        """The step's retry rules."""
        return self._post.retry

    @property
    def capped(self) -> bool:
        """Whether money or tokens have a cap."""
        return self._post.capped

    def now(self) -> float:
        """The runtime's clock; seconds."""
        return self._post.now()

    def jitter(self) -> float:
        """A number from 0 to 1, from the runtime's random source."""
        return self._post.jitter()

    def call_key(self) -> str:
        """Return an idempotency key for the next logical call of this attempt."""
        self._calls += 1
        return f"{self.key}/{self._calls}"

    def request_begins(self) -> None:
        """From here on the request has a bound of its own."""
        self._post.bound_request()

    def request_ends(self) -> None:
        """From here on the step's own code is bounded again."""
        self._post.bound_body()

    def reserve(self, worst: Usage) -> Hold:
        """Put the worst case aside in the run's budget."""
        return self._post.reserve(worst)

    def charge(self, usage: Usage) -> None:
        """Count what a call used."""
        self.usage = self.usage + usage

    def failed_in_place(self, failure: Failure, started: float, usage: Usage) -> None:
        """Record an attempt that failed within the step's function."""
        record = AttemptRecord(self.number, started, self.now(), failure, usage)
        self.failures = (*self.failures, record)

    def final(self, error: BaseException) -> None:
        """Take note that *error* is the last word of a call."""
        self._final = (*self._final, error)
