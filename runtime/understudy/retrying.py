"""`with_retry`: call one function until it succeeds, usable without a runtime.

What to do after a failure is decided by `understudy_protocols.retry`; this file
calls, times, waits, and keeps the record.
"""

from __future__ import annotations

import inspect
import itertools
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal, TypeVar, cast, overload

import trio

from understudy.calling import Raised, call, call_plain
from understudy_protocols.errors import ConfigError, UnderstudyError
from understudy_protocols.failures import (
    AttemptRecord,
    Cause,
    Failure,
    StepError,
    failure_of,
)
from understudy_protocols.retry import GiveUp, RetryConfig, decide

_T = TypeVar("_T")

_DEFAULT_CONFIG = RetryConfig()


class RetriesExhausted(UnderstudyError):
    """`with_retry` gave up; the last exception is ``__cause__``.

    Attributes:
      name: the function that was called.
      attempts: one record per call, oldest first; its length is the count.
      reason: why there was no further attempt.
    """

    def __init__(
        self, name: str, attempts: tuple[AttemptRecord, ...], reason: str
    ) -> None:
        super().__init__(name, attempts, reason)
        self.name = name
        self.attempts = attempts
        self.reason = reason

    @property
    def failure(self) -> Failure:
        """The failure of the last attempt."""
        failure = self.attempts[-1].failure
        assert failure is not None, "the last attempt failed, else none was given up"
        return failure

    def __str__(self) -> str:
        count = len(self.attempts)
        told = "; ".join(f"{one.number}: {one.failure}" for one in self.attempts)
        return (
            f"{self.name} failed in {count} attempt{'s' * (count > 1)}, and was given "
            f"up since {self.reason} ({told})"
        )


@overload
async def with_retry(
    func: Callable[[], Awaitable[_T]],
    config: RetryConfig = ...,
    validation_func: Callable[[_T], bool] | None = None,
    *,
    to_thread: Literal[False] = False,
    draw: Callable[[], float] = ...,
) -> _T: ...


@overload
async def with_retry(
    func: Callable[[], _T],
    config: RetryConfig = ...,
    validation_func: Callable[[_T], bool] | None = None,
    *,
    to_thread: Literal[True],
    draw: Callable[[], float] = ...,
) -> _T: ...


async def with_retry(
    func: Callable[[], Awaitable[_T]] | Callable[[], _T],
    config: RetryConfig = _DEFAULT_CONFIG,
    validation_func: Callable[[_T], bool] | None = None,
    *,
    to_thread: bool = False,
    draw: Callable[[], float] = random.random,
) -> _T:
    """Call *func* until it succeeds, as often and as long as *config* says.

    Always a checkpoint.

    Args:
      func: an async function of no argument.
      config: how many attempts, how long each may take, which failures are
        retried, and how long to wait before the next attempt.
      validation_func: is given each result; if it returns False or raises, the
        attempt has failed (malformed output), and its words are in the record.
      to_thread: whether *func* is a plain function, to be run in a worker thread.
        A thread cannot be stopped: after a timeout or a cancellation it runs on
        until it ends by itself, and its result is dropped.
      draw: gives the chance for jitter, 0 to below 1.

    Returns:
      The first result that is valid.

    Cancellation: the attempt under way is cancelled, or the wait for the next one;
      the record of earlier attempts is lost.
    Raises:
      RetriesExhausted: the last attempt allowed failed, or one failed in a way
        that is not retried; it holds all attempts.
      ConfigError: the function or the validator is not of the kind it is given as.
    """
    await trio.lowlevel.checkpoint()  # whether or not *func* is one
    name = _name_of(func)
    once = _caller_of(func, to_thread)
    attempts: list[AttemptRecord] = []
    for number in itertools.count(1):
        started = trio.current_time()
        result = await _attempt(once, name, config.timeout_seconds, validation_func)
        if not isinstance(result, Raised):
            return result
        failure = failure_of(result.error, where=name)
        attempts.append(
            AttemptRecord(number, started, trio.current_time(), failure=failure)
        )
        decision = decide(config, number, failure, draw())
        if isinstance(decision, GiveUp):
            raise RetriesExhausted(
                name, tuple(attempts), decision.reason
            ) from result.error
        await trio.sleep(decision.delay)
    raise AssertionError("the count has no end")  # for the checkers


async def _attempt(
    once: Callable[[], Awaitable[_T]],
    name: str,
    timeout: float,
    validation_func: Callable[[_T], bool] | None,
) -> _T | Raised:
    """Make one call, bounded and validated; a failure is a value."""
    # What a call that shields itself returns after its time is kept: only
    # ``cancelled_caught`` says that there is no result.
    result: _T | Raised = Raised(
        TimeoutError(f"{name} was not done after {timeout:g} s")
    )
    with trio.move_on_after(timeout):
        result = await call(once, name)
    if validation_func is None or isinstance(result, Raised):
        return result
    return _validated(result, name, validation_func)


def _validated(
    result: _T, name: str, validation_func: Callable[[_T], bool]
) -> _T | Raised:
    validator = _name_of(validation_func)
    valid = call_plain(partial(validation_func, result))
    if isinstance(valid, Raised):
        if isinstance(valid.error, UnderstudyError):
            return valid
        words = f"{validator} does not accept what {name} returned: {valid.error}"
        error = StepError(words, cause=Cause.SCHEMA)
        error.__cause__ = valid.error
        return Raised(error)
    if inspect.iscoroutine(valid):
        valid.close()
        raise ConfigError(
            f"{validator} is async, so that what it returns would always count as "
            "true; make it a plain function"
        )
    if not valid:
        words = f"{validator} does not accept what {name} returned"
        return Raised(StepError(words, cause=Cause.SCHEMA))
    return result


def _caller_of(
    func: Callable[[], Awaitable[_T]] | Callable[[], _T], to_thread: bool
) -> Callable[[], Awaitable[_T]]:
    if not to_thread:
        return cast("Callable[[], Awaitable[_T]]", func)
    plain = cast("Callable[[], _T]", func)
    return partial(trio.to_thread.run_sync, plain, abandon_on_cancel=True)


def _name_of(func: object) -> str:
    if isinstance(func, partial):
        return _name_of(func.func)
    return getattr(func, "__qualname__", None) or type(func).__qualname__
