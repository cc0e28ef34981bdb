"""Full mailboxes: who waits, who is refused, and what is given up (S112 to S119)."""

from __future__ import annotations

import contextlib

import pytest
import trio
from actor_probe import SEEDS, Recorder, supervising, until_quiet

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.mailbox import Mailbox, Overflow
from understudy_actors.ref import DEFAULT_TIMEOUT, Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import MailboxFullError


def test_s112_a_full_mailbox_does_as_declared() -> None:
    """Messages 3 and 4 find no room; none is lost without a trace."""

    async def main() -> None:
        for overflow, kept, given_up in (
            (Overflow.REJECT, [1, 2], [3, 4]),
            (Overflow.DROP_NEW, [1, 2], [3, 4]),
            (Overflow.DROP_OLD, [3, 4], [1, 2]),
        ):
            log: list[object] = []
            letters: list[DeadLetter] = []
            ref = Ref[object, object](
                "a",
                capacity=2,
                overflow=overflow,
                dead_letters=DeadLetters(letters.append),
            )
            for message in (1, 2, 3, 4):
                ref.tell_nowait(message)
            child = actor_child(ref, lambda log=log: Recorder(log))  # type: ignore[misc]
            async with ActorSystem(supervising(child)):
                await until_quiet()
            assert log == kept
            assert [letter.message for letter in letters] == given_up
            assert {letter.reason for letter in letters} == {"overflow"}

    run_seeded(main, seed=0)


def test_s112_a_blocking_mailbox_makes_senders_wait_in_line() -> None:
    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("a", capacity=1, overflow=Overflow.BLOCK)
        async with ActorSystem(
            supervising(actor_child(ref, lambda: Recorder(log, seconds=1)))
        ):
            started = trio.current_time()
            for message in range(5):
                await ref.tell(message)
            # One in hand, one queued: the last three waited a second each.
            assert trio.current_time() - started == 3
            await trio.sleep(10)
        assert log == [0, 1, 2, 3, 4]

    run_seeded(main, seed=0)


def test_s112_waiting_for_room_ends_at_its_timeout() -> None:
    async def main() -> None:
        letters: list[DeadLetter] = []
        ref = Ref[object, object](
            "a",
            capacity=1,
            overflow=Overflow.BLOCK,
            dead_letters=DeadLetters(letters.append),
        )
        ref.tell_nowait(1)
        await ref.tell(2, timeout=5)
        assert trio.current_time() == 5
        assert [letter.message for letter in letters] == [2]
        with pytest.raises(MailboxFullError):
            await ref.tell(3, timeout=5, strict=True)
        with pytest.raises(MailboxFullError):
            ref.tell_nowait(4, strict=True)
        assert ref.dead_letters.count == 1

    run_seeded(main, seed=0)


def test_s113_overflow_raises_only_at_a_sender_who_asked_for_it() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a", capacity=1)
        ref.tell_nowait(1)
        ref.tell_nowait(2)
        await ref.tell(3)
        assert ref.dead_letters.counts == {"overflow": 2}
        with pytest.raises(MailboxFullError):
            await ref.tell(4, strict=True)
        with pytest.raises(MailboxFullError):
            await ref.ask(5)
        # Refused at the door, so the sender has it still: no dead letter.
        assert ref.dead_letters.count == 2
        assert ref.queued == 1

    run_seeded(main, seed=0)


@pytest.mark.parametrize("overflow", list(Overflow))
def test_s118_a_send_to_oneself_never_waits(overflow: Overflow) -> None:
    async def main() -> None:
        sent: list[object] = []
        ref = Ref[object, object]("a", capacity=1, overflow=overflow)

        class Narcissus(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                sent.append(message)
                if message == 0:
                    for own in (1, 2, 3):
                        await ref.tell(own)
                return None

        async with ActorSystem(supervising(actor_child(ref, Narcissus))):
            ref.tell_nowait(0)
            await until_quiet()
        assert trio.current_time() == 0
        assert sent == [0, 3 if overflow is Overflow.DROP_OLD else 1]
        assert ref.dead_letters.counts == {"overflow": 2}

    for seed in SEEDS:
        run_seeded(main, seed=seed)


@pytest.mark.parametrize("timeout", [10.0, None])
def test_s119_two_actors_that_fill_each_other_up_wait_no_longer_than_they_say(
    timeout: float | None,
) -> None:
    async def main() -> None:
        waits: dict[str, list[float]] = {"a": [], "b": []}
        refs = [
            Ref[object, object](name, capacity=1, overflow=Overflow.BLOCK)
            for name in waits
        ]

        class Pusher(Behaviour[object, object]):
            def __init__(self, other: Ref[object, object]) -> None:
                self._other = other

            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                for _ in range(3):
                    began = trio.current_time()
                    if timeout is None:
                        await self._other.tell(message)
                    else:
                        await self._other.tell(message, timeout=timeout)
                    waits[actor.ref.path].append(trio.current_time() - began)
                return None

        children = (
            actor_child(refs[0], lambda: Pusher(refs[1])),
            actor_child(refs[1], lambda: Pusher(refs[0])),
        )
        async with ActorSystem(supervising(*children)):
            for ref in refs:
                ref.tell_nowait("push")
            await trio.sleep(65)
        for waited in waits.values():
            assert max(waited) == (DEFAULT_TIMEOUT if timeout is None else timeout)
            assert len(waited) >= 3, "it got through its first message"
        assert sum(ref.dead_letters.counts["overflow"] for ref in refs) > 1

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s118_nor_does_it_while_the_actor_is_set_up() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a", capacity=1, overflow=Overflow.BLOCK)
        handled: list[object] = []

        class Eager(Recorder):
            async def setup(self, actor: Actor[object, object]) -> None:
                for message in (1, 2):
                    await ref.tell(message)

        async with ActorSystem(supervising(actor_child(ref, lambda: Eager(handled)))):
            await until_quiet()
        assert trio.current_time() == 0
        assert handled == [1]
        assert ref.dead_letters.counts == {"overflow": 1}

    run_seeded(main, seed=0)


@pytest.mark.parametrize("overflow", list(Overflow))
def test_s112_each_policy_counts_what_found_no_room(overflow: Overflow) -> None:
    async def main() -> None:
        dropped: list[int] = []
        mailbox = Mailbox[int](
            "a", 2, overflow, lambda message, reason: dropped.append(message)
        )

        async def send(message: int) -> None:
            with contextlib.suppress(MailboxFullError):
                await mailbox.put(message)

        async with trio.open_nursery() as nursery:
            for message in range(5):
                nursery.start_soon(send, message)
                await until_quiet()
            assert mailbox.overflows == 3
            assert mailbox.blocked == (3 if overflow is Overflow.BLOCK else 0)
            expected = {Overflow.DROP_NEW: [2, 3, 4], Overflow.DROP_OLD: [0, 1, 2]}
            assert dropped == expected.get(overflow, [])
            while len(mailbox):
                mailbox.take_nowait()
                await until_quiet()

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s112_senders_that_wait_for_room_are_let_in_in_the_order_they_came() -> None:
    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("a", capacity=1, overflow=Overflow.BLOCK)
        async with (
            ActorSystem(supervising(actor_child(ref, lambda: Recorder(log, 1)))),
            trio.open_nursery() as nursery,
        ):
            for sender in "abcdefgh":
                nursery.start_soon(ref.tell, sender)
                await until_quiet()
        assert log[: len("abcdefg")] == list("abcdefg")

    for seed in SEEDS:
        run_seeded(main, seed=seed)
