"""Whether a run may go on, now that its workflow may be another one than it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from understudy.workflows.fingerprint import (
    Fingerprint,
    decode_fingerprint,
    difference,
    fingerprint_of,
)
from understudy.workflows.plan import Plan
from understudy_protocols.errors import UnderstudyError
from understudy_protocols.journal import Store
from understudy_protocols.records import Held, Placed, Record, Released, Reshaped

CHANGED = "changed_code"
"""What a run is held for if its workflow is not what it was."""

_SHOWN = 5
"""Changes told of one run; more would hide the sentence."""


class ChangedError(UnderstudyError):
    """What a run relies on has changed; the text says how."""


class Shapes:
    """The shapes of the workflows that are hosted, and those they had before.

    Args:
      plans: of the workflows, by name.
      accept_changes: whether runs go on whatever has changed, if their records
        can be followed.

    Attributes:
      now: the id of each workflow's present shape, by its name.
      nodes: the number of each node's path, by workflow.

    Raises:
      UnnamedFunctionError: a function has no name that stays the same.
    """

    def __init__(
        self, store: Store, plans: Mapping[str, Plan], accept_changes: bool
    ) -> None:
        self.accept_changes = accept_changes
        self.now: dict[str, int] = {}
        self.nodes: dict[str, Mapping[str, int]] = {}
        self._paths: dict[int, str] = {}
        self._store = store
        self._plans = plans
        self._present = {name: fingerprint_of(plan) for name, plan in plans.items()}
        self._known: dict[int, Fingerprint] = {}

    def open(self) -> None:
        """See that the journal has all shapes and paths.

        Raises:
          JournalError: it cannot be used.
        """
        number_of = self._store.fingerprint_id
        for name, plan in self._plans.items():
            paths = [node.path for node in plan.root.walk()]
            self.nodes[name] = {path: number_of(path.encode()) for path in paths}
            shape = self._present[name]
            self.now[name] = number_of(shape.encode())
            self._known[self.now[name]] = shape

    def compare(
        self, workflow: str, before: int | None, paths: Callable[[], Iterable[str]]
    ) -> None:
        """See that nothing has changed at some nodes and around them.

        Args:
          before: the shape that the run relies on; None to let all pass.
          paths: gives those of the nodes.

        Raises:
          ChangedError: something has.
          CodecError: that shape was written by another release.
          JournalError: it is damaged.
        """
        if before is not None and before != self.now[workflow]:
            told = difference(self._shape(before), self._present[workflow], paths())
            if told:
                raise ChangedError(_listed(told))

    def all_changes(self, workflow: str, before: int) -> str:
        """Say what has changed since the shape *before*; nothing if nothing has."""
        return _listed(difference(self._shape(before), self._present[workflow]))

    def places(self, records: Iterable[Record]) -> set[str]:
        """Return the paths of the nodes that records are of."""
        numbers = {record.node for record in records if isinstance(record, Placed)}
        return set(map(self.path_of, numbers))

    def path_of(self, number: int) -> str:
        """Return the path of a node by its number, also of one that is no more."""
        if number not in self._paths:
            self._paths[number] = self._store.fingerprint(number).decode()
        return self._paths[number]

    def _shape(self, number: int) -> Fingerprint:
        if number not in self._known:
            self._known[number] = decode_fingerprint(self._store.fingerprint(number))
        return self._known[number]


def shape_of(first: int, records: Sequence[Record]) -> int:
    """Return the shape that the records of a run count as made under.

    Args:
      first: that which the run was accepted under.
    """
    for record in reversed(records):
        if isinstance(record, Reshaped):
            return record.shape
    return first


def held_for(records: Sequence[Record]) -> Held | None:
    """Return what a run is held for at the end of its records, if it is."""
    for record in reversed(records):
        if isinstance(record, Released):
            return None
        if isinstance(record, Held):
            return record
    return None


def _listed(told: list[str]) -> str:
    more = [f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
    return "; ".join(told[:_SHOWN] + more)
