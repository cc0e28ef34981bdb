"""The hard cap: what is asked for never passes it, whatever happens to the calls."""

from __future__ import annotations

import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from understudy import (
    Attempt,
    Budget,
    Cause,
    Context,
    ModelError,
    ModelReply,
    ModelRequest,
    Price,
    RetryConfig,
    Runtime,
    each,
    sequence,
    step,
)
from understudy.models.replies import stream_whole, text_reply
from understudy.testing import run_seeded, seeds

PRICE = Price(input_per_million_usd=1, output_per_million_usd=3, per_call_usd=0.00001)

calls = st.tuples(
    st.integers(0, 40),  # letters asked
    st.integers(1, 40),  # max_tokens
    st.sampled_from([0.0, 0.5, 2.0, 50.0]),  # latency
    st.sampled_from([None, None, Cause.SERVER, Cause.AUTH, Cause.RATE_LIMIT]),
)
runs = st.tuples(
    st.lists(calls, min_size=1, max_size=4),
    st.none() | st.sampled_from([0.2, 1.0, 7.0]),  # cancelled after
)
caps = st.builds(
    Budget,
    usd=st.none() | st.integers(0, 2_000).map(lambda micros: micros / 1_000_000),
    tokens=st.none() | st.integers(0, 500),
    calls=st.none() | st.integers(0, 8),
)


class Meter:
    """A model that bills all that it was allowed to use, and adds it up."""

    name = "meter"
    price = PRICE

    def __init__(self) -> None:
        self.cost = 0
        self.tokens = 0
        self.calls = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        said = request.messages[-1].text
        latency, cause, letters = said.split("|", 2)
        reply = text_reply(
            request,
            "x",
            self.name,
            PRICE,
            input_tokens=len(letters),
            output_tokens=request.max_tokens,
        )
        # Billed from the start: whoever is cut off pays all the same, and only
        # who is turned away does not.
        self.calls += 1
        if cause not in ("auth", "rate_limit"):
            self.cost += reply.usage.cost_micros
            self.tokens += reply.usage.tokens
        await trio.sleep(float(latency))
        if cause:
            raise ModelError("no", cause=Cause(cause))
        return reply

    stream = stream_whole


@settings(max_examples=150, deadline=None)
@given(
    seed=seeds(),
    plan=st.lists(runs, min_size=1, max_size=5),
    whole=caps,
    own=caps,
)
@example(
    seed=0,
    plan=[([(0, 15, 0.0, Cause.SERVER)], None)],
    whole=Budget(tokens=42),
    own=Budget(),
)
def test_what_was_asked_for_never_passes_a_cap(
    seed: int,
    plan: list[tuple[list[tuple[int, int, float, Cause | None]], float | None]],
    whole: Budget,
    own: Budget,
) -> None:
    meter = Meter()

    @step
    async def items(context: Context[int]) -> tuple[int, ...]:
        return tuple(range(len(plan[context.input][0])))

    @step(retry=RetryConfig(max_attempts=3, timeout_seconds=5))
    async def asks(context: Context[int], attempt: Attempt[object]) -> str:
        item = context.item
        assert isinstance(item, int)
        letters, most, latency, cause = plan[context.input][0][item]
        text = f"{latency}|{'' if cause is None else cause.value}|{'y' * letters}"
        return (await attempt.models["m"].complete(text, max_tokens=most)).value

    flow = sequence(items, each(asks, over=items, max_concurrent=3))

    async def main() -> None:
        async with Runtime(flow, models={"m": meter}, budget=whole) as runtime:
            async with trio.open_nursery() as nursery:
                for number, (_, after) in enumerate(plan):
                    nursery.start_soon(one, runtime, number, after)
            assert len(runtime._budget.ledger.open) == 0
            spent = runtime._budget.spent
            assert spent.calls == meter.calls
            assert spent.cost_micros <= (whole.cost_micros or 10**9)

    async def one(runtime: Runtime[object], number: int, after: float | None) -> None:
        before = meter.calls
        if after is None:
            result = await runtime.run(flow, number, budget=own)
            account = result._run.budget
            assert len(account.ledger.open) == 0
            if own.calls is not None:
                assert result.usage.calls <= own.calls
            if own.tokens is not None:
                assert result.usage.tokens <= own.tokens
            if own.cost_micros is not None:
                assert result.usage.cost_micros <= own.cost_micros
            assert result.usage.calls <= meter.calls - before
        else:
            with trio.move_on_after(after):
                await runtime.run(flow, number, budget=own)

    run_seeded(main, seed=seed)
    if whole.calls is not None:
        assert meter.calls <= whole.calls
    if whole.cost_micros is not None:
        assert meter.cost <= whole.cost_micros
    if whole.tokens is not None:
        assert meter.tokens <= whole.tokens
