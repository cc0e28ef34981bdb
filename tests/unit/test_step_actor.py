"""The step actor: permits, workers, and what happens to one that breaks."""

from __future__ import annotations

from contextvars import ContextVar

import pytest
import trio
from step_actor_probe import GRACE, Bench

from understudy.testing import run_seeded
from understudy_actors.setup_waves import SETUP_BACKOFF
from understudy_actors.step_actor import MAX_IDLE, SETUP_TIMEOUT
from understudy_actors.watchdog import Cut
from understudy_actors.worker import Worker

SEEDS = range(5)
seeded = pytest.mark.parametrize("seed", SEEDS)


class Boom(Exception):
    """What a handler raises when it is told to."""


# --- permits ------------------------------------------------------------------


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


# --- workers that do not end ------------------------------------------------------


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


# --- stop ------------------------------------------------------------------------


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
