"""The test kit's own tests: seeds, virtual time, hangs, and nothing left behind."""

from __future__ import annotations

import importlib
import random
import subprocess
import sys
import threading
import warnings
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.testing import HangError, run_seeded, schedule_signature, seeds
from understudy.testing.fixtures import Schedule, schedule, seed_for
from understudy.testing.scheduler import scheduler_namespace
from understudy_protocols.errors import ConfigError, SetupError

__all__ = ["schedule"]

trio_run_module = importlib.import_module("trio._core._run")


async def four_tasks_of_three_steps() -> tuple[int, ...]:
    log: list[int] = []

    async def steps(number: int) -> None:
        for _ in range(3):
            log.append(number)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(steps, number)
    return tuple(log)


async def one_sleep(length: float) -> float:
    start = trio.current_time()
    await trio.sleep(length)
    return trio.current_time() - start


def test_n_seeds_give_more_than_n_half_distinct_schedules() -> None:
    n = 300
    seen = {schedule_signature(four_tasks_of_three_steps, seed=s) for s in range(n)}
    orders = {run_seeded(four_tasks_of_three_steps, seed=s) for s in range(n)}
    assert len(seen) > n / 2
    assert len(orders) > n / 2


def test_plain_hypothesis_would_explore_one_schedule() -> None:
    plain: set[tuple[int, ...]] = set()
    seeded: set[tuple[int, ...]] = set()
    examples = 100

    @settings(max_examples=examples, database=None)
    @given(st.integers(0, 10**9))
    def without_a_seed(_: int) -> None:
        clock = trio.testing.MockClock(autojump_threshold=0)
        plain.add(trio.run(four_tasks_of_three_steps, clock=clock))

    @settings(max_examples=examples, database=None)
    @given(seeds())
    def with_a_seed(seed: int) -> None:
        seeded.add(run_seeded(four_tasks_of_three_steps, seed=seed))

    without_a_seed()
    with_a_seed()
    assert len(plain) == 1
    assert len(seeded) > examples / 2


def test_the_same_seed_replays_the_same_schedule() -> None:
    for seed in range(20):
        first = schedule_signature(four_tasks_of_three_steps, seed=seed, defer=0.2)
        again = schedule_signature(four_tasks_of_three_steps, seed=seed, defer=0.2)
        assert first == again


def test_a_seed_means_the_same_in_another_process_with_other_hashes() -> None:
    code = (
        "import importlib.util as u, sys;"
        f"spec = u.spec_from_file_location('m', {__file__!r});"
        "m = u.module_from_spec(spec); spec.loader.exec_module(m);"
        "print(m.schedule_signature(m.four_tasks_of_three_steps, seed=5))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hashes in ("1", "2")
    }
    assert seen == {schedule_signature(four_tasks_of_three_steps, seed=5)}


def test_deferring_reaches_orders_that_shuffling_alone_cannot() -> None:
    async def a_task_may_pass_another_twice() -> bool:
        log: list[str] = []

        async def slow() -> None:
            log.append("slow")

        async def quick() -> None:
            for _ in range(3):
                await trio.lowlevel.checkpoint()
                log.append("quick")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(slow)
            nursery.start_soon(quick)
        return log.index("slow") >= 2

    fn = a_task_may_pass_another_twice
    assert not any(run_seeded(fn, seed=s) for s in range(100))
    assert any(run_seeded(fn, seed=s, defer=0.3) for s in range(100))


def test_a_long_sleep_takes_no_real_time() -> None:
    assert run_seeded(one_sleep, 3600.0, seed=1) == 3600.0


def test_without_autojump_time_stands_still_while_a_thread_works() -> None:
    async def thread_under_a_deadline() -> float:
        with trio.fail_after(10):
            await trio.to_thread.run_sync(threading.Event().wait, 0.01)
        return trio.current_time()

    assert run_seeded(thread_under_a_deadline, seed=1, autojump=False) == 0.0


def test_the_global_generator_is_seeded_and_put_back() -> None:
    async def draw() -> float:
        return random.random()

    before = random.getstate()
    assert run_seeded(draw, seed=1) == run_seeded(draw, seed=1)
    assert run_seeded(draw, seed=1) != run_seeded(draw, seed=2)
    assert random.getstate() == before


def test_trio_is_as_before_after_a_failure_and_after_a_hang() -> None:
    async def fails() -> None:
        raise ValueError("no")

    before = (
        vars(trio_run_module)["_r"],
        vars(trio_run_module)["_ALLOW_DETERMINISTIC_SCHEDULING"],
    )
    with pytest.raises(ValueError, match="no"):
        run_seeded(fails, seed=1)
    with pytest.raises(HangError):
        run_seeded(trio.sleep_forever, seed=1)
    after = (
        vars(trio_run_module)["_r"],
        vars(trio_run_module)["_ALLOW_DETERMINISTIC_SCHEDULING"],
    )
    assert before == after


def test_a_failure_says_how_to_replay_it() -> None:
    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        run_seeded(fails, seed=77, defer=0.1, autojump=False)
    (note,) = caught.value.__notes__
    assert note.startswith("to replay: run_seeded(")
    assert note.endswith("fails, seed=77, autojump=False, defer=0.1)")


def test_a_deadlock_is_reported_with_the_place_of_every_task() -> None:
    async def waits_for_nobody() -> None:
        await trio.Event().wait()

    async def deadlock() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits_for_nobody)

    with pytest.raises(HangError) as caught:
        run_seeded(deadlock, seed=1)
    assert "not done after 86400 s" in caught.value.reason
    assert len(caught.value.stacks) == 2
    assert "in waits_for_nobody: await trio.Event().wait()" in str(caught.value)


