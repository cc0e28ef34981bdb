"""Hard budgets: the worst case is reserved before a call and settled after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from operator import attrgetter
from typing import Final

import msgspec

from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, StepError
from understudy_protocols.frozen import FrozenMap, sealed_map
from understudy_protocols.usage import NO_USAGE, Usage, is_amount


class BudgetExceededError(StepError):
    """The next call could pass the cap, so it was not made.

    Attributes:
      resource: what would run out: ``cost``, ``tokens`` or ``calls``.
      asked: what the call could use at worst; micro-USD, or a count.
      left: what is neither spent nor reserved; in the same unit.
      cap: what the budget allows in all.
    """

    def __init__(self, resource: str, asked: int, left: int, cap: int) -> None:
        super().__init__(
            _refusal(resource, asked, left, cap),
            cause=Cause.BUDGET,
        )
        self.args: tuple[object, ...] = (resource, asked, left, cap)
        self.resource = resource
        self.asked = asked
        self.left = left
        self.cap = cap


class Budget(msgspec.Struct, frozen=True):
    """How much a run, or a job, may use; what is None has no cap.

    Args:
      usd: money; USD, 0 or more, kept in whole micro-USD, rounded down.
      tokens: tokens read and written together; a count.
      calls: requests to models; a count.

    Raises:
      ConfigError: a cap is negative or no number.
    """

    usd: float | Decimal | None = None
    tokens: int | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        for name in ("usd", "tokens", "calls"):
            cap: object = getattr(self, name)
            counts = name == "usd" or type(cap) is int
            if cap is not None and not (counts and is_amount(cap)):
                what = "USD" if name == "usd" else "a count"
                raise ConfigError(
                    f"the budget's {name} is {cap!r}; give {what}, 0 or more, or None "
                    "for no cap"
                )

    @property
    def cost_micros(self) -> int | None:
        """The cap on money; micro-USD."""
        return None if self.usd is None else micros(self.usd)


def micros(usd: float | Decimal) -> int:
    """Return an amount of USD in whole micro-USD, rounded down.

    Raises:
      ConfigError: *usd* is no finite number.
    """
    try:
        # By way of text, so that 0.29 is 290,000 and not one less.
        return int((Decimal(str(usd)) * 1_000_000).to_integral_value(ROUND_FLOOR))
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise ConfigError(f"{usd!r} is no amount of USD; give a number") from error


class Reservation(msgspec.Struct, frozen=True):
    """A part of a budget put aside for one call.

    Args:
      number: tells it from the ledger's other reservations.
      worst: the most that the call can use.
    """

    number: int
    worst: Usage


class BudgetLedger(msgspec.Struct, frozen=True):
    """What of a budget is spent, reserved and left; each change makes a new one.

    What is spent and reserved together never passes a cap, as long as no call
    uses more than was reserved for it.  One that does is an overrun: it is
    recorded, and nothing more is granted.

    Args:
      budget: the caps.
      spent: the sum of what was settled.
      open: the reservations not settled yet, by number.
      overrun: by how much calls used more than was reserved, in all.
      count: how many reservations were made.
    """

    budget: Budget = Budget()
    spent: Usage = NO_USAGE
    open: FrozenMap[int, Usage] = msgspec.field(default_factory=FrozenMap[int, Usage])
    overrun: Usage | None = None
    count: int = 0

    @property
    def reserved(self) -> Usage:
        """The sum of the open reservations."""
        return sum(self.open.values(), NO_USAGE)

    def reserve(self, worst: Usage) -> tuple[BudgetLedger, Reservation]:
        """Put *worst* aside for one call.

        Raises:
          BudgetExceededError: it could pass a cap, or there was an overrun.
        """
        for resource, cap, spent, asked in _compared(self.budget, self.spent, worst):
            # Numbers alone: adding up whole usages takes as long as the rest of a
            # request when many are under way.
            used = spent + sum(map(_AMOUNT[resource], self.open.values()))
            left = 0 if self.overrun else max(0, cap - used)
            if asked > left or self.overrun:
                raise BudgetExceededError(resource, asked, left, cap)
        reservation = Reservation(self.count + 1, worst)
        opened = sealed_map({**self.open, reservation.number: worst})
        ledger = msgspec.structs.replace(self, open=opened, count=reservation.number)
        return ledger, reservation

    def settle(self, reservation: Reservation, actual: Usage) -> BudgetLedger:
        """Replace a reservation by what the call really used.

        ``Usage()`` gives all of it back.

        Raises:
          KeyError: the reservation is not open: settled before, or not of this
            ledger.
        """
        worst = self.open[reservation.number]
        rest = {n: usage for n, usage in self.open.items() if n != reservation.number}
        return msgspec.structs.replace(
            self,
            spent=self.spent + actual,
            open=sealed_map(rest),
            overrun=_added_overrun(self.overrun, self.budget, worst, actual),
        )


_AMOUNT: Final[Mapping[str, Callable[[Usage], int]]] = {
    "cost": attrgetter("cost_micros"),
    "tokens": attrgetter("tokens"),
    "calls": attrgetter("calls"),
}


def _compared(
    budget: Budget, first: Usage, second: Usage
) -> tuple[tuple[str, int, int, int], ...]:
    """Return name, cap and the two amounts of each resource that has a cap."""
    rows = (
        ("cost", budget.cost_micros, first.cost_micros, second.cost_micros),
        ("tokens", budget.tokens, first.tokens, second.tokens),
        ("calls", budget.calls, first.calls, second.calls),
    )
    return tuple((name, cap, a, b) for name, cap, a, b in rows if cap is not None)


def _added_overrun(
    before: Usage | None, budget: Budget, worst: Usage, actual: Usage
) -> Usage | None:
    over = {
        name: used - planned
        for name, _, planned, used in _compared(budget, worst, actual)
        if used > planned
    }
    if not over:
        return before
    excess = Usage(
        cost_micros=over.get("cost", 0),
        output_tokens=over.get("tokens", 0),
        calls=over.get("calls", 0),
    )
    return excess if before is None else before + excess


_USD: Final = 1_000_000


def _refusal(resource: str, asked: int, left: int, cap: int) -> str:
    if resource == "cost":
        amounts = (f"{n / _USD:.6f} USD" for n in (asked, left, cap))
    else:
        amounts = (f"{n} {resource}" for n in (asked, left, cap))
    needs, has, allowed = amounts
    return (
        f"the next call could use {needs}, and {has} of the budget's {allowed} are "
        "left; raise the budget, or ask for fewer tokens"
    )
