"""The worst case of a request: everything that is sent counts, or is refused."""

from __future__ import annotations

import json

import pytest

from understudy.models.scripted import ScriptedModel
from understudy.models.structured import schema_of
from understudy.models.worst_case import MESSAGE_OVERHEAD, worst_case
from understudy_protocols.chat import (
    FilePart,
    ImagePart,
    Message,
    ModelRequest,
    Part,
    Price,
    ReasoningPart,
    TextPart,
    Tool,
    ToolRequestPart,
    ToolResultPart,
)
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.usage import Usage

PRICED = Price(input_per_million_usd=1, output_per_million_usd=1)


def worst(
    request: ModelRequest,
    price: Price = PRICED,
    *,
    capped: bool = True,
    tokens_capped: bool = False,
) -> Usage:
    model = ScriptedModel([], price=price)
    return worst_case(model, request, capped=capped, tokens_capped=tokens_capped)


def request_of(*parts: Part, max_tokens: int | None = 5) -> ModelRequest:
    return ModelRequest(messages=(Message("user", parts),), max_tokens=max_tokens)


@pytest.mark.parametrize(
    "part",
    [
        TextPart("x" * 100),
        TextPart("\N{EURO SIGN}" * 34),
        ToolRequestPart("i", "tool", "y" * 100),
        ToolResultPart("i", "y" * 100),
        ReasoningPart("x" * 50, "y" * 50),
    ],
)
def test_every_word_that_is_sent_counts(part: Part) -> None:
    assert worst(request_of(part)).input_tokens >= 100 + MESSAGE_OVERHEAD
    assert worst(request_of(part)).output_tokens == 5


def test_the_schema_counts() -> None:
    bare = worst(request_of(TextPart("x"))).input_tokens
    schema = schema_of(list[int])
    request = ModelRequest(messages="x", output_schema=schema, max_tokens=5)
    assert worst(request).input_tokens >= bare + len(json.dumps(schema))


def test_the_tools_count() -> None:
    bare = worst(request_of(TextPart("x"))).input_tokens
    tool = Tool("look_up", "Finds a team.", schema_of(list[int]))
    request = ModelRequest(messages="x", tools=(tool, tool), max_tokens=5)
    told = len("look_upFinds a team." + json.dumps(schema_of(list[int])))
    assert worst(request).input_tokens >= bare + 2 * told


@pytest.mark.parametrize("part", [ImagePart(url="u"), FilePart(data=b"%PDF")])
def test_under_a_cap_what_has_no_bound_is_refused(part: Part) -> None:
    for tokens_capped, price in ((True, Price()), (False, PRICED)):
        with pytest.raises(ModelError) as caught:
            worst(request_of(part), price, tokens_capped=tokens_capped)
        assert caught.value.cause is Cause.BUDGET
    assert worst(request_of(part), capped=False).calls == 1
    by_the_call = Price(per_call_usd=0.01)
    assert worst(request_of(part), by_the_call).cost_micros == 10_000


def test_free_output_needs_no_bound_under_a_cap_on_money_alone() -> None:
    unbounded = request_of(TextPart("x"), max_tokens=None)
    assert worst(unbounded, Price(input_per_million_usd=1)).output_tokens == 0
    with pytest.raises(ModelError, match="max_tokens"):
        worst(unbounded, Price(), tokens_capped=True)
    with pytest.raises(ModelError, match="max_tokens"):
        worst(unbounded, PRICED)
