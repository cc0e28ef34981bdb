"""Who is next: the line of runs that wait to begin, fair between tenants.

A pure structure: higher priority first; within a priority the tenants take
turns; within a tenant first come, first served.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class WaitingLine(Generic[T]):
    """A line with priorities, fair between tenants; nobody stands in it twice."""

    def __init__(self) -> None:
        # Invariant: no tenant with an empty queue, no priority without a
        # tenant.  The first tenant of a priority is the next to be served.
        # Ordered dictionaries, since whoever stands in the middle may leave.
        self._lanes: dict[int, OrderedDict[str, OrderedDict[T, None]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, item: T, priority: int, tenant: str) -> None:
        """Put *item* behind those of its tenant and priority."""
        lane = self._lanes.setdefault(priority, OrderedDict())
        lane.setdefault(tenant, OrderedDict())[item] = None
        self._count += 1

    def pop(self) -> T:
        """Take the next item out.

        Raises:
          IndexError: nobody waits.
        """
        if not self._lanes:
            raise IndexError("nobody waits")
        priority = max(self._lanes)
        lane = self._lanes[priority]
        tenant, queue = next(iter(lane.items()))
        item, _ = queue.popitem(last=False)
        self._count -= 1
        if queue:
            lane.move_to_end(tenant)
        else:
            self._forget(priority, tenant)
        return item

    def remove(self, item: T, priority: int, tenant: str) -> bool:
        """Take *item* out of the line; whether it was there."""
        queue = self._lanes.get(priority, OrderedDict()).get(tenant)
        if queue is None or item not in queue:
            return False
        del queue[item]
        self._count -= 1
        if not queue:
            self._forget(priority, tenant)
        return True

    def _forget(self, priority: int, tenant: str) -> None:
        lane = self._lanes[priority]
        del lane[tenant]
        if not lane:
            del self._lanes[priority]