def test_a_run_longer_than_its_horizon_hangs_and_a_shorter_one_does_not() -> None:
    assert run_seeded(one_sleep, 9.0, seed=1, horizon=10.0) == 9.0
    with pytest.raises(HangError, match="after 10 s of virtual time"):
        run_seeded(one_sleep, 11.0, seed=1, horizon=10.0)


def test_a_shielded_task_cannot_keep_a_hung_run_alive() -> None:
    ended: list[str] = []

    async def shielded() -> None:
        try:
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                try:
                    await trio.sleep_forever()
                finally:
                    ended.append("clean-up")

    with pytest.raises(HangError):
        run_seeded(shielded, seed=1)
    assert ended == ["clean-up"]


def test_what_a_hung_run_raises_when_it_is_cut_is_the_cause() -> None:
    async def fails_when_cut() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("clean-up failed")

    with pytest.raises(HangError) as caught:
        run_seeded(fails_when_cut, seed=1)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_run_that_spins_without_waiting_hangs() -> None:
    async def spins() -> None:
        while True:
            await trio.lowlevel.checkpoint()

    with pytest.raises(HangError, match="rounds of the scheduler"):
        run_seeded(spins, seed=1, max_rounds=1_000)


def test_a_task_that_swallows_every_cancellation_is_ended_with_the_loop() -> None:
    # In a process of its own: trio cannot finish such a task, and says so.
    code = """
import trio
from understudy.testing import HangError, run_seeded

async def swallows():
    while True:
        try:
            await trio.sleep(1000)
        except trio.Cancelled:
            pass

async def fine():
    return "fine"

try:
    run_seeded(swallows, seed=1)
except HangError as error:
    print(error.reason)
print(run_seeded(fine, seed=1))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    reason, after = done.stdout.splitlines()
    assert "not done after" in reason
    assert after == "fine"


def test_two_seeded_runs_at_once_are_refused() -> None:
    async def one_more_in_a_thread() -> None:
        await trio.to_thread.run_sync(lambda: run_seeded(one_sleep, 1.0, seed=2))

    with pytest.raises(SetupError, match="another seeded run is under way"):
        run_seeded(one_more_in_a_thread, seed=1, autojump=False)


@pytest.mark.parametrize("name", ["_r", "_ALLOW_DETERMINISTIC_SCHEDULING"])
def test_a_trio_that_moved_its_names_is_refused_by_version(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delattr(trio_run_module, name)
    with pytest.raises(SetupError) as caught:
        run_seeded(one_sleep, 1.0, seed=1)
    assert f"trio {trio.__version__}" in str(caught.value)
    assert name in str(caught.value)


def test_a_trio_that_never_asks_the_generator_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_a_scheduler(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(trio, "run", without_a_scheduler)
    with pytest.raises(SetupError, match="never asked for an order"):
        run_seeded(one_sleep, 1.0, seed=1)


def test_this_trio_has_the_names_that_are_needed() -> None:
    assert "_r" in scheduler_namespace()


def test_hypothesis_imported_inside_a_run_finds_its_switch_on() -> None:
    code = """
import sys
from understudy.testing import run_seeded
assert "hypothesis" not in sys.modules, "the kit is slow to import"

async def main():
    import hypothesis

run_seeded(main, seed=1)
from trio._core import _run
from hypothesis.internal.entropy import RANDOMS_TO_MANAGE
print(_run._ALLOW_DETERMINISTIC_SCHEDULING)
print(any(r is _run._r for r in RANDOMS_TO_MANAGE.values()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True"]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"seed": -1}, "a seed is not negative"),
        ({"seed": 1, "defer": 1.0}, "defer is a chance"),
    ],
)
def test_an_impossible_argument_is_refused(bad: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        run_seeded(one_sleep, 1.0, **bad)


def test_the_fixture_gives_a_test_the_same_seed_each_time(schedule: Schedule) -> None:
    assert schedule.seed == seed_for(schedule.test, None)
    assert schedule.run(one_sleep, 5.0) == 5.0
    assert schedule.random.random() == schedule.random.random()


def test_exploring_runs_many_schedules(schedule: Schedule) -> None:
    assert len(set(schedule.explore(four_tasks_of_three_steps, runs=50))) > 25


def test_exploring_names_the_seed_that_failed() -> None:
    async def fails_in_some_orders() -> None:
        order = await four_tasks_of_three_steps()
        assert order[0] != 2

    base = Schedule(seed=0, test="tests/x.py::test_y")
    with pytest.raises(AssertionError) as caught:
        base.explore(fails_in_some_orders)
    line = caught.value.__notes__[-1]
    seed = int(line.split("=")[1].split()[0])
    assert line == f"or: UNDERSTUDY_SEED={seed} pytest 'tests/x.py::test_y'"
    with pytest.raises(AssertionError):
        Schedule(seed=seed, test="").run(fails_in_some_orders)


def test_the_environment_sets_the_seed() -> None:
    assert seed_for("t", "12") == 12
    assert seed_for("t", "random") != seed_for("t", "random")
    with pytest.raises(ConfigError, match="UNDERSTUDY_SEED is 'seven'"):
        seed_for("t", "seven")


def test_no_warning_is_left_by_a_hang() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(HangError):
            run_seeded(trio.sleep_forever, seed=1)
