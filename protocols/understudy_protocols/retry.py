"""Whether to try again after a failure, and when: pure decisions, for one owner."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final, cast

import attrs
import msgspec

from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, Failure, FailureMode
from understudy_protocols.frozen import FrozenMap

RetryOn = FailureMode | Cause

# On the same model, with the same request, another attempt can only fail again,
# or nobody wants it.
NEVER_RETRIED: Final = frozenset(
    {
        Cause.REFUSED,
        Cause.FILTERED,
        Cause.QUOTA,
        Cause.AUTH,
        Cause.BAD_REQUEST,
        Cause.CONTEXT_TOO_LONG,
        Cause.TOO_LARGE,
        Cause.MODEL_GONE,
        Cause.BUDGET,
        Cause.CANCELLED,
        Cause.UNKNOWN_OUTCOME,
        Cause.DOWN,
        Cause.SETUP,
    }
)

DEFAULT_RETRY_ON: Final[tuple[RetryOn, ...]] = (
    FailureMode.MALFORMED_OUTPUT,
    FailureMode.RATE_LIMIT,
    FailureMode.TIMEOUT,
    Cause.TRANSPORT,
    Cause.SERVER,
    Cause.CONFLICT,
)


class RetryRule(msgspec.Struct, frozen=True):
    """What differs for one mode or cause; None: as in the config.

    Args:
      max_attempts: attempts in all after which such a failure is the last.
      backoff_base: see `RetryConfig`.
      max_backoff: see `RetryConfig`.
    """

    max_attempts: int | None = None
    backoff_base: float | None = None
    max_backoff: float | None = None

    def __post_init__(self) -> None:
        _check("a rule's", self.max_attempts, self.backoff_base, self.max_backoff)


def _as_tuple(given: Iterable[RetryOn]) -> tuple[RetryOn, ...]:
    return tuple(given)


def _as_map(given: Mapping[RetryOn, RetryRule]) -> FrozenMap[RetryOn, RetryRule]:
    return FrozenMap(given)


@attrs.frozen
class RetryConfig:
    """How often, how long and after what an attempt is made again.

    Args:
      max_attempts: attempts in all, the first included; a count, 1 or more.
      backoff_base: after attempt n the wait is ``backoff_base ** (n - 1)``
        seconds, and ``backoff_base ** (n + 1)`` after a rate limit; 0: no wait.
      timeout_seconds: bounds one request, and each stretch of a step's code
        between requests; seconds, above 0, may be infinite.
      retry_on: the modes and causes after which another attempt is made.  A mode
        stands for those of its causes that another attempt can help.
      jitter: share of the wait that chance may add, 0 to 1.  At 0.25 a wait of
        8 s becomes 8 to 10 s.  The default adds none: in one process a gate
        already keeps callers apart; set it where many processes share a key.
      max_backoff: the longest wait before jitter; seconds.  What a provider asks
        for (Retry-After) is waited for even if it is longer.
      rules: what differs for a mode or cause; the rule of a cause goes before
        that of its mode.

    Raises:
      ConfigError: a value that cannot be meant.
    """

    max_attempts: int = 3
    backoff_base: float = 2.0
    timeout_seconds: float = 30.0
    retry_on: tuple[RetryOn, ...] = attrs.field(
        default=DEFAULT_RETRY_ON, converter=_as_tuple
    )
    jitter: float = 0.0
    max_backoff: float = 60.0
    rules: Mapping[RetryOn, RetryRule] = attrs.field(
        factory=FrozenMap[RetryOn, RetryRule], converter=_as_map
    )

    def __attrs_post_init__(self) -> None:
        _check("the", self.max_attempts, self.backoff_base, self.max_backoff)
        _require(
            self.timeout_seconds > 0,
            f"timeout_seconds is {self.timeout_seconds}; give seconds above 0",
        )
        _require(
            0 <= self.jitter <= 1, f"jitter is {self.jitter}; give a share, 0 to 1"
        )
        for named in cast("tuple[object, ...]", (*self.retry_on, *self.rules)):
            _require(
                isinstance(named, (FailureMode, Cause)),
                f"{named!r} is neither a FailureMode nor a Cause; give one of these",
            )
            _require(
                named not in NEVER_RETRIED,
                f"{named} cannot be retried on the same model; leave it out, and let "
                "another model answer",
            )


class Retry(msgspec.Struct, frozen=True):
    """Make another attempt.

    Args:
      delay: how long to wait before; seconds.
    """

    delay: float


class GiveUp(msgspec.Struct, frozen=True):
    """Make no further attempt.

    Args:
      reason: why, as a clause.
    """

    reason: str


def decide(
    config: RetryConfig,
    attempt: int,
    failure: Failure,
    random01: float,
    replay_safe: bool = True,
) -> Retry | GiveUp:
    """Say what follows a failed attempt.

    Args:
      attempt: the number of the attempt that failed, from 1.
      random01: chance, drawn by the caller; 0 to below 1.
      replay_safe: whether doing the work twice does no harm.
    """
    cause = failure.cause
    if cause in NEVER_RETRIED:
        return GiveUp(f"{cause.value} is never retried on the same model")
    if cause not in config.retry_on and cause.mode not in config.retry_on:
        return GiveUp(f"{cause.value} is not in retry_on")
    if not replay_safe:
        return GiveUp("it may have been done, and is not safe to repeat")
    rule = _rule(config, cause)
    most = rule.max_attempts or config.max_attempts
    if attempt >= most:
        tried = "the only attempt" if most == 1 else f"all {most} attempts"
        return GiveUp(f"{tried} failed")
    return Retry(_delay(config, rule, attempt, failure, random01))


def delay_after(
    config: RetryConfig, attempt: int, failure: Failure, random01: float
) -> float:
    """Return how long to wait after a failed attempt; seconds.

    The wait lies between the backoff (or what the provider asked for, if it said
    so) and ``1 + jitter`` times that.

    Args:
      attempt: the number of the attempt that failed, from 1.
      random01: chance, drawn by the caller; 0 to below 1.
    """
    return _delay(config, _rule(config, failure.cause), attempt, failure, random01)


def _delay(
    config: RetryConfig,
    rule: RetryRule,
    attempt: int,
    failure: Failure,
    random01: float,
) -> float:
    delay = failure.retry_after
    if delay is None:
        limited = failure.cause.mode is FailureMode.RATE_LIMIT
        exponent = attempt + 1 if limited else attempt - 1
        base = _either(rule.backoff_base, config.backoff_base)
        delay = _power(base, exponent, _either(rule.max_backoff, config.max_backoff))
    return max(0.0, delay) * (1 + config.jitter * random01)


def _rule(config: RetryConfig, cause: Cause) -> RetryRule:
    rules = config.rules
    if not rules:
        return _NO_RULE
    return rules.get(cause) or rules.get(cause.mode) or _NO_RULE


def _either(own: float | None, general: float) -> float:
    return general if own is None else own


def _power(base: float, exponent: int, most: float) -> float:
    """Return ``base ** exponent``, but *most* at most, however large it would be."""
    if base == 0:
        return 0.0
    try:
        return min(base**exponent, most)
    except OverflowError:
        return most


def _check(
    whose: str, max_attempts: int | None, base: float | None, most: float | None
) -> None:
    _require(
        max_attempts is None or (type(max_attempts) is int and max_attempts >= 1),
        f"{whose} max_attempts is {max_attempts}; give a whole number, 1 or more",
    )
    _require(
        base is None or 0 <= base < math.inf,
        f"{whose} backoff_base is {base}; give a number, 0 or more",
    )
    _require(
        most is None or most >= 0,
        f"{whose} max_backoff is {most}; give seconds, 0 or more",
    )


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ConfigError(problem)


_NO_RULE: Final = RetryRule()
