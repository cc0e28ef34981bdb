"""What a real server does to connections, and what is left of them."""

from __future__ import annotations

import pytest
import trio
from asking_engine import PROTOCOLS, asking
from real_engine import busy
from server_process import Server

from understudy import BoundModel, ModelReply, ModelRequest
from understudy.demo.engine_child import SLOTS

TOGETHER = 32
IN_A_ROW = 12

LONG = ModelRequest("Tell me a very long story.", max_tokens=900)


every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


@every_protocol
def test_connections_that_the_server_closes_after_a_stream_cost_no_request(
    protocol: str, engine: Server
) -> None:
    async def ask(model: BoundModel) -> None:
        await model.complete("Hi.", max_tokens=1, stream=True)

    async def main() -> list[str]:
        causes = list[str]()
        async with asking(engine.address, protocol, ask) as asked:
            for _ in range(IN_A_ROW):
                failure = (await asked.run()).failure
                causes.append("" if failure is None else failure.cause.value)
        return causes

    # One token is less than a whole answer; but each got an answer at once.
    assert trio.run(main) == ["truncated"] * IN_A_ROW


@every_protocol
def test_leaving_a_stream_frees_its_slot(protocol: str, engine: Server) -> None:
    async def ask(model: BoundModel) -> ModelReply:
        return await model.reply(LONG, stream=True)

    async def writing() -> int:
        return await trio.to_thread.run_sync(busy, engine.address)

    async def main() -> None:
        async with asking(engine.address, protocol, ask) as asked:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(asked.run)
                with trio.fail_after(60):
                    while not asked.shown:
                        await trio.sleep(0.01)
                assert await writing() == 1
                nursery.cancel_scope.cancel(reason="nobody reads it any more")
            # Of the story it has told a few words, and would go on for half a minute.
            with trio.fail_after(10):
                while await writing():
                    await trio.sleep(0.05)

    trio.run(main)


@every_protocol
def test_more_requests_than_slots_are_all_answered(
    protocol: str, engine: Server
) -> None:
    async def ask(model: BoundModel) -> None:
        await model.complete("Hi.", max_tokens=1)

    async def main() -> list[str]:
        causes = list[str]()

        async def one() -> None:
            failure = (await asked.run()).failure
            causes.append("" if failure is None else failure.cause.value)

        async with (
            asking(engine.address, protocol, ask) as asked,
            trio.open_nursery() as nursery,
        ):
            for _ in range(TOGETHER):
                nursery.start_soon(one)
        return causes

    assert TOGETHER > SLOTS
    assert trio.run(main) == ["truncated"] * TOGETHER
