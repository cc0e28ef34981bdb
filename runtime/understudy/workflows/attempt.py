"""What a step is given besides its context: the means to do its work."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

from understudy_protocols.failures import AttemptRecord
from understudy_protocols.usage import Usage

if TYPE_CHECKING:
    # Loaded by those who have models.
    from understudy.models.bound import BoundModels

Deps_co = TypeVar("Deps_co", covariant=True)


class Surroundings(Protocol):
    """What an attempt is made in, as far as the step may know of it."""

    @property
    def number(self) -> int:
        """See `Attempt.number`."""
        ...

    @property
    def failures(self) -> tuple[AttemptRecord, ...]:
        """See `Attempt.failures`."""
        ...

    @property
    def usage(self) -> Usage:
        """See `Attempt.usage`."""
        ...

    @property
    def models(self) -> BoundModels:
        """See `Attempt.models`."""
        ...

    @property
    def deps(self) -> object:
        """See `Attempt.deps`."""
        ...

    @property
    def key(self) -> str:
        """See `Attempt.key`."""
        ...

    @property
    def path(self) -> str:
        """The step's place in the workflow."""
        ...

    @property
    def run_id(self) -> str:
        """See `Attempt.run_id`."""
        ...

    @property
    def deadline(self) -> float:
        """See `Attempt.deadline`."""
        ...

    @property
    def time_left(self) -> float:
        """See `Attempt.time_left`."""
        ...

    def seeded(self) -> random.Random:
        """See `Attempt.random`."""
        ...

    def emit(self, value: object) -> None:
        """See `Attempt.emit`."""
        ...

    async def wait(self, delay: float, why: str) -> None:
        """See `Attempt.wait`."""
        ...


class Attempt(Generic[Deps_co]):
    """One attempt of a step, as the step's function sees it.

    It is good for the call that it was given to: afterwards model calls, `emit`
    and `wait` raise a SetupError.
    """

    __slots__ = ("_around",)

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    @property
    def models(self) -> BoundModels:
        """The runtime's models by name, within this attempt's limits."""
        return self._around.models

    @property
    def deps(self) -> Deps_co:
        """The user's own dependencies, as given to the runtime."""
        return cast("Deps_co", self._around.deps)

    @property
    def number(self) -> int:
        """Which attempt this is, from 1.

        Model calls that are made again in place count.
        """
        return self._around.number

    @property
    def failures(self) -> tuple[AttemptRecord, ...]:
        """The attempts that failed within this one, in model calls."""
        return self._around.failures

    @property
    def usage(self) -> Usage:
        """What the model calls of this attempt have used so far."""
        return self._around.usage

    @property
    def key(self) -> str:
        """The idempotency key: the same for every attempt at this place of this run."""
        return self._around.key

    @property
    def run_id(self) -> str:
        """The run that this attempt works for."""
        return self._around.run_id

    @property
    def deadline(self) -> float:
        """When the attempt is cut at the latest; on the clock of `trio`, seconds."""
        return self._around.deadline

    @property
    def time_left(self) -> float:
        """Until `deadline`; seconds."""
        return self._around.time_left

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that knows run, step and attempt."""
        facts = {"run": self.run_id, "step": self._around.path, "attempt": self.number}
        return logging.LoggerAdapter(logging.getLogger("understudy.step"), facts)

    def random(self) -> random.Random:
        """Return a random source seeded by the runtime's seed and `key`."""
        return self._around.seeded()

    def emit(self, value: object) -> None:
        """Show *value* to those who watch the run; nothing is stored.

        They get it as it is, but for fields that are `SENSITIVE`.

        The function of a step with ``thread=True`` may call it as well.
        """
        self._around.emit(value)

    async def wait(self, delay: float, why: str = "the step waits") -> None:
        """Sleep for *delay* seconds, and let other messages pass meanwhile.

        The step's permit is given back for that time, also while other tasks of
        the step go on: more of them than ``max_concurrent`` may then be at work.

        Cancellation: raised as by ``trio.sleep``.
        """
        await self._around.wait(delay, why)
