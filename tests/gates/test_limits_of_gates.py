"""Limits that cannot be meant are refused where they are written."""

from __future__ import annotations

import math

import pytest

from understudy.gates.limits import Limits
from understudy_protocols.errors import ConfigError

WRONG = [
    ("requests_per_minute", 0, "is 0; give a number above 0"),
    ("requests_per_minute", -1.5, "is -1.5; give a number above 0"),
    ("tokens_per_minute", math.nan, "is nan; give a number above 0"),
    ("tokens_per_minute", True, "is True; give a number above 0"),
    ("tokens_per_minute", "9", "is '9'; give a number above 0"),
    ("max_concurrent", 0, "is 0; give a count from 1"),
    ("max_concurrent", 2.0, "is 2.0; give a count from 1"),
    ("max_concurrent", True, "is True; give a count from 1"),
    ("longest_wait", -1, "is -1; give seconds, 0 or more"),
    ("longest_wait", math.nan, "is nan; give seconds, 0 or more"),
]


@pytest.mark.parametrize(("name", "value", "told"), WRONG)
def test_a_limit_that_cannot_be_meant_is_refused(
    name: str, value: object, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Limits(**{name: value})  # type: ignore[arg-type]
    assert str(caught.value) == f"{name} {told}"


def test_no_limit_and_no_wait_can_be_meant() -> None:
    Limits(requests_per_minute=math.inf, longest_wait=0)
    Limits(tokens_per_minute=0.5, max_concurrent=1, longest_wait=math.inf)
