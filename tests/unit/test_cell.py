"""What one life of an actor leaves behind."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Generator

import pytest
import trio

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour, Conduct, OnStop
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.supervision import SupervisorSpec


@pytest.fixture
def no_collector() -> Generator[None]:
    """Let only that go away which nothing refers to, not even itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("on_stop", list(OnStop))
@pytest.mark.parametrize("breaks", [False, True])
def test_a_life_that_ended_is_part_of_no_cycle(on_stop: OnStop, breaks: bool) -> None:
    lives: list[weakref.ref[Fragile]] = []

    class Fragile(Behaviour[str, None]):
        def __init__(self) -> None:
            lives.append(weakref.ref(self))

        async def handle(self, message: str, actor: Actor[str, None]) -> None:
            if breaks:
                raise ValueError(message)

        async def teardown(self, exit: object) -> None:  # noqa: A002 # the field's own word
            await trio.lowlevel.checkpoint()

    async def main() -> None:
        ref = Ref[str, None]("root/a")
        child = actor_child(ref, Fragile, conduct=Conduct(on_stop=on_stop))
        async with ActorSystem(SupervisorSpec((child,))) as system:
            for _ in range(3):
                ref.tell_nowait("break")
                await trio.sleep(10)  # its restart counts no more
                if not breaks:
                    await system.root.terminate_child("a")
                    await system.root.restart_child("a")
            # The supervisor keeps the error that it counted last.
            assert [life() is None for life in lives] == [
                True,
                True,
                breaks is False,
                False,
            ]

    run_seeded(main, seed=0)
