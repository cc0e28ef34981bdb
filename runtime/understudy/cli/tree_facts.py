"""A supervision tree as plain data, for other programs."""

from __future__ import annotations

from understudy.cli.branches import told
from understudy_protocols.supervision_records import ChildStatus, TreeSnapshot
from understudy_protocols.workload import Workload


def tree_facts(snapshot: TreeSnapshot) -> dict[str, object]:
    """Return a tree made of dicts, lists and what JSON has words for."""
    below = {one.path: one for one in snapshot.below}
    return {
        "path": snapshot.path,
        "strategy": snapshot.strategy.value,
        "intensity": snapshot.intensity,
        "period": snapshot.period,
        "children": [
            _child_facts(child, below.get(child.path)) for child in snapshot.children
        ],
    }


def _child_facts(child: ChildStatus, below: TreeSnapshot | None) -> dict[str, object]:
    facts: dict[str, object] = {
        "path": child.path,
        "kind": child.kind.value,
        "restart": child.restart.value,
        "state": child.state.value,
        "incarnation": child.incarnation,
    }
    if child.workload is not None:
        facts["workload"] = _workload_facts(child.workload)
    return facts if below is None else facts | tree_facts(below)


def _workload_facts(work: Workload) -> dict[str, object]:
    return {
        "in_hand": work.in_hand,
        "limit": work.limit,
        "queued": work.queued,
        "replaced": work.replaced,
        "stuck": work.stuck,
        "down": work.down,
        "cause": None if work.cause is None else told(work.cause),
    }
