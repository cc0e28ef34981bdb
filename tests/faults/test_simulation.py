"""Random workflows, faults, cancels and deadlines: what is promised still holds."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import trio
from fault_probe import Ledger, check_at_rest

from understudy import (
    Attempt,
    Budget,
    Cause,
    Context,
    ModelError,
    Price,
    RetryConfig,
    RunStatus,
    Runtime,
    Workflow,
    all_of,
    best_effort,
    cascade,
    each,
    first_success,
    parallel,
    quorum,
    repeat,
    sequence,
    stateful_step,
    step,
)
from understudy.models.scripted import ScriptedModel
from understudy.testing import run_seeded
from understudy.workflows.joins import Join

Node = Workflow[Any, Any, Any]
"""The types of a random tree are not known to anybody."""

RUNS = 6


class World:
    """One seed's workflow, and what its steps saw."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names = 0
        # (run, step, position) of every body that returned its value.
        self.returned: Counter[tuple[str, str]] = Counter()
        self.at_work: Counter[str] = Counter()
        self.ended: set[str] = set()
        self.late: list[str] = []

    # --- steps ------------------------------------------------------------------

    def step(self) -> Node:
        """Return a step that does one thing or another, by chance."""
        self.names += 1
        name = f"s{self.names}"
        source = self.random
        stateful = source.random() < 0.15
        limit = source.choice([None, 1, 2])
        retry = RetryConfig(
            max_attempts=source.choice([1, 2, 3]),
            backoff_base=source.choice([0.0, 0.5, 2.0]),
            timeout_seconds=source.choice([1.0, 3.0]),
        )
        timeout = source.choice([None, None, 4.0])
        body = self.body(name, math.inf if limit is None else limit)
        if stateful:

            class Object:
                async def setup(self) -> None:
                    await trio.sleep(0.1)

                async def execute(
                    self, context: Context[object], attempt: Attempt[object]
                ) -> object:
                    return await body(context, attempt)

                async def teardown(self) -> None:
                    await trio.sleep(0.1)

            return stateful_step(
                Object,
                name=name,
                output=int,
                retry=retry,
                timeout=timeout,
                max_concurrent=limit,
                restart_on=(LookupError,),
            )
        return step(
            name=name,
            retry=retry,
            timeout=timeout,
            max_concurrent=limit,
            replay_safe=source.random() < 0.8,
        )(body)

    def body(self, name: str, limit: float) -> Callable[..., Any]:
        async def act(context: Context[object], attempt: Attempt[object]) -> int:
            place = f"{attempt.run_id}"
            if place in self.ended:
                self.late.append(f"{name} began after the end of its run")
            self.at_work[name] += 1
            # A lent permit lets another body in: only those that never lend count.
            try:
                await self.misbehave(attempt)
            finally:
                self.at_work[name] -= 1
            self.returned[attempt.key, name] += 1
            return self.random.randrange(10)

        return act

    async def misbehave(self, attempt: Attempt[object]) -> None:
        source = self.random
        match source.randrange(12):
            case 0 | 1:
                await trio.sleep(source.choice([0.0, 0.5, 1.0, 2.0, 5.0]))
            case 2:
                raise ConnectionError("gone")
            case 3:
                raise ValueError("a bug")
            case 4:
                await attempt.models["m"].complete("?", max_tokens=20)
            case 5:
                async with trio.open_nursery() as nursery:
                    for _ in range(2):
                        nursery.start_soon(self.call, attempt)
            case 6:
                try:
                    await trio.sleep(9)
                except trio.Cancelled:
                    # Late, and still within the grace: the step returns after all.
                    with trio.CancelScope(shield=True):
                        await trio.sleep(source.choice([0.0, 0.5]))
                    if source.random() < 0.5:
                        raise
            case 7:
                try:
                    await trio.sleep(9)
                finally:
                    raise LookupError("spilled")
            case 8:
                await attempt.wait(source.choice([0.5, 1.0, 3.0]))
            case 9:
                with trio.move_on_after(0.7):
                    await attempt.models["m"].complete("?", max_tokens=20)
            case 10:
                raise LookupError("the object is broken")
            case _:
                await trio.lowlevel.checkpoint()

    async def call(self, attempt: Attempt[object]) -> None:
        await attempt.models["m"].complete("?", max_tokens=20)

    # --- trees ------------------------------------------------------------------

    def tree(self, depth: int) -> Node:
        """Return a random tree of at most *depth* levels."""
        source = self.random
        kind = source.randrange(9) if depth else 0
        self.names += 1
        name = f"n{self.names}"
        match kind:
            case 0 | 1:
                return self.step()
            case 2 | 3:
                return sequence(
                    *(self.tree(depth - 1) for _ in range(source.randint(1, 3))),
                    name=name,
                )
            case 4 | 5:
                branches = source.randint(2, 4)
                parts: dict[str, Any] = {
                    f"b{n}": self.tree(depth - 1) for n in range(branches)
                }
                joins: list[Join] = [
                    all_of(),
                    best_effort(),
                    first_success(),
                    quorum(2),
                ]
                return parallel(join=source.choice(joins), **parts).named(name)
            case 6:
                count = source.randint(0, 6)
                return each(
                    self.tree(depth - 1),
                    over=lambda context: tuple(range(count)),
                    max_concurrent=source.choice([1, 2, 5]),
                ).named(name)
            case 7:
                return cascade(
                    self.tree(depth - 1),
                    self.tree(depth - 1),
                    accept=lambda value: isinstance(value, int) and value > 3,
                ).named(name)
            case _:
                return repeat(
                    self.tree(depth - 1),
                    until=lambda value: isinstance(value, int) and value > 5,
                    max_rounds=3,
                ).named(name)

    def model(self) -> ScriptedModel:
        source = random.Random(self.random.random())

        def answer(request: object) -> object:
            if source.random() < 0.4:
                cause = source.choice([Cause.SERVER, Cause.RATE_LIMIT, Cause.AUTH])
                return ModelError("no", cause=cause, retry_after=source.random())
            return "yes"

        return ScriptedModel(
            answer,
            latency=lambda request: source.choice([0.0, 0.3, 2.0]),
            price=Price(1, 1),
        )


