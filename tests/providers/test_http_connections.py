"""Connections: none is lost, and one that the server had closed costs no request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import httpcore
import httpx
import pytest
import trio
from call_probe import ADDRESS, client, gate, left, model, request
from call_probe import NOTHING as NOTHING_LEFT
from fault_script import After, Answer, Content, Door, End, Framing, Kind
from fault_server import Seen
from memory_network import MemoryNetwork, memory_network

from understudy.providers.http import Client
from understudy.testing import run_seeded
from understudy_protocols.chat import Finished, ModelReply, StreamEvent
from understudy_protocols.errors import SetupError
from understudy_protocols.failures import Cause, ModelError

SLOTS, TASKS, ROUNDS = 10, 40, 40
STREAM = Content(Kind.EVENTS, ("a", "b"))
seeded = pytest.mark.parametrize("seed", range(4))


def in_memory(
    test: Callable[[MemoryNetwork], Awaitable[None]],
    answers: Callable[[Seen], Answer],
    seed: int = 0,
    defer: float = 0.0,
) -> None:
    """Run a test against a network in memory."""

    async def main() -> None:
        async with memory_network(answers) as network:
            await test(network)

    run_seeded(main, seed=seed, defer=defer)


async def streamed(to: Client, number: int) -> list[StreamEvent]:
    """Return all that the stream of a request brings."""
    return [event async for event in model(to).stream(request(number))]


# --- the slots of the pool


async def _rounds(ask: Callable[[], Awaitable[object]], lost: Callable[[], int]) -> int:
    """Let many ask at once, and cancel all as the first are answered; some rounds.

    Returns:
      How many connections were lost at the end, or as soon as all were.
    """
    for _ in range(ROUNDS):
        async with trio.open_nursery() as nursery:
            for _ in range(TASKS):
                nursery.start_soon(ask)
            await trio.sleep(1.0)
            nursery.cancel_scope.cancel()
        if lost() == SLOTS:
            break
    return lost()


def slow(seen: Seen) -> Answer:
    return Answer(delay=1.0)


@seeded
def test_httpx_loses_connections_when_requests_that_wait_are_cancelled(
    seed: int,
) -> None:
    """Why no request ever waits within the pool.  If this fails, that can go."""

    async def main(network: MemoryNetwork) -> None:
        transport = httpx.AsyncHTTPTransport()
        transport._pool = httpcore.AsyncConnectionPool(
            max_connections=SLOTS, network_backend=network
        )
        async with httpx.AsyncClient(transport=transport, timeout=None) as bare:

            async def ask() -> None:
                await bare.post(ADDRESS, json={"number": 0})

            def lost() -> int:
                pool = transport._pool.connections
                return sum(not connection.is_idle() for connection in pool)

            assert await _rounds(ask, lost) == SLOTS
            # Nobody holds one of them, and nobody will ever get one.
            with pytest.raises(httpx.PoolTimeout):
                await bare.post(
                    ADDRESS, json={"number": 0}, timeout=httpx.Timeout(None, pool=600)
                )

    in_memory(main, slow, seed, defer=0.3)


@seeded
def test_no_connection_is_lost_when_requests_that_wait_are_cancelled(
    seed: int,
) -> None:
    async def main(network: MemoryNetwork) -> None:
        to, through = client(network, connections=SLOTS), gate()
        async with to:
            asked = model(to, through)

            async def ask() -> ModelReply:
                return await asked.complete(request(0))

            assert await _rounds(ask, lambda: left(through, to).busy) == 0
            assert left(through, to) == NOTHING_LEFT
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                for _ in range(SLOTS):
                    nursery.start_soon(ask)
            assert trio.current_time() - began == pytest.approx(1.0)  # all at once

    in_memory(main, slow, seed, defer=0.3)


def test_no_more_requests_are_under_way_than_were_allowed() -> None:
    most = 0

    def answers(seen: Seen) -> Answer:
        nonlocal most
        most = max(most, sum(not end.end.closed for end in network_of[0].streams))
        return Answer(delay=0.1)

    network_of: list[MemoryNetwork] = []

    async def main(network: MemoryNetwork) -> None:
        network_of.append(network)
        to = client(network, connections=SLOTS)
        async with to, trio.open_nursery() as nursery:
            for number in range(TASKS):
                nursery.start_soon(model(to).complete, request(number))
        assert trio.current_time() == pytest.approx(0.4)

    in_memory(main, answers)
    assert most == SLOTS


# --- connections that the server had closed


@seeded
@pytest.mark.parametrize("stale", [1, 2, SLOTS])
def test_a_request_on_closed_connections_is_sent_again_on_a_fresh_one(
    stale: int, seed: int
) -> None:
    """All that are idle turn out to be closed, one after the other."""

    def answers(seen: Seen) -> Answer:
        return Answer(after=After.DROP_NEXT, delay=0.01 if seen.number else 0.0)

    async def main(network: MemoryNetwork) -> None:
        to = client(network, connections=stale)
        async with to:
            async with trio.open_nursery() as nursery:
                for number in range(1, stale + 1):
                    nursery.start_soon(model(to).complete, request(number))
            assert len(network.streams) == stale
            reply = await model(to).complete(request(0))
            assert reply.text == "hello"
        sent = [seen for seen in network.server.seen if seen.number == 0]
        assert len(sent) == stale + 1
        assert len({seen.connection for seen in sent}) == stale + 1
        assert network.server.dropped == sent[:-1]
        assert sent[-1].place == 1
        assert trio.current_time() == pytest.approx(0.01)  # at once

    in_memory(main, answers, seed)


def test_a_connection_that_is_seen_to_be_closed_is_not_used() -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            await model(to).complete(request(0))
            await trio.sleep(1)
            await model(to).complete(request(1))
        assert [seen.connection for seen in network.server.seen] == [1, 2]

    in_memory(main, lambda seen: Answer(after=After.CLOSE))


def test_a_break_of_a_used_connection_counts_too() -> None:
    def answers(seen: Seen) -> Answer:
        return Answer(cut=0, end=End.RESET) if seen.place > 1 else Answer()

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            await model(to).complete(request(0))
            await model(to).complete(request(1))
        places = [(seen.connection, seen.place) for seen in network.server.seen]
        assert places == [(1, 1), (1, 2), (2, 1)]

    in_memory(main, answers)


def _fails_after_the_first(second: Answer) -> int:
    """Return how often a request is sent that gets *second* on a used connection."""

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            await model(to).complete(request(0))
            with pytest.raises(ModelError) as caught:
                await model(to).complete(request(1))
            assert caught.value.cause is Cause.TRANSPORT
            assert caught.value.usage is None  # it may have been billed
        sent.extend(seen for seen in network.server.seen if seen.number == 1)

    sent: list[Seen] = []
    in_memory(main, lambda seen: second if seen.number else Answer())
    return len(sent)


@pytest.mark.parametrize("cut", [1, 8, 17, 40])
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET])
def test_a_request_is_not_sent_again_once_its_answer_has_begun(
    cut: int, end: End
) -> None:
    assert _fails_after_the_first(Answer(cut=cut, end=end)) == 1


def test_a_request_is_not_sent_again_if_the_server_took_its_time() -> None:
    """It may have worked on it all the while."""
    assert _fails_after_the_first(Answer(cut=0, delay=2.0)) == 1
    assert _fails_after_the_first(Answer(cut=0, delay=0.5)) == 2


@pytest.mark.parametrize("end", [End.CLOSE, End.RESET])
def test_a_request_is_not_sent_again_after_a_fresh_connection(end: End) -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            with pytest.raises(ModelError) as caught:
                await model(to).complete(request(0))
            assert caught.value.cause is Cause.TRANSPORT
        assert len(network.server.seen) == 1

    in_memory(main, lambda seen: Answer(cut=0, end=end))


@pytest.mark.parametrize(
    "more",
    [
        Answer(content=Content(texts=("old",))).wire,
        Answer().wire[:20],
        b"\r\n",
        b"}",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_a_connection_over_which_more_has_come_than_the_answer_is_not_used_again(
    more: bytes,
) -> None:
    """The next request would take it for its answer, or have to be sent twice."""

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            for number in range(3):
                reply = await model(to).complete(request(number))
                assert reply.text == "hello"
                assert network.streams == set()
        sent = [(seen.connection, seen.number) for seen in network.server.seen]
        assert sent == [(1, 0), (2, 1), (3, 2)]

    in_memory(main, lambda seen: attrs.evolve(Answer(), extra=more))


# --- what becomes of a connection


@pytest.mark.parametrize("framing", [Framing.LENGTH, Framing.CHUNKED])
def test_a_connection_is_used_again_after_a_stream(framing: Framing) -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            for number in range(3):
                events = await streamed(to, number)
                assert isinstance(events[-1], Finished)
        assert {seen.connection for seen in network.server.seen} == {1}

    in_memory(main, lambda seen: Answer(content=STREAM, framing=framing))


@pytest.mark.parametrize(
    ("late", "connections"), [(0.04, {1}), (1.0, {1, 2})], ids=["soon", "late"]
)
def test_the_end_of_a_stream_is_waited_for_but_not_for_long(
    late: float, connections: set[int]
) -> None:
    answer = Answer(content=STREAM, framing=Framing.CHUNKED)
    # The chunk that ends the body comes by itself.
    answer = attrs.evolve(answer, piece=len(answer.wire) - 5, gap=late)

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            for number in range(2):
                await streamed(to, number)
            assert trio.current_time() < 0.11
        assert {seen.connection for seen in network.server.seen} == connections

    in_memory(main, lambda seen: answer)


def test_an_endless_rest_of_a_stream_is_not_read() -> None:
    endless = Answer(content=STREAM, framing=Framing.CHUNKED, endless=True)

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            await streamed(to, 0)
            assert network.streams == set()

    in_memory(main, lambda seen: endless)


def test_connections_are_shared_until_the_last_has_left() -> None:
    async def main(network: MemoryNetwork) -> None:
        to = client(network, connections=0)
        to.widen(1)
        async with to:
            async with to:
                await model(to).complete(request(0))
            assert len(network.streams) == 1
            to.widen(1)
            async with trio.open_nursery() as nursery:
                for number in range(2):
                    nursery.start_soon(model(to).complete, request(number))
        assert network.streams == set()
        assert trio.current_time() == pytest.approx(2.0)

    in_memory(main, lambda seen: Answer(delay=1.0))


def test_a_request_under_way_when_the_client_closes_fails_by_name() -> None:
    async def main(network: MemoryNetwork) -> None:
        async def ask(to: Client) -> None:
            with pytest.raises(ModelError) as caught:
                await model(to).complete(request(0))
            assert caught.value.cause is Cause.TRANSPORT

        async with trio.open_nursery() as nursery, client(network) as to:
            nursery.start_soon(ask, to)
            await trio.sleep(0.5)
        assert network.streams == set()

    in_memory(main, slow)


@pytest.mark.parametrize("seed", range(20))
def test_a_request_that_begins_while_the_client_closes_fails_by_name(
    seed: int,
) -> None:
    """It lets old connections go first; those behind them are being closed too."""

    def answers(seen: Seen) -> Answer:
        after = After.KEEP if seen.number else After.CLOSE
        return Answer(after=after, delay=0.1 * (1 + seen.number))

    async def main(network: MemoryNetwork) -> None:
        async def ask(to: Client) -> None:
            with pytest.raises((ModelError, SetupError)):
                await model(to).complete(request(9))

        async with trio.open_nursery() as nursery, client(network) as to:
            async with trio.open_nursery() as firsts:
                for number in range(3):
                    firsts.start_soon(model(to).complete, request(number))
            nursery.start_soon(ask, to)
            for _ in range(seed % 5):
                await trio.lowlevel.checkpoint()
        assert network.streams == set()

    in_memory(main, answers, seed)


def test_connecting_has_a_bound_of_its_own() -> None:
    async def main(network: MemoryNetwork) -> None:
        network.server.door = Door(delay=100.0)
        async with client(network) as to:
            with pytest.raises(ModelError) as caught:
                await model(to).complete(request(0))
            assert caught.value.cause is Cause.TRANSPORT
            assert caught.value.usage is not None
            assert caught.value.usage.calls == 0
            assert trio.current_time() == pytest.approx(5.0)
            assert left(gate(), to) == NOTHING_LEFT

    in_memory(main, slow)


def test_the_connection_used_last_is_taken_first_and_closed_ones_are_let_go() -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            async with trio.open_nursery() as nursery:
                for number in range(5):
                    nursery.start_soon(model(to).complete, request(number))
            assert len(network.streams) == 5
            used = set[int]()
            for number in range(5, 10):
                await model(to).complete(request(number))
                used.add(network.server.seen[-1].connection)
            assert len(used) == 1
            network.server.close_idle()
            await trio.sleep(1)
            await model(to).complete(request(10))
            assert to._pool is not None
            assert len(to._pool.connections) == len(network.streams) == 1

    in_memory(main, lambda seen: Answer(delay=0.1))


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_of_those_that_are_idle_only_what_the_server_has_closed_is_let_go(
    closed: int,
) -> None:
    """Be it the one used last, the one used first, or one between."""

    def answers(seen: Seen) -> Answer:
        after = After.CLOSE if seen.number == closed else After.KEEP
        return Answer(after=after, delay=0.1 * (1 + seen.number))

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            async with trio.open_nursery() as nursery:
                for number in range(3):
                    nursery.start_soon(model(to).complete, request(number))
            (gone,) = (s.connection for s in network.server.seen if s.number == closed)
            await trio.sleep(1)
            async with trio.open_nursery() as nursery:
                for number in range(3, 6):
                    nursery.start_soon(model(to).complete, request(number))
            later = {seen.connection for seen in network.server.seen[3:]}
            assert later == {1, 2, 3, 4} - {gone}
            assert len(network.streams) == 3

    in_memory(main, answers)


def test_to_find_a_connection_costs_the_same_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = list[str]()

    class Counting(httpcore.AsyncHTTPConnection):
        def has_expired(self) -> bool:
            looks.append("expired?")
            return super().has_expired()

    async def main(network: MemoryNetwork) -> None:
        async with client(network, connections=50) as to:
            assert to._pool is not None
            network_of = to._network

            def counting(origin: httpcore.Origin) -> Counting:
                return Counting(origin, network_backend=network_of)

            monkeypatch.setattr(to._pool._pool, "create_connection", counting)
            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(model(to).complete, request(number))
            looks.clear()
            await model(to).complete(request(50))
            assert len(looks) <= 2

    in_memory(main, lambda seen: Answer(delay=0.1))
