"""Generated faults: each request ends in the right answer or the right failure.

What must come follows from the script alone (`fault_oracle`).  And nothing is
left of any request: no task, connection, slot, token or reservation.
"""

from __future__ import annotations

import os

import pytest
import trio
from call_probe import (
    KEY,
    NOTHING,
    Scope,
    budget,
    client,
    gate,
    left,
    model,
    request,
)
from fault_oracle import Expected, expected
from fault_script import OPEN, Answer, End, Script, Turn
from fault_server import FaultServer, Seen
from fault_strategies import SMUGGLED, VIRTUAL, Times, scripts
from hypothesis import HealthCheck, given, settings
from memory_network import MemoryNetwork, memory_network

from understudy.budgets import RunBudget
from understudy.models.asking import Asking
from understudy.providers.http import STALE, Client
from understudy.testing import run_seeded, seeds
from understudy_protocols.chat import ModelReply
from understudy_protocols.failures import ModelError
from understudy_protocols.retry import RetryConfig

MAX_BODY = 100_000

SCRIPTS = int(os.environ.get("UNDERSTUDY_FAULT_SCRIPTS", "1500"))
"""10,000 were run by hand; so many are run each time."""


async def ask(
    number: int, turn: Turn, to: Client, account: RunBudget, times: Times
) -> None:
    """Make the request of a turn, and compare."""
    through = gate()
    scope = Scope(account, RetryConfig(max_attempts=1, timeout_seconds=times.timeout))
    asking = Asking([model(to, through)], scope, shown=turn.streamed)
    outcome: ModelReply | ModelError
    try:
        outcome = await asking.answer(request(number))
    except ModelError as error:
        outcome = error
    virtual = times is VIRTUAL
    should = expected(turn, timeout=times.timeout, max_body=MAX_BODY, connects=virtual)
    _compare(outcome, should, scope)
    assert scope.holds == []
    assert scope.outside == 0
    assert len(account.ledger.open) == 0
    assert left(through, to) == NOTHING


def _compare(outcome: ModelReply | ModelError, should: Expected, scope: Scope) -> None:
    (used,) = scope.spent
    if isinstance(outcome, ModelReply):
        assert should.cause is None, should
        assert outcome.text == should.text
        assert not used.estimated
        return
    said = f"{outcome} {outcome!r} {outcome.__cause__!r} {outcome.partial}"
    assert KEY not in said
    assert SMUGGLED not in said
    assert outcome.cause is should.cause, (outcome, should)
    assert outcome.partial == should.text, should
    assert used.calls == int(should.sent)
    if should.text:
        assert used.estimated or should.cause is not None


def check_sent(server: FaultServer, script: Script) -> None:
    """A request is sent again only after a connection that had been closed."""
    dropped = {(seen.connection, seen.place) for seen in server.dropped}
    spoilt = {
        (seen.connection, seen.place + 1)
        for seen in server.seen
        if script[seen.number].answer.extra
    }
    for number in range(len(script)):
        sent = [seen for seen in server.seen if seen.number == number]
        for seen in sent[:-1]:
            assert seen.place > 1, "it was sent again after a fresh connection"
            answer = script[number].answer
            closed = answer.is_cut and answer.cut == 0 and answer.end is not End.STALL
            stale = closed and not answer.garbage and answer.delay <= STALE
            assert stale or (seen.connection, seen.place) in dropped | spoilt
        places = [(seen.connection, seen.place) for seen in sent]
        assert len(set(places)) == len(places)


async def play(script: Script, network: MemoryNetwork) -> None:
    """Play a script against a network in memory."""
    account = budget()
    to = client(network, max_body=MAX_BODY)
    async with to:
        for number, turn in enumerate(script):
            await trio.sleep(turn.pause)
            network.server.door = turn.door
            if turn.door != OPEN:
                network.server.close_idle()
                await trio.testing.wait_all_tasks_blocked()
            await ask(number, turn, to, account, VIRTUAL)
            assert to._pool is not None
            assert len(network.streams) == len(to._pool.connections) <= 1
    assert network.streams == set()
    await trio.testing.wait_all_tasks_blocked()
    # A server that would drip or wait for long sees by then that nobody listens.
    await trio.sleep(60)
    assert network.server.open == 0
    check_sent(network.server, script)


async def in_memory(script: Script) -> None:
    def answers(seen: Seen) -> Answer:
        return script[seen.number].answer

    async with memory_network(answers) as network:
        await play(script, network)


@pytest.mark.parametrize("block", range(10))
def test_a_script_of_faults_ends_as_it_must_and_leaves_nothing(block: int) -> None:
    @settings(
        max_examples=SCRIPTS // 10,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(script=scripts(), seed=seeds())
    def one(script: Script, seed: int) -> None:
        run_seeded(in_memory, script, seed=seed)

    one()
