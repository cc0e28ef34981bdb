"""What the headers of an answer say of waits and limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from understudy.providers.ratelimits import RateLimits, read_rate_limits
from understudy.providers.retry_after import may_retry, retry_after

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "60"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "60"}, 60.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:00 GMT"}, 60.0),
        ({"retry-after": "Sunday, 22-Nov-26 12:01:00 GMT"}, 60.0),
        ({"retry-after": "Sun, 22 Nov 2026 14:01:00 +0200"}, 60.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:00 -0000"}, 60.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT"}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sun, 99 Nov 2026 99:00:00 GMT"}, None),
    ],
)
def test_a_wait_is_milliseconds_seconds_or_a_date(
    headers: dict[str, str], wait: float | None
) -> None:
    assert retry_after(headers, NOW) == wait
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert retry_after(headers, elsewhere) == wait


@pytest.mark.parametrize(
    ("date", "wait"),
    [
        ("Sun, 22 Nov 2026 03:00:00 GMT", 7.0),
        ("Sun, 22 Nov 2026 03:00:00", 7.0),
        ("Sun, 22 Nov 2026 03:00:09 GMT", None),
        ("yesterday", 5.0),
        ("", 5.0),
    ],
)
def test_a_date_is_as_far_off_as_it_is_by_the_providers_own_clock(
    date: str, wait: float | None
) -> None:
    headers = {"retry-after": "Sun, 22 Nov 2026 03:00:07 GMT", "date": date}
    ours = datetime(2026, 11, 22, 3, 0, 2, tzinfo=UTC)
    assert retry_after(headers, ours) == wait
    assert retry_after({**headers, "retry-after": "3"}, ours) == 3


def test_whether_to_retry_is_only_what_is_said_plainly() -> None:
    said = {"true": True, "FALSE": False, "": None, "1": None}
    for text, expected in said.items():
        assert may_retry({"x-should-retry": text}) is expected
    assert may_retry({}) is None


def openai(
    requests: tuple[str, str, str], tokens: tuple[str, str, str]
) -> dict[str, str]:
    return {
        f"x-ratelimit-{which}-{of}": value
        for of, values in (("requests", requests), ("tokens", tokens))
        for which, value in zip(("limit", "remaining", "reset"), values, strict=True)
        if value
    }


def anthropic(of: str, limit: str, left: str, reset: str) -> dict[str, str]:
    start = f"anthropic-ratelimit-{of}"
    return {
        f"{start}-limit": limit,
        f"{start}-remaining": left,
        f"{start}-reset": reset,
    }


def test_openai_says_durations() -> None:
    headers = openai(("60", "59", "1s"), ("150000", "149984", "6m0s"))
    assert read_rate_limits(headers, NOW) == RateLimits(
        60, 59, 1.0, 150_000, 149_984, 360.0
    )


@pytest.mark.parametrize(
    ("text", "reset"),
    [
        ("120ms", 0.12),
        ("1h2m3.5s", 3723.5),
        ("1d", 86_400.0),
        ("0s", 0.0),
        ("0", 0.0),
        ("30", 30.0),
        ("1.5", 1.5),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("soon", None),
        ("5 minutes", None),
        ("9" * 400 + "s", None),
        ("2026-11-22T12:00:20Z", 20.0),
        ("2026-11-22T14:00:20+02:00", 20.0),
        ("2026-11-22T12:00:20", 20.0),
        ("2026-11-22T11:00:00Z", 0.0),
        ("0001-01-01T00:00:00+23:00", 0.0),
    ],
)
def test_a_reset_is_seconds_a_duration_or_a_time(
    text: str, reset: float | None
) -> None:
    limits = read_rate_limits(openai(("5", "4", text), ("", "", "")), NOW)
    assert limits == RateLimits(5, 4, reset)


def test_anthropic_says_times_and_the_narrower_limit_on_tokens() -> None:
    requests = anthropic("requests", "50", "0", "2026-11-22T12:00:20Z")
    tokens = anthropic("tokens", "80000", "79000", "2026-11-22T12:00:01Z")
    read = anthropic("input-tokens", "60000", "5", "2026-11-22T12:00:05Z")
    expected = RateLimits(50, 0, 20.0, 80_000, 79_000, 1.0)
    assert read_rate_limits(requests | tokens | read, NOW) == expected
    assert read_rate_limits(read, NOW) == RateLimits(None, None, None, 60_000, 5, 5.0)


def test_minus_one_and_nothing_at_all_mean_that_nothing_is_known() -> None:
    odd = openai(("-1", "-1", "0"), ("0", "0", "0"))
    assert read_rate_limits(odd, NOW) is None
    assert read_rate_limits(openai(("", "0", ""), ("", "-1", "")), NOW) is None
    assert read_rate_limits(openai(("", "", "1s"), ("", "", "")), NOW) is None
    assert read_rate_limits(openai(("a lot", "", "1s"), ("", "", "")), NOW) is None
    assert read_rate_limits({}, NOW) is None


def test_nothing_left_of_a_known_limit_is_believed() -> None:
    assert read_rate_limits(openai(("1", "", ""), ("", "", "")), NOW) == RateLimits(1)
    limits = read_rate_limits(openai(("10", "0", "1s"), ("", "7", "")), NOW)
    assert limits == RateLimits(10, 0, 1.0, None, 7, None)
    assert read_rate_limits(openai(("10", "-1", ""), ("", "", "")), NOW) == RateLimits(
        10
    )
