"""Messages for an actor that is not up yet, or not again (S21, S25, S37, S67)."""

from __future__ import annotations

import pytest
import trio
from actor_probe import SEEDS, Crash, Recorder, supervising, until_quiet

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.mailbox import Overflow
from understudy_actors.names import Name
from understudy_actors.ref import Ref
from understudy_actors.supervisor import supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import SupervisorSpec
from understudy_protocols.supervision_records import ChildState


class Slow(Recorder):
    """Takes its time to get ready, and notes when it has."""

    async def setup(self, actor: Actor[object, object]) -> None:
        await trio.sleep(2)
        self._log.append(f"ready {actor.life.number}")


@pytest.mark.parametrize("by_hand", [False, True])
def test_s025_what_is_sent_before_an_actor_is_ready_is_handled_then_in_order(
    by_hand: bool,
) -> None:
    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("a")
        child = actor_child(ref, lambda: Slow(log))

        async def send() -> None:
            ref.tell_nowait("before it is started")
            await trio.sleep(1)
            await ref.tell("while it is set up")
            assert await ref.ask("asked then") == "asked then"
            assert trio.current_time() == 2

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await until_quiet()
            if by_hand:
                async with ActorSystem(supervising()) as system:
                    await system.root.start_child(child)
                    await until_quiet()
            else:
                async with ActorSystem(supervising(child)):
                    await until_quiet()
        assert log == [
            "ready 1",
            "before it is started",
            "while it is set up",
            "asked then",
        ]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s025_so_is_what_is_sent_before_it_is_ready_again() -> None:
    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("a")
        async with ActorSystem(supervising(actor_child(ref, lambda: Slow(log)))):
            for message in (Crash(), 1):
                ref.tell_nowait(message)
            await trio.sleep(1)
            for message in (2, 3):
                await ref.tell(message)
            await trio.sleep(5)
        assert log == ["ready 1", Crash(), "ready 2", 1, 2, 3]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s037_the_same_reference_is_good_for_every_life() -> None:
    async def main() -> None:
        lives: list[int] = []
        ref = Ref[object, object]("a")

        class Numbered(Recorder):
            async def setup(self, actor: Actor[object, object]) -> None:
                lives.append(actor.life.number)

        child = actor_child(ref, lambda: Numbered([]))
        async with ActorSystem(supervising(child)) as system:
            for number in range(1, 4):
                assert await ref.ask(number) == number
                ref.tell_nowait(Crash())
                await until_quiet()
            await system.root.terminate_child("a")
            await system.root.restart_child("a")
            assert await ref.ask("by hand") == "by hand"
        assert lives == [1, 2, 3, 4, 5]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


@pytest.mark.parametrize(
    ("overflow", "handled", "given_up", "sent_at"),
    [
        (Overflow.BLOCK, [1, 2, 3, 4, 5], [], 10.0),
        (Overflow.REJECT, [1, 2, 3], [4, 5], 1.0),
        (Overflow.DROP_NEW, [1, 2, 3], [4, 5], 1.0),
        (Overflow.DROP_OLD, [3, 4, 5], [1, 2], 1.0),
    ],
)
def test_s067_what_is_sent_during_a_backoff_waits_up_to_the_capacity(
    overflow: Overflow, handled: list[int], given_up: list[int], sent_at: float
) -> None:
    async def main() -> None:
        log: list[object] = []
        letters: list[DeadLetter] = []
        ref = Ref[object, object](
            "a",
            capacity=3,
            overflow=overflow,
            dead_letters=DeadLetters(letters.append),
        )
        child = actor_child(ref, lambda: Recorder(log))
        backoff = Backoff(10.0, 10.0, jitter=0.0)
        async with ActorSystem(SupervisorSpec((child,), backoff=backoff)) as system:
            ref.tell_nowait(Crash())
            await trio.sleep(1)
            assert system.root.children()[0].state is ChildState.RESTARTING
            for message in range(1, 6):
                await ref.tell(message)
            assert trio.current_time() == sent_at
            await trio.sleep_until(20)
        assert log == [Crash(), *handled]
        assert [(it.message, it.reason) for it in letters] == [
            (Crash(), "crash"),
            *((message, "overflow") for message in given_up),
        ]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s021_a_starter_that_is_cancelled_leaves_no_name_and_no_open_inbox() -> None:
    async def main() -> None:
        log: list[object] = []
        refs = [Ref[object, object](name) for name in ("a", "b")]
        quick, slow = (
            actor_child(ref, lambda kind=kind: kind(log), name=Name(ref.path))  # type: ignore[misc]
            for ref, kind in zip(refs, (Recorder, Slow), strict=True)
        )
        below = supervisor_child("S", supervising(quick, slow))
        async with ActorSystem(supervising()) as system:
            with trio.move_on_after(1) as scope:
                await system.root.start_child(below)
            assert scope.cancelled_caught
            await until_quiet()
            assert system.names.taken == ()
            assert all(ref.closed for ref in refs)
            assert [life.path for life in system.lives] == ["root"]
            await system.root.start_child(below)
            assert set(system.names.taken) == {"a", "b"}

    for seed in SEEDS:
        run_seeded(main, seed=seed)
