"""Workers that break, that are cut, that do not end, and what a stop makes of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest
import trio
import trio.testing
from step_actor_probe import GRACE, Bench, let_out_cancelled
from stepwise import CutAtStep, cut_at_every_step

from understudy.testing import run_seeded
from understudy_actors.setup_waves import SETUP_BACKOFF
from understudy_actors.step_actor import SETUP_TIMEOUT
from understudy_actors.watchdog import Cut
from understudy_actors.worker import Worker
from understudy_protocols.errors import RestartIntensityError

SEEDS = range(5)
seeded = pytest.mark.parametrize("seed", SEEDS)


class Boom(Exception):
    """What a handler raises when it is told to."""


async def pass_by(seconds: float) -> None:
    """Let time pass, in a run whose clock does not jump by itself."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    await trio.testing.wait_all_tasks_blocked()
    clock.jump(seconds)
    await trio.testing.wait_all_tasks_blocked()


async def _shielded() -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(20)


async def _swallowing() -> None:
    until = trio.current_time() + 20
    while trio.current_time() < until:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.5)


@seeded
@pytest.mark.parametrize("nested", [False, True])
def test_s033_a_clean_up_error_after_a_cut_belongs_to_the_cut(
    seed: int, nested: bool
) -> None:
    async def main() -> Bench:
        async def clean_up() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise Boom("clean-up")

        async def handler(message: object, worker: Worker[object]) -> None:
            if not nested:
                await clean_up()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(clean_up)
                nursery.start_soon(trio.sleep_forever)

        bench = Bench(handler)
        bench.timeout = 2.0
        async with bench.running(intensity=0):
            bench.mailbox.put_nowait("it")
            await trio.sleep(20)
        return bench

    bench = run_seeded(main, seed=seed)
    ((what, message, reason, error),) = bench.log
    assert (what, message, reason) == ("cut", "it", Cut.TIMEOUT)
    assert isinstance(error, ExceptionGroup if nested else Boom)
    assert bench.lives == 1
    assert bench.errors == []


@seeded
def test_s039_a_worker_that_breaks_is_replaced_alone(seed: int) -> None:
    async def main() -> Bench:
        async def handler(message: object, worker: Worker[object]) -> None:
            if message == "bad":
                raise Boom
            await trio.sleep(5)
            bench.log.append(("done", message))

        bench = Bench(handler)
        async with bench.running(max_concurrent=2):
            for message in ("good", "bad", "next"):
                bench.mailbox.put_nowait(message)
            await trio.sleep(20)
            assert bench.actor.busy == 0
        return bench

    bench = run_seeded(main, seed=seed)
    assert bench.lives == 3
    assert sorted(entry[:2] for entry in bench.log) == [
        ("broken", "bad"),
        ("done", "good"),
        ("done", "next"),
    ]
    assert bench.errors == []


@seeded
def test_s051_one_breakage_more_than_the_window_allows_ends_the_actor(
    seed: int,
) -> None:
    raised = [Boom(str(n)) for n in range(4)]

    async def main() -> Bench:
        async def handler(message: object, worker: Worker[object]) -> None:
            assert isinstance(message, int)
            raise raised[message]

        bench = Bench(handler)
        async with bench.running(intensity=2):
            for number in range(4):
                bench.mailbox.put_nowait(number)
            await trio.sleep(20)
            assert bench.workers() == 0
        return bench

    bench = run_seeded(main, seed=seed)
    (error,) = bench.errors
    assert isinstance(error, RestartIntensityError)
    assert error.causes == tuple(raised[:3])
    assert error.__cause__ is raised[2]
    assert len(bench.mailbox) == 1


@seeded
def test_s035_a_cancelled_that_the_step_let_out_is_a_crash(seed: int) -> None:
    async def main() -> Bench:
        async def handler(message: object, worker: Worker[object]) -> None:
            raise await let_out_cancelled()

        bench = Bench(handler)
        async with bench.running():
            bench.mailbox.put_nowait("bad")
            await trio.sleep(20)
        return bench

    bench = run_seeded(main, seed=seed)
    ((what, message, error),) = bench.log
    assert (what, message) == ("broken", "bad")
    assert isinstance(error, trio.Cancelled)
    assert bench.errors == []


