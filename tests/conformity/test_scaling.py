"""Nothing is searched: work is counted in calls, which no machine makes slower (S105, S135)."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Self

import pytest
import trio

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.supervision import (
    ChildSpec,
    Life,
    Restart,
    Strategy,
    SupervisorSpec,
)


class Calls:
    """Counts the calls, also those of built-in functions, made inside its block."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        gc.collect()
        gc.disable()  # its callbacks are calls too, and come when they like
        sys.setprofile(self._note)
        return self

    def __exit__(self, *exc: object) -> None:
        sys.setprofile(None)
        gc.enable()

    def _note(self, frame: FrameType, event: str, arg: object) -> None:
        if event in ("call", "c_call"):
            self.count += 1


def calls_of(scene: Callable[[int, Calls], Awaitable[None]], size: int) -> int:
    """Return how many calls *scene* counts at this size."""
    calls = Calls()
    run_seeded(scene, size, calls, seed=0)
    return calls.count


async def ready(life: Life) -> None:
    life.ready()
    await life.wait_stop()


def dynamic() -> tuple[ChildSpec, SupervisorSpec]:
    template = ChildSpec("T", ready, restart=Restart.TEMPORARY)
    return template, SupervisorSpec((template,), strategy=Strategy.DYNAMIC)


async def start_and_stop(size: int, calls: Calls) -> None:
    template, spec = dynamic()
    with calls:
        async with ActorSystem(spec) as system:
            for number in range(size):
                await system.root.start_child(template.named(f"c{number}"))


async def start_and_stop_in_order(size: int, calls: Calls) -> None:
    children = [ChildSpec(f"c{number}", ready) for number in range(size)]
    spec = SupervisorSpec(children, strategy=Strategy.REST_FOR_ONE)
    with calls:
        async with ActorSystem(spec):
            pass


async def list_them(size: int, calls: Calls) -> None:
    template, spec = dynamic()
    async with ActorSystem(spec) as system:
        for number in range(size):
            await system.root.start_child(template.named(f"c{number}"))
        with calls:
            assert len(system.root.children()) == size
            assert system.root.count().active == size


@pytest.mark.parametrize(
    ("scene", "size"),
    [(start_and_stop, 1_000), (start_and_stop_in_order, 300), (list_them, 300)],
)
def test_s105_ten_times_the_children_are_ten_times_the_work(
    scene: Callable[[int, Calls], Awaitable[None]], size: int
) -> None:
    few, many = calls_of(scene, size), calls_of(scene, 10 * size)
    assert 9 * few < many < 11 * few


async def ask_beside_a_queue(size: int, calls: Calls) -> None:
    """Ask one actor from another one that has much to do yet, and from outside."""
    busy, free = Ref[object, object]("busy", capacity=math.inf), Ref[int, int]("free")

    class Busy(Behaviour[object, object]):
        async def handle(self, message: object, actor: Actor[object, object]) -> object:
            if message == "ask":
                with calls:
                    assert await free.ask(1) == 1
                await trio.sleep(5)
            return None

    class Free(Behaviour[int, int]):
        async def handle(self, message: int, actor: Actor[int, int]) -> int:
            return message

    children = (actor_child(busy, Busy), actor_child(free, Free))
    async with ActorSystem(SupervisorSpec(children)) as system:
        busy.tell_nowait("ask")
        for number in range(size):
            busy.tell_nowait(number)
        await trio.sleep(1)
        assert busy.queued == size
        with calls:
            assert await free.ask(2) == 2
        await system.root.terminate_child("busy")


def test_s135_an_ask_is_the_same_work_beside_100_000_queued_messages() -> None:
    alone, beside = (calls_of(ask_beside_a_queue, size) for size in (0, 100_000))
    assert alone > 50, "it counts nothing"
    assert beside == alone
