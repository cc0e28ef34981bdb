"""The step actor: permits, workers, and what happens to one that breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest
import trio
import trio.testing
from step_actor_probe import GRACE, Bench, let_out_cancelled

from understudy.testing import run_seeded
from understudy_actors.setup_waves import SETUP_BACKOFF
from understudy_actors.step_actor import FAIRNESS_QUANTUM, MAX_IDLE, SETUP_TIMEOUT
from understudy_actors.watchdog import Cut
from understudy_actors.worker import Worker
from understudy_protocols.errors import RestartIntensityError

SEEDS = range(5)
seeded = pytest.mark.parametrize("seed", SEEDS)


class Boom(Exception):
    """What a handler raises when it is told to."""


# --- permits ------------------------------------------------------------------


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


@seeded
def test_workers_start_one_after_another_as_messages_need_them(seed: int) -> None:
    async def main() -> tuple[int, int]:
        async def handler(message: object, worker: Worker[object]) -> None:
            await trio.sleep(1)

        bench = Bench(handler)
        async with bench.running(max_concurrent=100):
            bench.mailbox.put_nowait(0)
            await trio.sleep(5)
            alone = bench.lives
            for number in range(50):
                bench.mailbox.put_nowait(number)
            await trio.sleep(0.5)
            assert bench.actor.busy == 50
        return alone, bench.lives

    assert run_seeded(main, seed=seed) == (1, 50)


@seeded
def test_messages_that_need_no_wait_are_handled_by_one_worker(seed: int) -> None:
    async def main() -> int:
        async def handler(message: object, worker: Worker[object]) -> None:
            pass

        bench = Bench(handler)
        async with bench.running(max_concurrent=100):
            for burst in range(20):
                bench.mailbox.put_nowait(burst)
                await trio.sleep(1)
        return bench.lives

    assert run_seeded(main, seed=seed) == 1


@seeded
def test_idle_workers_above_max_idle_end(seed: int) -> None:
    async def main() -> tuple[int, int]:
        async def handler(message: object, worker: Worker[object]) -> None:
            await trio.sleep(1)

        bench = Bench(handler)
        async with bench.running(max_concurrent=50):
            for number in range(50):
                bench.mailbox.put_nowait(number)
            await trio.sleep(0.5)
            at_work = bench.workers()
            await trio.sleep(5)
            return at_work, bench.workers()

    assert run_seeded(main, seed=seed) == (50, MAX_IDLE)


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
def test_the_path_of_a_message_opens_no_scope_no_nursery_and_no_task(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    async def main() -> None:
        handled = 0

        async def handler(message: object, worker: Worker[object]) -> None:
            nonlocal handled
            handled += 1
            if handled % 3 == 0:
                await trio.lowlevel.checkpoint()

        bench = Bench(handler)
        async with bench.running(max_concurrent=4):
            bench.mailbox.put_nowait(0)
            await trio.sleep(1)
            real_scope, real_spawn = trio.CancelScope, trio.Nursery.start_soon

            def scope(*args: object, **more: object) -> object:
                made.append("scope")
                return real_scope(*args, **more)  # type: ignore[arg-type]

            def spawn(*args: object, **more: object) -> object:
                made.append("task")
                return real_spawn(*args, **more)  # type: ignore[arg-type]

            monkeypatch.setattr(trio, "CancelScope", scope)
            monkeypatch.setattr(trio.Nursery, "start_soon", spawn)
            for number in range(200):
                bench.mailbox.put_nowait(number)
            while handled < 201:
                await trio.lowlevel.checkpoint()
            monkeypatch.undo()

    run_seeded(main, seed=seed)
    # Three workers more for four permits: a task and, at most, two scopes each.
    assert made.count("task") <= 3
    assert made.count("scope") <= 6


# --- a permit that is lent ------------------------------------------------------


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


# --- cuts -------------------------------------------------------------------------


@seeded
def test_a_message_over_its_time_is_cut_and_the_worker_goes_on(seed: int) -> None:
    async def main() -> tuple[list[tuple[object, ...]], int]:
        async def handler(message: object, worker: Worker[object]) -> None:
            if message == "slow":
                await trio.sleep(10)

        bench = Bench(handler)
        bench.timeout = 2.0
        async with bench.running():
            for message in ("slow", "quick", "slow", "quick"):
                bench.mailbox.put_nowait(message)
            await trio.sleep(20)
        return bench.log, bench.lives

    log, lives = run_seeded(main, seed=seed)
    assert log == [("cut", "slow", Cut.TIMEOUT, None)] * 2
    assert lives == 1


@seeded
def test_a_result_that_came_back_in_the_tick_of_the_cut_is_kept(seed: int) -> None:
    async def main() -> list[tuple[object, ...]]:
        async def handler(message: object, worker: Worker[object]) -> None:
            await trio.sleep(2)
            worker.slot.cut(Cut.TIMEOUT, bench.dog)
            bench.log.append(("done", message))

        bench = Bench(handler)
        async with bench.running():
            bench.mailbox.put_nowait(1)
            bench.mailbox.put_nowait(2)
            await trio.sleep(20)
        return bench.log

    assert run_seeded(main, seed=seed) == [("done", 1), ("done", 2)]


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
def test_a_worker_whose_task_keeps_a_variable_of_a_cut_message_ends(seed: int) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    seen: list[str] = []

    async def main() -> None:
        async def handler(message: object, worker: Worker[object]) -> None:
            seen.append(variable.get())
            variable.set("left behind")
            if message == "slow":
                await trio.sleep_forever()
            worker.spent = True

        bench = Bench(handler)
        bench.timeout = 1.0
        async with bench.running():
            for message in ("slow", "slow", "quick", "slow", "quick"):
                bench.mailbox.put_nowait(message)
            await trio.sleep(20)
        assert bench.lives == 5

    run_seeded(main, seed=seed)
    assert seen == ["unset"] * 5


# --- workers that break ---------------------------------------------------------


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


# --- workers that do not end ------------------------------------------------------


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
def test_a_stuck_worker_that_comes_back_gets_no_message_and_gives_its_permit_back(
    seed: int,
) -> None:
    async def main() -> list[tuple[object, int]]:
        seen: list[tuple[object, int]] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            if message == "stuck":
                with trio.CancelScope(shield=True):
                    await trio.sleep(20)
                    worker.lend_permit()
                    await worker.regain_permit()
                    await trio.sleep(5)
            seen.append((message, bench.actor.busy))

        bench = Bench(handler)
        bench.timeout = 2.0
        async with bench.running():
            bench.mailbox.put_nowait("stuck")
            await trio.sleep(22)
            for number in range(3):
                bench.mailbox.put_nowait(number)
            await trio.sleep(20)
            assert bench.actor.busy == 0
        assert bench.lives == 2
        return seen

    assert run_seeded(main, seed=seed) == [("stuck", 1), (0, 1), (1, 1), (2, 1)]


@seeded
def test_a_stuck_worker_in_line_for_its_permit_leaves_none_behind(seed: int) -> None:
    async def main() -> list[object]:
        done: list[object] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            if message == "waits":
                with trio.CancelScope(shield=True):
                    worker.lend_permit()
                    await trio.sleep(1)
                    await worker.regain_permit()
            else:
                await trio.sleep(8)
            done.append(message)

        bench = Bench(handler)
        async with bench.running():
            bench.mailbox.put_nowait("waits")
            bench.mailbox.put_nowait("long")
            await trio.sleep(2)
            (waiting,) = set(bench.actor._returning.values())
            waiting.slot.cut(Cut.CANCELLED, bench.dog)
            await trio.sleep(10)
            assert bench.log[0][:2] == ("stuck", "waits")
            bench.mailbox.put_nowait("next")
            await trio.sleep(20)
            assert bench.actor.busy == 0
        return done

    assert run_seeded(main, seed=seed) == ["long", "waits", "next"]


@seeded
def test_stuck_workers_are_no_restarts(seed: int) -> None:
    async def main() -> Bench:
        async def handler(message: object, worker: Worker[object]) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)

        bench = Bench(handler)
        bench.timeout = 1.0
        async with bench.running(max_concurrent=8, intensity=0):
            for number in range(8):
                bench.mailbox.put_nowait(number)
            await trio.sleep(20)
        return bench

    bench = run_seeded(main, seed=seed)
    assert len(bench.log) == 8
    assert bench.errors == []


# --- setup and teardown -------------------------------------------------------------


@seeded
def test_setup_and_teardown_run_once_in_each_worker(seed: int) -> None:
    async def main() -> list[str]:
        log: list[str] = []

        async def setup() -> None:
            log.append("setup")

        async def teardown() -> None:
            await trio.sleep(0.1)
            log.append("teardown")

        async def handler(message: object, worker: Worker[object]) -> None:
            log.append("handle")
            await trio.sleep(1)

        bench = Bench(handler, stateful=True)
        bench.setup, bench.teardown = setup, teardown
        async with bench.running(max_concurrent=2):
            for number in range(6):
                bench.mailbox.put_nowait(number)
            await trio.sleep(20)
        return log

    log = run_seeded(main, seed=seed)
    assert (log.count("setup"), log.count("handle"), log.count("teardown")) == (2, 6, 2)
    assert log[0] == "setup"
    assert log[-2:] == ["teardown"] * 2


@seeded
def test_slow_setups_run_side_by_side(seed: int) -> None:
    async def main() -> list[float]:
        done: list[float] = []

        async def setup() -> None:
            await trio.sleep(10)

        async def handler(message: object, worker: Worker[object]) -> None:
            await trio.sleep(5)
            done.append(trio.current_time())

        bench = Bench(handler, stateful=True)
        bench.setup = setup
        async with bench.running(max_concurrent=20):
            for number in range(4):
                bench.mailbox.put_nowait(number)
            await trio.sleep(50)
        assert bench.lives == 4
        return done

    assert run_seeded(main, seed=seed) == [15.0] * 4


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
def test_a_setup_that_is_stuck_does_not_block_the_others(seed: int) -> None:
    async def main() -> tuple[Bench, float]:
        async def handler(message: object, worker: Worker[object]) -> None:
            done.append(trio.current_time())

        async def setup() -> None:
            if bench.lives == 1:
                with trio.CancelScope(shield=True):
                    await trio.sleep(200)

        done: list[float] = []
        bench = Bench(handler, stateful=True)
        bench.setup = setup
        async with bench.running(max_concurrent=1):
            bench.mailbox.put_nowait(1)
            await trio.sleep(300)
            assert len(done) == 1
        return bench, done[0]

    bench, done = run_seeded(main, seed=seed)
    assert done == SETUP_TIMEOUT + GRACE + SETUP_BACKOFF.min_delay
    assert [entry[:3] for entry in bench.log] == [("stuck", None, Cut.TIMEOUT)]


@seeded
@pytest.mark.parametrize("messages", [1, 8])
def test_setups_that_fail_for_a_second_do_not_end_the_actor(
    seed: int, messages: int
) -> None:
    async def main() -> tuple[Bench, list[float]]:
        done: list[float] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            done.append(trio.current_time())

        async def setup() -> None:
            if trio.current_time() < 1.0:
                raise Boom

        bench = Bench(handler, stateful=True)
        bench.setup = setup
        async with bench.running(max_concurrent=8):
            for number in range(messages):
                bench.mailbox.put_nowait(number)
            await trio.sleep(10)
        return bench, done

    bench, done = run_seeded(main, seed=seed)
    assert done == [1.5] * messages
    assert bench.errors == []


@seeded
def test_a_stop_leaves_a_teardown_that_is_under_way_its_time(seed: int) -> None:
    async def main() -> list[float]:
        ends: list[float] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            worker.spent = True

        async def teardown() -> None:
            await trio.sleep(GRACE / 2)
            ends.append(trio.current_time())

        bench = Bench(handler, stateful=True)
        bench.teardown = teardown
        async with bench.running():
            bench.mailbox.put_nowait(1)
            await trio.sleep(GRACE / 4)
        return ends

    assert run_seeded(main, seed=seed) == [GRACE / 2]


@seeded
def test_a_worker_that_comes_back_from_a_cut_ends_no_other_wake_up(seed: int) -> None:
    async def main() -> int:
        async def handler(message: object, worker: Worker[object]) -> None:
            if message == "cut":
                await trio.sleep_forever()
            await trio.sleep(1)

        bench = Bench(handler)
        async with bench.running(max_concurrent=64):
            for _ in range(6):
                bench.mailbox.put_nowait("cut")
            await trio.sleep(1)
            for number in range(6):
                bench.mailbox.put_nowait(number)
            for worker in tuple(bench.actor._workers):
                worker.slot.cut(Cut.CANCELLED, bench.dog)
            await trio.sleep(5)
        return bench.lives

    assert run_seeded(main, seed=seed) <= 8


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


# --- stop ------------------------------------------------------------------------


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


@seeded
def test_a_stop_during_setup_handles_nothing_without_one(seed: int) -> None:
    async def main() -> list[object]:
        begun: list[object] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            begun.append(message)

        async def setup() -> None:
            await trio.sleep(10)

        bench = Bench(handler, stateful=True)
        bench.setup = setup
        async with bench.running():
            bench.mailbox.put_nowait(1)
            await trio.sleep(1)
        assert trio.current_time() == 1.0
        return begun

    assert run_seeded(main, seed=seed) == []


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
def test_lowering_the_limit_lets_only_that_many_go_on(seed: int) -> None:
    async def main() -> list[int]:
        seen: list[int] = []

        async def handler(message: object, worker: Worker[object]) -> None:
            seen.append(bench.actor.busy)
            await trio.sleep(1)

        bench = Bench(handler)
        async with bench.running(max_concurrent=4):
            for number in range(12):
                bench.mailbox.put_nowait(number)
            await trio.sleep(0.5)
            bench.actor.max_concurrent = 2
            await trio.sleep(20)
            assert bench.actor.busy == 0
        return seen

    seen = run_seeded(main, seed=seed)
    assert len(seen) == 12
    assert max(seen[4:]) == 2
