"""Whoever owns something of a child is told once when the child is gone for good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from understudy.testing import run_seeded
from understudy_actors.supervisor import supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import StartFailedError
from understudy_protocols.supervision import (
    ChildSpec,
    Exit,
    ExitKind,
    Life,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import LifeState, SupervisionEvent

SEEDS = range(10)


class Boom(Exception):
    """What an owner or a child raises."""


def every_seed(main: Callable[..., Awaitable[None]], *args: object) -> None:
    for seed in SEEDS:
        run_seeded(main, *args, seed=seed)


def inner(*children: ChildSpec) -> ChildSpec:
    return supervisor_child("inner", SupervisorSpec(children))


async def serve(life: Life) -> None:
    life.ready()
    await life.wait_stop()


def test_an_owner_that_raises_is_reported_and_harms_nobody() -> None:
    async def main() -> None:
        events: list[SupervisionEvent] = []
        told: list[str] = []

        def fails(path: str, end: Exit | None) -> None:
            told.append(path)
            raise Boom

        children = [ChildSpec(name, serve, on_gone=fails) for name in ("a", "b")]
        async with ActorSystem(SupervisorSpec(children), on_event=events.append):
            pass
        assert told == ["root/b", "root/a"]
        said = [
            (event.path, event.state, event.kind)
            for event in events
            if isinstance(event.cause, Boom)
        ]
        assert said == [
            (path, LifeState.STOPPED, ExitKind.CRASH) for path in ("root/b", "root/a")
        ]

    every_seed(main)


def test_an_owner_that_raises_does_not_keep_the_others_from_being_told() -> None:
    async def main() -> None:
        told: list[tuple[str, Exit | None]] = []

        def fails(path: str, end: Exit | None) -> None:
            told.append((path, end))
            raise Boom

        async def broken(life: Life) -> None:
            raise Boom

        below = inner(*(ChildSpec(name, serve, on_gone=fails) for name in ("a", "b")))
        events: list[SupervisionEvent] = []
        with pytest.raises(StartFailedError):
            async with ActorSystem(
                SupervisorSpec((ChildSpec("first", broken), below)),
                on_event=events.append,
            ):
                pass
        assert told == [("root/inner/a", None), ("root/inner/b", None)]
        raised = [it.cause for it in events if it.path == "root/inner" and it.cause]
        assert [str(error) for error in raised] == [
            "the owners of the children of root/inner (2 sub-exceptions)"
        ]

    every_seed(main)


def test_an_owner_below_a_supervisor_that_lived_is_told_once() -> None:
    async def main() -> None:
        told: list[str] = []

        def note(path: str, end: Exit | None) -> None:
            told.append(path)

        below = inner(ChildSpec("a", serve, on_gone=note))
        async with ActorSystem(SupervisorSpec((below,))):
            assert not told
        assert told == ["root/inner/a"]

    every_seed(main)


@pytest.mark.parametrize("stop", ["asked", "killed", "stuck"])
def test_an_owner_hears_how_the_last_life_ended(stop: str) -> None:
    async def main() -> None:
        told: list[Exit | None] = []

        async def child(life: Life) -> None:
            life.ready()
            await life.wait_stop()
            with trio.CancelScope(shield=stop == "stuck"):
                await trio.sleep(0 if stop == "asked" else 50)

        def note(path: str, end: Exit | None) -> None:
            told.append(end)

        spec = ChildSpec("a", child, shutdown=1.0, on_gone=note)
        async with ActorSystem(SupervisorSpec((spec,))) as system:
            await system.root.terminate_child("a")
            (end,) = told
            assert end is not None
            asked = stop == "asked"
            assert end.kind is (ExitKind.SHUTDOWN if asked else ExitKind.KILLED)
            assert bool(end.stuck) is (stop == "stuck")
        assert len(told) == 1

    every_seed(main)
