"""Random workflows on the real runtime do what plain recursion says they do."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from understudy import RunResult, Runtime, check
from understudy.testing import run_seeded, seeds

sys.path.insert(0, str(Path(__file__).parent))

from workflow_trees import (
    AnyNode,
    Group,
    build,
    check_meaning,
    trees,
)

INPUT = 7


async def _run(workflow: AnyNode) -> RunResult[object]:
    async with Runtime(workflow, seed=1) as runtime:
        return await runtime.run(workflow, INPUT)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(spec=trees(), seed=seeds())
def test_a_random_workflow_does_what_plain_recursion_says(
    spec: Group, seed: int
) -> None:
    workflow = build(spec)
    result = run_seeded(_run, workflow, seed=seed)
    check_meaning(spec, INPUT, result)


@settings(max_examples=200, deadline=None)
@given(spec=trees())
def test_a_checked_workflow_has_a_path_of_its_own_for_every_step(spec: Group) -> None:
    plan = check(build(spec))
    paths = [node.path for node in plan.root.walk() if not node.children]
    assert len(paths) == len(set(paths))
