"""The worst case of a request: everything that is sent counts, or is refused."""

from __future__ import annotations

import json

import pytest
from gated_probe import Told

from understudy.models.part_bounds import UNBOUNDED, PartBounds
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
    price: Price | None = PRICED,
    *,
    money_capped: bool = True,
    tokens_capped: bool = False,
    bounds: PartBounds = UNBOUNDED,
) -> Usage:
    model = Told()
    model.price, model.part_bounds = price, bounds
    return worst_case(
        model, request, money_capped=money_capped, tokens_capped=tokens_capped
    )


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


@pytest.mark.parametrize(
    ("part", "setting"),
    [(ImagePart(url="u"), "image_tokens"), (FilePart(data=b"%PDF"), "file_tokens")],
)
def test_under_a_cap_what_has_no_bound_is_refused(part: Part, setting: str) -> None:
    for tokens_capped, price in ((True, Price()), (False, PRICED)):
        with pytest.raises(ModelError, match=setting) as caught:
            worst(request_of(part), price, tokens_capped=tokens_capped)
        assert caught.value.cause is Cause.BUDGET
    assert worst(request_of(part), money_capped=False).calls == 1
    by_the_call = Price(per_call_usd=0.01)
    assert worst(request_of(part), by_the_call).cost_micros == 10_000


def test_pictures_and_files_count_for_what_is_declared() -> None:
    request = request_of(ImagePart(url="u"), FilePart(data=b"%PDF"), ImagePart(url="v"))
    bounds = PartBounds(image=1_000, file=30_000)
    assert worst(request, bounds=bounds).input_tokens == 32_000 + 3 * MESSAGE_OVERHEAD
    with pytest.raises(ModelError) as caught:
        worst(request, bounds=PartBounds(image=1_000))
    assert str(caught.value) == (
        "m gets a file under a budget, and nobody knows how many tokens that is; "
        "declare the most that one can be, as file_tokens of the model's capabilities"
    )


def test_free_output_needs_no_bound_under_a_cap_on_money_alone() -> None:
    unbounded = request_of(TextPart("x"), max_tokens=None)
    assert worst(unbounded, Price(input_per_million_usd=1)).output_tokens == 0
    with pytest.raises(ModelError, match="max_tokens"):
        worst(unbounded, Price(), tokens_capped=True)
    with pytest.raises(ModelError, match="max_tokens"):
        worst(unbounded, PRICED)


def test_a_cap_on_money_needs_a_price_and_no_other_cap_does() -> None:
    request = request_of(TextPart("x"))
    with pytest.raises(ModelError) as caught:
        worst(request, None)
    assert caught.value.cause is Cause.BUDGET
    assert str(caught.value) == (
        "m has no price, and there is a cap on money; say what it costs: price = "
        "{...} in its configuration, price=Price(...) in a program (0 where it costs "
        "nothing)"
    )
    used = worst(request, None, money_capped=False, tokens_capped=True)
    assert (used.output_tokens, used.cost_micros) == (5, 0)
    assert worst(request, Price()).cost_micros == 0
