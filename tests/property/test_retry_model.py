"""The wait after a failure lies where its documentation says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from understudy_protocols.failures import Cause, Failure, FailureMode
from understudy_protocols.retry import RetryConfig, delay_after


@given(
    st.integers(1, 10**6),
    st.floats(0, 100),
    st.floats(0, 1),
    st.floats(0, 1e6),
    st.floats(0, 1, exclude_max=True),
    st.none() | st.floats(0, 1e6),
    st.sampled_from(Cause),
)
def test_a_wait_is_the_backoff_or_what_was_asked_for_and_a_share_at_most(
    attempt: int,
    base: float,
    jitter: float,
    most: float,
    random01: float,
    asked: float | None,
    cause: Cause,
) -> None:
    config = RetryConfig(backoff_base=base, jitter=jitter, max_backoff=most)
    delay = delay_after(
        config, attempt, Failure(cause, "x", retry_after=asked), random01
    )
    exponent = attempt + 1 if cause.mode is FailureMode.RATE_LIMIT else attempt - 1
    if asked is not None:
        least = asked
    elif base == 0:
        least = 0.0
    elif base <= 1 or exponent < 100:
        least = min(base**exponent, most)
    elif base > 1.1:
        least = min(1.1**exponent if exponent < 7000 else most, most)
    else:
        least = 0.0
    assert least <= delay <= max(most, asked or 0.0) * (1 + jitter)
