"""What follows a request that failed: the same model again, another one, or the end."""

from __future__ import annotations

import msgspec

from understudy_protocols.failures import Cause, Failure
from understudy_protocols.retry import Retry, RetryConfig, decide

_ANOTHER_MAY = frozenset(
    {
        Cause.RATE_LIMIT,
        Cause.OVERLOADED,
        Cause.TIMEOUT,
        Cause.TRANSPORT,
        Cause.SERVER,
        Cause.CONFLICT,
        Cause.QUOTA,
        Cause.AUTH,
        Cause.MODEL_GONE,
        Cause.CONTEXT_TOO_LONG,
        Cause.TOO_LARGE,
        Cause.MALFORMED,
        Cause.TRUNCATED,
    }
)
"""Failures that are this model's, and not what any model would say."""


class Again(msgspec.Struct, frozen=True):
    """Ask the same model again.

    Args:
      delay: how long to wait before; seconds.
    """

    delay: float


class Instead(msgspec.Struct, frozen=True):
    """Ask the next model of the chain, at once."""


class LastWord(msgspec.Struct, frozen=True):
    """Ask nobody any more."""


def next_try(
    config: RetryConfig,
    number: int,
    failure: Failure,
    random01: float,
    *,
    time_left: float,
    longest_wait: float,
    retries_left: bool,
    another: bool,
) -> Again | Instead | LastWord:
    """Say what follows a request that failed.

    Retries of the same model go first, as far as the rules and the account's
    budget of retries allow; each model that can stand in for it gets one try
    more, however many attempts there were.

    Args:
      config: the step's rules.
      number: of the attempt that failed, from 1.
      random01: chance, drawn by the caller; 0 to below 1.
      time_left: until the nearest deadline; seconds.
      longest_wait: no longer is waited because a provider asks for it; seconds.
      retries_left: whether the account may still retry.
      another: whether there is another model that can answer.
    """
    decision = decide(config, number, failure, random01)
    asked_for = failure.retry_after is not None
    if isinstance(decision, Retry) and retries_left:
        too_long = asked_for and decision.delay > longest_wait
        if decision.delay < time_left and not too_long:
            return Again(decision.delay)
    if another and failure.cause in _ANOTHER_MAY:
        return Instead()
    return LastWord()
