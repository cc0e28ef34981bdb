"""Runs: how they are asked for, called off and ended; what is left afterwards."""

from __future__ import annotations

import gc

import pytest
import trio
from run_probe import nothing_is_left, run_one, seeded, workers

from understudy import (
    AdmissionError,
    Cause,
    ConfigError,
    Context,
    RunFailed,
    RunHandle,
    RunResult,
    RunStatus,
    Runtime,
    RuntimeFailed,
    SetupError,
    each,
    parallel,
    pause,
    sequence,
    step,
)
from understudy.testing import run_seeded
from understudy_actors.system import ActorSystem
from understudy_actors.watchdog import Timer


class Boom(Exception):
    """What a body raises when it is told to."""


@step
async def double(context: Context[int]) -> int:
    await trio.sleep(1)
    return 2 * context.input


@step
async def hangs(context: Context[object]) -> int:
    await trio.sleep_forever()
    return 1


@step
async def items(context: Context[object]) -> tuple[int, ...]:
    return tuple(range(10))


wide = sequence(items, each(hangs, over=items, max_concurrent=4))


def tasks() -> int:
    """Return how many tasks the whole program has."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    return sum(len(nursery.child_tasks) for nursery in root.child_nurseries)


@seeded
def test_run_returns_the_value(seed: int) -> None:
    result = run_one(double, seed, input=21)
    assert (result.value, result.status, result.duration) == (
        42,
        RunStatus.COMPLETED,
        1.0,
    )


@seeded
def test_the_value_of_a_run_that_did_not_complete_is_an_error_that_says_why(
    seed: int,
) -> None:
    @step
    async def fails(context: Context[object]) -> int:
        raise ValueError("the reason")

    result = run_one(fails, seed)
    with pytest.raises(RunFailed, match="the reason") as caught:
        _ = result.value
    assert caught.value.result is result


@seeded
def test_submit_gives_a_handle_that_can_wait_and_see(seed: int) -> None:
    async def main() -> None:
        async with Runtime(double, max_runs=1) as runtime:
            first = await runtime.submit(double, 1, run_id="first")
            second = await runtime.submit(double, 2, run_id="second")
            assert (first.status, second.status) == (
                RunStatus.RUNNING,
                RunStatus.QUEUED,
            )
            assert [h.run_id for h in runtime.list()] == ["first", "second"]
            assert [h.run_id for h in runtime.list(RunStatus.QUEUED)] == ["second"]
            assert runtime.get("first").status is RunStatus.RUNNING
            assert await second.wait(RunStatus.RUNNING) is RunStatus.RUNNING
            assert trio.current_time() == 1.0
            assert await second.wait() is RunStatus.COMPLETED
            assert (await first.result()).value == 2
            assert await first.result() is await first.result()
            with pytest.raises(SetupError, match="second"):
                runtime.get("second")

    run_seeded(main, seed=seed)


@seeded
def test_cancel_ends_a_run_and_what_is_in_hand(seed: int) -> None:
    async def main() -> None:
        async with Runtime(wide) as runtime:
            handle = await runtime.submit(wide, 0, run_id="it")
            await trio.sleep(1)
            runtime.cancel("it")
            handle.cancel()
            result = await handle.result()
            assert result.status is RunStatus.CANCELLED
            assert result.failure is not None
            assert result.failure.cause is Cause.CANCELLED
            assert trio.current_time() == 1.0
            assert nothing_is_left(runtime)
            with pytest.raises(SetupError):
                runtime.cancel("it")

    run_seeded(main, seed=seed)


@seeded
def test_a_cancelled_run_leaves_no_timer_and_no_open_pause(seed: int) -> None:
    @step
    async def fails(context: Context[object]) -> int:
        raise ConnectionError("gone")

    asked = pause("ask", output=int, timeout=500.0)

    async def main() -> None:
        async with Runtime(fails, asked) as runtime:
            waiting = await runtime.submit(fails, 0, deadline=100)
            paused = await runtime.submit(asked, 0)
            await trio.sleep(0.5)
            assert paused.pauses == ("ask",)
            assert len(runtime._flow.watchdog) >= 3
            waiting.cancel()
            paused.cancel()
            assert len(paused.pauses) == 0
            live = [
                entry[2]
                for entry in runtime._flow.watchdog._heap
                if isinstance(entry[2], Timer) and not entry[2].dead
            ]
            assert live == []

    run_seeded(main, seed=seed)


@seeded
def test_a_cancelled_run_waits_for_stuck_code_no_longer_than_the_grace(
    seed: int,
) -> None:
    @step
    async def sticks(context: Context[object]) -> int:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)
        return 1

    async def main() -> float:
        async with Runtime(sticks) as runtime:
            with trio.move_on_after(2):
                await runtime.run(sticks, 0)
            assert nothing_is_left(runtime)
            return trio.current_time()

    assert run_seeded(main, seed=seed) == 3.0


@seeded
def test_a_submitted_run_outlives_who_submitted_it(seed: int) -> None:
    async def main() -> None:
        async with Runtime(double) as runtime:
            handle = None
            with trio.CancelScope() as scope:
                handle = await runtime.submit(double, 4)
                scope.cancel()
                await handle.result()
            assert scope.cancelled_caught
            assert handle is not None
            assert (await handle.result()).value == 8

    run_seeded(main, seed=seed)


@seeded
def test_a_sibling_that_fails_takes_the_others_with_it(seed: int) -> None:
    seen: list[str] = []

    @step
    async def fails(context: Context[object]) -> int:
        await trio.sleep(1)
        raise ValueError("no")

    @step
    async def other(context: Context[object]) -> int:
        try:
            await trio.sleep(5)
        finally:
            seen.append(f"cut at {trio.current_time():g}")
        return 1

    flow = parallel(fails, other)

    async def main() -> None:
        async with Runtime(flow) as runtime:
            result = await runtime.run(flow, 0)
            assert result.status is RunStatus.FAILED
            assert seen == ["cut at 1"]
            assert nothing_is_left(runtime)

    run_seeded(main, seed=seed)


@seeded
def test_a_full_mailbox_of_ended_runs_has_room_for_live_ones(seed: int) -> None:
    @step(max_concurrent=1)
    async def one_by_one(context: Context[int]) -> int:
        await trio.sleep(5)
        return context.input

    async def main() -> None:
        async with Runtime(one_by_one, max_runs=2) as runtime:
            first = await runtime.submit(one_by_one, 0)
            for number in range(1, 20):
                handle = await runtime.submit(one_by_one, number)
                handle.cancel()
            last = await runtime.submit(one_by_one, 20)
            assert (await first.result()).value == 0
            assert (await last.result()).value == 20
            assert trio.current_time() == 10.0

    run_seeded(main, seed=seed)


# --- the block -----------------------------------------------------------------------


@seeded
def test_a_clean_exit_waits_for_submitted_runs_and_lets_no_more_in(seed: int) -> None:
    refused: list[AdmissionError] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            async with Runtime(double) as runtime:
                handle = await runtime.submit(double, 3)

                async def late() -> None:
                    await trio.sleep(0.5)
                    with pytest.raises(AdmissionError, match="stopping") as caught:
                        await runtime.run(double, 1)
                    refused.append(caught.value)

                nursery.start_soon(late)
            assert handle.status is RunStatus.COMPLETED
            assert trio.current_time() == 1.0

    run_seeded(main, seed=seed)
    assert len(refused) == 1


@seeded
def test_drain_timeout_bounds_that_wait(seed: int) -> None:
    async def main() -> None:
        async with Runtime(hangs, drain_timeout=3) as runtime:
            handle = await runtime.submit(hangs, 3)
        assert handle.status is RunStatus.CANCELLED
        assert trio.current_time() == 3.0

    run_seeded(main, seed=seed)


@seeded
def test_a_clean_exit_does_not_wait_for_runs_that_wait_for_somebody(seed: int) -> None:
    flow = sequence(double, pause("ask", output=int))

    async def main() -> None:
        async with Runtime(flow) as runtime:
            handle = await runtime.submit(flow, 3)
        assert handle.status is RunStatus.CANCELLED
        assert trio.current_time() == 1.0

    run_seeded(main, seed=seed)


@seeded
def test_a_clean_exit_does_not_wait_for_runs_in_line_behind_paused_ones(
    seed: int,
) -> None:
    flow = sequence(double, pause("ask", output=int))

    async def main() -> None:
        async with Runtime(flow, max_runs=1, max_paused=0) as runtime:
            handles = [await runtime.submit(flow, number) for number in range(2)]
        assert {handle.status for handle in handles} == {RunStatus.CANCELLED}
        assert trio.current_time() == 1.0

    run_seeded(main, seed=seed)


@seeded
def test_a_clean_exit_waits_for_a_pause_with_a_time_limit(seed: int) -> None:
    flow = sequence(pause("ask", output=int, timeout=9.0, default=5))

    async def main() -> None:
        async with Runtime(flow, max_runs=1, max_paused=0) as runtime:
            handles = [await runtime.submit(flow, number) for number in range(2)]
        assert [(await handle.result()).value for handle in handles] == [5, 5]
        assert trio.current_time() == 18.0

    run_seeded(main, seed=seed)


@seeded
def test_a_host_that_is_cancelled_leaves_nothing_running(seed: int) -> None:
    async def main() -> None:
        before = tasks()
        parent = trio.lowlevel.current_task()
        handles: list[RunHandle[object]] = []
        with trio.move_on_after(2) as scope:
            async with Runtime(wide) as runtime, trio.open_nursery() as nursery:
                handles.append(await runtime.submit(wide, 3))
                for _ in range(5):
                    nursery.start_soon(runtime.run, wide, 1)
        assert scope.cancelled_caught
        assert trio.current_time() == 2.0
        assert handles[0].status is RunStatus.CANCELLED
        assert parent.child_nurseries == []
        assert tasks() == before

    run_seeded(main, seed=seed)


@seeded
def test_when_the_root_gives_up_live_runs_fail_and_the_body_hears_of_it(
    seed: int,
) -> None:
    async def main() -> None:
        results: list[RunStatus] = []
        handles: list[RunHandle[object]] = []
        runtime = Runtime(wide, double)

        def crash() -> None:
            raise Boom("the watchdog breaks")

        with pytest.raises(RuntimeFailed) as caught:  # noqa: PT012 - the block is it
            async with runtime:
                handles.append(await runtime.submit(wide, 3))
                for number in range(4):
                    runtime._flow.watchdog.call_at(1.0 + number / 10, crash)
                try:
                    await runtime.run(wide, 0)
                finally:
                    results.append(handles[0].status)
        assert any(isinstance(cause, Boom) for cause in caught.value.causes)
        assert results == [RunStatus.FAILED]
        result = await handles[0].result()
        assert result.failure is not None
        assert result.failure.cause is Cause.DOWN
        with pytest.raises(AdmissionError, match=r"stopping|failed"):
            await runtime.run(double, 1)

    run_seeded(main, seed=seed)


@seeded
def test_runs_survive_restarts_of_the_watchdog(seed: int) -> None:
    bodies: list[float] = []

    @step
    async def long(context: Context[object]) -> str:
        bodies.append(trio.current_time())
        await trio.sleep(10)
        return "done"

    async def main() -> None:
        def crash() -> None:
            raise Boom("the watchdog breaks")

        async with Runtime(long) as runtime:
            runtime._flow.watchdog.call_at(3.0, crash)
            result = await runtime.run(long, 0)
            assert result.value == "done"
            assert len(bodies) == 2
            late = await runtime.run(long, 0, deadline=2)
            assert late.status is RunStatus.EXPIRED
            assert late.duration == 2.0

    run_seeded(main, seed=seed)


@seeded
def test_serve_is_the_second_form(seed: int) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            runtime = await nursery.start(Runtime(double).serve)
            assert (await runtime.run(double, 4)).value == 8
            nursery.cancel_scope.cancel()
        with pytest.raises(AdmissionError):
            await runtime.run(double, 4)

    run_seeded(main, seed=seed)


@seeded
def test_a_runtime_that_was_not_started_takes_no_run(seed: int) -> None:
    async def main() -> None:
        runtime = Runtime(double)
        with pytest.raises(AdmissionError, match="not been started"):
            await runtime.run(double, 1)
        async with runtime:
            assert (await runtime.run(double, 1)).ok

    run_seeded(main, seed=seed)


def test_a_runtime_can_be_started_many_times_in_one_process() -> None:
    async def main() -> None:
        for _ in range(20):
            async with Runtime(double) as runtime:
                assert (await runtime.run(double, 1)).ok

    def systems() -> int:
        gc.collect()
        return sum(isinstance(one, ActorSystem) for one in gc.get_objects())

    before = systems()
    for seed in range(5):
        run_seeded(main, seed=seed)
    assert systems() <= before + 2


@seeded
def test_the_same_id_with_the_same_input_is_the_same_run(seed: int) -> None:
    async def main() -> None:
        async with Runtime(double) as runtime:
            first = await runtime.submit(double, 1, run_id="x")
            again = await runtime.submit(double, 1, run_id="x")
            with pytest.raises(SetupError, match="another input"):
                await runtime.submit(double, 2, run_id="x")
            assert (await first.result()).run_id == (await again.result()).run_id
            assert len(list(workers(runtime))) == 1

    run_seeded(main, seed=seed)


@seeded
def test_the_same_id_in_another_workflow_is_refused(seed: int) -> None:
    async def main() -> None:
        async with Runtime(double, hangs) as runtime:
            first = await runtime.submit(double, 1, run_id="x")
            with pytest.raises(SetupError, match="another workflow, 'double'"):
                await runtime.submit(hangs, 1, run_id="x")
            assert (await first.result()).value == 2
            again = await runtime.submit(hangs, 1, run_id="x")
            again.cancel()

    run_seeded(main, seed=seed)


@seeded
def test_only_who_began_a_run_cancels_it_by_being_cancelled(seed: int) -> None:
    async def main() -> None:
        async with Runtime(double) as runtime:
            first = await runtime.submit(double, 1, run_id="x")
            with trio.move_on_after(0.1):
                await runtime.run(double, 1, run_id="x")
            assert trio.current_time() == 0.1
            assert (await first.result()).value == 2

    run_seeded(main, seed=seed)


def test_a_runtime_needs_a_workflow_and_counts_that_can_be_meant() -> None:
    with pytest.raises(ConfigError):
        Runtime()
    with pytest.raises(ConfigError, match="max_runs"):
        Runtime(double, max_runs=0)


@seeded
def test_a_workflow_that_is_not_hosted_is_refused_by_name(seed: int) -> None:
    async def main() -> None:
        async with Runtime(double) as runtime:
            with pytest.raises(SetupError, match=r"hangs.*not hosted.*double"):
                await runtime.run(hangs, 0)

    run_seeded(main, seed=seed)


@seeded
def test_ids_and_results_follow_from_the_seed(seed: int) -> None:
    async def main() -> list[RunResult[int]]:
        async with Runtime(double, seed=7) as runtime:
            return [await runtime.run(double, n) for n in range(3)]

    ids = [[r.run_id for r in run_seeded(main, seed=s)] for s in (seed, seed + 9)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3
