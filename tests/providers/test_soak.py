"""Many requests, a third of them with faults, some given up: nothing grows."""

from __future__ import annotations

import gc
import math
import os
import random
from collections import Counter
from collections.abc import Iterator

import attrs
import trio
from call_probe import NOTHING, Scope, client, gate, left, model, request
from fault_script import After, Answer, Content, End, Framing, Kind, Terminal
from fault_server import Seen
from memory_network import MemoryNetwork, memory_network

from understudy.budgets import RunBudget
from understudy.gates.limits import Limits
from understudy.models.asking import Asking
from understudy.providers.http import Client
from understudy.providers.http_model import HttpModel
from understudy.testing import run_seeded
from understudy_protocols.budget import Budget
from understudy_protocols.failures import StepError
from understudy_protocols.retry import RetryConfig

REQUESTS = int(os.environ.get("UNDERSTUDY_SOAK_REQUESTS", "2000"))
"""Calls: 200,000 were made by hand; so many are made each time."""

CALLERS, SAMPLES = 40, 8
STREAM = Content(Kind.EVENTS, ("one ", "two ", "three"))


class Soak:
    """Callers of three models behind one client, and a server with its moods."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.outcomes: Counter[str] = Counter()
        self.objects: list[int] = []
        self.budget = RunBudget(Budget(usd=10**6))
        self.gates = [
            gate(name, Limits(max_concurrent=12, requests_per_minute=6000))
            for name in "abc"
        ]

    def answer(self, seen: Seen) -> Answer:
        """Return a good answer, or one with a fault: three in ten."""
        source = self.random
        streams = b'"stream": true' in seen.body
        good = Answer(
            content=STREAM if streams else Content(texts=("fine",)),
            framing=source.choice(list(Framing)),
            delay=source.choice([0.0, 0.1, 0.4]),
            after=source.choice([After.KEEP, After.KEEP, After.CLOSE]),
        )
        return self.fault(good) if source.random() < 0.3 else good

    def fault(self, good: Answer) -> Answer:
        source = self.random
        match source.randrange(9):
            case 0:
                wait = (("retry-after", str(source.choice([0.2, 1, 3]))),)
                return Answer(status=429, headers=wait, content=Content(Kind.ERROR))
            case 1:
                return Answer(status=source.choice([500, 503, 529]))
            case 2:
                cut = source.randrange(len(good.wire) + 1)
                end = source.choice([End.CLOSE, End.RESET])
                return attrs.evolve(good, cut=cut, end=end)
            case 3:
                return attrs.evolve(good, cut=source.randrange(150), end=End.STALL)
            case 4:
                return Answer(garbage=b"SSH-2.0\r\n\r\n")
            case 5:
                return attrs.evolve(good, after=After.DROP_NEXT)
            case 6:
                return attrs.evolve(good, piece=30, gap=0.2)
            case 7:
                nothing = attrs.evolve(STREAM, terminal=Terminal.NOTHING)
                return attrs.evolve(good, content=nothing, endless=True, gap=0.3)
            case _:
                return Answer(content=Content(Kind.HTML))

    async def caller(self, models: list[HttpModel], numbers: Iterator[int]) -> None:
        source = self.random
        for number in numbers:
            patience = source.choice([math.inf] * 9 + [source.random() * 2])
            scope = Scope(
                RunBudget(None, self.budget),
                RetryConfig(max_attempts=2, backoff_base=0.5, timeout_seconds=4),
                deadline=trio.current_time() + 20,
            )
            order = source.sample(models, 3)
            asking = Asking(order, scope, shown=source.random() < 0.4)
            outcome = "cancelled"
            with trio.move_on_after(patience):
                try:
                    await asking.answer(request(number))
                    outcome = "answered"
                except StepError as error:
                    outcome = error.cause.value
            self.outcomes[outcome] += 1
            assert (scope.holds, scope.outside) == ([], 0)
            await trio.sleep(source.random())

    def sample(self, network: MemoryNetwork, to: Client) -> None:
        """Count what there is."""
        assert to._pool is not None
        assert len(network.streams) == len(to._pool.connections) <= 36
        assert len(to._pool._lent) <= len(to._free.holders) <= 36
        network.server.seen.clear()
        network.server.dropped.clear()
        gc.collect()
        self.objects.append(len(gc.get_objects()))


async def _soak(seed: int) -> Soak:
    soak = Soak(seed)
    async with memory_network(soak.answer) as network:
        to = client(network, connections=36)
        async with to:
            models = [model(to, through) for through in soak.gates]
            models[0].hedge_after = 0.3
            numbers = iter(range(REQUESTS))

            async def watched() -> None:
                part = REQUESTS // SAMPLES
                for number in range(1, SAMPLES):
                    while sum(soak.outcomes.values()) < number * part:
                        await trio.sleep(1)
                    soak.sample(network, to)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(watched)
                for _ in range(CALLERS):
                    nursery.start_soon(soak.caller, models, numbers)
            for through in soak.gates:
                assert left(through, to) == NOTHING
            assert len(soak.budget.ledger.open) == 0
        assert network.streams == set()
    return soak


def test_nothing_grows_over_many_requests_with_faults_and_cancellations() -> None:
    soak = run_seeded(_soak, 0, seed=0, max_rounds=10**9)
    assert soak.outcomes.total() == REQUESTS
    # The simulation is no use if one kind of end never comes.
    assert soak.outcomes["answered"] > REQUESTS / 2
    assert soak.outcomes["cancelled"] > REQUESTS / 100
    # The first part fills pools and caches.
    assert max(soak.objects[1:]) - min(soak.objects[1:]) < 4000, soak.objects
