"""The model port's values."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from understudy_protocols.chat import (
    Finish,
    ImagePart,
    Message,
    ModelReply,
    ModelRequest,
    Price,
    ReasoningPart,
    TextPart,
    Tool,
    ToolRequestPart,
    as_messages,
)
from understudy_protocols.errors import ConfigError, NotFrozenError
from understudy_protocols.failures import Cause, FailureMode
from understudy_protocols.frozen import freeze
from understudy_protocols.usage import Usage


def test_a_string_is_one_message_of_the_user() -> None:
    user = Message("user", (TextPart("hello"),))
    assert as_messages("hello") == (user,)
    assert as_messages(user) == (user,)
    assert as_messages([Message.of("system", "be brief"), user])[1] is user
    assert ModelRequest("hello").messages == (user,)


def test_text_is_joined_and_other_parts_are_left_out() -> None:
    message = Message("user", (TextPart("a"), ImagePart(url="http://x"), TextPart("b")))
    assert message.text == "ab"
    assert ModelRequest([message, Message.of("user", "c")]).text == "ab\nc"


def test_schemas_are_frozen_on_the_way_in() -> None:
    schema = {"type": "object", "required": ["a"]}
    request = ModelRequest("x", output_schema=schema)
    tool = Tool("look_up", "Finds a team.", schema)
    schema["required"] = []
    assert request.output_schema == {"type": "object", "required": ("a",)}
    assert tool.parameters == request.output_schema
    assert freeze(request) is request
    assert hash(request) is not None
    with pytest.raises(NotFrozenError):
        ModelRequest("x", output_schema={"a": object()})


def test_the_parts_of_a_reply_are_its_text_unless_given() -> None:
    assert ModelReply("hi").parts == (TextPart("hi"),)
    assert ModelReply("").parts == ()
    parts = (ReasoningPart("hm"), ToolRequestPart("1", "look_up", "{}"))
    assert ModelReply("", parts=parts).parts == parts


@pytest.mark.parametrize(
    ("finish", "mode"),
    [
        (Finish.COMPLETE, None),
        (Finish.TOOL_REQUEST, None),
        (Finish.PAUSED, FailureMode.UNEXPECTED),
        (Finish.OTHER, None),
        (Finish.REFUSED, FailureMode.CONTENT_POLICY),
        (Finish.FILTERED, FailureMode.CONTENT_POLICY),
        (Finish.TRUNCATED, FailureMode.UNEXPECTED),
        (Finish.CONTEXT_FULL, FailureMode.UNEXPECTED),
        (Finish.FAILED, FailureMode.UNEXPECTED),
    ],
)
def test_a_refusal_is_never_malformed_output(
    finish: Finish, mode: FailureMode | None
) -> None:
    assert (finish.cause.mode if finish.cause else None) is mode
    assert Finish.CONTEXT_FULL.cause is Cause.CONTEXT_TOO_LONG


def test_a_price_is_exact_and_rounded_up_to_a_micro() -> None:
    price = Price(0.07, 0.6)
    assert price.cost(Usage(input_tokens=100)) == 7
    assert price.cost(Usage(input_tokens=1)) == 1
    assert price.cost(Usage(input_tokens=1_000_000, output_tokens=1_000_000)) == 670_000
    assert price.cost(Usage()) == 0


def test_cached_input_has_its_own_price_or_the_common_one() -> None:
    usage = Usage(input_tokens=1000, cached_tokens=600, cache_write_tokens=100)
    assert Price(10).cost(usage) == 10_000
    assert Price(10, cached_per_million_usd=1).cost(usage) == 4_600
    assert Price(10, cache_write_per_million_usd=Decimal("12.5")).cost(usage) == 10_250


@pytest.mark.parametrize(
    ("price", "most"),
    [
        (Price(10), 10_000),
        (Price(10, cached_per_million_usd=1), 10_000),
        (Price(10, cache_write_per_million_usd=Decimal("12.5")), 12_500),
        (
            Price(10, 5, cached_per_million_usd=11, cache_write_per_million_usd=1),
            11_000,
        ),
        (Price(0, cache_write_per_million_usd=1), 1_000),
    ],
)
def test_at_most_all_input_has_the_dearest_price_of_input(
    price: Price, most: int
) -> None:
    assert price.most(Usage(input_tokens=1_000)) == most


def test_a_call_can_have_a_price_of_its_own() -> None:
    assert Price(per_call_usd=0.00001).cost(Usage(calls=3)) == 30


def test_cached_tokens_beyond_the_input_do_not_make_a_price_negative() -> None:
    assert Price(10, cached_per_million_usd=0).cost(Usage(cached_tokens=5)) == 0


@pytest.mark.parametrize("most", [0, -1, True, 1.5, "9"])
def test_a_bound_that_is_no_count_is_refused(most: int) -> None:
    with pytest.raises(ConfigError) as caught:
        ModelRequest("x", max_tokens=most)
    assert str(caught.value) == (
        f"max_tokens is {most!r}; give a count from 1, or None to leave it to the model"
    )


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, True, "much"])
def test_a_price_that_cannot_be_meant_is_refused(bad: float) -> None:
    with pytest.raises(ConfigError, match="output_per_million_usd is"):
        Price(1.0, bad)
