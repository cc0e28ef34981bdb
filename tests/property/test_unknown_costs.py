"""Whatever is not known of a model or a request, no cap is passed by what it costs.

The models here bill what nobody has told us of at a ruinous rate.
"""

from __future__ import annotations

import attrs
from gated_probe import Say, Told
from hypothesis import example, given
from hypothesis import strategies as st

from understudy import (
    Attempt,
    Budget,
    Cause,
    Context,
    ModelReply,
    ModelRequest,
    RetryConfig,
    Runtime,
    each,
    sequence,
    step,
)
from understudy.models.part_bounds import PartBounds
from understudy.models.worst_case import most_read
from understudy.testing import run_seeded
from understudy_protocols.chat import (
    FilePart,
    ImagePart,
    Message,
    Part,
    Price,
    TextPart,
)
from understudy_protocols.usage import Usage

RUINOUS = 10**6
"""Tokens, and USD for a million of them, of what is not known."""

PRICES = (
    None,
    Price(),
    Price(3, 5),
    Price(0, 5),
    Price(per_call_usd=0.001),
    Price(3, 5, cached_per_million_usd=1, cache_write_per_million_usd=40),
)
TEXT = TextPart("what is this?")
PARTS: tuple[Part, ...] = (TEXT, TEXT, TEXT, ImagePart(url="u"), FilePart(b"x"))


class Billing(Told):
    """A model that bills the most that it can.

    Attributes:
      cost: what it has billed; micro-USD.
      tokens: what it has billed; a count.
    """

    cost = 0
    tokens = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        reply = await super().complete(request)
        read = most_read(request, self.part_bounds)
        for message in request.messages:
            for part in message.parts:
                if isinstance(part, ImagePart | FilePart):
                    unknown = self.part_bounds.tokens_of(part) == 0
                    read += RUINOUS if unknown else 0
        written = RUINOUS if request.max_tokens is None else request.max_tokens
        used = Usage(
            calls=1, input_tokens=read, cache_write_tokens=read, output_tokens=written
        )
        price = Price(RUINOUS, RUINOUS) if self.price is None else self.price
        self.tokens += used.tokens
        self.cost += price.cost(used)
        return attrs.evolve(reply, usage=used)


@attrs.frozen
class Described:
    """What is known of a model."""

    price: Price | None
    max_tokens: int | None
    bounds: PartBounds

    def model(self, name: str) -> Billing:
        """Return it."""
        made = Billing(Say("yes", after=1), name=name, max_tokens=self.max_tokens)
        made.price, made.part_bounds = self.price, self.bounds
        return made


models = st.builds(
    Described,
    price=st.sampled_from(PRICES),
    max_tokens=st.sampled_from([None, 10, 40]),
    bounds=st.builds(
        PartBounds,
        image=st.sampled_from([None, 100]),
        file=st.sampled_from([None, 1_000]),
    ),
)
caps = st.builds(
    Budget,
    usd=st.sampled_from([None, 0.0, 0.0005, 0.01]),
    tokens=st.sampled_from([None, 0, 150, 5_000]),
)


@example(  # a cache that costs more than what is read without one
    described=[Described(PRICES[-1], 10, PartBounds())],
    parts=[TEXT],
    asked=None,
    budget=Budget(usd=0.0005),
    shared=Budget(),
    seed=0,
)
@given(
    described=st.lists(models, min_size=1, max_size=3),
    parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=3),
    asked=st.sampled_from([None, 5]),
    budget=caps,
    shared=caps,
    seed=st.integers(0, 1_000),
)
def test_no_cap_is_passed_by_what_nobody_knew(
    described: list[Described],
    parts: list[Part],
    asked: int | None,
    budget: Budget,
    shared: Budget,
    seed: int,
) -> None:
    named = {f"m{n}": one.model(f"m{n}") for n, one in enumerate(described)}
    named["m0"].fallbacks = tuple(list(named)[1:])

    @step
    async def items(context: Context[str]) -> tuple[int, ...]:
        return (1, 2, 3)

    @step(retry=RetryConfig(max_attempts=1))
    async def ask(context: Context[str], attempt: Attempt[object]) -> str:
        prompt = Message("user", tuple(parts))
        model = attempt.models["m0"]
        return (await model.complete(prompt, max_tokens=asked)).value

    workflow = sequence(items, each(ask, over=items))

    async def main() -> tuple[int, int]:
        async with Runtime(workflow, models=named, budget=shared) as runtime:
            result = await runtime.run(workflow, "go", budget=budget)
            if result.failure is not None:
                assert result.failure.cause is Cause.BUDGET
            return result.usage.cost_micros, result.usage.tokens

    # Who is cut off beside a refused one is counted at the worst, and billed nothing.
    cost, tokens = run_seeded(main, seed=seed)
    assert sum(model.tokens for model in named.values()) <= tokens
    for cap in (budget, shared):
        if cap.cost_micros is not None:
            assert sum(model.cost for model in named.values()) <= cost
            assert cost <= cap.cost_micros
        if cap.tokens is not None:
            assert tokens <= cap.tokens
