"""Who reads an inbox, as the ref that owns it sees it."""

from __future__ import annotations

from typing import Protocol


class Occupant(Protocol):
    """The life of an actor that reads a ref's inbox."""

    @property
    def path(self) -> str:
        """Where its child stands in the tree."""
        ...

    @property
    def busy(self) -> bool:
        """Whether it has a message in hand."""
        ...

    def displace(self, reason: str, cause: BaseException | None) -> None:
        """Read no more, and leave nobody waiting for an answer."""
        ...
