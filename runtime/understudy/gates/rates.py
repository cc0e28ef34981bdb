"""The rate limits of one model: requests and tokens a minute, taken from together.

Pure: the caller says what time it is.
"""

from __future__ import annotations

import msgspec

from understudy.gates.bucket import Bucket


class Said(msgspec.Struct, frozen=True):
    """What a provider says of its limits; None where it says nothing.

    Args:
      requests_left, tokens_left: what it would still let through; counts.
      requests_limit, tokens_limit: its limits a minute; counts.
    """

    requests_left: float | None = None
    requests_limit: float | None = None
    tokens_left: float | None = None
    tokens_limit: float | None = None


class Reserved:
    """What is taken for one request, until it is settled.

    Args:
      tokens: that it will use at most; a count.

    Attributes:
      requests, tokens: counts; None once the provider has counted them itself.
    """

    __slots__ = ("requests", "tokens")

    def __init__(self, tokens: int) -> None:
        self.requests: int | None = 1
        self.tokens: int | None = tokens


class Rates:
    """Two buckets.

    Args:
      requests_per_minute, tokens_per_minute: counts, or ``math.inf``.
      now: the time; seconds.

    Attributes:
      requests, tokens: the buckets.
    """

    def __init__(
        self, requests_per_minute: float, tokens_per_minute: float, now: float
    ) -> None:
        self.requests: Bucket = Bucket(requests_per_minute, now)
        self.tokens: Bucket = Bucket(tokens_per_minute, now)

    def ready_at(self, requests: int, tokens: int, now: float) -> float:
        """Return when both have room."""
        return max(
            self.requests.ready_at(requests, now), self.tokens.ready_at(tokens, now)
        )

    def reserve(self, tokens: int, now: float) -> Reserved:
        """Take what one request needs; the caller has seen that it is there."""
        self.requests.reserve(1, now)
        self.tokens.reserve(tokens, now)
        return Reserved(tokens)

    def settle(self, reserved: Reserved, used: int | None, now: float) -> None:
        """Put right what was reserved, once.

        Args:
          used: tokens; None if the request was never sent.
        """
        if reserved.requests is not None:
            self.requests.settle(reserved.requests, 0 if used is None else 1, now)
        if reserved.tokens is not None:
            self.tokens.settle(reserved.tokens, used or 0, now)
        reserved.requests = reserved.tokens = None

    def heard(self, said: Said, counted: Reserved | None, now: float) -> None:
        """Take over what a provider says.

        Args:
          counted: of the request that it says so to, which is in its numbers.
        """
        if said.requests_left is not None:
            if counted is not None and counted.requests is not None:
                self.requests.settle(counted.requests, counted.requests, now)
                counted.requests = None
            self.requests.correct(said.requests_left, said.requests_limit, now)
        if said.tokens_left is not None:
            if counted is not None and counted.tokens is not None:
                self.tokens.settle(counted.tokens, counted.tokens, now)
                counted.tokens = None
            self.tokens.correct(said.tokens_left, said.tokens_limit, now)
