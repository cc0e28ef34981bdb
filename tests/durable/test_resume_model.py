"""A run that is killed anywhere and begun again comes to the same end, nothing twice."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import patch

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from images import RUN, Filmed, known, utcnow

from understudy import RunResult, Runtime
from understudy.engine.admission import Door
from understudy.journal.memory import MemoryStore
from understudy.journal.recorder import Durability
from understudy.testing import run_seeded, seeds

sys.path.insert(0, str(Path(__file__).parents[1] / "property"))

from workflow_trees import AnyNode, Group, build, check_meaning, ran, trees

INPUT = 7


async def _run(
    workflow: AnyNode,
    store: MemoryStore,
    start: float,
    durability: Durability,
    alone: bool,
) -> RunResult[object]:
    with patch.object(Door, "alone", return_value=alone):
        runtime = Runtime(
            workflow,
            seed=1,
            journal=store,
            durability=durability,
            utcnow=utcnow(start),
        )
        async with runtime:
            return await runtime.run(workflow, INPUT, run_id=RUN)


@settings(
    max_examples=int(os.environ.get("UNDERSTUDY_RESUMES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    spec=trees(),
    seed=seeds(),
    at=st.floats(0, 1),
    then=st.floats(0, 1),
    alone=st.booleans(),
)
def test_a_run_goes_on_from_wherever_it_was_and_repeats_nothing(
    spec: Group, seed: int, at: float, then: float, alone: bool
) -> None:
    workflow = build(spec)
    store = Filmed()
    check_meaning(
        spec, INPUT, run_seeded(_run, workflow, store, 0.0, "step", alone, seed=seed)
    )
    # Twice in a row: what was brought back once must be good for a second time.
    moment, start = at, 0.0
    for moment in (at, then):
        before, image = store.images[round(moment * (len(store.images) - 1))]
        start += before
        store = Filmed()
        store.__dict__.update(image.copy().__dict__)
        done = known(store).finished
        ran.clear()
        result = run_seeded(_run, workflow, store, start, "step", alone, seed=seed + 1)
        check_meaning(spec, INPUT, result)
        assert not done & set(ran), "what was finished was done again"
        assert len(ran) == len(set(ran))


TAKING_TURNS = ("one", "two", "three")


async def _run_in_turns(
    workflow: AnyNode, store: MemoryStore, start: float, places: int
) -> dict[str, RunResult[object]]:
    results: dict[str, RunResult[object]] = {}
    async with Runtime(
        workflow,
        seed=1,
        journal=store,
        max_runs=places,
        utcnow=utcnow(start),
    ) as runtime:

        async def one(run_id: str) -> None:
            results[run_id] = await runtime.run(workflow, INPUT, run_id=run_id)

        async with trio.open_nursery() as nursery:
            for run_id in TAKING_TURNS:
                nursery.start_soon(one, run_id)
    return results


@settings(
    max_examples=int(os.environ.get("UNDERSTUDY_RESUMES", "200")) // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(spec=trees(), seed=seeds(), places=st.integers(1, 2), at=st.floats(0, 1))
def test_runs_that_wait_for_a_place_again_and_again_come_to_the_same_end(
    spec: Group, seed: int, places: int, at: float
) -> None:
    workflow = build(spec)
    store = Filmed()
    results = run_seeded(_run_in_turns, workflow, store, 0.0, places, seed=seed)
    start, image = store.images[round(at * (len(store.images) - 1))]
    done = {key for run_id in TAKING_TURNS for key in known(image, run_id).finished}
    ran.clear()
    again = run_seeded(_run_in_turns, workflow, image, start, places, seed=seed + 1)
    assert not done & set(ran), "what was finished was done again"
    for result in [*results.values(), *again.values()]:
        check_meaning(spec, INPUT, result)
