"""Cancelled at every checkpoint, one after the other: nothing lost, nothing twice."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
import trio
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour, Conduct, OnStop
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.limiter import Limiter
from understudy_actors.mailbox import Overflow
from understudy_actors.ref import Ref
from understudy_actors.reply import Reply
from understudy_actors.system import ActorSystem

from understudy.testing import run_seeded
from understudy_protocols.errors import ActorStoppedError, DeliveryError
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import SupervisorSpec

SEEDS = range(3)


class CutAtStep(trio.abc.Instrument):
    """Cancels *scope* before the nth step of the task that registers."""

    def __init__(self, step: int, cut: Callable[[], None]) -> None:
        self.task: trio.lowlevel.Task | None = None
        self.done = False
        self._step = step
        self._cut = cut

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task and not self.done:
            self._step -= 1
            if self._step == 0:
                self.done = True
                # From inside the task's own step: as another task would do it.
                self._cut()


def cut_at_every_step(
    scenario: Callable[[int, int], Awaitable[bool]], *, at_least: int
) -> None:
    """Run *scenario* with a cut at step 1, 2, ... until none is left to cut."""
    for seed in SEEDS:
        step = 1
        while run_seeded(scenario, step, seed, seed=seed):
            step += 1
        assert step > at_least, "the scenario has fewer checkpoints than it should"


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

    def check(self) -> None:
        ends = Counter(self.handled)
        ends.update(self.rejected)
        ends.update(letter.message for letter in self.letters)  # type: ignore[arg-type]
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

    async def scenario(step: int, seed: int) -> bool:
        account = Account(overflow)
        ref = account.ref
        conduct = Conduct(redeliver=redeliver, on_stop=OnStop.NOW)

        class Cut(Steady):
            async def setup(self, actor: Actor[int, int]) -> None:
                if instrument.task is None:
                    instrument.task = trio.lowlevel.current_task()

        child = actor_child(ref, lambda: Cut(account.handled), conduct=conduct)
        spec = SupervisorSpec((child,), intensity=100, backoff=Backoff(0.0, 0.0))
        async with ActorSystem(spec) as system:
            instrument = CutAtStep(step, lambda: system.root_cut())  # type: ignore[attr-defined]
            raise NotImplementedError
        return instrument.done

    pytest.skip("see below")
