"""The ledger against a naive sum."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from understudy_protocols.budget import (
    Budget,
    BudgetExceededError,
    BudgetLedger,
    Reservation,
)
from understudy_protocols.usage import Usage

usages = st.builds(
    Usage,
    calls=st.integers(0, 2),
    input_tokens=st.integers(0, 40),
    output_tokens=st.integers(0, 40),
    cost_micros=st.integers(0, 40),
)
caps = st.none() | st.integers(0, 200)


def _amounts(usage: Usage) -> tuple[int, int, int]:
    return usage.cost_micros, usage.tokens, usage.calls


@given(caps, caps, st.none() | st.integers(0, 8), st.data())
def test_spent_and_reserved_never_pass_a_cap(
    cost: int | None, tokens: int | None, calls: int | None, data: st.DataObject
) -> None:
    usd = None if cost is None else cost / 1_000_000
    ledger = BudgetLedger(Budget(usd=usd, tokens=tokens, calls=calls))
    limits = (cost, tokens, calls)
    spent = [0, 0, 0]
    open_: list[Reservation] = []
    for _ in range(data.draw(st.integers(0, 25))):
        settling: bool = data.draw(st.booleans())
        if open_ and settling:
            taken = open_.pop(data.draw(st.integers(0, len(open_) - 1)))
            share = data.draw(st.fractions(0, 1))
            actual = Usage(
                calls=int(taken.worst.calls * share),
                output_tokens=int(taken.worst.tokens * share),
                cost_micros=int(taken.worst.cost_micros * share),
            )
            ledger = ledger.settle(taken, actual)
            spent = [a + b for a, b in zip(spent, _amounts(actual), strict=True)]
        else:
            worst = data.draw(usages)
            planned = [
                sum(one)
                for one in zip(
                    spent,
                    _amounts(worst),
                    *(_amounts(taken.worst) for taken in open_),
                    strict=True,
                )
            ]
            fits = all(
                limit is None or amount <= limit
                for limit, amount in zip(limits, planned, strict=True)
            )
            try:
                ledger, reservation = ledger.reserve(worst)
            except BudgetExceededError:
                assert not fits
                continue
            assert fits
            open_.append(reservation)
        assert _amounts(ledger.spent) == tuple(spent)
        assert len(ledger.open) == len(open_)
        assert ledger.overrun is None


@given(usages, usages)
def test_an_overrun_shuts_the_ledger_for_good(worst: Usage, actual: Usage) -> None:
    ledger, reservation = BudgetLedger(Budget(usd=1, tokens=10**6, calls=99)).reserve(
        worst
    )
    ledger = ledger.settle(reservation, actual)
    over = any(a > b for a, b in zip(_amounts(actual), _amounts(worst), strict=True))
    assert (ledger.overrun is not None) is over
    try:
        ledger.reserve(Usage())
    except BudgetExceededError:
        assert over
    else:
        assert not over
