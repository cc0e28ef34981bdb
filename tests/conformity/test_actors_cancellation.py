"""Cancelled at every checkpoint, one after the other: nothing lost, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
import trio
from actor_probe import supervising
from stepwise import SEEDS, CutAtStep, cut_at_every_step

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour, Conduct
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.incarnation import Incarnation
from understudy_actors.limiter import Limiter
from understudy_actors.mailbox import Overflow
from understudy_actors.notices import ReceiveTimeout
from understudy_actors.ref import Ref
from understudy_actors.reply import Reply
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import MailboxFullError


class Account:
    """Where each message ended up."""

    def __init__(self, overflow: Overflow) -> None:
        self.sent: list[int] = []
        self.rejected: list[int] = []
        self.handled: list[int] = []
        self.letters: list[DeadLetter] = []
        self.ref = Ref[int, int](
            "a",
            capacity=2,
            overflow=overflow,
            dead_letters=DeadLetters(self.letters.append),
        )

    async def send(self, sender: int) -> None:
        """Send four messages; one that is cut or refused counts as not sent."""
        for ordinal in range(4):
            message = sender * 10 + ordinal
            try:
                await self.ref.tell(message, strict=True)
            except MailboxFullError:
                self.rejected.append(message)
            self.sent.append(message)

    def check(self) -> None:
        lost = [letter.message for letter in self.letters]
        ends = Counter[object](self.handled + self.rejected)
        ends.update(lost)
        assert ends == Counter(self.sent)


class Steady(Behaviour[int, int]):
    """Handles a message in three checkpoints; counts it as handled at the end."""

    def __init__(self, handled: list[int]) -> None:
        self._handled = handled

    async def handle(self, message: int, actor: Actor[int, int]) -> int:
        for _ in range(2):
            await trio.lowlevel.checkpoint()
        await trio.sleep(1)
        self._handled.append(message)
        return message


@pytest.mark.parametrize("redeliver", [0, 2])
@pytest.mark.parametrize("overflow", list(Overflow))
def test_s111_the_actor_is_cut_at_each_of_its_checkpoints(
    overflow: Overflow, redeliver: int
) -> None:
    """Sent = handled + dead letters + refused; at the end nothing is queued."""

    async def scenario(step: int) -> bool:
        account = Account(overflow)
        cuts: list[CutAtStep] = []

        class Cut(Steady):
            async def setup(self, actor: Actor[int, int]) -> None:
                life = actor.life
                assert isinstance(life, Incarnation)
                if life.number == 1:
                    task = trio.lowlevel.current_task()
                    cuts.append(CutAtStep(task, step, life.kill))

        conduct = Conduct(redeliver=redeliver)
        child = actor_child(account.ref, lambda: Cut(account.handled), conduct=conduct)
        async with ActorSystem(supervising(child)):
            async with trio.open_nursery() as nursery:
                for sender in range(3):
                    nursery.start_soon(account.send, sender)
            await trio.sleep(20)
        account.check()
        return cuts[0].done

    cut_at_every_step(scenario, at_least=6)


@pytest.mark.parametrize("overflow", list(Overflow))
def test_s111_a_sender_is_cut_at_each_of_its_checkpoints(overflow: Overflow) -> None:
    async def scenario(step: int) -> bool:
        account = Account(overflow)
        cuts: list[CutAtStep] = []

        async def send() -> None:
            with trio.CancelScope() as scope:
                task = trio.lowlevel.current_task()
                cuts.append(CutAtStep(task, step, scope.cancel))
                await account.send(0)

        child = actor_child(account.ref, lambda: Steady(account.handled))
        async with ActorSystem(supervising(child)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                nursery.start_soon(account.send, 1)
            await trio.sleep(20)
        account.check()
        return cuts[0].done

    cut_at_every_step(scenario, at_least=2)


def test_s111_an_asker_is_cut_at_each_of_its_checkpoints() -> None:
    """Each answer reaches its asker, or is a dead letter; the actor lives on."""

    async def scenario(step: int) -> bool:
        account = Account(Overflow.BLOCK)
        answers: list[int] = []
        cuts: list[CutAtStep] = []

        async def ask() -> None:
            with trio.CancelScope() as scope:
                task = trio.lowlevel.current_task()
                cuts.append(CutAtStep(task, step, scope.cancel))
                for message in range(3):
                    answer = await account.ref.ask(message)
                    answers.append(answer)

        child = actor_child(account.ref, lambda: Steady(account.handled))
        async with ActorSystem(supervising(child)) as system:
            await ask()
            await trio.sleep(20)
            assert system.root.children()[0].incarnation == 1
        lost = [letter.message for letter in account.letters]
        assert answers + lost == account.handled
        assert len(lost) <= 1
        return cuts[0].done

    cut_at_every_step(scenario, at_least=3)


def test_s160_every_public_wait_raises_cancelled_at_each_of_its_checkpoints() -> None:
    """None of them swallows it: the scope always reports that it was caught."""

    async def ask_an_idle_actor() -> None:
        await Ref[int, int]("nobody").ask(1, timeout=2000)

    async def tell_a_full_actor() -> None:
        ref = Ref[int, int]("full", capacity=1, overflow=Overflow.BLOCK)
        for message in (1, 2):
            await ref.tell(message)

    async def tell() -> None:
        await Ref[int, int]("nobody").tell(1)

    async def acquire() -> None:
        limiter = Limiter(1)
        await limiter.acquire()
        await limiter.acquire()

    async def hold() -> None:
        async with Limiter(1).held(), Limiter(0).held():
            pass

    async def await_reply() -> None:
        await Reply[int]("a", None, DeadLetters()).wait()

    for wait in (
        ask_an_idle_actor,
        tell_a_full_actor,
        tell,
        acquire,
        hold,
        await_reply,
    ):

        async def scenario(
            step: int, wait: Callable[[], Awaitable[None]] = wait
        ) -> bool:
            scope = trio.CancelScope(deadline=1000)
            cut = CutAtStep(trio.lowlevel.current_task(), step, scope.cancel)
            with scope:
                await wait()
                # What was done could not be undone: the next one raises instead.
                await trio.lowlevel.checkpoint()
                return False
            assert scope.cancelled_caught
            return cut.done

        cut_at_every_step(scenario, at_least=1)


def test_s161_every_wait_is_a_checkpoint_and_no_nowait_is() -> None:
    async def main() -> None:
        ref = Ref[int, int]("a", capacity=100)
        child = actor_child(ref, lambda: Steady([]))
        async with ActorSystem(supervising(child)) as system:
            with trio.testing.assert_checkpoints():
                await ref.tell(1)
            with trio.testing.assert_checkpoints():
                await ref.ask(1)
            with trio.testing.assert_no_checkpoints():
                ref.tell_nowait(1)
                ref.notify(ReceiveTimeout())
            await system.root.terminate_child("a")
            with trio.testing.assert_checkpoints():
                await ref.tell(1)
            answered = Reply[int]("a", None, DeadLetters())
            answered.send(1)
            with trio.testing.assert_checkpoints():
                assert await answered.wait() == 1

    for seed in SEEDS:
        run_seeded(main, seed=seed)
