"""Pieces of an answer reach those who watch the run, and wait for who began it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs
import pytest
import trio

from understudy import (
    Attempt,
    Cause,
    Context,
    ModelError,
    ModelReply,
    ModelRequest,
    Price,
    RetryConfig,
    RunStatus,
    Runtime,
    StreamEvent,
    TextDelta,
    step,
)
from understudy.models.asking import ModelDelta, Restarted
from understudy.testing import run_seeded
from understudy_protocols.chat import Finished, ReasoningDelta


@attrs.frozen
class Piecemeal:
    """A model that answers in pieces; an exception among them breaks it off.

    Args:
      answers: one for each request.
      interval: between two pieces; seconds.
    """

    answers: list[list[str | Exception]]
    interval: float = 0.0
    sent: list[float] = attrs.field(factory=list[float])
    closed: list[float] = attrs.field(factory=list[float])
    name: str = "piecemeal"
    price: Price = attrs.field(factory=Price)

    async def complete(self, request: ModelRequest) -> ModelReply:
        raise AssertionError("it is asked to stream")

    async def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        text = ""
        try:
            for piece in self.answers.pop(0):
                await trio.sleep(self.interval)
                self.sent.append(trio.current_time())
                if isinstance(piece, Exception):
                    raise piece
                if piece.startswith("?"):
                    yield ReasoningDelta(piece)
                else:
                    text += piece
                    yield TextDelta(piece)
            yield Finished(ModelReply(text))
        finally:
            self.closed.append(trio.current_time())


@step(retry=RetryConfig(max_attempts=2, timeout_seconds=10.0))
async def answer(context: Context[str], attempt: Attempt[object]) -> str:
    reply = await attempt.models["m"].complete(context.input, stream=True)
    return reply.value


async def shown(model: Piecemeal) -> tuple[list[object], str]:
    """Return what was shown of a run, and its value."""
    async with (
        Runtime(answer, models={"m": model}) as runtime,
        runtime.stream(answer, "hello?") as events,
    ):
        values = [event.value async for event in events if event.kind == "emitted"]
        return values, (await events.result()).value


@pytest.mark.parametrize("seed", range(3))
def test_pieces_come_in_order_with_their_numbers(seed: int) -> None:
    model = Piecemeal([["?hm", "It ", "rains."]])
    values, value = run_seeded(shown, model, seed=seed)
    assert values == [
        ModelDelta(1, "?hm", reasoning=True),
        ModelDelta(2, "It "),
        ModelDelta(3, "rains."),
    ]
    assert value == "It rains."


def test_what_was_shown_of_an_answer_that_broke_off_is_said_to_be_void() -> None:
    broken = ModelError("the answer broke off", cause=Cause.TRANSPORT)
    model = Piecemeal([["It sn", broken], ["It rains."]])
    values, value = run_seeded(shown, model, seed=0)
    assert values == [
        ModelDelta(1, "It sn"),
        Restarted("transport"),
        ModelDelta(2, "It rains."),
    ]
    assert value == "It rains."


def test_nothing_is_void_if_nothing_was_shown() -> None:
    model = Piecemeal([[ModelError("no", cause=Cause.SERVER)], ["yes"]])
    values, _ = run_seeded(shown, model, seed=0)
    assert values == [ModelDelta(1, "yes")]


@pytest.mark.parametrize("seed", range(3))
def test_the_model_waits_for_a_slow_reader_and_is_not_timed_for_it(seed: int) -> None:
    model = Piecemeal([["x"] * 500])

    async def main() -> str:
        async with (
            Runtime(answer, models={"m": model}) as runtime,
            runtime.stream(answer, "hello?") as events,
        ):
            async for event in events:
                if event.kind == "emitted":
                    # Far longer than the 10 s that a request may take.
                    await trio.sleep(1)
            assert events.result is not None
            return (await events.result()).value

    assert run_seeded(main, seed=seed) == "x" * 500
    # It was never further ahead than the reader may be behind.
    ahead = [number - sent for number, sent in enumerate(model.sent)]
    assert max(ahead) < 80


def test_leaving_the_stream_cancels_the_run_and_closes_the_answer() -> None:
    model = Piecemeal([["x"] * 500], interval=1.0)

    async def main() -> RunStatus:
        async with Runtime(answer, models={"m": model}) as runtime:
            async with runtime.stream(answer, "hello?") as events:
                async for event in events:
                    if event.kind == "emitted":
                        break
            left = trio.current_time()
            assert model.closed == [left]
            return (await events.result()).status

    assert run_seeded(main, seed=0) is RunStatus.CANCELLED


def test_a_watcher_that_leaves_changes_nothing() -> None:
    model = Piecemeal([["x"] * 5], interval=1.0)

    async def main() -> str:
        async with Runtime(answer, models={"m": model}) as runtime:
            async with runtime.events() as events:
                handle = await runtime.submit(answer, "hello?")
                async for event in events:
                    if event.kind == "emitted":
                        break
            return (await handle.result()).value

    assert run_seeded(main, seed=0) == "xxxxx"
