"""Random workflows on the real runtime do what plain recursion says they do."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from understudy import RunResult, RunStatus, Runtime, check
from understudy.testing import run_seeded, seeds

sys.path.insert(0, str(Path(__file__).parent))

from workflow_trees import (
    AnyNode,
    Failed,
    Group,
    Meaning,
    Place,
    Skipped,
    build,
    plain,
    trees,
)

INPUT = 7


async def _run(workflow: AnyNode) -> RunResult[object]:
    async with Runtime(workflow, seed=1) as runtime:
        return await runtime.run(workflow, INPUT)


def _entries(result: RunResult[object]) -> list[tuple[str, str, str, int]]:
    return sorted(
        (step.path.rpartition("/")[2], step.position, step.status, step.number)
        for step in result.steps
    )


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
    meaning, env = Meaning(), dict[str, object]()
    value: object = None
    try:
        value = meaning.run(spec, env, Place(INPUT), ())
    except Failed:
        assert result.status is RunStatus.FAILED
        assert result.failure is not None
    except Skipped:
        assert result.status is RunStatus.COMPLETED
    else:
        assert result.status is RunStatus.COMPLETED
    if result.status is RunStatus.COMPLETED:
        assert plain(result.value) == plain(value)
        assert plain(result.outputs) == plain(env)
        assert list(result.outputs) == list(env)
    ended, must = _entries(result), sorted(meaning.must)
    for entry in must:
        assert ended.count(entry) == must.count(entry), entry
    for entry in ended:
        assert entry in must or entry in meaning.may, entry


@settings(max_examples=200, deadline=None)
@given(spec=trees())
def test_a_checked_workflow_has_a_path_of_its_own_for_every_step(spec: Group) -> None:
    plan = check(build(spec))
    paths = [node.path for node in plan.root.walk() if not node.children]
    assert len(paths) == len(set(paths))
