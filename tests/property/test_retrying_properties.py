"""`with_retry` against a plain model: how many calls, when, and what it ends with."""

from __future__ import annotations

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.retrying import RetriesExhausted, with_retry
from understudy.testing import run_seeded, seeds
from understudy_protocols.failures import Cause, FailureMode, StepError
from understudy_protocols.retry import NEVER_RETRIED, RetryConfig

# What one call does: how long it takes, and what it then fails with, if it does.
calls = st.tuples(st.integers(0, 6), st.none() | st.sampled_from(list(Cause)))
TIMEOUT = 5


def model(
    script: list[tuple[int, Cause | None]], config: RetryConfig
) -> tuple[list[float], float, bool]:
    """Return when the calls begin, when all ends, and whether it succeeds."""
    now, begun = 0.0, list[float]()
    for number, (length, cause) in enumerate(script, start=1):
        begun.append(now)
        now += min(length, TIMEOUT)
        # A call of exactly the bound may end either way; none is drawn.
        met = Cause.TIMEOUT if length > TIMEOUT else cause
        if met is None:
            return begun, now, True
        retried = {met, met.mode} & set(config.retry_on) and met not in NEVER_RETRIED
        if not retried or number == config.max_attempts:
            return begun, now, False
        slower = 2 if met.mode is FailureMode.RATE_LIMIT else 0
        now += min(2.0 ** (number - 1 + slower), config.max_backoff)
    raise AssertionError("the script is longer than the attempts")


@settings(max_examples=200, deadline=None)
@given(
    script=st.lists(
        calls.filter(lambda call: call[0] != TIMEOUT), min_size=5, max_size=5
    ),
    attempts=st.integers(1, 5),
    retry_on=st.sets(st.sampled_from(list(FailureMode))),
    seed=seeds(),
)
def test_it_calls_waits_and_ends_as_the_model_says(
    script: list[tuple[int, Cause | None]],
    attempts: int,
    retry_on: set[FailureMode],
    seed: int,
) -> None:
    config = RetryConfig(
        max_attempts=attempts,
        timeout_seconds=TIMEOUT,
        retry_on=tuple(sorted(retry_on, key=lambda mode: mode.value)),
        max_backoff=10,
    )
    begun: list[float] = []

    async def call() -> str:
        length, cause = script[len(begun)]
        begun.append(trio.current_time())
        await trio.sleep(length)
        if cause is not None:
            raise StepError("no", cause=cause)
        return "yes"

    async def main() -> bool:
        try:
            await with_retry(call, config)
        except RetriesExhausted as error:
            failed_at = [attempt.started for attempt in error.attempts]
            begun_then = list(begun)
        else:
            return True
        assert failed_at == begun_then
        return False

    async def timed() -> tuple[bool, float]:
        return await main(), trio.current_time()

    succeeded, end = run_seeded(timed, seed=seed)
    assert (begun, end, succeeded) == model(script, config)
