"""`parallel_execute`: order, the limit, what a failure does, nothing left behind."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import cast

import pytest
import trio

from understudy.fanout import parallel_execute
from understudy.testing import run_seeded
from understudy_protocols.errors import ConfigError

Call = Callable[[], Awaitable[int]]


async def after(seconds: float, value: int) -> int:
    await trio.sleep(seconds)
    return value


async def fail_after(seconds: float, error: BaseException) -> int:
    await trio.sleep(seconds)
    raise error


async def elapsed(
    tasks: Sequence[Call], max_concurrent: int
) -> tuple[list[int], float]:
    start = trio.current_time()
    results = await parallel_execute(tasks, max_concurrent)
    return results, trio.current_time() - start


def test_results_come_in_the_order_of_the_tasks_whoever_ends_first() -> None:
    tasks = [partial(after, 10 - i, i) for i in range(10)]
    for seed in range(20):
        results = run_seeded(parallel_execute, tasks, 4, seed=seed)
        assert results == list(range(10))


def test_five_run_at_once_unless_the_caller_says_otherwise() -> None:
    tasks = [partial(after, 1, i) for i in range(10)]

    async def main() -> float:
        await parallel_execute(tasks)
        return trio.current_time()

    assert run_seeded(main, seed=1) == 2.0


def test_a_free_worker_takes_the_next_task_at_once() -> None:
    # One long task and many short ones: rounds of two would take 3 + 1 + 1 s.
    tasks = [partial(after, s, 0) for s in (3, 1, 1, 1)]
    assert run_seeded(elapsed, tasks, 2, seed=1) == ([0, 0, 0, 0], 3.0)


def test_coroutines_are_taken_as_the_seed_takes_them() -> None:
    async def main() -> list[int]:
        return await parallel_execute([after(2, 1), after(1, 2)], max_concurrent=2)

    assert run_seeded(main, seed=1) == [1, 2]


def test_no_tasks_give_no_results() -> None:
    assert run_seeded(parallel_execute, list[Awaitable[int]](), seed=1) == []


def test_a_failure_cancels_the_others_and_is_raised_bare() -> None:
    error = ValueError("bad")
    ended: list[str] = []

    async def sibling() -> int:
        try:
            await trio.sleep_forever()
        finally:
            ended.append("sibling")
        return 0

    async def main() -> None:
        tasks: list[Call] = [sibling, partial(fail_after, 1, error)]
        with pytest.raises(ValueError, match="bad") as caught:
            await parallel_execute(tasks)
        assert caught.value is error
        assert error.__cause__ is None
        assert error.__context__ is None
        assert trio.current_time() == 1.0

    run_seeded(main, seed=1)
    assert ended == ["sibling"]


def test_tasks_after_a_failure_are_not_started() -> None:
    started: list[int] = []

    async def note(number: int) -> int:
        started.append(number)
        return await after(1, number)

    async def main() -> None:
        first = partial(fail_after, 0.5, ValueError("bad"))
        with pytest.raises(ValueError, match="bad"):
            await parallel_execute(
                [first, *(partial(note, i) for i in range(5))], max_concurrent=2
            )

    run_seeded(main, seed=1)
    assert started == [0]


def test_coroutines_that_were_never_started_are_closed() -> None:
    async def main() -> None:
        tasks = [fail_after(0, ValueError("bad")), after(1, 1), after(1, 2)]
        with pytest.raises(ValueError, match="bad"):
            await parallel_execute(tasks, max_concurrent=1)

    run_seeded(main, seed=1)
    gc.collect()  # a coroutine left over would warn here, and warnings are errors


def test_of_several_failures_the_first_is_raised_and_notes_the_others() -> None:
    async def fails_in_clean_up() -> int:
        try:
            return await after(9, 0)
        finally:
            raise KeyError("clean-up")

    async def main() -> None:
        bad = partial(fail_after, 1, ValueError("bad"))
        tasks: list[Call] = [fails_in_clean_up, bad]
        with pytest.raises(ValueError, match="bad") as caught:
            await parallel_execute(tasks)
        assert any("KeyError('clean-up')" in note for note in caught.value.__notes__)

    run_seeded(main, seed=1)


def test_a_group_that_a_task_raises_is_raised_with_no_other_around_it() -> None:
    group = ExceptionGroup("two", [ValueError("a"), ValueError("b")])

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await parallel_execute([partial(fail_after, 1, group)])
        assert caught.value.exceptions == group.exceptions

    run_seeded(main, seed=1)


def test_an_interrupt_counts_more_than_a_failure() -> None:
    async def interrupted_in_clean_up() -> int:
        try:
            return await after(9, 0)
        finally:
            raise KeyboardInterrupt

    async def main() -> None:
        bad = partial(fail_after, 1, ValueError("bad"))
        tasks: list[Call] = [interrupted_in_clean_up, bad]
        with pytest.raises(KeyboardInterrupt):
            await parallel_execute(tasks)

    run_seeded(main, seed=1)


def test_collecting_lets_the_others_go_on_and_keeps_the_order() -> None:
    async def main() -> None:
        outcomes = await parallel_execute(
            [
                partial(fail_after, 1, TimeoutError("late")),
                partial(after, 3, 7),
                partial(fail_after, 2, ValueError("bad")),
            ],
            max_concurrent=3,
            on_error="collect",
        )
        assert [outcome.ok for outcome in outcomes] == [False, True, False]
        assert outcomes[1].value == 7
        assert outcomes[0].failure is not None
        assert outcomes[0].failure.cause.value == "timeout"
        assert outcomes[0].failure.where == "task 0"

    run_seeded(main, seed=1)


def test_cancelling_the_caller_raises_cancelled_bare_and_waits_for_the_tasks() -> None:
    ended: list[int] = []

    async def slow_to_end(number: int) -> int:
        try:
            return await after(9, number)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            ended.append(number)

    async def main() -> None:
        with trio.move_on_after(1) as scope:
            with pytest.raises(trio.Cancelled):
                await parallel_execute([partial(slow_to_end, i) for i in range(3)])
            assert sorted(ended) == [0, 1, 2]
            await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught

    run_seeded(main, seed=1)


def test_a_failure_is_not_lost_when_the_caller_is_cancelled_too() -> None:
    async def fails_in_clean_up() -> int:
        try:
            return await after(9, 0)
        finally:
            raise KeyError("clean-up")

    async def main() -> None:
        tasks: list[Call] = [fails_in_clean_up, partial(after, 9, 0)]
        with pytest.raises(KeyError), trio.move_on_after(1):
            await parallel_execute(tasks)

    run_seeded(main, seed=1)


@pytest.mark.parametrize("count", [0, 1])
def test_a_cancelled_caller_starts_nothing(count: int) -> None:
    started: list[int] = []

    async def note() -> int:
        started.append(1)
        return 1

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await parallel_execute([note] * count)
        assert scope.cancelled_caught

    run_seeded(main, seed=1)
    assert started == []


def test_a_generator_is_read_only_as_fast_as_calls_end() -> None:
    read: list[int] = []

    def calls() -> Iterator[Call]:
        for number in range(100):
            read.append(number)
            yield partial(after, 1, number)

    async def main() -> None:
        with trio.move_on_after(2.5):
            await parallel_execute(calls(), max_concurrent=3)

    run_seeded(main, seed=1)
    assert len(read) == 9


def test_an_error_of_the_generator_itself_is_raised_even_when_collecting() -> None:
    def calls() -> Iterator[Call]:
        yield partial(after, 1, 1)
        raise OSError("the file is gone")

    async def main() -> None:
        for width in (1, 2):
            with pytest.raises(OSError, match="the file is gone"):
                await parallel_execute(calls(), width, on_error="collect")

    run_seeded(main, seed=1)


def test_tasks_that_never_wait_do_not_starve_the_others() -> None:
    turns: list[int] = []

    async def at_once() -> int:
        return len(turns)

    async def other(scope: trio.CancelScope) -> None:
        with scope:
            while True:
                turns.append(1)
                await trio.lowlevel.checkpoint()

    async def main() -> int:
        scope = trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other, scope)
            results = await parallel_execute([at_once] * 10_000, max_concurrent=1)
            scope.cancel()
        return len(set(results))

    assert run_seeded(main, seed=1) > 100


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"max_concurrent": 0}, "max_concurrent is 0"),
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
    ],
)
def test_an_impossible_argument_is_refused(
    arguments: dict[str, object], sentence: str
) -> None:
    execute = cast("Callable[..., Awaitable[object]]", parallel_execute)

    async def main() -> None:
        with pytest.raises(ConfigError, match=sentence):
            await execute([], **arguments)

    run_seeded(main, seed=1)


@pytest.mark.parametrize("on_error", ["cancel", "collect"])
def test_a_task_that_is_not_async_is_refused_by_its_number(on_error: str) -> None:
    execute = cast("Callable[..., Awaitable[object]]", parallel_execute)

    async def main() -> None:
        with pytest.raises(ConfigError, match="task 1 returned an int"):
            await execute([partial(after, 0, 0), lambda: 3], on_error=on_error)

    run_seeded(main, seed=1)
