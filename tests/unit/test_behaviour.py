"""How an actor is told to take its failures: pure decisions."""

from __future__ import annotations

import math

import pytest

from understudy_actors.behaviour import Conduct, OnError
from understudy_protocols.errors import ConfigError


def test_the_nearest_class_of_an_error_decides() -> None:
    conduct = Conduct(
        on_error={LookupError: OnError.RESUME, KeyError: OnError.ESCALATE}
    )
    assert conduct.after(KeyError()) is OnError.ESCALATE
    assert conduct.after(IndexError()) is OnError.RESUME
    assert conduct.after(ValueError()) is OnError.RESTART


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redeliver", -1),
        ("redeliver", math.nan),
        ("handler_timeout", 0),
        ("handler_timeout", math.nan),
        ("teardown_timeout", -1),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(
    name: str, value: float
) -> None:
    with pytest.raises(ConfigError, match=name):
        Conduct(**{name: value})  # type: ignore[arg-type]  # one field or another
