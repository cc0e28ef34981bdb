"""The simulation notices what is wrong: faults are planted, one at a time."""

from __future__ import annotations

import pytest
from book import ViolationError
from planted import PLANTED
from world import Ending, simulate

PATIENCE = 400
"""Seeds after which a fault counts as not noticed; a count."""


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_noticed(fault: str) -> None:
    def search() -> None:
        for seed in range(PATIENCE):
            # Some faults show only once all is quiet.
            simulate(seed, ending=Ending.LIVENESS if seed % 2 else None)

    with PLANTED[fault](), pytest.raises(ViolationError, match="--seed"):
        search()
