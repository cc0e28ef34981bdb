"""Whether and when to try again."""

from __future__ import annotations

import math
from typing import Any

import pytest

from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, Failure, FailureMode
from understudy_protocols.retry import (
    NEVER_RETRIED,
    GiveUp,
    Retry,
    RetryConfig,
    RetryRule,
    decide,
    delay_after,
)

DEFAULT = RetryConfig()
RETRIED = {
    Cause.MALFORMED,
    Cause.SCHEMA,
    Cause.RATE_LIMIT,
    Cause.OVERLOADED,
    Cause.TIMEOUT,
    Cause.TRANSPORT,
    Cause.SERVER,
    Cause.CONFLICT,
}


def _failure(cause: Cause, retry_after: float | None = None) -> Failure:
    return Failure(cause, "it failed", retry_after=retry_after)


def test_the_defaults_are_those_of_old() -> None:
    assert (DEFAULT.max_attempts, DEFAULT.backoff_base) == (3, 2.0)
    assert DEFAULT.timeout_seconds == 30.0
    assert set(DEFAULT.retry_on) >= {
        FailureMode.MALFORMED_OUTPUT,
        FailureMode.RATE_LIMIT,
        FailureMode.TIMEOUT,
    }


@pytest.mark.parametrize("cause", Cause)
def test_by_default_what_may_pass_is_retried_and_nothing_else(cause: Cause) -> None:
    verdict = decide(DEFAULT, 1, _failure(cause), 0.0)
    assert isinstance(verdict, Retry if cause in RETRIED else GiveUp)


@pytest.mark.parametrize("mode", FailureMode)
def test_retry_on_is_obeyed(mode: FailureMode) -> None:
    config = RetryConfig(retry_on=(mode,))
    for cause in Cause:
        verdict = decide(config, 1, _failure(cause), 0.0)
        retried = cause.mode is mode and cause not in NEVER_RETRIED
        assert isinstance(verdict, Retry) is retried


def test_a_cause_can_be_named_by_itself() -> None:
    config = RetryConfig(retry_on=[Cause.TRUNCATED])
    assert isinstance(decide(config, 1, _failure(Cause.TRUNCATED), 0.0), Retry)
    assert decide(config, 1, _failure(Cause.TIMEOUT), 0.0) == GiveUp(
        "timeout is not in retry_on"
    )


@pytest.mark.parametrize("cause", [one for one in Cause if one in NEVER_RETRIED])
def test_what_cannot_pass_is_never_retried_even_if_its_mode_is_listed(
    cause: Cause,
) -> None:
    config = RetryConfig(retry_on=tuple(FailureMode))
    assert decide(config, 1, _failure(cause), 0.0) == GiveUp(
        f"{cause.value} is never retried on the same model"
    )
    with pytest.raises(ConfigError, match="cannot be retried on the same model"):
        RetryConfig(retry_on=(cause,))


@pytest.mark.parametrize("cause", [one for one in Cause if one in RETRIED])
def test_every_retried_mode_backs_off(cause: Cause) -> None:
    """JSON errors and timeouts too, which were once retried with no wait at all."""
    waits = [delay_after(DEFAULT, attempt, _failure(cause), 0.0) for attempt in (1, 2)]
    limited = cause.mode is FailureMode.RATE_LIMIT
    assert waits == ([4.0, 8.0] if limited else [1.0, 2.0])


def test_nothing_is_waited_for_after_the_last_attempt() -> None:
    verdicts = [decide(DEFAULT, n, _failure(Cause.TIMEOUT), 0.0) for n in (1, 2, 3)]
    assert verdicts == [Retry(1.0), Retry(2.0), GiveUp("all 3 attempts failed")]


def test_one_attempt_is_not_called_all() -> None:
    verdict = decide(RetryConfig(max_attempts=1), 1, _failure(Cause.TIMEOUT), 0.0)
    assert verdict == GiveUp("the only attempt failed")


@pytest.mark.parametrize("wait", [0.0, 0.5, 600.0])
def test_what_the_provider_asks_for_is_obeyed_whatever_the_backoff(wait: float) -> None:
    config = RetryConfig(max_backoff=5.0)
    assert delay_after(config, 1, _failure(Cause.RATE_LIMIT, wait), 0.0) == wait


