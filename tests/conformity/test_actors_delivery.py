"""Messages: order, bounds, lanes, deadlines, and where the lost ones go."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import trio
from actor_probe import SEEDS, Crash, Recorder, supervising, until_quiet

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Answer, Behaviour, Conduct, OnError
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.mailbox import Overflow
from understudy_actors.notices import ReceiveTimeout, Restarted
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import (
    ActorStoppedError,
    NotFrozenError,
    RuntimeFailed,
    UnhandledMessageError,
)
from understudy_protocols.restart_policy import NO_BACKOFF
from understudy_protocols.supervision import (
    Restart,
    Strategy,
    SupervisorSpec,
)


def test_s107_messages_of_one_sender_are_handled_in_order_across_restarts() -> None:
    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("a")
        child = actor_child(
            ref, lambda: Recorder(log), conduct=Conduct(redeliver=math.inf)
        )
        async with ActorSystem(supervising(child)):
            for message in (1, 2, Crash(times=3), 3, 4):
                await ref.tell(message)
            await until_quiet()
        crash = Crash(times=3)
        assert log == [1, 2, crash, crash, crash, crash, 3, 4]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s107_each_of_many_senders_keeps_its_order() -> None:
    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("a", capacity=3, overflow=Overflow.BLOCK)

        async def send(sender: int) -> None:
            for ordinal in range(10):
                await ref.tell((sender, ordinal))

        child = actor_child(ref, lambda: Recorder(log, seconds=0.1))
        async with ActorSystem(supervising(child)):
            async with trio.open_nursery() as nursery:
                for sender in range(4):
                    nursery.start_soon(send, sender)
            await trio.sleep(10)
        for sender in range(4):
            assert [m for m in log if m[0] == sender] == [  # type: ignore[index]
                (sender, ordinal) for ordinal in range(10)
            ]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s109_a_restart_keeps_what_is_queued() -> None:
    async def main() -> None:
        log: list[object] = []
        letters: list[DeadLetter] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        async with ActorSystem(supervising(actor_child(ref, lambda: Recorder(log)))):
            for message in (Crash(), 1, 2):
                ref.tell_nowait(message)
            await until_quiet()
        assert log == [Crash(), 1, 2]
        assert [(it.message, it.reason) for it in letters] == [(Crash(), "crash")]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


@pytest.mark.parametrize(
    ("redeliver", "crashes", "tries", "reasons"),
    [
        (0, 1, 1, ["crash"]),
        (2, 2, 3, []),
        (2, 5, 3, ["crash"]),
        (math.inf, 5, 6, []),
    ],
)
def test_s110_a_message_in_hand_at_a_crash_is_tried_as_often_as_declared(
    redeliver: float, crashes: int, tries: int, reasons: list[str]
) -> None:
    async def main() -> None:
        log: list[object] = []
        letters: list[DeadLetter] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        child = actor_child(
            ref, lambda: Recorder(log), conduct=Conduct(redeliver=redeliver)
        )
        async with ActorSystem(supervising(child)):
            ref.tell_nowait(Crash(times=crashes))
            ref.tell_nowait("after")
            await until_quiet()
        assert log == [Crash(times=crashes)] * tries + ["after"]
        assert [letter.reason for letter in letters] == reasons

    run_seeded(main, seed=0)


def test_s114_notices_go_before_user_messages_and_are_not_dropped() -> None:
    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("a", capacity=2, overflow=Overflow.DROP_OLD)
        for message in (1, 2, 3):
            ref.tell_nowait(message)
            ref.notify(Restarted(ref, message))
        async with ActorSystem(supervising(actor_child(ref, lambda: Recorder(log)))):
            await until_quiet()
            ref.notify(Restarted(ref, 4))
            await until_quiet()
        one, two, three, four = (Restarted(ref, number) for number in range(1, 5))
        assert log == [one, two, three, 2, 3, four]
        assert ref.dead_letters.count == 1

    run_seeded(main, seed=0)


def test_s115_a_stop_is_acted_on_within_one_message_of_a_flood() -> None:
    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("a", capacity=math.inf)

        async def flood() -> None:
            while True:
                for _ in range(100):
                    ref.tell_nowait("tick")
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            child = actor_child(ref, lambda: Recorder(log, seconds=1))
            async with ActorSystem(supervising(child)) as system:
                nursery.start_soon(flood)
                await trio.sleep(2.5)
                handled = len(log)
                await system.root.terminate_child("a")
                assert len(log) == handled
                assert trio.current_time() == 3
            nursery.cancel_scope.cancel()

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s116_a_stopped_actor_gets_nothing_and_senders_are_told() -> None:
    async def main() -> None:
        letters: list[DeadLetter] = []
        sink = DeadLetters(letters.append)
        gone = Ref[object, object]("gone", dead_letters=sink)
        ref = Ref[object, object]("a")

        class Sender(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                gone.tell_nowait("one")
                await gone.tell("two")
                with pytest.raises(ActorStoppedError, match="gone"):
                    await gone.ask("three")
                with pytest.raises(ActorStoppedError):
                    gone.tell_nowait("four", strict=True)
                gone.notify(ReceiveTimeout())
                return "sent"

        children = (
            actor_child(gone, lambda: Recorder([])),
            actor_child(ref, Sender),
        )
        async with ActorSystem(supervising(*children)) as system:
            await system.root.terminate_child("gone")
            before = trio.current_time()
            assert await ref.ask("go") == "sent"
            assert trio.current_time() == before
        assert letters == [
            DeadLetter("one", "gone", "stopped", "a"),
            DeadLetter("two", "gone", "stopped", "a"),
            DeadLetter(ReceiveTimeout(), "gone", "stopped"),
        ]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


@pytest.mark.parametrize("restart", list(Restart))
def test_s117_stopping_makes_all_that_waited_dead_letters_in_order(
    restart: Restart,
) -> None:
    async def main() -> None:
        letters: list[DeadLetter] = []
        log: list[object] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        child = actor_child(ref, lambda: Recorder(log, seconds=1), restart=restart)
        async with ActorSystem(supervising(child)):
            for message in range(5):
                ref.tell_nowait(message)
            await trio.sleep(0.5)
        assert log == [0]
        assert [(it.message, it.reason) for it in letters] == [
            (message, "stopped") for message in (1, 2, 3, 4)
        ]
        assert ref.closed

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s109_a_group_restart_keeps_what_is_queued_at_the_siblings() -> None:
    async def main() -> None:
        log: list[object] = []
        letters: list[DeadLetter] = []
        sink = DeadLetters(letters.append)
        refs = [Ref[object, object](name, dead_letters=sink) for name in ("a", "b")]
        children = [actor_child(ref, lambda: Recorder(log, 1)) for ref in refs]
        spec = SupervisorSpec(
            children, strategy=Strategy.ONE_FOR_ALL, backoff=NO_BACKOFF
        )
        async with ActorSystem(spec):
            for message in (1, 2, 3, 4):
                refs[0].tell_nowait(message)
            refs[1].tell_nowait(Crash())
            await trio.sleep(10)
        assert [entry for entry in log if entry != Crash()] == [1, 2, 3, 4]
        assert [letter.message for letter in letters] == [Crash()]

    run_seeded(main, seed=0)


def test_s117_giving_up_leaves_no_message_behind() -> None:
    async def main() -> None:
        letters: list[DeadLetter] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        child = actor_child(ref, lambda: Recorder([]))

        async def give_up() -> None:
            async with ActorSystem(supervising(child, intensity=0)):
                for message in (Crash(), 1, 2):
                    ref.tell_nowait(message)
                await trio.sleep(1)

        with pytest.raises(RuntimeFailed):
            await give_up()
        assert [letter.message for letter in letters] == [Crash(), 1, 2]

    run_seeded(main, seed=0)


def test_s117_a_temporary_actor_that_crashes_leaves_no_message_behind() -> None:
    async def main() -> None:
        letters: list[DeadLetter] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        child = actor_child(ref, lambda: Recorder([]), restart=Restart.TEMPORARY)
        async with ActorSystem(supervising(child)):
            for message in (Crash(), 1, 2):
                ref.tell_nowait(message)
            await until_quiet()
            assert [it.message for it in letters] == [Crash(), 1, 2]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s120_the_receiver_does_not_see_what_the_sender_does_later() -> None:
    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("a")
        message = {"words": ["one"]}
        async with ActorSystem(supervising(actor_child(ref, lambda: Recorder(log)))):
            ref.tell_nowait(message)
            answer = await ref.ask(message)
            message["words"].append("two")
            await until_quiet()
            assert answer == {"words": ("one",)}
        assert log == [{"words": ("one",)}] * 2

    run_seeded(main, seed=0)


def test_s120_what_can_change_and_cannot_be_frozen_is_refused() -> None:
    class Mutable:
        pass

    async def main() -> None:
        ref = Ref[object, object]("a")
        for send in (ref.tell, ref.ask):
            with pytest.raises(NotFrozenError, match=r"message.*\[1\]"):
                await send((1, Mutable()))
        with pytest.raises(NotFrozenError):
            ref.tell_nowait([Mutable()])
        assert ref.queued == 0

    run_seeded(main, seed=0)


def test_s120_refs_and_reply_addresses_may_be_sent() -> None:
    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("a")
        async with ActorSystem(supervising(actor_child(ref, lambda: Recorder(log)))):
            assert await ref.ask({"friend": ref}) == {"friend": ref}

    run_seeded(main, seed=0)


def test_s121_a_message_past_its_deadline_is_not_handled() -> None:
    async def main() -> None:
        log: list[object] = []
        letters: list[DeadLetter] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        child = actor_child(ref, lambda: Recorder(log, seconds=2))
        async with ActorSystem(supervising(child)):
            await ref.tell("first")
            await ref.tell("in time", deadline=2.5)
            await ref.tell("too late", deadline=4)
            ref.tell_nowait("patient")
            await trio.sleep(10)
        assert log == ["first", "in time", "patient"]
        assert [(it.message, it.reason) for it in letters] == [("too late", "expired")]

    run_seeded(main, seed=0)


def test_s122_a_flooding_and_a_slow_producer_both_get_through() -> None:
    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("a", capacity=64, overflow=Overflow.BLOCK)

        async def produce(name: str, count: int, checkpoints: int) -> None:
            for _ in range(count):
                await ref.tell(name)
                for _ in range(checkpoints):
                    await trio.lowlevel.checkpoint()

        async with ActorSystem(supervising(actor_child(ref, lambda: Recorder(log)))):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(produce, "flood", 2000, 0)
                nursery.start_soon(produce, "slow", 20, 3)
            await until_quiet()
        assert len(log) == 2020
        gaps = positions(log, "slow")
        assert all(
            later - earlier <= 128 for earlier, later in itertools.pairwise(gaps)
        )
        assert gaps[-1] < 2000

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def positions(log: Sequence[object], message: object) -> list[int]:
    return [index for index, entry in enumerate(log) if entry == message]


def test_s122_a_full_inbox_starves_no_other_task_for_more_than_a_quantum() -> None:
    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("a", capacity=math.inf)
        seen: list[int] = []
        async with ActorSystem(supervising(actor_child(ref, lambda: Recorder(log)))):
            for message in range(1000):
                ref.tell_nowait(message)
            while len(log) < 1000:
                await trio.lowlevel.checkpoint()
                seen.append(len(log))
        steps = [after - before for before, after in itertools.pairwise([0, *seen])]
        assert max(steps) <= 128

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s126_an_unknown_kind_of_message_is_reported_and_is_no_crash() -> None:
    async def main() -> None:
        letters: list[DeadLetter] = []
        lives: list[int] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))

        class Picky(Behaviour[object, object]):
            async def setup(self, actor: Actor[object, object]) -> None:
                lives.append(actor.life.number)

            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                return message if isinstance(message, int) else Answer.UNHANDLED

        async with ActorSystem(supervising(actor_child(ref, Picky))):
            ref.tell_nowait("word")
            with pytest.raises(UnhandledMessageError, match=r"type str"):
                await ref.ask("word")
            assert await ref.ask(1) == 1
        assert lives == [1]
        assert [letter.reason for letter in letters] == ["unhandled", "unhandled"]

    run_seeded(main, seed=0)


def test_on_error_decides_what_a_failed_message_does_to_its_actor() -> None:
    async def main() -> None:
        lives: list[int] = []
        ref = Ref[object, object]("a")

        class Failing(Behaviour[object, object]):
            async def setup(self, actor: Actor[object, object]) -> None:
                lives.append(actor.life.number)

            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                assert isinstance(message, int)
                raise [LookupError, KeyError, ValueError][message]("no")

        conduct = Conduct(
            on_error={LookupError: OnError.RESUME, KeyError: OnError.RESTART}
        )
        async with ActorSystem(supervising(actor_child(ref, Failing, conduct=conduct))):
            ref.tell_nowait(0)
            await until_quiet()
            assert lives == [1]
            assert ref.dead_letters.counts == {"failed": 1}
            ref.tell_nowait(1)  # the nearest class counts
            await until_quiet()
            assert lives == [1, 2]
            ref.tell_nowait(2)  # not listed
            await until_quiet()
            assert lives == [1, 2, 3]

    run_seeded(main, seed=0)
