"""Timeouts: of a request, of a stretch of code, of a step with all its waits."""

from __future__ import annotations

import trio
from run_probe import (
    asking,
    failing,
    numbers,
    run_one,
    scripted,
    seeded,
)

from understudy import (
    Attempt,
    Cause,
    Context,
    RetryConfig,
    RunStatus,
    Runtime,
    sequence,
    stateful_step,
    step,
)
from understudy.models.scripted import ScriptedModel
from understudy.testing import run_seeded

ONCE = RetryConfig(max_attempts=1)


@seeded
def test_timeout_seconds_bounds_one_request(seed: int) -> None:
    model = scripted(*["late"] * 3, latency=100.0)
    result = run_one(asking, seed, models={"m": model})
    assert result.failure is not None
    assert result.failure.cause is Cause.TIMEOUT
    assert result.duration == 30 + 1 + 30 + 2 + 30
    assert numbers(result) == [1, 2, 3]
    # Whoever is cut off does not know whether it was billed: the worst counts.
    assert result.usage.calls == 3
    assert result.usage.estimated


@seeded
def test_timeout_seconds_bounds_each_stretch_between_requests_and_not_their_sum(
    seed: int,
) -> None:
    @step(retry=ONCE)
    async def long(context: Context[object], attempt: Attempt[object]) -> float:
        for _ in range(3):
            await trio.sleep(29)
            await attempt.models["m"].complete("?")
        await trio.sleep(29)
        return trio.current_time()

    model = scripted(*["x"] * 3, latency=29.0)
    assert run_one(long, seed, models={"m": model}).value == 7 * 29


@seeded
def test_a_stretch_of_code_that_is_too_long_is_cut_and_tried_again(seed: int) -> None:
    bodies: list[float] = []

    @step
    async def slow(context: Context[object], attempt: Attempt[object]) -> str:
        bodies.append(trio.current_time())
        await attempt.models["m"].complete("?")
        if len(bodies) < 3:
            await trio.sleep(31)
        return "done"

    model = scripted(*["x"] * 3, latency=5.0)
    result = run_one(slow, seed, models={"m": model})
    assert result.value == "done"
    assert bodies == [0.0, 36.0, 73.0]
    assert numbers(result) == [1, 2]
    assert all(
        r.failure is not None and r.failure.cause is Cause.TIMEOUT
        for r in result.steps[0].attempts
    )


@seeded
def test_requests_side_by_side_do_not_cut_one_another(seed: int) -> None:
    latencies = iter([1.0, 25.0, 1.0])
    model_calls = ScriptedModel(
        [failing(Cause.RATE_LIMIT, 60.0), "b", "c"],
        latency=lambda request: next(latencies),
    )

    @step
    async def both(context: Context[object], attempt: Attempt[object]) -> float:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(one, attempt)
        await trio.sleep(29)
        return trio.current_time()

    async def one(attempt: Attempt[object]) -> None:
        await attempt.models["m"].complete("?")

    # One is turned away at 1 s and waits until 61; the other ends at 25.
    assert run_one(both, seed, models={"m": model_calls}).value == 91.0


@seeded
def test_a_permit_comes_back_to_the_task_that_waits_for_it(seed: int) -> None:
    model = scripted(
        failing(Cause.SERVER), failing(Cause.SERVER), *["x"] * 6, latency=0.5
    )

    @step(max_concurrent=1)
    async def both(context: Context[int], attempt: Attempt[object]) -> int:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(one, attempt)
        return context.input

    async def one(attempt: Attempt[object]) -> None:
        await attempt.models["m"].complete("?")

    async def main() -> list[int]:
        async with Runtime(both, models={"m": model}) as runtime:
            return [r.value async for r in runtime.run_many(both, range(3))]

    assert run_seeded(main, seed=seed) == [0, 1, 2]


@seeded
def test_a_step_that_cuts_its_own_wait_goes_on_only_with_a_permit(seed: int) -> None:
    inside: set[int] = set()
    model = scripted(failing(Cause.RATE_LIMIT, 50.0), *["x"] * 5)

    @step(max_concurrent=1)
    async def asks(context: Context[int], attempt: Attempt[object]) -> float:
        with trio.move_on_after(2):
            await attempt.models["m"].complete("?")
        inside.add(context.input)
        assert len(inside) == 1
        await trio.sleep(5)
        inside.remove(context.input)
        return trio.current_time()

    async def main() -> list[float]:
        async with Runtime(asks, models={"m": model}) as runtime:
            return [r.value async for r in runtime.run_many(asks, range(3))]

    assert run_seeded(main, seed=seed) == [10.0, 5.0, 15.0]


@seeded
def test_a_cut_reaches_a_step_that_waits_for_its_permit_after_its_own_cut(
    seed: int,
) -> None:
    model = scripted(failing(Cause.RATE_LIMIT, 8.0), *["x"] * 5)

    @step(max_concurrent=1, retry=RetryConfig(timeout_seconds=1000))
    async def asks(context: Context[int], attempt: Attempt[object]) -> float:
        with trio.move_on_after(2):
            await attempt.models["m"].complete("?")
        await trio.sleep(100)
        return trio.current_time()

    async def main() -> tuple[RunStatus, float]:
        async with Runtime(asks, models={"m": model}) as runtime:
            first = await runtime.submit(asks, 0, deadline=10.0)
            await runtime.submit(asks, 1)
            result = await first.result()
            return result.status, trio.current_time()

    assert run_seeded(main, seed=seed) == (RunStatus.EXPIRED, 10.0)


