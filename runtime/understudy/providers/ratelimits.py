"""How much a provider still allows, from the headers of its answer."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

from understudy.providers.retry_after import number, seconds_until

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|ns|d|h|m|s)")
_UNITS = {
    "d": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
}


class RateLimits(msgspec.Struct, frozen=True):
    """What is left of the requests and tokens of the current period.

    What the provider does not say is None.

    Args:
      requests_limit: requests of a whole period; a count.
      requests_left: what is left of them; a count.
      requests_reset: until they are all there again; seconds.
      tokens_limit: tokens of a whole period; a count.
      tokens_left: what is left of them; a count.
      tokens_reset: until they are all there again; seconds.
    """

    requests_limit: int | None = None
    requests_left: int | None = None
    requests_reset: float | None = None
    tokens_limit: int | None = None
    tokens_left: int | None = None
    tokens_reset: float | None = None


_NOTHING = RateLimits()
_Three = tuple[int | None, int | None, float | None]


def read_rate_limits(headers: Mapping[str, str], now: datetime) -> RateLimits | None:
    """Return what *headers* say of limits; None if they say nothing.

    Args:
      headers: by lower-case names.
      now: with a time zone.
    """
    requests = _three(headers, "requests", now)
    # Where input and output have limits of their own, "tokens" is the narrower one.
    tokens = _three(headers, "tokens", now)
    if tokens == (None, None, None):
        tokens = _three(headers, "input-tokens", now)
    limits = RateLimits(*requests, *tokens)
    return None if limits == _NOTHING else limits


def _three(headers: Mapping[str, str], of: str, now: datetime) -> _Three:
    openai = "x-ratelimit-{1}-{0}"
    anthropic = "anthropic-ratelimit-{0}-{1}"
    for form in (openai, anthropic):
        limit, left, reset = (
            headers.get(form.format(of, which), "").strip()
            for which in ("limit", "remaining", "reset")
        )
        found = _plausible(_count(limit), _count(left), _reset(reset, now))
        if found != (None, None, None):
            return found
    return (None, None, None)


def _plausible(limit: int | None, left: int | None, reset: float | None) -> _Three:
    """Leave out what some servers send to say that they do not know: -1 and 0.

    Nothing left is only believed of a limit that is known.
    """
    if limit is not None and limit <= 0:
        return (None, None, None)
    if left is not None and (left < 0 or (left == 0 and limit is None)):
        left = None
    known = limit is not None or left is not None
    return (limit, left, reset) if known else (None, None, None)


def _count(text: str) -> int | None:
    value = number(text)
    return None if value is None else int(value)


def _reset(text: str, now: datetime) -> float | None:
    """Return until when *text* means: seconds, a duration text, or an RFC 3339 time."""
    value = number(text)
    if value is not None:
        return value if value >= 0 else None
    if text and not _DURATION.sub("", text):
        parts = _DURATION.findall(text)
        wait = sum(float(count) * _UNITS[unit] for count, unit in parts)
        return wait if math.isfinite(wait) else None
    try:
        return seconds_until(datetime.fromisoformat(text), now)
    except ValueError:
        return None
