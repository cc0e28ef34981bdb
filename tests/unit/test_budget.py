"""Hard budgets."""

from __future__ import annotations

import math
import pickle
from decimal import Decimal

import pytest

from understudy_protocols.budget import (
    Budget,
    BudgetExceededError,
    BudgetLedger,
    Reservation,
    micros,
)
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, classify
from understudy_protocols.usage import Usage


def test_money_is_whole_micros_as_it_was_written_and_rounded_down() -> None:
    assert micros(0.29) == 290_000
    assert micros(1.1) == 1_100_000
    assert micros(Decimal("0.0000019")) == 1
    assert Budget(usd=0.02).cost_micros == 20_000
    assert Budget().cost_micros is None


@pytest.mark.parametrize("usd", [math.nan, math.inf, "much"])
def test_what_is_no_amount_is_refused(usd: float) -> None:
    with pytest.raises(ConfigError, match="no amount of USD"):
        micros(usd)


def test_a_cap_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ConfigError, match="the budget's usd is -1"):
        Budget(usd=-1)
    for wrong in (math.nan, 1.5, True, "9"):
        told = f"the budget's calls is {wrong!r}; give a count, 0 or more, or None"
        with pytest.raises(ConfigError, match=told):
            Budget(calls=wrong)  # type: ignore[arg-type]  # what is tested  # pyright: ignore
    with pytest.raises(ConfigError, match="the budget's usd is True; give USD, 0 or"):
        Budget(usd=True)


def test_the_worst_case_is_kept_free_until_the_call_is_settled() -> None:
    ledger = BudgetLedger(Budget(usd=1.0))
    ledger, first = ledger.reserve(Usage(cost_micros=600_000))
    with pytest.raises(BudgetExceededError):
        ledger.reserve(Usage(cost_micros=400_001))
    ledger = ledger.settle(first, Usage(cost_micros=100_000))
    ledger, second = ledger.reserve(Usage(cost_micros=900_000))
    assert ledger.spent.cost_micros == 100_000
    assert ledger.reserved == second.worst


@pytest.mark.parametrize(
    ("budget", "worst", "words"),
    [
        (Budget(usd=0.02), Usage(cost_micros=30_000), "0.030000 USD"),
        (Budget(tokens=10), Usage(input_tokens=6, output_tokens=5), "11 tokens"),
        (Budget(calls=0), Usage(calls=1), "1 calls"),
    ],
)
def test_each_cap_holds_by_itself(budget: Budget, worst: Usage, words: str) -> None:
    with pytest.raises(BudgetExceededError) as caught:
        BudgetLedger(budget).reserve(worst)
    assert words in str(caught.value)
    assert classify(caught.value) is Cause.BUDGET


def test_without_caps_everything_is_granted_and_counted() -> None:
    ledger, reservation = BudgetLedger().reserve(Usage(cost_micros=10**15))
    assert ledger.settle(reservation, Usage(calls=2)).spent == Usage(calls=2)


def test_an_overrun_is_recorded_and_nothing_more_is_granted() -> None:
    ledger, one = BudgetLedger(Budget(usd=1.0, tokens=1000)).reserve(
        Usage(output_tokens=100, cost_micros=10)
    )
    ledger, two = ledger.reserve(Usage(output_tokens=100, cost_micros=10))
    ledger = ledger.settle(one, Usage(output_tokens=150, cost_micros=12))
    assert ledger.overrun == Usage(output_tokens=50, cost_micros=2)
    with pytest.raises(BudgetExceededError) as caught:
        ledger.reserve(Usage())
    assert caught.value.left == 0
    ledger = ledger.settle(two, Usage(output_tokens=101))
    assert ledger.overrun == Usage(output_tokens=51, cost_micros=2)
    assert ledger.spent.output_tokens == 251


def test_more_than_expected_of_what_has_no_cap_is_no_overrun() -> None:
    ledger, one = BudgetLedger(Budget(calls=5)).reserve(Usage(calls=1))
    assert ledger.settle(one, Usage(calls=1, output_tokens=10**6)).overrun is None


def test_a_reservation_is_settled_once() -> None:
    ledger, one = BudgetLedger().reserve(Usage(calls=1))
    settled = ledger.settle(one, Usage())
    with pytest.raises(KeyError):
        settled.settle(one, Usage())
    with pytest.raises(KeyError):
        ledger.settle(Reservation(99, Usage()), Usage())


def test_the_error_keeps_its_facts_through_pickle() -> None:
    error = BudgetExceededError("cost", 30, 10, 20)
    copied = pickle.loads(pickle.dumps(error))
    assert (copied.resource, copied.asked, copied.left, copied.cap) == error.args
    assert str(copied) == str(error)
