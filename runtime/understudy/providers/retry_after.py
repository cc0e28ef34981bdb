"""When a provider wants to be asked again, from the headers of its answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how long to wait; seconds, None if the provider asks for no wait.

    A wait of nothing is none asked for, so that the caller's own backoff holds.

    Args:
      headers: by lower-case names.
      now: with a time zone; for a provider that does not say what time it is there.
    """
    # The two clocks may differ by more than the wait.
    now = http_date(headers.get("date", "")) or now
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        wait = number(value)
        if wait is None:
            wait, unit = seconds_until(http_date(value), now), 1.0
        if wait is not None and wait * unit > 0:
            return wait * unit
    return None


def may_retry(headers: Mapping[str, str]) -> bool | None:
    """Return whether the provider says that a retry can help; None if it does not."""
    said = headers.get("x-should-retry", "").strip().lower()
    return {"true": True, "false": False}.get(said)


def number(text: str) -> float | None:
    """Return *text* as a finite number; None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def http_date(text: str) -> datetime | None:
    """Return the moment that *text* names as HTTP does; None if it names none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def seconds_until(moment: datetime | None, now: datetime) -> float | None:
    """Return how far *moment* is ahead, 0 if it has passed; seconds.

    A moment without a zone is in UTC.
    """
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
