"""What is wrong with an input: all of it, each with its place."""

from __future__ import annotations

import attrs
import pytest

from understudy.workflows.inputs import InputError, structure
from understudy.workflows.misfits import misfits


@attrs.frozen
class Line:
    sku: str
    count: int


@attrs.frozen
class Order:
    id: str
    lines: tuple[Line, ...]
    express: bool = False


def test_every_mistake_of_an_input_is_named_with_its_place() -> None:
    plain = {"id": 3, "lines": [{"sku": "a", "count": "2"}, {"count": 1}]}
    with pytest.raises(InputError) as caught:
        structure(plain, Order, "line 7")
    assert str(caught.value) == (
        "line 7: does not fit Order: expected str, got int @ $.id; "
        "expected int, got str @ $.lines[0].count; "
        "a required field is missing @ $.lines[1].sku"
    )


def test_a_single_mistake_keeps_the_words_of_the_decoder() -> None:
    with pytest.raises(
        InputError, match=r"Expected `bool`, got `int` - at `\$\.express`"
    ):
        structure({"id": "a", "lines": [], "express": 1}, Order, "line 7")


def test_a_whole_number_serves_where_any_number_is_declared() -> None:
    @attrs.frozen
    class Price:
        usd: float
        currency: str

    assert misfits({"usd": 1, "currency": 2}, Price) == (
        "expected str, got int @ $.currency",
    )


def test_what_cannot_be_told_is_left_to_the_decoder() -> None:
    class Opaque:
        pass

    assert misfits({}, Opaque) == ()
    assert misfits({"id": "a", "lines": []}, Order) == ()


def test_a_type_that_cattrs_refuses_leaves_the_words_of_the_decoder() -> None:
    @attrs.frozen
    class Choice:
        what: int | str
        other: int

    with pytest.raises(InputError, match="does not fit Choice"):
        structure({"what": [], "other": "x"}, Choice, "line 7")
