"""What a request that has ended says of all that it met on its way. Pure.

First comes the address, then the key, then the provider's rate limits, then the
model.  What fails at one of them has passed those before, and says nothing of
those behind.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from understudy_protocols.failures import Cause


class Part(Enum):
    """What a request meets."""

    HOST = "host"
    KEY = "key"
    RATE = "rate"
    MODEL = "model"


class Verdict(msgspec.Struct, frozen=True):
    """What is known now.

    Args:
      passed: what did not fail.
      failed: what did.
      at_once: whether the next request would meet the same for certain.
    """

    passed: tuple[Part, ...] = ()
    failed: tuple[Part, ...] = ()
    at_once: bool = False


def verdict(cause: Cause | None, *, sent: bool) -> Verdict:
    """Return what is known by a request.

    Args:
      cause: why it failed; None if it did not.
      sent: whether it left this side at all.
    """
    if not sent:
        return _UNREACHABLE if cause is Cause.TRANSPORT else _NOTHING
    if cause is None or cause in _ANSWERED:
        return _ALL_WELL
    return _VERDICTS.get(cause, _NOTHING)


_ANSWERED = frozenset(
    {
        Cause.BAD_REQUEST,
        Cause.CONFLICT,
        Cause.CONTEXT_TOO_LONG,
        Cause.FILTERED,
        Cause.MALFORMED,
        Cause.REFUSED,
        Cause.SCHEMA,
        Cause.TOO_LARGE,
        Cause.TRUNCATED,
    }
)
"""Failures of the one request: the next may go well."""

_NOTHING = Verdict()
_ALL_WELL = Verdict(passed=tuple(Part))
_UNREACHABLE = Verdict(failed=(Part.HOST,))
_KEY_REFUSED = Verdict((Part.HOST,), (Part.KEY,), at_once=True)
_NO_ANSWER = Verdict((Part.HOST,), (Part.MODEL,))

_VERDICTS = {
    Cause.AUTH: _KEY_REFUSED,
    Cause.QUOTA: _KEY_REFUSED,
    Cause.RATE_LIMIT: Verdict((Part.HOST, Part.KEY), (Part.RATE,)),
    Cause.OVERLOADED: Verdict((Part.HOST, Part.KEY), (Part.RATE, Part.MODEL)),
    Cause.MODEL_GONE: Verdict((Part.HOST, Part.KEY), (Part.MODEL,), at_once=True),
    Cause.SERVER: Verdict((Part.HOST, Part.KEY, Part.RATE), (Part.MODEL,)),
    Cause.TIMEOUT: _NO_ANSWER,
    Cause.TRANSPORT: _NO_ANSWER,
}