def test_a_wait_in_the_past_is_no_wait() -> None:
    assert delay_after(DEFAULT, 1, _failure(Cause.RATE_LIMIT, -3.0), 0.0) == 0.0


def test_the_wait_is_never_longer_than_max_backoff_however_many_attempts() -> None:
    for attempt in (10, 1_000, 100_000):
        assert delay_after(DEFAULT, attempt, _failure(Cause.TIMEOUT), 0.0) == 60.0


def test_a_base_of_nothing_waits_for_nothing() -> None:
    config = RetryConfig(backoff_base=0)
    for attempt in (1, 2, 3):
        assert delay_after(config, attempt, _failure(Cause.TIMEOUT), 0.0) == 0.0


def test_jitter_only_adds_and_at_most_its_share() -> None:
    config = RetryConfig(jitter=0.25)
    failure = _failure(Cause.TIMEOUT)
    assert delay_after(config, 4, failure, 0.0) == 8.0
    assert delay_after(config, 4, failure, 0.5) == 9.0
    assert delay_after(config, 4, failure, 0.999999) == pytest.approx(10.0)
    asked = _failure(Cause.RATE_LIMIT, 100.0)
    assert delay_after(config, 1, asked, 0.5) == 112.5


def test_what_is_not_safe_to_repeat_is_not_repeated() -> None:
    verdict = decide(DEFAULT, 1, _failure(Cause.TIMEOUT), 0.0, replay_safe=False)
    assert isinstance(verdict, GiveUp)
    assert "not safe to repeat" in verdict.reason


def test_a_rule_differs_for_its_mode_and_a_causes_rule_goes_first() -> None:
    config = RetryConfig(
        rules={
            FailureMode.RATE_LIMIT: RetryRule(max_attempts=5, backoff_base=3.0),
            Cause.OVERLOADED: RetryRule(max_backoff=10.0),
        }
    )
    limited, overloaded = _failure(Cause.RATE_LIMIT), _failure(Cause.OVERLOADED)
    assert decide(config, 4, limited, 0.0) == Retry(60.0)
    assert decide(config, 1, limited, 0.0) == Retry(9.0)
    assert isinstance(decide(config, 5, limited, 0.0), GiveUp)
    assert decide(config, 2, overloaded, 0.0) == Retry(8.0)
    assert delay_after(config, 3, overloaded, 0.0) == 10.0
    assert isinstance(decide(config, 3, overloaded, 0.0), GiveUp)
    assert isinstance(decide(config, 3, _failure(Cause.TIMEOUT), 0.0), GiveUp)


def test_a_config_cannot_be_changed_and_can_be_a_key() -> None:
    config = RetryConfig(rules={Cause.TIMEOUT: RetryRule(max_attempts=1)})
    assert {config: 1}[config] == 1
    with pytest.raises(AttributeError):
        config.max_attempts = 4  # type: ignore[misc]  # what is tested  # pyright: ignore


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"max_attempts": 0}, "max_attempts is 0; give a whole number, 1 or more"),
        ({"max_attempts": 2.5}, "max_attempts is 2.5"),
        ({"max_attempts": True}, "max_attempts is True"),
        ({"backoff_base": -1}, "backoff_base is -1"),
        ({"backoff_base": math.inf}, "backoff_base is inf"),
        ({"backoff_base": math.nan}, "backoff_base is nan"),
        ({"timeout_seconds": 0}, "timeout_seconds is 0; give seconds above 0"),
        ({"timeout_seconds": math.nan}, "timeout_seconds is nan"),
        ({"jitter": 1.5}, "jitter is 1.5"),
        ({"max_backoff": -1}, "max_backoff is -1"),
        ({"retry_on": ("timeout",)}, "'timeout' is neither a FailureMode nor a Cause"),
        ({"rules": {"timeout": RetryRule()}}, "neither a FailureMode nor a Cause"),
        ({"rules": {Cause.QUOTA: RetryRule()}}, "cannot be retried"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_in_one_sentence(
    bad: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        RetryConfig(**bad)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "bad", [{"max_attempts": 0}, {"backoff_base": -1.0}, {"max_backoff": math.nan}]
)
def test_a_rule_with_a_value_that_cannot_be_meant_is_refused(
    bad: dict[str, Any],
) -> None:
    with pytest.raises(ConfigError, match="a rule's"):
        RetryRule(**bad)
