"""How many requests a model gets at once: more while it goes well, fewer at once if not.

Additive increase, multiplicative decrease, as TCP finds the room that it has
(Chiu and Jain, 1989).  Pure: the caller says what time it is.
"""

from __future__ import annotations

from understudy_protocols.errors import ConfigError

DECREASE = 0.5
"""What is left of the limit after the provider said that it is too much."""

SLOWDOWN = 0.9
"""What is left of it after answers have become slow."""

SLOW = 2.0
"""Answers are slow if they take so many times as long as they usually do."""

RECENT, USUAL = 0.05, 0.002
"""The weight of one answer in the recent and in the usual time of an answer.  Answers
differ a lot in length, so a few long ones in a row are no slowdown."""


class AdaptiveLimit:
    """The most requests that may be under way, by what came of those before.

    Args:
      most: never more than this; a count, 1 or more.
      start: where it begins; a count.

    Attributes:
      most: see above.

    Raises:
      ConfigError: a count that cannot be meant.
    """

    def __init__(self, most: int, start: int | None = None) -> None:
        if isinstance(most, bool) or most < 1:
            raise ConfigError(f"max_concurrent is {most!r}; give a count from 1")
        self.most: int = most
        self._limit = float(min(most, start or most))
        self._changed_at = float("-inf")
        self._answers = 0
        self._recent = self._usual = 0.0

    @property
    def limit(self) -> int:
        """Requests that may be under way now; 1 or more."""
        return int(self._limit)

    def succeeded(self, seconds: float, under_way: int, now: float) -> None:
        """Take note of an answer.

        Args:
          seconds: how long it took.
          under_way: requests that were under way with it, itself included.
        """
        if self._slow(seconds) and self._may_change(seconds, now):
            self._shrink(SLOWDOWN, now)
        elif under_way >= self.limit:
            # A limit that nobody meets says nothing about more.
            self._limit = min(self.most, self._limit + 1 / self._limit)

    def overloaded(self, began: float, now: float) -> None:
        """Take note that the provider has too much to do.

        Args:
          began: when the request was sent.  Those sent before the last decrease
            say nothing that was not known then.
        """
        if began >= self._changed_at:
            self._shrink(DECREASE, now)

    def _slow(self, seconds: float) -> bool:
        self._answers += 1
        # The first ones count alike, so that the very first is not the usual one.
        alike = 1 / self._answers
        self._recent += max(RECENT, alike) * (seconds - self._recent)
        self._usual += max(USUAL, alike) * (seconds - self._usual)
        return self._recent > SLOW * self._usual

    def _may_change(self, seconds: float, now: float) -> bool:
        return now - seconds >= self._changed_at

    def _shrink(self, part: float, now: float) -> None:
        self._limit = max(1.0, self._limit * part)
        self._changed_at = now
