"""A step's permits: how many messages are in hand, who is next, and what is lent."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from step_actor_probe import Bench

from understudy.testing import run_seeded, seeds
from understudy_actors.step_actor import FAIRNESS_QUANTUM
from understudy_actors.watchdog import Cut
from understudy_actors.worker import Worker

SEEDS = range(5)
seeded = pytest.mark.parametrize("seed", SEEDS)


class Boom(Exception):
    """What a handler raises when it is told to."""


@seeded
def test_s122b_64_messages_of_50_ms_on_8_workers_end_in_8_rounds(seed: int) -> None:
    busy: list[int] = []

    async def main() -> float:
        async def handler(message: object, worker: Worker[object]) -> None:
            busy.append(bench.actor.busy)
            await trio.sleep(0.05)

        bench = Bench(handler)
        async with bench.running(max_concurrent=8):
            for number in range(64):
                bench.mailbox.put_nowait(number)
            while len(busy) < 64 or bench.actor.busy:
                await trio.sleep(0.01)
        return trio.current_time()

    assert run_seeded(main, seed=seed) == pytest.approx(0.4, abs=0.011)
    assert max(busy) == 8


@seeded
def test_s122b_a_worker_runs_within_a_pass_whenever_a_permit_is_free(seed: int) -> None:
    async def main() -> list[float]:
        waits: list[float] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            assert isinstance(message, float)
            waits.append(trio.current_time() - message)
            await trio.sleep(3)

        bench = Bench(handler)
        async with bench.running(max_concurrent=4):
            for gap in (0, 0, 0.5, 0.5, 10, 0, 0, 0, 3.5, 10, 1, 1, 1):
                await trio.sleep(gap)
                bench.mailbox.put_nowait(trio.current_time())
            await trio.sleep(10)
        return waits

    assert run_seeded(main, seed=seed) == [0.0] * 13


class Hunger(trio.abc.Instrument):
    """Notes each pass of the scheduler in which no worker began, though one should.

    Attributes:
      began: workers that have begun a message in this pass; a count.
      idle_passes: passes that were wasted; a count.
    """

    def __init__(self, bench: Bench, limit: int) -> None:
        self.began = 0
        self.idle_passes = 0
        self._bench = bench
        self._limit = limit
        self._hungry = False
        trio.lowlevel.add_instrument(self)

    def before_io_wait(self, timeout: float) -> None:
        waits = len(self._bench.mailbox) > 0
        free = self._bench.actor.busy < self._limit
        if self._hungry and waits and free and not self.began:
            self.idle_passes += 1
        self._hungry, self.began = waits and free, 0


@settings(max_examples=100, deadline=None)
@given(
    seed=seeds(),
    limit=st.integers(1, 4),
    plan=st.lists(
        st.tuples(st.sampled_from([0.0, 0.0, 0.5, 2.0]), st.integers(0, 3)),
        min_size=1,
        max_size=30,
    ),
)
def test_s122b_no_pass_of_the_scheduler_is_wasted_on_a_message_and_a_free_permit(
    seed: int, limit: int, plan: list[tuple[float, int]]
) -> None:
    async def main() -> None:
        async def handler(message: object, worker: Worker[object]) -> None:
            assert isinstance(message, int)
            hunger.began += 1
            match message:
                case 0:
                    pass
                case 1:
                    await trio.lowlevel.checkpoint()
                case 2:
                    await trio.sleep(1.0)
                case _:
                    worker.lend_permit()
                    await trio.sleep(0.7)
                    await worker.regain_permit()

        bench = Bench(handler)
        async with bench.running(max_concurrent=limit):
            hunger = Hunger(bench, limit)
            for gap, message in plan:
                if gap:
                    await trio.sleep(gap)
                bench.mailbox.put_nowait(message)
            await trio.sleep(100.0)
            assert len(bench.mailbox) == 0
            assert hunger.idle_passes == 0

    run_seeded(main, seed=seed)


@seeded
def test_s122_other_tasks_run_after_a_quantum_of_messages(seed: int) -> None:
    async def main() -> list[int]:
        done = 0
        seen: list[int] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            nonlocal done
            done += 1

        bench = Bench(handler)
        async with bench.running():
            for number in range(FAIRNESS_QUANTUM * 4):
                bench.mailbox.put_nowait(number)
            while done < FAIRNESS_QUANTUM * 4:
                await trio.lowlevel.checkpoint()
                seen.append(done)
        return seen

    seen = run_seeded(main, seed=seed)
    steps = [after - before for before, after in zip([0, *seen], seen, strict=False)]
    # The last turn of one round and the first of the next may follow directly.
    assert max(steps) <= 2 * FAIRNESS_QUANTUM


@seeded
def test_s152b_another_message_passes_while_one_only_waits(seed: int) -> None:
    async def main() -> list[tuple[object, float]]:
        done: list[tuple[object, float]] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            if message == "slow":
                worker.lend_permit()
                await trio.sleep(60)
                await worker.regain_permit()
            else:
                await trio.sleep(1)
            done.append((message, trio.current_time()))

        bench = Bench(handler)
        async with bench.running():
            bench.mailbox.put_nowait("slow")
            bench.mailbox.put_nowait("quick")
            await trio.sleep(100)
        return done

    assert run_seeded(main, seed=seed) == [("quick", 1.0), ("slow", 60.0)]


@seeded
def test_s151_a_returning_worker_goes_ahead_of_messages_not_begun(seed: int) -> None:
    async def main() -> list[object]:
        order: list[object] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            if message == "slow":
                worker.lend_permit()
                await trio.sleep(2.5)
                await worker.regain_permit()
            order.append(message)
            await trio.sleep(1)

        bench = Bench(handler)
        async with bench.running():
            for message in ("slow", 1, 2, 3, 4, 5):
                bench.mailbox.put_nowait(message)
            await trio.sleep(100)
        return order

    assert run_seeded(main, seed=seed) == [1, 2, 3, "slow", 4, 5]


@seeded
def test_s151_a_cancelled_waiter_leaves_no_gap(seed: int) -> None:
    async def main() -> list[tuple[object, float]]:
        order: list[tuple[object, float]] = []
        workers: dict[object, Worker[object]] = {}

        async def handler(message: object, worker: Worker[object]) -> None:
            workers[message] = worker
            if message in ("a", "b", "c"):
                worker.lend_permit()
                await trio.sleep(1)
                await worker.regain_permit()
                order.append((message, trio.current_time()))
                await trio.sleep(1)
            else:
                await trio.sleep(5)
                order.append((message, trio.current_time()))

        bench = Bench(handler)
        async with bench.running():
            for message in ("a", "b", "c", "long", "last"):
                bench.mailbox.put_nowait(message)
            await trio.sleep(3)
            workers["b"].slot.cut(Cut.CANCELLED, bench.dog)
            await trio.sleep(100)
            assert bench.actor.busy == 0
        assert [entry[:2] for entry in bench.log] == [("cut", "b")]
        return order

    order = run_seeded(main, seed=seed)
    assert [m for m, _ in order] in (
        ["long", "a", "c", "last"],
        ["long", "c", "a", "last"],
    )
    assert [at for _, at in order] == [5.0, 5.0, 6.0, 12.0]


@seeded
def test_s150_several_tasks_of_one_worker_share_one_permit(seed: int) -> None:
    async def main() -> list[int]:
        seen: list[int] = []

        async def wait(worker: Worker[object], delay: float) -> None:
            worker.lend_permit()
            await trio.sleep(delay)
            await worker.regain_permit()
            seen.append(bench.actor.busy)

        async def handler(message: object, worker: Worker[object]) -> None:
            if message == "many":
                async with trio.open_nursery() as nursery:
                    for delay in (1, 1, 2, 30):
                        nursery.start_soon(wait, worker, delay)
            else:
                await trio.sleep(10)

        bench = Bench(handler)
        async with bench.running():
            bench.mailbox.put_nowait("many")
            bench.mailbox.put_nowait("other")
            await trio.sleep(100)
            assert bench.actor.busy == 0
        return seen

    assert run_seeded(main, seed=seed) == [1, 1, 1, 1]


@seeded
def test_s107_one_worker_handles_in_the_order_sent(seed: int) -> None:
    async def main() -> list[object]:
        order: list[object] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            order.append(message)
            if message == 3:
                raise Boom
            await trio.sleep(0.1)

        bench = Bench(handler)
        async with bench.running():
            for number in range(10):
                bench.mailbox.put_nowait(number)
            await trio.sleep(10)
        return order

    assert run_seeded(main, seed=seed) == list(range(10))


@seeded
def test_s108_each_worker_has_one_message_in_hand_at_a_time(seed: int) -> None:
    async def main() -> int:
        in_hand: dict[Worker[object], object] = {}

        async def handler(message: object, worker: Worker[object]) -> None:
            assert worker not in in_hand, "it has another one in hand"
            in_hand[worker] = message
            try:
                await trio.sleep(0.1)
                if message == 7:
                    raise Boom
            finally:
                del in_hand[worker]

        bench = Bench(handler)
        async with bench.running(max_concurrent=3):
            for number in range(30):
                bench.mailbox.put_nowait(number)
            await trio.sleep(10)
        return bench.lives

    assert run_seeded(main, seed=seed) == 4


@seeded
def test_s108_s109_a_broken_worker_is_torn_down_before_another_takes_its_place(
    seed: int,
) -> None:
    """What is queued waits meanwhile, and is handled in order."""

    async def main() -> list[object]:
        log: list[object] = []

        async def setup() -> None:
            log.append("setup")

        async def teardown() -> None:
            await trio.sleep(0.5)
            log.append("torn down")

        async def handler(message: object, worker: Worker[object]) -> None:
            log.append(message)
            if message == 1:
                raise Boom

        bench = Bench(handler, stateful=True)
        bench.setup, bench.teardown = setup, teardown
        async with bench.running():
            for number in range(4):
                bench.mailbox.put_nowait(number)
            await trio.sleep(10)
        return log

    expected = ["setup", 0, 1, "torn down", "setup", 2, 3, "torn down"]
    assert run_seeded(main, seed=seed) == expected
