"""What a provider allows, as far as it is known beforehand."""

from __future__ import annotations

import math

import attrs

from understudy_protocols.errors import ConfigError


@attrs.frozen(kw_only=True)
class Limits:
    """What a provider allows, as far as we know beforehand.

    Args:
      requests_per_minute: a count.
      tokens_per_minute: read and written together; a count.
      max_concurrent: requests under way at once; a count.
      longest_wait: no request waits longer to be sent; seconds, 0 or more.

    Raises:
      ConfigError: a value that cannot be meant.
    """

    requests_per_minute: float = math.inf
    tokens_per_minute: float = math.inf
    max_concurrent: int = 64
    longest_wait: float = 30.0

    def __attrs_post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute"):
            rate = getattr(self, name)
            if not _is_number(rate) or not rate > 0:
                raise ConfigError(f"{name} is {rate!r}; give a number above 0")
        most, wait = self.max_concurrent, self.longest_wait
        if type(most) is not int or most < 1:
            raise ConfigError(f"max_concurrent is {most!r}; give a count from 1")
        if not _is_number(wait) or not wait >= 0:
            raise ConfigError(f"longest_wait is {wait!r}; give seconds, 0 or more")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