@seeded
def test_s033_cancelled_with_one_error_is_classified_by_the_error(seed: int) -> None:
    async def main() -> Bench:
        async def handler(message: object, worker: Worker[object]) -> None:
            foreign = await let_out_cancelled()
            raise BaseExceptionGroup("", [foreign, Boom("the error")])

        bench = Bench(handler)
        async with bench.running():
            bench.mailbox.put_nowait("bad")
            await trio.sleep(20)
        return bench

    bench = run_seeded(main, seed=seed)
    ((what, message, error),) = bench.log
    assert (what, message) == ("broken", "bad")
    assert isinstance(error, Boom)
    assert bench.errors == []


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("in_group", [False, True])
@seeded
def test_s034_what_ends_the_process_ends_the_root_as_itself(
    seed: int, fatal: type[BaseException], in_group: bool
) -> None:
    raised = fatal()

    async def main() -> None:
        async def handler(message: object, worker: Worker[object]) -> None:
            raise BaseExceptionGroup("", [raised]) if in_group else raised

        bench = Bench(handler)
        async with bench.running(max_concurrent=2):
            bench.mailbox.put_nowait("bad")
            await trio.sleep_forever()

    with pytest.raises(fatal) as caught:
        run_seeded(main, seed=seed)
    assert caught.value is raised


@seeded
@pytest.mark.parametrize("way", [_shielded, _swallowing])
def test_s085_a_stuck_worker_is_reported_keeps_its_permit_and_is_waited_for(
    seed: int, way: Callable[[], object]
) -> None:
    async def main() -> tuple[Bench, float, float]:
        done: list[float] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            if message == "stuck":
                await way()  # type: ignore[misc]
            else:
                done.append(trio.current_time())

        bench = Bench(handler)
        bench.timeout = 2.0
        async with bench.running():
            bench.mailbox.put_nowait("stuck")
            bench.mailbox.put_nowait("next")
            await trio.sleep(4)
            assert bench.workers() == 1
            assert bench.actor.busy == 1
            await trio.sleep(20)
            assert bench.actor.busy == 0
        return bench, done[0], trio.current_time()

    bench, next_done, left = run_seeded(main, seed=seed)
    ((what, message, reason, stack),) = bench.log
    assert (what, message, reason) == ("stuck", "stuck", Cut.TIMEOUT)
    assert way.__name__ in str(stack)
    assert 20.0 <= next_done <= left


@seeded
def test_s085_a_blocked_thread_is_stuck_and_keeps_its_permit_until_it_ends(
    seed: int,
) -> None:
    async def main() -> tuple[Bench, list[float]]:
        release = threading.Event()
        done: list[float] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            if message == "stuck":
                await trio.to_thread.run_sync(release.wait)
            else:
                done.append(trio.current_time())

        bench = Bench(handler)
        bench.timeout = 2.0
        async with bench.running():
            bench.mailbox.put_nowait("stuck")
            bench.mailbox.put_nowait("next")
            await pass_by(2.0)
            assert bench.log == []
            await pass_by(GRACE)
            assert done == []
            release.set()
            while not done:
                await trio.lowlevel.checkpoint()
        return bench, done

    bench, done = run_seeded(main, seed=seed, autojump=False)
    assert [entry[:3] for entry in bench.log] == [("stuck", "stuck", Cut.TIMEOUT)]
    assert done == [2.0 + GRACE]


@seeded
def test_s019_a_setup_that_hangs_is_cut_and_counts_as_a_breakage(seed: int) -> None:
    async def main() -> tuple[Bench, float]:
        async def handler(message: object, worker: Worker[object]) -> None:
            done.append(trio.current_time())

        async def setup() -> None:
            if bench.lives == 1:
                await trio.sleep_forever()

        done: list[float] = []
        bench = Bench(handler, stateful=True)
        bench.setup = setup
        async with bench.running(max_concurrent=1):
            bench.mailbox.put_nowait(1)
            await trio.sleep(100)
        return bench, done[0]

    bench, done = run_seeded(main, seed=seed)
    assert done == SETUP_TIMEOUT + SETUP_BACKOFF.min_delay
    assert (bench.lives, bench.log) == (2, [])


