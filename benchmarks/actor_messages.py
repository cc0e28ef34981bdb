"""Rows: what a message from actor to actor costs, alone, in a burst, and asked."""

from __future__ import annotations

import math

import trio

from benchmarks.actor_workloads import EchoRef, echo_child
from benchmarks.bare_messages import Bursts, PingPong, Questions
from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Contender, Figures, Sizes, alternate, timed
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour
from understudy_actors.inbox import Inbox
from understudy_actors.mailbox import Mailbox
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.supervision import SupervisorSpec

BURST = 64

HOP = "bare: send_nowait and receive"
INBOX = "ours: the inbox alone"
ACTORS = "ours: tell_nowait between actors"

BARE_BURST = "bare: one receive for each message"
BARE_DRAINED = "bare: receive, then receive_nowait"

BARE_ASK = "bare: an event under fail_after"
ASK = "ours: ask"

REFERENCE_HOP = 4.7e-6
"""One hop on the machine on which the target of an ask was set; seconds."""


# The inbox as its consumer, the shell of an actor, uses it.


async def _take(inbox: Inbox[int]) -> int:
    while (message := inbox.take()) is None:
        await inbox.park()
    return message


def _inbox() -> Inbox[int]:
    return Inbox(Mailbox[int]("inbox", math.inf))


class _Inboxes:
    """`PingPong` and `Bursts` with inboxes in the place of channels."""

    def __init__(self) -> None:
        self._there, self._back = _inbox(), _inbox()

    async def serve(self) -> None:
        while True:
            self._back.mailbox.put_nowait(await _take(self._there))

    async def play(self, rounds: int) -> None:
        for number in range(rounds):
            self._there.mailbox.put_nowait(number)
            await _take(self._back)

    async def serve_bursts(self) -> None:
        while True:
            for _ in range(BURST):
                await _take(self._there)
            self._back.mailbox.put_nowait(BURST)

    async def send_bursts(self, bursts: int) -> None:
        for _ in range(bursts):
            for number in range(BURST):
                self._there.mailbox.put_nowait(number)
            await _take(self._back)


class _Player(Behaviour[int, None]):
    """Sends on, one less, what it is sent; nought ends the game."""

    def __init__(self, to: Ref[int, None], over: list[trio.Event]) -> None:
        self._to = to
        self._over = over

    async def handle(self, message: int, actor: Actor[int, None]) -> None:
        if message:
            self._to.tell_nowait(message - 1)
        else:
            self._over[-1].set()


class _Sink(Behaviour[int, None]):
    """Says when it has handled a whole burst."""

    def __init__(self, done: trio.MemorySendChannel[None]) -> None:
        self._left = BURST
        self._done = done

    async def handle(self, message: int, actor: Actor[int, None]) -> None:
        self._left -= 1
        if not self._left:
            self._left = BURST
            self._done.send_nowait(None)


async def _hop(sizes: Sizes) -> Figures:
    rounds = sizes.count(5_000)
    bare, inboxes = PingPong(), _Inboxes()
    one, other = Ref[int, None]("root/one"), Ref[int, None]("root/other")
    over = list[trio.Event]()
    spec = SupervisorSpec(
        (
            actor_child(one, lambda: _Player(other, over)),
            actor_child(other, lambda: _Player(one, over)),
        )
    )

    async def play() -> None:
        over.append(trio.Event())
        one.tell_nowait(2 * rounds - 1)
        await over[-1].wait()

    async with trio.open_nursery() as nursery, ActorSystem(spec):
        nursery.start_soon(bare.serve)
        nursery.start_soon(inboxes.serve)
        contenders: dict[str, Contender] = {
            HOP: lambda: timed(lambda: bare.play(rounds), 2 * rounds),
            INBOX: lambda: timed(lambda: inboxes.play(rounds), 2 * rounds),
            ACTORS: lambda: timed(play, 2 * rounds),
        }
        figures = await alternate(contenders, sizes.count(11), sizes)
        nursery.cancel_scope.cancel(reason="the measurement is over")
    return figures


async def _burst(sizes: Sizes) -> Figures:
    bursts = sizes.count(200)
    bare, drained, inboxes = Bursts(BURST), Bursts(BURST), _Inboxes()
    ref = Ref[int, None]("root/sink")
    done, taken = trio.open_memory_channel[None](1)

    async def send() -> None:
        for _ in range(bursts):
            for number in range(BURST):
                ref.tell_nowait(number)
            await taken.receive()

    spec = SupervisorSpec((actor_child(ref, lambda: _Sink(done)),))
    async with trio.open_nursery() as nursery, ActorSystem(spec):
        nursery.start_soon(bare.serve)
        nursery.start_soon(drained.serve_drained)
        nursery.start_soon(inboxes.serve_bursts)
        contenders: dict[str, Contender] = {
            BARE_BURST: lambda: timed(lambda: bare.send(bursts), bursts * BURST),
            BARE_DRAINED: lambda: timed(lambda: drained.send(bursts), bursts * BURST),
            INBOX: lambda: timed(lambda: inboxes.send_bursts(bursts), bursts * BURST),
            ACTORS: lambda: timed(send, bursts * BURST),
        }
        figures = await alternate(contenders, sizes.count(11), sizes)
        nursery.cancel_scope.cancel(reason="the measurement is over")
    return figures


async def _ask(sizes: Sizes) -> Figures:
    asks = sizes.count(5_000)
    bare, questions = PingPong(), Questions()
    ref = EchoRef("root/echo")

    async def ask() -> None:
        for number in range(asks):
            assert await ref.ask(number) == number

    async with (
        trio.open_nursery() as nursery,
        ActorSystem(SupervisorSpec((echo_child(ref),))),
    ):
        nursery.start_soon(bare.serve)
        nursery.start_soon(questions.serve)
        contenders: dict[str, Contender] = {
            HOP: lambda: timed(lambda: bare.play(asks), 2 * asks),
            BARE_ASK: lambda: timed(lambda: questions.ask(asks), asks),
            ASK: lambda: timed(ask, asks),
        }
        figures = await alternate(contenders, sizes.count(11), sizes)
        nursery.cancel_scope.cancel(reason="the measurement is over")
    return figures


HOP_ROW = Row(
    "actor-hop",
    "a message goes to and fro between two that wait for it; per hop",
    Unit.MICROSECONDS,
    (
        Claim("the inbox beside a channel", INBOX, HOP, 1.5),
        Claim("actors beside a channel", ACTORS, HOP),
    ),
    lambda sizes: trio.run(_hop, sizes),
)

BURST_ROW = Row(
    "actor-burst",
    "64 messages sent at once, to one that waits for them; per message",
    Unit.MICROSECONDS,
    (
        Claim("the inbox beside one receive", INBOX, BARE_BURST, 0.2),
        Claim("actors beside one receive", ACTORS, BARE_BURST),
        Claim("the inbox beside a channel drained", INBOX, BARE_DRAINED),
        Claim("actors beside a channel drained", ACTORS, BARE_DRAINED),
    ),
    lambda sizes: trio.run(_burst, sizes),
)

ASK_ROW = Row(
    "actor-ask",
    "an actor is asked, and answers; per ask",
    Unit.MICROSECONDS,
    (
        Claim(
            "an ask, in channel hops (16 us where a hop is 4.7 us)",
            ASK,
            HOP,
            16e-6 / REFERENCE_HOP,
        ),
        Claim("an ask beside an event under fail_after", ASK, BARE_ASK),
    ),
    lambda sizes: trio.run(_ask, sizes),
)
