"""`parallel_execute` against a plain model, over schedules, widths and failures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.fanout import parallel_execute
from understudy.testing import run_seeded, seeds

# What each task does: how long it sleeps, and whether it then fails.
plans = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12)


class Gauge:
    """Counts the tasks under way, and the most there ever were."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    def task(self, number: int, plan: tuple[int, bool]) -> Callable[[], Awaitable[int]]:
        async def run() -> int:
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                if plan[0]:
                    await trio.sleep(plan[0])
                if plan[1]:
                    raise ValueError(number)
                return number
            finally:
                self.now -= 1

        return run


@settings(max_examples=150, deadline=None)
@given(plan=plans, width=st.integers(1, 5), seed=seeds(), cut=st.integers(0, 6))
def test_the_window_holds_and_nothing_outlives_the_call(
    plan: list[tuple[int, bool]], width: int, seed: int, cut: int
) -> None:
    gauge = Gauge()

    async def main(on_error: Literal["cancel", "collect"]) -> None:
        tasks = [gauge.task(i, p) for i, p in enumerate(plan)]
        with trio.move_on_after(cut):
            if on_error == "collect":
                outcomes = await parallel_execute(tasks, width, on_error="collect")
                assert [outcome.ok for outcome in outcomes] == [
                    not fails for _, fails in plan
                ]
            else:
                try:
                    results = await parallel_execute(tasks, width)
                except ValueError as error:
                    failed: int = error.args[0]
                    assert plan[failed][1]
                else:
                    assert results == list(range(len(plan)))
                    assert not any(fails for _, fails in plan)
        assert gauge.now == 0
        assert gauge.most <= width

    run_seeded(main, "cancel", seed=seed)
    run_seeded(main, "collect", seed=seed, defer=0.2)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    width=st.integers(1, 4),
    seed=seeds(),
)
def test_it_takes_as_long_as_giving_each_task_to_the_first_free_worker(
    lengths: list[int], width: int, seed: int
) -> None:
    async def main() -> float:
        gauge = Gauge()
        tasks = [gauge.task(i, (length, False)) for i, length in enumerate(lengths)]
        await parallel_execute(tasks, width)
        return trio.current_time()

    free_at = [0] * width
    for length in lengths:
        free_at.sort()
        free_at[0] += length
    assert run_seeded(main, seed=seed) == max(free_at)