@seeded
def test_s051_setups_that_keep_failing_end_the_actor(seed: int) -> None:
    async def main() -> Bench:
        async def handler(message: object, worker: Worker[object]) -> None:
            raise AssertionError("a worker that did not set up handles nothing")

        async def setup() -> None:
            raise Boom

        bench = Bench(handler, stateful=True)
        bench.setup = setup
        async with bench.running(intensity=3):
            bench.mailbox.put_nowait(1)
            await trio.sleep(10)
        return bench

    bench = run_seeded(main, seed=seed)
    assert bench.lives == 4
    assert len(bench.errors) == 1
    assert len(bench.mailbox) == 1


@seeded
@pytest.mark.parametrize("way", ["raises", "hangs", "exits"])
def test_s083_a_teardown_that_fails_counts_and_does_not_stop_the_stop(
    seed: int, way: str
) -> None:
    async def main() -> tuple[Bench, float]:
        async def handler(message: object, worker: Worker[object]) -> None:
            worker.spent = True

        async def teardown() -> None:
            if way == "hangs":
                await trio.sleep_forever()
            raise Boom if way == "raises" else BaseExceptionGroup("", [Boom(), Boom()])

        bench = Bench(handler, stateful=True)
        bench.teardown = teardown
        async with bench.running(intensity=1):
            bench.mailbox.put_nowait(1)
            bench.mailbox.put_nowait(2)
            bench.mailbox.put_nowait(3)
            await trio.sleep(20)
        return bench, trio.current_time()

    bench, _ = run_seeded(main, seed=seed)
    assert isinstance(bench.errors[0], RestartIntensityError)
    assert bench.lives in (2, 3)


@seeded
def test_s084_a_stop_cuts_what_is_in_hand_and_begins_nothing_more(seed: int) -> None:
    async def main() -> tuple[Bench, float]:
        async def handler(message: object, worker: Worker[object]) -> None:
            await trio.sleep(10)

        bench = Bench(handler)
        async with bench.running(max_concurrent=2):
            for number in range(5):
                bench.mailbox.put_nowait(number)
            await trio.sleep(1)
        return bench, trio.current_time()

    bench, left = run_seeded(main, seed=seed)
    assert sorted(entry[1:3] for entry in bench.log) == [
        (0, Cut.STOPPED),
        (1, Cut.STOPPED),
    ]
    assert len(bench.mailbox) == 3
    assert left == 1.0


@seeded
def test_s084_a_worker_that_was_just_started_or_woken_begins_nothing_after_a_stop(
    seed: int,
) -> None:
    async def main() -> tuple[list[object], int]:
        begun: list[object] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            begun.append(message)

        bench = Bench(handler)
        async with bench.running(max_concurrent=2):
            bench.mailbox.put_nowait("first")
            await trio.sleep(1)
            # One idle worker is woken, another one is started, and the stop is
            # asked for before either has run.
            bench.mailbox.put_nowait("woken")
            bench.actor._waking = None
            bench.mailbox.put_nowait("started")
            bench.actor._stop()
            await trio.sleep(1)
            assert bench.workers() == 0
        return begun, len(bench.mailbox)

    assert run_seeded(main, seed=seed) == (["first"], 2)


@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("reason", [Cut.TIMEOUT, Cut.CANCELLED])
def test_s111_a_worker_is_cut_at_each_of_its_checkpoints(
    reason: Cut, stateful: bool
) -> None:
    """Each message is done, or cut, and never both; none is left lying."""

    async def scenario(nth: int) -> bool:
        cuts: list[CutAtStep] = []
        done: list[object] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            if not cuts:
                assert worker.task is not None
                cut = partial(worker.slot.cut, reason, bench.dog)
                cuts.append(CutAtStep(worker.task, nth, cut))
            await trio.lowlevel.checkpoint()
            await trio.sleep(0.5)
            done.append(message)

        bench = Bench(handler, stateful=stateful)
        async with bench.running(max_concurrent=2):
            for number in range(5):
                bench.mailbox.put_nowait(number)
            await trio.sleep(20)
            assert len(bench.mailbox) == 0
            assert bench.actor.busy == 0
        lost = [message for _, message, *_ in bench.log]
        assert sorted(done + lost, key=str) == [0, 1, 2, 3, 4]
        assert len(lost) <= 1
        assert bench.errors == []
        return cuts[0].done

    cut_at_every_step(scenario, at_least=4)
