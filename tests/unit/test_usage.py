"""Adding up what was used."""

from __future__ import annotations

import pytest

from understudy_protocols.usage import NO_USAGE, Usage


def test_usages_add_up_field_by_field() -> None:
    first = Usage(1, 100, 20, 50, 5, 10, 700)
    second = Usage(2, 10, 2, 5, 1, 1, 70, estimated=True)
    assert first + second == Usage(3, 110, 22, 55, 6, 11, 770, estimated=True)
    assert first + NO_USAGE == first
    assert (first.tokens, second.cost_usd) == (120, 0.00007)


def test_a_count_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="output_tokens is -1"):
        Usage(output_tokens=-1)