@seeded
def test_step_timeout_bounds_the_step_with_its_retries_and_waits(seed: int) -> None:
    @step(timeout=7.0)
    async def asks(context: Context[object], attempt: Attempt[object]) -> str:
        return (await attempt.models["m"].complete("?")).value

    # 0 to 3, a wait of 1; 4 to 7.
    model = scripted(failing(Cause.SERVER), "late", latency=3.5)
    result = run_one(asks, seed, models={"m": model})
    assert result.failure is not None
    assert result.failure.cause is Cause.TIMEOUT
    assert result.duration == 7.0
    assert "7 s" in result.failure.message


@seeded
def test_a_cut_counts_the_attempts_made_before_it_in_the_same_worker(
    seed: int,
) -> None:
    bodies: list[float] = []

    @step(retry=RetryConfig(max_attempts=3, backoff_base=0.0))
    async def fails(context: Context[object]) -> str:
        bodies.append(trio.current_time())
        if len(bodies) == 1:
            raise ConnectionError("gone")
        await trio.sleep_forever()
        return "never"

    result = run_one(fails, seed)
    assert bodies == [0.0, 0.0, 30.0]
    assert numbers(result) == [1, 2, 3]


@seeded
def test_a_wait_that_does_not_fit_into_the_step_is_not_begun(seed: int) -> None:
    @step(timeout=3.0)
    async def fails(context: Context[object]) -> str:
        raise ConnectionError("gone")

    result = run_one(fails, seed)
    assert result.failure is not None
    assert result.failure.cause is Cause.TRANSPORT
    assert result.duration == 1.0
    assert numbers(result) == [1, 2]


@seeded
def test_step_timeout_holds_also_while_the_model_is_asked(seed: int) -> None:
    @step(timeout=2.0)
    async def asks(context: Context[object], attempt: Attempt[object]) -> str:
        return (await attempt.models["m"].complete("?")).value

    result = run_one(asks, seed, models={"m": scripted("late", latency=20)})
    assert result.failure is not None
    assert result.failure.cause is Cause.TIMEOUT
    assert result.duration == 2.0


@seeded
def test_an_attempt_with_too_little_time_left_is_not_begun(seed: int) -> None:
    bodies: list[float] = []

    @step
    async def before(context: Context[object]) -> int:
        await trio.sleep(4)
        return 0

    @step(min_time=5.0)
    async def long(context: Context[object]) -> int:
        bodies.append(trio.current_time())
        return 1

    flow = sequence(before, long)
    result = run_one(flow, seed, deadline=8.0)
    assert result.status is RunStatus.FAILED
    assert result.failure is not None
    assert result.failure.cause is Cause.TIMEOUT
    assert bodies == []
    assert result.duration == 4.0
    assert result.steps[1].started == 4.0
    assert run_one(flow, seed, deadline=9.5).ok


# --- code that does not end -----------------------------------------------------------


# --- steps that are given up -------------------------------------------------------------


class Broken:
    """A stateful step that cannot be set up."""

    async def setup(self) -> None:
        raise OSError("no connection")

    async def execute(self, context: Context[object], attempt: Attempt[object]) -> int:
        raise AssertionError("never set up")


@seeded
def test_a_step_that_gives_up_fails_the_runs_that_reach_it_and_no_others(
    seed: int,
) -> None:
    @step
    async def before(context: Context[int]) -> int:
        await trio.sleep(context.input)
        return context.input

    bad = stateful_step(Broken, name="bad", output=int)
    flow = sequence(before, bad, name="flow")

    @step
    async def fine(context: Context[int]) -> int:
        await trio.sleep(20)
        return 1

    async def main() -> list[str]:
        events: list[str] = []
        async with Runtime(flow, fine) as runtime, runtime.events() as seen:
            other = await runtime.submit(fine, 0)
            stands = await runtime.submit(flow, 0)
            reaches = await runtime.submit(flow, 10)
            for handle, at in ((stands, 3.5), (reaches, 10.0)):
                result = await handle.result()
                assert result.status is RunStatus.FAILED
                assert result.failure is not None
                assert result.failure.cause is Cause.DOWN
                assert result.failure.causes[0].message == "no connection"
                assert result.failure.where.endswith("bad")
                assert trio.current_time() == at
            assert (await other.result()).value == 1
            while True:
                with trio.move_on_after(0.1) as scope:
                    events.append((await anext(seen)).kind)
                if scope.cancelled_caught:
                    break
        return events

    assert run_seeded(main, seed=seed).count("down") == 1


class Speechless(Exception):
    """An error whose own code is broken."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


@seeded
def test_a_clean_up_error_that_cannot_be_shown_fails_the_run(seed: int) -> None:
    @step(retry=RetryConfig(max_attempts=1, timeout_seconds=1.0))
    async def slow(context: Context[object]) -> str:
        try:
            await trio.sleep_forever()
        finally:
            raise Speechless
        return "never"

    result = run_one(slow, seed, deadline=5.0)
    assert result.failure is not None
    assert result.failure.cause is Cause.TIMEOUT
    assert "Speechless" in result.failure.message
    assert result.duration == 1.0
