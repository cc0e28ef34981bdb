"""How often each child of a subtree was started."""

from __future__ import annotations

from collections.abc import Iterable


class Lineage:
    """The numbers of one child's lives, and of those of the children below it.

    It belongs to the child's entry in the supervisor above.  So the numbers go
    on when a supervisor between is itself started again, and are forgotten
    together with the entry.

    Attributes:
      count: lives begun so far; the number of the latest.
      below: the same of its children, if it is a supervisor, by id.
    """

    __slots__ = ("below", "count")

    def __init__(self) -> None:
        self.count = 0
        self.below: dict[str, Lineage] = {}

    def keep_only(self, ids: Iterable[str]) -> None:
        """Forget the children that were added by hand to an earlier life."""
        self.below = {name: self.below[name] for name in ids if name in self.below}
