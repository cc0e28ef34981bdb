"""What functions came to that must not run twice, and who keeps it."""

from __future__ import annotations

from typing import Protocol

import msgspec


class FunctionOutcome(msgspec.Struct, frozen=True):
    """What came of one call of a function; all of it can be written down.

    Args:
      key: the idempotency key of the call, which nothing else has.
      name: of the function.
      position: where in its conversation, as round and place: ``1/2``.
      text: what the model is told.
      failed: whether *text* says what went wrong.
      started: seconds on the runtime's clock.
      ended: seconds on the same clock.
      sensitive: whether *text* was made of a value with a sensitive field.
    """

    key: str
    name: str
    position: str
    text: str
    failed: bool
    started: float
    ended: float
    sensitive: bool = False


class FunctionJournal(Protocol):
    """Keeps outcomes for as long as the body of a step may run again."""

    def now(self) -> float:
        """The runtime's clock; seconds."""
        ...

    def conversation_key(self) -> str:
        """Return the key of the attempt's next conversation.

        The first has the same one in all attempts, and so has the second.
        """
        ...

    def recorded(self, key: str) -> FunctionOutcome | None:
        """Return what came of the call with *key*; None if it has not finished."""
        ...

    async def record(self, outcome: FunctionOutcome) -> None:
        """Keep *outcome*; when this returns, it is as safe as the run is.

        Cancellation: it is kept all the same.
        """
        ...
