"""Budgets as they are drawn on: a run's account, inside the runtime's.

The arithmetic is `BudgetLedger`'s, which is pure; here is only who holds it.
"""

from __future__ import annotations

import msgspec

from understudy_protocols.budget import Budget, BudgetLedger, Reservation
from understudy_protocols.errors import ConfigError
from understudy_protocols.usage import NO_USAGE, Usage


class Hold:
    """A reservation with every account that it was made in."""

    __slots__ = ("parts", "worst")

    def __init__(
        self, worst: Usage, parts: tuple[tuple[RunBudget, Reservation], ...]
    ) -> None:
        self.worst: Usage = worst
        self.parts: tuple[tuple[RunBudget, Reservation], ...] = parts

    def settle(self, actual: Usage) -> None:
        """Replace the reservation by what the call used, once."""
        parts = self.parts
        self.parts = ()
        for account, reservation in parts:
            account.ledger = account.ledger.settle(reservation, actual)


class RunBudget:
    """The account of one run, or of a whole runtime.

    Args:
      budget: the caps, if any.
      parent: the account that everything here is charged to as well.
    """

    __slots__ = ("ledger", "parent")

    def __init__(self, budget: Budget | None, parent: RunBudget | None = None) -> None:
        self.ledger: BudgetLedger = _NO_CAPS if budget is None else BudgetLedger(budget)
        self.parent: RunBudget | None = parent

    @property
    def spent(self) -> Usage:
        """What was settled so far."""
        return self.ledger.spent

    @property
    def limited(self) -> bool:
        """Whether anything has a cap here or above."""
        budget = self.ledger.budget
        here = not (budget.usd is budget.tokens is budget.calls is None)
        return here or (self.parent is not None and self.parent.limited)

    @property
    def money_capped(self) -> bool:
        """Whether money has a cap here or above."""
        here = self.ledger.budget.usd is not None
        return here or (self.parent is not None and self.parent.money_capped)

    @property
    def tokens_capped(self) -> bool:
        """Whether tokens have a cap here or above."""
        here = self.ledger.budget.tokens is not None
        return here or (self.parent is not None and self.parent.tokens_capped)

    def spent_before(self, usage: Usage) -> None:
        """Count what was spent before this process took over; not in those above."""
        if usage != NO_USAGE:
            spent = self.ledger.spent + usage
            self.ledger = msgspec.structs.replace(self.ledger, spent=spent)

    def reserve(self, worst: Usage) -> Hold:
        """Put *worst* aside in this account and all above, or in none.

        Raises:
          BudgetExceededError: it could pass a cap.
        """
        parts: list[tuple[RunBudget, Reservation]] = []
        ledgers: list[BudgetLedger] = []
        account: RunBudget | None = self
        while account is not None:
            ledger, reservation = account.ledger.reserve(worst)
            ledgers.append(ledger)
            parts.append((account, reservation))
            account = account.parent
        for (holder, _), ledger in zip(parts, ledgers, strict=True):
            holder.ledger = ledger
        return Hold(worst, tuple(parts))


_NO_CAPS = BudgetLedger(Budget())


def checked_budget(budget: Budget | None) -> Budget | None:
    """Return *budget*.

    Raises:
      ConfigError: it is something else.
    """
    if budget is not None and not isinstance(budget, Budget):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without a checker
        raise ConfigError(f"budget is {budget!r}; give a Budget(usd=, tokens=, calls=)")
    return budget
