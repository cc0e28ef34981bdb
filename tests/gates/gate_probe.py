"""What the tests of gates share."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import pytest
import trio
from call_probe import gate

from understudy.gates.gate import Gate, Ticket
from understudy.gates.limits import Limits
from understudy.gates.line import Need
from understudy.testing import run_seeded
from understudy_protocols.failures import ModelError

ONE = Need(10)
FOREVER = math.inf
seeded = pytest.mark.parametrize("seed", range(6))


def run(test: Callable[[], Awaitable[None]], seed: int = 0, defer: float = 0.0) -> None:
    run_seeded(test, seed=seed, defer=defer)


def free(limits: Limits | None = None) -> Gate:
    """Return a gate that nothing limits but what *limits* says."""
    return gate(limits=limits or Limits())


def at_rest(*gates: Gate) -> None:
    """Nothing is held any more."""
    for one in gates:
        assert (one.under_way, one.waiting) == (0, 0)
        assert one._by_key == {}
        rates = one._made
        assert rates is not None
        assert rates.requests.reserved == rates.tokens.reserved == 0
        for lock in one._locks.values():
            assert lock.breaker._probe is None


async def enter(to: Gate, latest: float = FOREVER) -> Ticket:
    return await to.enter(ONE, latest=latest)


async def refused(to: Gate, wait: float, need: Need = ONE) -> ModelError:
    """See that nobody is let in within *wait*; return what is said."""
    with pytest.raises(ModelError) as caught:
        await to.enter(need, latest=trio.current_time() + wait)
    assert caught.value.usage is not None
    assert caught.value.usage.calls == 0
    return caught.value
