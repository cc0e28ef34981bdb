"""How long to wait before the next restart."""

from __future__ import annotations

from understudy_protocols.restart_policy import Backoff


def restart_delay(backoff: Backoff, failures: int, draw: float) -> float:
    """Return how long to wait before restarting; seconds.

    Args:
      backoff: the bounds.
      failures: failures in a row before this one; a count, 0 or more.
      draw: a random number, 0 <= draw < 1, that decides the jitter.
    """
    if backoff.min_delay == 0:
        return 0.0
    try:
        delay = min(backoff.max_delay, backoff.min_delay * backoff.factor**failures)
    except OverflowError:  # some 1,000 failures double a delay beyond any float
        delay = backoff.max_delay
    return delay * (1 + backoff.jitter * (2 * draw - 1))