async def simulate(seed: int) -> Counter[RunStatus]:
    """Run one seed's world to its end, and check what must hold."""
    world = World(seed)
    source = world.random
    flow = sequence(world.tree(3), world.step(), name="flow")
    async with Runtime(
        flow,
        models={"m": world.model()},
        max_runs=source.choice([2, 100]),
        budget=Budget(usd=source.choice([0.0005, 1.0])),
        seed=seed,
    ) as runtime:
        ledger = Ledger(runtime)
        async with trio.open_nursery() as nursery:
            for number in range(RUNS):
                await trio.sleep(source.choice([0.0, 0.3, 2.0]))
                nursery.start_soon(_one, world, runtime, flow, number)
        await trio.sleep(10)
        await check_at_rest(runtime, ledger)
        assert world.late == []
        assert not +world.at_work
    ledger.check()
    assert len(ledger.runs) == RUNS
    # A step that finished has run once for its place; only a result that was
    # cut, or that its run did not wait for, may have been there more often.
    for run in ledger.runs:
        finished = Counter(
            (entry.path, entry.position)
            for entry in run.log
            if entry.failure is None and not entry.skipped
        )
        assert max(finished.values(), default=0) <= 1
    return Counter(run.status for run in ledger.runs)


async def _one(world: World, runtime: Runtime[Any], flow: Node, number: int) -> None:
    source = world.random
    deadline = source.choice([None, None, 0.0, 0.5, 3.0, 20.0])
    started = trio.current_time()
    run_id = f"run {number}"
    match source.randrange(4):
        case 0:
            with trio.move_on_after(source.choice([0.0, 0.4, 2.5])):
                await runtime.run(flow, number, run_id=run_id, deadline=deadline)
        case 1:
            handle = await runtime.submit(
                flow, number, run_id=run_id, deadline=deadline
            )
            await trio.sleep(source.choice([0.0, 1.0, 4.0]))
            handle.cancel()
            await handle.result()
        case _:
            result = await runtime.run(flow, number, run_id=run_id, deadline=deadline)
            if result.status is RunStatus.EXPIRED:
                assert result.duration == pytest.approx(deadline)
            else:
                assert result.status in (RunStatus.COMPLETED, RunStatus.FAILED)
            assert result.duration <= trio.current_time() - started + 1e-9
    world.ended.add(run_id)


@pytest.mark.parametrize("block", range(10))
def test_under_random_faults_every_promise_holds(block: int) -> None:
    seen: Counter[RunStatus] = Counter()
    for seed in range(block * 40, (block + 1) * 40):
        seen += run_seeded(simulate, seed, seed=seed)
    # The simulation is no use if one kind of end never comes.
    assert all(seen[status] > 5 for status in RunStatus if status.terminal), seen
