"""What a child of a supervisor has to do, as it says itself."""

from __future__ import annotations

import msgspec


class Workload(msgspec.Struct, frozen=True):
    """What a child has to do at one moment.

    Args:
      in_hand: messages that are being handled, or would be if their worker were
        ready; a count.
      limit: the most that may be in hand; None if it has no limit of its own.
      queued: messages that nobody has begun to handle; a count.
      replaced: workers that broke and left their place to others; a count.
      stuck: workers that were cut and have not ended; a count.
      due: when the next worker is made, if the last could not set up and there
        is none; on the system's clock.
      down: whether too many workers broke, and no message is taken any more.
      cause: what broke the last worker that did; None if none has.
    """

    in_hand: int = 0
    limit: int | None = None
    queued: int = 0
    replaced: int = 0
    stuck: int = 0
    due: float | None = None
    down: bool = False
    cause: BaseException | None = None
