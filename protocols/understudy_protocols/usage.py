"""What model calls cost: tokens, calls, and money in whole micro-USD."""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """What one call, attempt, step or run used.

    Usages can be added, and a part taken out again.

    Args:
      calls: requests sent to a model; a count.
      input_tokens: all tokens read, cached ones included.
      output_tokens: all tokens written, reasoning included.
      cached_tokens: the part of the input that came out of a cache.
      cache_write_tokens: the part of the input that was put into a cache.
      reasoning_tokens: the part of the output that was reasoning.
      cost_micros: the price; micro-USD.
      estimated: whether any of it is our estimate, as the provider did not say.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_micros: int = 0
    estimated: bool = False

    def __post_init__(self) -> None:
        for name in _COUNTS:
            if (value := getattr(self, name)) < 0:
                raise ValueError(f"{name} is {value}; a count cannot be below 0")

    @property
    def tokens(self) -> int:
        """Tokens read and written together."""
        return self.input_tokens + self.output_tokens

    @property
    def cost_usd(self) -> float:
        """The price in USD, for people; sums are kept in micro-USD."""
        return self.cost_micros / 1_000_000

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cost_micros=self.cost_micros + other.cost_micros,
            estimated=self.estimated or other.estimated,
        )

    def __sub__(self, part: Usage) -> Usage:
        return Usage(
            calls=self.calls - part.calls,
            input_tokens=self.input_tokens - part.input_tokens,
            output_tokens=self.output_tokens - part.output_tokens,
            cached_tokens=self.cached_tokens - part.cached_tokens,
            cache_write_tokens=self.cache_write_tokens - part.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens - part.reasoning_tokens,
            cost_micros=self.cost_micros - part.cost_micros,
            # Which part was the estimated one is not known.
            estimated=self.estimated,
        )


_COUNTS = tuple(name for name in Usage.__struct_fields__ if name != "estimated")

NO_USAGE = Usage()


def is_amount(value: object) -> bool:
    """Whether *value* can be an amount of money: a finite number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return math.isfinite(value) and value >= 0
