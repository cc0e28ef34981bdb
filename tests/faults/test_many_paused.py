"""Many more runs than places wait for people: none gets lost, and no place leaks."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import trio
from fault_probe import Ledger, check_at_rest
from paused_world import Node, PausedWorld, Places, people

from understudy import RunStatus, Runtime
from understudy.testing import run_seeded

RUNS = 25


async def simulate(seed: int, seen: Counter[str]) -> None:
    """Let many runs wait for people, until all of them are over."""
    world = PausedWorld(seed)
    flow = world.workflow()
    source = random.Random(seed + 1)
    async with Runtime(
        flow,
        max_runs=source.choice([1, 2, 4]),
        max_waiting=RUNS,
        max_paused=source.choice([0, 1, 5, 100, 100, 100]),
        seed=seed,
    ) as runtime:
        ledger, places = Ledger(runtime), Places(runtime)
        trio.lowlevel.add_instrument(places)
        async with trio.open_nursery() as answering:
            answering.start_soon(people, runtime, source)
            async with trio.open_nursery() as nursery:
                for number in range(RUNS):
                    await trio.sleep(source.choice([0.0, 0.0, 0.3]))
                    nursery.start_soon(_one, runtime, flow, source, number)
            answering.cancel_scope.cancel()
        trio.lowlevel.remove_instrument(places)
        assert not places.wrong, places.wrong[:5]
        await check_at_rest(runtime, ledger)
    ledger.check()
    assert len(ledger.runs) == RUNS
    for run in ledger.runs:
        seen[run.status.value] += 1
        # What is put into a full mailbox leads its run to this cause.
        assert "mailbox" not in str(run.failure)
    seen["aside"] += places.aside > 4
    seen["full"] += places.most == runtime._door.max_runs


async def _one(
    runtime: Runtime[Any], flow: Node, source: random.Random, number: int
) -> None:
    run_id = f"run {number}"
    deadline = source.choice([None, None, 2.0, 8.0])
    match source.randrange(8):
        case 0:
            with trio.move_on_after(source.choice([0.0, 1.0, 9.0])):
                await runtime.run(flow, number, run_id=run_id, deadline=deadline)
        case 1:
            handle = await runtime.submit(flow, number, run_id=run_id)
            await trio.sleep(source.choice([0.0, 2.0, 9.0]))
            handle.cancel()
            assert (await handle.result()).status.terminal
        case _:
            result = await runtime.run(flow, number, run_id=run_id, deadline=deadline)
            assert result.status.terminal


@pytest.mark.parametrize("block", range(10))
def test_however_people_answer_no_run_is_lost_and_no_place_leaks(block: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(block * 15, (block + 1) * 15):
        run_seeded(simulate, seed, seen, seed=seed)
    # The simulation is no use if one kind of end never comes.
    ends = [status.value for status in RunStatus if status.terminal]
    assert all(seen[end] for end in [*ends, "aside", "full"]), seen
