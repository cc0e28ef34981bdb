"""What a step actor says of itself in a listing."""

from __future__ import annotations

import msgspec
import pytest
import trio
from step_actor_probe import Bench

from understudy.testing import run_seeded
from understudy_actors.worker import Worker
from understudy_protocols.workload import Workload

seeded = pytest.mark.parametrize("seed", range(5))


class Boom(Exception):
    pass


@seeded
def test_what_is_in_hand_and_what_waits_is_counted(seed: int) -> None:
    async def main() -> list[Workload]:
        async def handler(message: object, worker: Worker[object]) -> None:
            await trio.sleep(1)

        bench = Bench(handler)
        async with bench.running(max_concurrent=2):
            for number in range(5):
                bench.mailbox.put_nowait(number)
            await trio.sleep(0.5)
            found = [bench.actor.workload(2)]
            await trio.sleep(9)
            return [*found, bench.actor.workload(None)]

    assert run_seeded(main, seed=seed) == [
        Workload(in_hand=2, limit=2, queued=3),
        Workload(),
    ]


@seeded
def test_workers_that_broke_are_counted_and_the_last_cause_is_kept(seed: int) -> None:
    first, last = Boom("first"), Boom("last")

    async def main() -> Workload:
        async def handler(message: object, worker: Worker[object]) -> None:
            if isinstance(message, Boom):
                raise message

        bench = Bench(handler)
        async with bench.running():
            for message in (first, last, "good"):
                bench.mailbox.put_nowait(message)
            await trio.sleep(9)
            return bench.actor.workload(None)

    assert run_seeded(main, seed=seed) == Workload(replaced=2, cause=last)


@seeded
def test_a_step_that_waits_for_its_next_setup_says_when_that_is(seed: int) -> None:
    async def main() -> list[Workload]:
        async def handler(message: object, worker: Worker[object]) -> None:
            await trio.lowlevel.checkpoint()

        async def setup() -> None:
            await trio.sleep(1)
            if bench.lives == 1:
                raise Boom

        bench = Bench(handler, stateful=True)
        bench.setup = setup
        async with bench.running():
            bench.mailbox.put_nowait("message")
            await trio.sleep(1.25)
            found = [bench.actor.workload(None)]
            await trio.sleep(9)
            return [*found, bench.actor.workload(None)]

    resting, well = run_seeded(main, seed=seed)
    assert (resting.due, resting.queued, resting.in_hand) == (1.5, 1, 0)
    assert msgspec.structs.replace(well, cause=None) == Workload(replaced=1)


@seeded
def test_a_step_with_a_worker_that_is_well_waits_for_no_other(seed: int) -> None:
    async def main() -> Workload:
        async def handler(message: object, worker: Worker[object]) -> None:
            await trio.sleep(1)

        setups: list[int] = []

        async def setup() -> None:
            setups.append(len(setups))
            if setups[-1] == 0:
                await trio.sleep(1)
                raise Boom

        bench = Bench(handler, stateful=True)
        bench.setup = setup
        async with bench.running(max_concurrent=2):
            for number in range(5):
                bench.mailbox.put_nowait(number)
            await trio.sleep(1.25)
            return bench.actor.workload(2)

    work = run_seeded(main, seed=seed)
    assert (work.due, work.in_hand, work.replaced) == (None, 1, 1)


@seeded
def test_a_step_that_has_given_up_is_down_and_says_why(seed: int) -> None:
    raised = [Boom(str(number)) for number in range(3)]

    async def main() -> Workload:
        async def handler(message: object, worker: Worker[object]) -> None:
            assert isinstance(message, int)
            raise raised[message]

        bench = Bench(handler)
        async with bench.running(intensity=1):
            for number in range(3):
                bench.mailbox.put_nowait(number)
            await trio.sleep(9)
            return bench.actor.workload(None)

    # The worker that was one too many is not replaced.
    assert run_seeded(main, seed=seed) == Workload(
        queued=1, replaced=1, down=True, cause=raised[1]
    )


@seeded
def test_a_stuck_worker_is_counted_until_it_ends(seed: int) -> None:
    async def main() -> list[Workload]:
        async def handler(message: object, worker: Worker[object]) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(20)

        bench = Bench(handler)
        bench.timeout = 2.0
        async with bench.running():
            found: list[Workload] = []
            bench.mailbox.put_nowait("message")
            for moment in (2.5, 1.5, 20):
                await trio.sleep(moment)
                found.append(bench.actor.workload(None))
            return found

    # A stuck worker is still at its message, and keeps the permit.
    assert run_seeded(main, seed=seed) == [
        Workload(in_hand=1),
        Workload(in_hand=1, stuck=1),
        Workload(),
    ]
