"""The generated faults once more, over real sockets and in real time."""

from __future__ import annotations

import os

import trio
from call_probe import budget, client
from fault_script import OPEN, Answer, Script
from fault_server import FaultServer, Seen, listening
from fault_strategies import REAL, scripts
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_fault_scripts import MAX_BODY, ask, check_sent

SCRIPTS = int(os.environ.get("UNDERSTUDY_SOCKET_SCRIPTS", "60"))
"""500 were run by hand; so many are run each time."""

AT_ONCE = 20
"""Scripts that are played side by side, each with a server of its own."""

LONGEST = 60.0
"""No batch takes longer, whatever happens; seconds."""


async def over_sockets(script: Script) -> None:
    """Play a script against a server on a real socket."""

    def answers(seen: Seen) -> Answer:
        return script[seen.number].answer

    async with listening(answers) as listener:
        account = budget()
        to = client(None, address=listener.url, max_body=MAX_BODY)
        async with to:
            for number, turn in enumerate(script):
                await trio.sleep(turn.pause)
                await listener.set_door(turn.door)
                if turn.door != OPEN:
                    listener.server.close_idle()
                    await _all_closed(listener.server)
                await ask(number, turn, to, account, REAL)
        await _all_closed(listener.server)
        check_sent(listener.server, script)


async def _all_closed(server: FaultServer) -> None:
    """Wait until no connection is open; the other end of a socket hears of it late."""
    with trio.fail_after(5):
        while server.open:
            await trio.sleep(0.01)


async def _batch(batch: list[Script]) -> None:
    with trio.fail_after(LONGEST):
        async with trio.open_nursery() as nursery:
            for script in batch:
                nursery.start_soon(over_sockets, script)


# What is found in real time cannot be made smaller: that takes too long.
@settings(
    max_examples=max(1, SCRIPTS // AT_ONCE),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.generate],
)
@given(st.lists(scripts(REAL), min_size=AT_ONCE, max_size=AT_ONCE))
def test_over_real_sockets_a_script_ends_as_it_must_too(batch: list[Script]) -> None:
    trio.run(_batch, batch)
