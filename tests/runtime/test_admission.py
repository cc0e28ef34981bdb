"""The door: who may begin, who waits, who is turned away; and many runs at once."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator

import pytest
import trio
from run_probe import seeded

from understudy import (
    AdmissionError,
    ConfigError,
    Context,
    InputError,
    RetryConfig,
    RunStatus,
    Runtime,
    step,
)
from understudy.many import READ_AHEAD
from understudy.testing import run_seeded

Inputs = trio.MemoryReceiveChannel[float]


@step
async def takes(context: Context[float]) -> float:
    """Take as long as the input says."""
    await trio.sleep(context.input)
    return context.input


@step
async def one_second(context: Context[object]) -> object:
    await trio.sleep(1)
    return context.input


@seeded
def test_max_runs_are_under_way_and_the_others_wait(seed: int) -> None:
    async def main() -> None:
        async with Runtime(one_second, max_runs=3) as runtime:
            handles = [await runtime.submit(one_second, n) for n in range(7)]
            statuses = [handle.status for handle in handles]
            assert statuses == [RunStatus.RUNNING] * 3 + [RunStatus.QUEUED] * 4
            for handle in handles:
                assert (await handle.result()).ok
            assert trio.current_time() == 3.0

    run_seeded(main, seed=seed)


@seeded
def test_one_more_than_may_wait_is_refused_with_the_limit(seed: int) -> None:
    async def main() -> None:
        async with Runtime(one_second, max_runs=1, max_waiting=2) as runtime:
            for number in range(3):
                await runtime.submit(one_second, number)
            with pytest.raises(AdmissionError) as caught:
                await runtime.run(one_second, 3, run_id="refused")
            assert caught.value.limit == 2
            assert len(runtime.list()) == 3
            await trio.sleep(1.5)
            assert (await runtime.run(one_second, 3, run_id="refused")).ok

    run_seeded(main, seed=seed)


@seeded
def test_higher_priorities_begin_first_and_tenants_take_turns(seed: int) -> None:
    begun: list[str] = []

    @step
    async def notes(context: Context[str]) -> str:
        begun.append(context.input)
        await trio.sleep(1)
        return ""

    async def main() -> None:
        async with Runtime(notes, max_runs=1) as runtime:
            await runtime.submit(notes, "first")
            for number in range(3):
                await runtime.submit(notes, f"a{number}", tenant="a")
            for number in range(2):
                await runtime.submit(notes, f"b{number}", tenant="b")
            await runtime.submit(notes, "urgent", priority=5, tenant="a")

    run_seeded(main, seed=seed)
    assert begun == ["first", "urgent", "a0", "b0", "a1", "b1", "a2"]


@seeded
def test_a_run_that_is_cancelled_while_it_waits_leaves_no_gap(seed: int) -> None:
    async def main() -> None:
        async with Runtime(one_second, max_runs=1) as runtime:
            handles = [await runtime.submit(one_second, n) for n in range(4)]
            handles[1].cancel()
            assert (await handles[1].result()).status is RunStatus.CANCELLED
            assert trio.current_time() == 0.0
            assert (await handles[3].result()).ok
            assert trio.current_time() == 3.0
            assert (runtime._door._inside, runtime._door.waiting) == (0, 0)

    run_seeded(main, seed=seed)


@seeded
def test_bad_input_takes_no_place(seed: int) -> None:
    @step
    async def wants(context: Context[int]) -> int:
        return context.input

    async def main() -> None:
        async with Runtime(wants, max_runs=1, max_waiting=0) as runtime:
            for _ in range(3):
                with pytest.raises(InputError):
                    await runtime.run(wants, "no number")  # type: ignore[misc]
            assert (await runtime.run(wants, 1)).ok

    run_seeded(main, seed=seed)


# --- many runs -----------------------------------------------------------------------


@seeded
def test_run_many_keeps_the_order_of_the_inputs(seed: int) -> None:
    lengths = [5.0, 1.0, 3.0, 0.5, 2.0, 0.0]

    async def main() -> list[float]:
        async with Runtime(takes) as runtime:
            many = runtime.run_many(takes, lengths, concurrency=3)
            return [result.value async for result in many]

    assert run_seeded(main, seed=seed) == lengths


@seeded
def test_run_many_gives_results_as_they_are_done_if_asked(seed: int) -> None:
    async def main() -> list[float]:
        async with Runtime(takes) as runtime:
            many = runtime.run_many(
                takes, [5.0, 1.0, 3.0, 0.5], concurrency=3, ordered=False
            )
            return [result.value async for result in many]

    assert run_seeded(main, seed=seed) == [1.0, 0.5, 3.0, 5.0]


@seeded
@pytest.mark.parametrize("ordered", [True, False])
def test_run_many_keeps_its_concurrency_and_reads_no_further_than_it_may(
    seed: int, ordered: bool
) -> None:
    read: list[float] = []
    furthest: list[int] = []
    under_way: set[float] = set()

    most: list[int] = []

    @step(retry=RetryConfig(timeout_seconds=math.inf))
    async def notes(context: Context[float]) -> float:
        under_way.add(context.input)
        most.append(len(under_way))
        await trio.sleep(1_000 if context.input == 0 else 1)
        under_way.remove(context.input)
        return context.input

    def endless() -> Iterator[float]:
        number = 0.0
        while True:
            read.append(number)
            yield number
            number += 1

    async def main() -> None:
        async with Runtime(notes) as runtime:
            many = runtime.run_many(notes, endless(), concurrency=3, ordered=ordered)
            async with many:
                with trio.move_on_after(500):
                    async for _ in many:
                        furthest.append(len(read))  # noqa: PERF401 - it is cut
                if ordered:
                    assert furthest == []
                    assert len(read) == READ_AHEAD * 3
                else:
                    assert len(furthest) > 500
                assert max(most) == 3
            assert runtime.list() == ()

    run_seeded(main, seed=seed)


@seeded
@pytest.mark.parametrize("ordered", [True, False])
def test_a_consumer_that_stops_early_cancels_what_is_under_way(
    seed: int, ordered: bool
) -> None:
    async def main() -> None:
        async with Runtime(takes) as runtime:
            many = runtime.run_many(
                takes, [1.0] + [20.0] * 50, concurrency=5, ordered=ordered
            )
            async with many:
                async for result in many:
                    assert result.value == 1.0
                    break
            assert runtime.list() == ()
            assert trio.current_time() == 1.0

    run_seeded(main, seed=seed)


@seeded
@pytest.mark.parametrize("ordered", [True, False])
def test_many_runs_that_end_at_once_are_all_given(seed: int, ordered: bool) -> None:
    async def main() -> list[RunStatus]:
        async with Runtime(takes) as runtime:
            many = runtime.run_many(
                takes, [1.0] * 20, concurrency=3, ordered=ordered, deadline=0
            )
            return [result.status async for result in many]

    assert run_seeded(main, seed=seed) == [RunStatus.EXPIRED] * 20


@seeded
def test_an_input_that_is_refused_does_not_use_up_the_concurrency(seed: int) -> None:
    @step
    async def wants(context: Context[int]) -> int:
        await trio.sleep(1)
        return context.input

    async def main() -> list[int]:
        values: list[int] = []
        async with Runtime(wants) as runtime:
            inputs: list[int] = ["x", 1, "x", "x", 2, 3]  # type: ignore[list-item]
            many = runtime.run_many(wants, inputs, concurrency=1)
            while True:
                try:
                    values.append((await anext(many)).value)
                except InputError:
                    continue
                except StopAsyncIteration:
                    return values

    assert run_seeded(main, seed=seed) == [1, 2, 3]


@seeded
@pytest.mark.parametrize("ordered", [True, False])
def test_a_refused_input_is_named_and_takes_no_result_with_it(
    seed: int, ordered: bool
) -> None:
    @step
    async def wants(context: Context[int]) -> int:
        await trio.sleep(1)
        return context.input

    async def main() -> list[int | str]:
        seen: list[int | str] = []
        async with Runtime(wants) as runtime:
            inputs: list[int] = [0, 1, "x", 3]  # type: ignore[list-item]
            many = runtime.run_many(wants, inputs, concurrency=4, ordered=ordered)
            while True:
                try:
                    seen.append((await anext(many)).value)
                except InputError as error:
                    seen.append(error.what)
                except StopAsyncIteration:
                    return seen

    seen = run_seeded(main, seed=seed)
    refused = "input 2: the input of wants"
    if ordered:
        assert seen == [0, 1, refused, 3]
    else:
        assert seen[0] == refused
        assert set(seen[1:]) == {0, 1, 3}


@seeded
@pytest.mark.parametrize("ordered", [True, False])
def test_an_input_that_finds_no_room_waits_for_a_run_to_end(
    seed: int, ordered: bool
) -> None:
    async def main() -> list[float]:
        async with Runtime(takes, max_runs=1, max_waiting=1) as runtime:
            many = runtime.run_many(
                takes, [1.0, 2.0, 3.0, 4.0], concurrency=4, ordered=ordered
            )
            return [result.value async for result in many]

    assert run_seeded(main, seed=seed) == [1.0, 2.0, 3.0, 4.0]


@seeded
def test_an_input_for_which_others_leave_no_room_is_kept(seed: int) -> None:
    async def main() -> list[float]:
        async with Runtime(takes, max_runs=1, max_waiting=0) as runtime:
            other = await runtime.submit(takes, 5.0)
            many = runtime.run_many(takes, iter([1.0, 2.0]))
            with pytest.raises(AdmissionError):
                await anext(many)
            await other.result()
            return [result.value async for result in many]

    assert run_seeded(main, seed=seed) == [1.0, 2.0]


@seeded
def test_a_cancelled_read_of_a_slow_source_loses_nothing(seed: int) -> None:
    async def main() -> list[int]:
        @step
        async def wants(context: Context[int]) -> int:
            return context.input

        send, receive = trio.open_memory_channel[int](10)
        values: list[int] = []
        async with Runtime(wants) as runtime, send:
            many = runtime.run_many(wants, receive, concurrency=1)
            for number in range(3):
                with trio.move_on_after(5):
                    values.append((await anext(many)).value)
                await send.send(number)
            send.close()
            values.extend([result.value async for result in many])
        return values

    assert run_seeded(main, seed=seed) == [0, 1, 2]


@seeded
def test_inputs_may_be_asynchronous(seed: int) -> None:
    async def numbers() -> AsyncIterator[float]:
        for number in range(5):
            await trio.sleep(0.1)
            yield number / 10

    async def main() -> list[float]:
        async with Runtime(takes) as runtime:
            return [r.value async for r in runtime.run_many(takes, numbers())]

    assert run_seeded(main, seed=seed) == [0.0, 0.1, 0.2, 0.3, 0.4]


@seeded
@pytest.mark.parametrize("ordered", [True, False])
def test_a_source_that_waits_for_results_gets_them(seed: int, ordered: bool) -> None:
    async def main() -> list[float]:
        values: list[float] = []
        given = trio.Event()

        async def one_by_one() -> AsyncIterator[float]:
            yield 1.0
            await given.wait()
            yield 2.0

        async with Runtime(takes) as runtime:
            many = runtime.run_many(takes, one_by_one(), ordered=ordered)
            async for result in many:
                values.append(result.value)
                given.set()
                assert trio.current_time() == sum(values)
        return values

    assert run_seeded(main, seed=seed) == [1.0, 2.0]


@seeded
def test_a_generator_of_inputs_survives_a_wait_that_is_cancelled(seed: int) -> None:
    async def slow() -> AsyncIterator[float]:
        for number in range(3):
            with trio.CancelScope():
                await trio.sleep(10)
                yield float(number)

    async def main() -> list[float]:
        async with Runtime(takes) as runtime:
            many = runtime.run_many(takes, slow())
            with trio.move_on_after(3):
                await anext(many)
            return [result.value async for result in many]

    assert run_seeded(main, seed=seed) == [0.0, 1.0, 2.0]


@seeded
def test_what_a_source_raises_is_raised_and_ends_no_run(seed: int) -> None:
    async def breaks() -> AsyncIterator[float]:
        yield 1.0
        raise OSError("the disk is gone")

    async def main() -> list[float]:
        async with Runtime(takes) as runtime:
            many = runtime.run_many(takes, breaks())
            with pytest.raises(OSError, match="disk"):
                await anext(many)
            return [result.value async for result in many]

    assert run_seeded(main, seed=seed) == [1.0]


@seeded
@pytest.mark.parametrize("closed", [True, False])
def test_a_source_that_gives_nothing_keeps_no_runtime_open(
    seed: int, closed: bool
) -> None:
    async def main() -> None:
        send, receive = trio.open_memory_channel[float](0)
        async with send, receive, Runtime(takes) as runtime:
            many = runtime.run_many(takes, receive)
            with trio.move_on_after(5):
                await anext(many)
            if closed:
                await many.aclose()
                assert receive.statistics().tasks_waiting_receive == 0
        assert trio.current_time() == 5.0

    run_seeded(main, seed=seed)


@seeded
def test_a_source_cut_by_the_end_of_the_runtime_does_not_look_exhausted(
    seed: int,
) -> None:
    async def main() -> list[object]:
        seen: list[object] = []

        async def consume(runtime: Runtime[object], receive: Inputs) -> None:
            many = runtime.run_many(takes, receive)
            seen.append((await anext(many)).value)
            with pytest.raises(AdmissionError, match="stopping"):
                await anext(many)
            seen.append("refused")

        send, receive = trio.open_memory_channel[float](1)
        async with send, receive, trio.open_nursery() as nursery:
            send.send_nowait(1.0)
            async with Runtime(takes) as runtime:
                nursery.start_soon(consume, runtime, receive)
                await trio.sleep(5)
        return seen

    assert run_seeded(main, seed=seed) == [1.0, "refused"]


@pytest.mark.parametrize("count", [-5, True])
def test_a_waiting_line_of_no_possible_length_is_refused(count: int) -> None:
    @step
    async def one(context: Context[int]) -> int:
        return context.input

    with pytest.raises(ConfigError, match="max_waiting"):
        Runtime(one, max_waiting=count)
