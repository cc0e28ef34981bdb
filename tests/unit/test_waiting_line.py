"""The waiting line, against a line that is sorted anew at every turn."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
)

from understudy.engine.waiting_line import WaitingLine

PRIORITIES = st.integers(-1, 2)
TENANTS = st.sampled_from(["a", "b", "c", ""])


@attrs.frozen
class Waiter:
    number: int
    priority: int
    tenant: str


class WaitingLineMachine(RuleBasedStateMachine):
    """The model: a plain list, and for each priority the tenants in turn."""

    waiters = Bundle("waiters")

    def __init__(self) -> None:
        super().__init__()
        self.line: WaitingLine[Waiter] = WaitingLine()
        self.model: list[Waiter] = []
        self.turns: dict[int, list[str]] = {}
        self.count = 0

    @rule(target=waiters, priority=PRIORITIES, tenant=TENANTS)
    def add(self, priority: int, tenant: str) -> Waiter:
        self.count += 1
        waiter = Waiter(self.count, priority, tenant)
        self.line.add(waiter, priority, tenant)
        self.model.append(waiter)
        turns = self.turns.setdefault(priority, [])
        if tenant not in turns:
            turns.append(tenant)
        return waiter

    @rule()
    def pop(self) -> None:
        if not self.model:
            with pytest.raises(IndexError):
                self.line.pop()
            return
        priority = max(waiter.priority for waiter in self.model)
        tenant = self.turns[priority].pop(0)
        expected = next(
            waiter
            for waiter in self.model
            if (waiter.priority, waiter.tenant) == (priority, tenant)
        )
        self.model.remove(expected)
        if self.still_waits(priority, tenant):
            self.turns[priority].append(tenant)
        assert self.line.pop() is expected

    @rule(waiter=consumes(waiters))
    def remove(self, waiter: Waiter) -> None:
        there = waiter in self.model
        removed = self.line.remove(waiter, waiter.priority, waiter.tenant)
        assert removed is there
        if there:
            self.model.remove(waiter)
            if not self.still_waits(waiter.priority, waiter.tenant):
                self.turns[waiter.priority].remove(waiter.tenant)

    def still_waits(self, priority: int, tenant: str) -> bool:
        return any((w.priority, w.tenant) == (priority, tenant) for w in self.model)

    @invariant()
    def is_as_long_as_the_model(self) -> None:
        assert len(self.line) == len(self.model)


TestWaitingLine = WaitingLineMachine.TestCase


def test_tenants_take_turns_within_a_priority() -> None:
    line: WaitingLine[str] = WaitingLine()
    for number in range(3):
        line.add(f"big {number}", 0, "big")
    line.add("small", 0, "small")
    line.add("urgent", 1, "big")
    assert [line.pop() for _ in range(5)] == [
        "urgent",
        "big 0",
        "small",
        "big 1",
        "big 2",
    ]
