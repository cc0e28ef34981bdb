"""The ref at its end: closed while its actor is at work, and opened again."""

from __future__ import annotations

import math

import pytest
import trio

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Answer, Behaviour, Conduct
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import ActorStoppedError
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import Life, SupervisorSpec


class Echo(Behaviour[str, str]):
    async def handle(self, message: str, actor: Actor[str, str]) -> str | Answer:
        if message == "slow":
            await trio.sleep(5)
        if message == "both" and actor.reply is not None:
            actor.reply.send("at once")
            return Answer.LATER
        return message


def test_a_closed_ref_gives_up_the_message_in_hand_as_well() -> None:
    async def main(redeliver: float) -> None:
        letters: list[DeadLetter] = []
        ref = Ref[str, str]("a", dead_letters=DeadLetters(letters.append))
        child = actor_child(ref, Echo, conduct=Conduct(redeliver=redeliver))
        spec = SupervisorSpec((child,), backoff=Backoff(0.0, 0.0))
        async with ActorSystem(spec):
            ref.tell_nowait("slow")
            ref.tell_nowait("next")
            await trio.sleep(1)
            assert ref.close("the house is closed") == 1
            with pytest.raises(ActorStoppedError, match="the house is closed"):
                ref.tell_nowait("late", strict=True)
            assert [(it.message, it.reason) for it in letters] == [
                ("slow", "stopped"),
                ("next", "stopped"),
            ]
            # The life that was displaced ends; the next one opens the ref again.
            await trio.sleep(10)
            assert await ref.ask("hello") == "hello"
        assert len(letters) == 2

    for redeliver in (0, math.inf):
        run_seeded(main, redeliver, seed=0)


def test_closing_the_ref_of_an_idle_actor_ends_its_life() -> None:
    async def main() -> None:
        ref = Ref[str, str]("a")
        async with ActorSystem(SupervisorSpec((actor_child(ref, Echo),))) as system:
            await trio.testing.wait_all_tasks_blocked()
            assert ref.close("enough") == 0
            await trio.sleep(5)
            assert system.root.children()[0].incarnation == 2

    run_seeded(main, seed=0)


def test_an_answer_that_was_given_is_not_owed_any_more() -> None:
    async def main() -> None:
        ref = Ref[str, str]("a")
        async with ActorSystem(SupervisorSpec((actor_child(ref, Echo),))):
            assert await ref.ask("both") == "at once"
        assert ref.dead_letters.count == 0

    run_seeded(main, seed=0)


class PlainLife:
    """A life outside any system."""

    path = "alone"
    number = 1
    stopping = False

    def __init__(self) -> None:
        self._stop = trio.Event()

    def ready(self, value: object = None) -> None:
        return None

    async def wait_stop(self) -> None:
        await self._stop.wait()

    def on_stop(self, callback: object) -> None:
        self.callback = callback


def test_an_actor_needs_no_system_to_live() -> None:
    async def main() -> None:
        ref = Ref[str, str]("a")
        life: Life = PlainLife()
        with trio.move_on_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(actor_child(ref, Echo).start, life)
                assert await ref.ask("hello") == "hello"
                ref.tell_nowait("slow")
        assert ref.queued == 0
        assert ref.dead_letters.count == 0

    run_seeded(main, seed=0)
