"""Many at a gate, with any outcome, cut anywhere: all comes back."""

from __future__ import annotations

import math
import random

import pytest
import trio
from cancelling import CancelAt
from gate_probe import at_rest, enter, free

from understudy.gates.gate import Account, Gate, Ticket
from understudy.gates.limits import Limits
from understudy.gates.line import Need
from understudy.gates.lock import Lock
from understudy.gates.retry_budget import RetryBudget
from understudy.testing import run_seeded
from understudy_protocols.failures import Cause, ModelError


class Crowd:
    """Many who ask gates that share things, with any outcome, cut at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        host, key = Lock(Cause.TRANSPORT), Lock(Cause.AUTH)
        account = Account(RetryBudget(), RetryBudget())
        self.most = [self.random.randint(1, 4) for _ in range(3)]
        self.gates = [
            Gate(
                f"m{number}",
                Limits(
                    max_concurrent=most,
                    requests_per_minute=self.random.choice([math.inf, 60, 600]),
                    tokens_per_minute=self.random.choice([math.inf, 3000]),
                ),
                host=host,
                key=key,
                account=account,
            )
            for number, most in enumerate(self.most)
        ]
        self.inside = [0, 0, 0]
        self.probing = 0
        self.let_in = 0

    async def ask(self) -> None:
        source = self.random
        place = source.randrange(3)
        to, now = self.gates[place], trio.current_time()
        await trio.sleep(source.choice([0, 0, 1, 7]))
        with trio.move_on_after(source.choice([math.inf, 0, 0.5, 5, 60])):
            try:
                ticket = await to.enter(
                    Need(source.randrange(100)),
                    latest=now + source.choice([0, 1, 30, 300]),
                    priority=source.randrange(3),
                    key=source.choice(["", f"{source.random()}"]),
                )
            except ModelError:
                return
            self.let_in += 1
            await self.inside_of(place, ticket)

    async def inside_of(self, place: int, ticket: Ticket) -> None:
        source, to = self.random, self.gates[place]
        self.inside[place] += 1
        assert self.inside[place] <= to.under_way <= self.most[place]
        opened = [lock for lock in ticket.probes if lock.breaker._opened]
        assert len(opened) == len(ticket.probes)
        try:
            await trio.sleep(source.choice([0, 0.1, 1, 20]))
            used = source.choice([None, 0, 50, 200])
            if source.random() < 0.6:
                to.succeeded(ticket, used or 0)
            else:
                cause = source.choice(list(Cause))
                wait = source.choice([None, None, 3.0, 500.0])
                to.failed(ticket, cause, wait, used)
        finally:
            self.inside[place] -= 1
            to.given_up(ticket)
            to.given_up(ticket)  # once more does nothing


async def _crowd(seed: int) -> int:
    crowd = Crowd(seed)
    async with trio.open_nursery() as nursery:
        for _ in range(60):
            nursery.start_soon(crowd.ask)
    at_rest(*crowd.gates)
    # And all of it works again, once what was closed is over.
    await trio.sleep(600)
    for to in crowd.gates:
        for _ in range(3):
            to.succeeded(await enter(to), 0)
        assert to.blocked(Need(0)) is None or to._limits.requests_per_minute < 100
    return crowd.let_in


@pytest.mark.parametrize("block", range(4))
def test_under_any_outcome_and_cancellation_all_comes_back(block: int) -> None:
    let_in = 0
    for seed in range(block * 60, block * 60 + 60):
        let_in += run_seeded(_crowd, seed, seed=seed, defer=0.1)
    assert let_in > 60 * 10


async def _cut(at: int) -> bool:
    to, cut = free(Limits(max_concurrent=1, requests_per_minute=60)), CancelAt(at)
    order: list[int] = []

    async def ask(number: int) -> None:
        scope = cut.scope if number == 2 else trio.CancelScope()
        with scope:
            ticket = await enter(to)
            try:
                order.append(number)
                await trio.sleep(1)
                to.succeeded(ticket, 10)
            finally:
                to.given_up(ticket)

    cut.start()
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(ask, number)
            await trio.testing.wait_all_tasks_blocked()
    cut.stop()
    assert [number for number in order if number != 2] == [0, 1, 3, 4]
    at_rest(to)
    return cut.came


@pytest.mark.parametrize("seed", range(3))
def test_cancelled_at_any_step_the_others_go_on_in_order(seed: int) -> None:
    at = 1
    while run_seeded(_cut, at, seed=seed):
        at += 1
    assert at > 20
