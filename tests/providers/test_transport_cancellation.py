"""Giving requests up: at any moment nothing is left of them, and soon."""

from __future__ import annotations

import attrs
import pytest
import trio
from call_probe import NOTHING, Scope, budget, client, gate, left, model, request
from cancelling import CancelAt
from fault_script import After, Answer, Content, Door, Framing, Kind
from fault_server import Seen
from memory_network import memory_network

from understudy.gates.gate import Gate
from understudy.gates.limits import Limits
from understudy.models.asking import Asking
from understudy.providers.http import Client
from understudy.testing import run_seeded
from understudy_protocols.chat import Finished, TextDelta
from understudy_protocols.failures import ModelError
from understudy_protocols.retry import RetryConfig

STREAM = Content(Kind.EVENTS, ("a", "b", "c"))
DRIP = Answer(content=STREAM, framing=Framing.CHUNKED, piece=40, gap=0.3)
SCENARIOS = {
    "an answer": Answer(delay=0.5),
    "a stream": DRIP,
    "an answer that breaks off": Answer(cut=150, delay=0.5),
    "a connection that was closed": Answer(after=After.DROP_NEXT),
    "a stream with a rest": Answer(
        content=STREAM, framing=Framing.CHUNKED, endless=True, gap=0.02
    ),
    "a failure with words": Answer(status=429, piece=60, gap=0.4),
}


async def _cut(scenario: str, at: int, warm: bool, hedged: bool) -> bool:
    """Ask, and cancel at a step; return whether there were so many."""
    answer = SCENARIOS[scenario]
    account, through = budget(), gate()
    cut = CancelAt(at)
    async with memory_network(lambda seen: answer) as network:
        network.server.door = Door(delay=0.1)
        to = client(network)
        async with to:
            if warm:  # with an idle connection
                await _ask(to, through, 0, answer, hedged=False)
            cut.start()
            with cut.scope:
                await _ask(to, through, 1, answer, hedged)
            cut.stop()
            now = trio.current_time()
            assert left(through, to) == NOTHING
            assert to._pool is not None
            assert len(network.streams) == len(to._pool.connections)
            assert len(account.ledger.open) == 0
            assert trio.current_time() == now
        assert network.streams == set()
        await trio.sleep(10)
        assert network.server.open == 0
    assert trio.lowlevel.current_task().child_nurseries == []
    return cut.came


async def _ask(
    to: Client, through: Gate, number: int, answer: Answer, hedged: bool
) -> None:
    account = budget()
    scope = Scope(account, RetryConfig(max_attempts=2, backoff_base=0.5))
    asked = model(to, through)
    if hedged:
        asked.hedge_after = 0.2
    shown = answer.content.kind is Kind.EVENTS
    try:
        await Asking([asked], scope, shown=shown).answer(request(number))
    except ModelError:
        pass
    finally:
        assert scope.holds == []
        assert scope.outside == 0
        assert len(account.ledger.open) == 0


@pytest.mark.parametrize("hedged", [False, True], ids=["alone", "hedged"])
@pytest.mark.parametrize("warm", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_call_cancelled_at_any_step_leaves_nothing(
    scenario: str, warm: bool, hedged: bool
) -> None:
    at = 1
    while run_seeded(_cut, scenario, at, warm, hedged, seed=at):
        at += 1
    assert at >= 15  # the scenario does something


def _consumer_cut_at(when: float, answer: Answer) -> float:
    """Return how long a stream's connection outlives its cancelled consumer."""

    async def main() -> float:
        consumer = trio.CancelScope()

        async def consume(to: Client) -> None:
            with consumer:
                async for _ in model(to).stream(request(0)):
                    pass

        async with (
            memory_network(lambda seen: answer) as network,
            client(network) as to,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(consume, to)
            await trio.sleep(when)
            assert len(network.streams) == 1
            consumer.cancel()
            began = trio.current_time()
            while network.streams:
                await trio.sleep(0.001)
            return trio.current_time() - began

    return run_seeded(main, seed=0)


@pytest.mark.parametrize("when", [0.05, 0.31, 0.75, 1.2])
def test_a_cancelled_consumer_closes_the_socket_within_100_ms(when: float) -> None:
    assert _consumer_cut_at(when, attrs.evolve(DRIP, delay=0.1)) < 0.1


@pytest.mark.parametrize("pieces", [0, 1, 2])
def test_leaving_a_stream_early_closes_the_socket_within_100_ms(pieces: int) -> None:
    async def main() -> None:
        async with memory_network(lambda seen: DRIP) as network, client(network) as to:
            events = model(to).stream(request(0))
            for _ in range(pieces):
                assert isinstance(await anext(events), TextDelta)
            began = trio.current_time()
            await events.aclose()
            assert trio.current_time() - began < 0.1
            assert network.streams == set()
            assert left(gate(), to) == NOTHING

    run_seeded(main, seed=0)


def test_leaving_at_the_last_event_keeps_the_connection() -> None:
    answer = attrs.evolve(DRIP, piece=0)

    async def main() -> None:
        async with (
            memory_network(lambda seen: answer) as network,
            client(network) as to,
        ):
            events = model(to).stream(request(0))
            while not isinstance(await anext(events), Finished):
                pass
            await events.aclose()
            assert len(network.streams) == 1

    run_seeded(main, seed=0)


def test_those_who_wait_for_a_connection_leave_the_line_when_cancelled() -> None:
    async def main() -> None:
        async with memory_network(lambda seen: Answer(delay=5)) as network:
            to, through = client(network, connections=1), gate()
            async with to, trio.open_nursery() as nursery:
                nursery.start_soon(model(to, through).complete, request(0))
                await trio.sleep(1)
                with trio.move_on_after(1):
                    await model(to, through).complete(request(1))
                assert to._free.waiting == ()
            assert [seen.number for seen in network.server.seen] == [0]

    run_seeded(main, seed=0)


async def _seen_within(limits: Limits) -> list[Seen]:
    through = gate(limits=limits)
    async with memory_network(lambda seen: Answer(delay=1)) as network:
        async with client(network) as to, trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(_ask, to, through, number, Answer(), False)
        return network.server.seen


def test_the_gate_holds_requests_back_and_loses_none() -> None:
    seen = run_seeded(_seen_within, Limits(max_concurrent=2), seed=0)
    assert sorted(one.number for one in seen) == list(range(6))
    assert [one.at for one in seen] == pytest.approx([0, 0, 1, 1, 2, 2])
