"""What a step's attempt lends it, and that it is lent for that attempt only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
import trio
from run_probe import asking, run_one, scripted, seeded

from understudy import (
    Attempt,
    Budget,
    Cause,
    Context,
    Price,
    RetryConfig,
    RunResult,
    RunStatus,
    Runtime,
    step,
)
from understudy.models.replies import stream_whole
from understudy.models.scripted import ScriptedModel
from understudy.testing import run_seeded
from understudy_protocols.chat import ModelReply, ModelRequest, StreamEvent
from understudy_protocols.errors import SetupError

ONCE = RetryConfig(max_attempts=1)


# --- what a model may raise --------------------------------------------------------------


@seeded
def test_whatever_a_model_raises_is_retried_in_place(seed: int) -> None:
    bodies: list[int] = []

    @step
    async def asks(context: Context[object], attempt: Attempt[object]) -> str:
        bodies.append(attempt.number)
        return (await attempt.models["m"].complete("hello")).value

    model = scripted(ConnectionError("gone"), "yes")
    result = run_one(asks, seed, models={"m": model})
    assert result.value == "yes"
    assert bodies == [1]
    (failed,) = result.steps[0].attempts
    assert failed.failure is not None
    assert failed.failure.cause is Cause.TRANSPORT
    assert failed.failure.error_type == "ModelError"
    assert failed.failure.message == "the model raised ConnectionError: gone"


@seeded
def test_what_a_model_raised_for_good_is_not_retried_by_the_step(seed: int) -> None:
    model = scripted(*(ConnectionError("gone") for _ in range(9)))
    result = run_one(asking, seed, models={"m": model})
    assert result.failure is not None
    assert result.failure.cause is Cause.TRANSPORT
    assert len(model.requests) == RetryConfig().max_attempts


# --- a cap on tokens ---------------------------------------------------------------------


@seeded
def test_a_model_that_writes_for_free_needs_a_bound_under_a_cap_on_tokens(
    seed: int,
) -> None:
    model = ScriptedModel(lambda request: "x" * 400)

    async def main() -> RunResult[str]:
        async with Runtime(asking, models={"m": model}) as runtime:
            return await runtime.run(asking, 0, budget=Budget(tokens=50))

    result = run_seeded(main, seed=seed)
    assert result.failure is not None
    assert result.failure.cause is Cause.BUDGET
    assert model.requests == ()


# --- the type of the answer --------------------------------------------------------------


@seeded
def test_a_union_can_be_asked_for(seed: int) -> None:
    @step
    async def asks(context: Context[object], attempt: Attempt[object]) -> object:
        output = cast("type[int | None]", int | None)
        return (await attempt.models["m"].complete("?", output=output)).value

    assert run_one(asks, seed, models={"m": scripted("7")}).value == 7
    assert run_one(asks, seed, models={"m": scripted("null")}).value is None


@seeded
@pytest.mark.parametrize("output", [{"type": "strong"}, object(), trio.Event])
def test_what_has_no_schema_is_a_mistake_of_the_program(
    seed: int, output: object
) -> None:
    @step
    async def asks(context: Context[object], attempt: Attempt[object]) -> object:
        kind = cast("type[object]", output)
        return (await attempt.models["m"].complete("?", output=kind)).value

    model = scripted("{}")
    result = run_one(asks, seed, models={"m": model})
    assert result.failure is not None
    assert result.failure.error_type == "ConfigError"
    assert "output is" in result.failure.message
    assert model.requests == ()


# --- after its end -----------------------------------------------------------------------


@seeded
def test_an_attempt_that_is_over_does_not_touch_the_next_one_of_its_worker(
    seed: int,
) -> None:
    kept: list[Attempt[object]] = []
    refused: list[str] = []

    @step(max_concurrent=1, retry=RetryConfig(max_attempts=1, timeout_seconds=5))
    async def keeps(context: Context[object], attempt: Attempt[object]) -> str:
        kept.append(attempt)
        if len(kept) == 2:
            first = kept[0]
            assert first.number == 1
            for use in (
                lambda: first.models["m"].complete("?"),
                lambda: first.wait(1),
            ):
                with pytest.raises(SetupError, match="is over"):
                    await use()
            with pytest.raises(SetupError, match="is over"):
                first.emit("late")
            refused.append(first.run_id)
            await trio.sleep(50)
        return "done"

    async def main() -> None:
        async with Runtime(keeps, models={"m": scripted("a")}) as runtime:
            assert (await runtime.run(keeps, 0)).ok
            result = await runtime.run(keeps, 0)
            assert result.failure is not None
            assert result.failure.cause is Cause.TIMEOUT
            assert trio.current_time() == 5.0

    run_seeded(main, seed=seed)
    assert refused


@seeded
def test_a_call_under_way_in_another_task_does_not_disarm_what_comes_after(
    seed: int,
) -> None:
    runs: list[str] = []

    async def main() -> None:
        async with trio.open_nursery() as elsewhere:

            @step(
                max_concurrent=1, retry=RetryConfig(max_attempts=1, timeout_seconds=5)
            )
            async def leaves(context: Context[object], attempt: Attempt[object]) -> str:
                runs.append(attempt.run_id)
                if len(runs) == 1:
                    elsewhere.start_soon(attempt.models["m"].complete, "?")
                    await trio.sleep(1)
                    return "left"
                await trio.sleep(50)
                return "late"

            model = scripted("a", latency=4.0)
            async with Runtime(leaves, models={"m": model}) as runtime:
                assert (await runtime.run(leaves, 0)).ok
                result = await runtime.run(leaves, 0)
                assert result.failure is not None
                assert result.failure.cause is Cause.TIMEOUT
                # Not 5 s after the call has ended, but after the attempt began.
                assert trio.current_time() == 6.0

    run_seeded(main, seed=seed)


# --- a call that outlives its run ---------------------------------------------------------


class Shielded:
    """A model that does not let itself be cut off."""

    name = "shielded"
    price = Price(input_per_million_usd=1, output_per_million_usd=1)

    def __init__(self, model: ScriptedModel) -> None:
        self._model = model

    async def complete(self, request: ModelRequest) -> ModelReply:
        reply: ModelReply | None = None
        with trio.CancelScope(shield=True):
            reply = await self._model.complete(request)
        assert reply is not None, "nobody cancels this scope"
        return reply

    def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        return stream_whole(self, request)


@seeded
def test_a_call_that_outlives_its_run_is_charged_at_its_worst_for_good(
    seed: int,
) -> None:
    @step(retry=ONCE)
    async def asks(context: Context[object], attempt: Attempt[object]) -> str:
        return (await attempt.models["m"].complete("y" * 40, max_tokens=10)).value

    async def main() -> tuple[RunResult[str], int]:
        model = Shielded(ScriptedModel(["x" * 40], latency=20.0))
        async with Runtime(asks, models={"m": model}) as runtime:
            result = await runtime.run(asks, 0, deadline=2.0)
            at_its_end = result.usage
            await trio.sleep(30)
            assert result.usage == at_its_end
            assert runtime._budget.spent == at_its_end
        return result, len(model._model.requests)

    result, sent = run_seeded(main, seed=seed)
    assert sent == 1
    assert result.status is RunStatus.EXPIRED
    assert result.stuck == ("asks",)
    assert (result.usage.calls, result.usage.tokens) == (1, 40 + 16 + 10)
    assert result.usage.estimated


# --- from a thread -----------------------------------------------------------------------


@seeded
def test_a_step_in_a_thread_can_show_values_to_those_who_watch(seed: int) -> None:
    @step(thread=True, retry=ONCE)
    def shows(context: Context[object], attempt: Attempt[object]) -> str:
        attempt.emit("half way")
        return "done"

    async def main() -> list[object]:
        async with (
            Runtime(shows) as runtime,
            runtime.stream(shows, 0) as stream,
        ):
            seen = [event async for event in stream]
            assert (await stream.result()).value == "done"
            return [event.value for event in seen if event.kind == "emitted"]

    assert run_seeded(main, seed=seed, autojump=False) == ["half way"]


@seeded
def test_the_time_left_ends_when_the_run_expires_in_any_case(seed: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)

    @step
    async def asks(context: Context[object], attempt: Attempt[object]) -> float:
        return attempt.time_left

    async def main() -> None:
        async with Runtime(asks, utcnow=lambda: start) as runtime:
            result = await runtime.run(
                asks, 0, deadline=60.0, expires_at=start + timedelta(seconds=5)
            )
            assert result.value == pytest.approx(5.0)

    run_seeded(main, seed=seed)
