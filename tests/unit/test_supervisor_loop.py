"""Events are handled in the task that brings them, and nothing of that task shows."""

from __future__ import annotations

import contextvars

import pytest
import trio

from understudy.testing import run_seeded
from understudy_actors.system import ActorSystem
from understudy_protocols.restart_policy import NO_BACKOFF
from understudy_protocols.supervision import (
    ChildSpec,
    Life,
    Strategy,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import SupervisionEvent

color = contextvars.ContextVar("color", default="none")


@pytest.mark.parametrize("seed", range(5))
def test_children_begin_in_the_context_of_the_supervisor_whoever_starts_them(
    seed: int,
) -> None:
    seen: list[tuple[str, str]] = []

    async def serve(life: Life) -> None:
        name = life.path.rpartition("/")[2]
        seen.append((name, color.get()))
        color.set("red")
        life.ready()
        if name == "A" and life.number == 1:
            await trio.sleep(1)
            raise ValueError("broken")
        await life.wait_stop()

    async def main() -> None:
        children = [ChildSpec(name, serve) for name in "AB"]
        spec = SupervisorSpec(
            children, strategy=Strategy.REST_FOR_ONE, backoff=NO_BACKOFF
        )
        async with ActorSystem(spec) as system:
            color.set("blue")
            await system.root.start_child(ChildSpec("C", serve))
            await trio.sleep(2)
        assert seen == [(name, "none") for name in "ABCABC"]

    run_seeded(main, seed=seed)


def test_no_interrupt_comes_in_the_middle_of_an_event() -> None:
    protected: list[bool] = []

    def look(event: SupervisionEvent) -> None:
        protected.append(trio.lowlevel.currently_ki_protected())

    async def serve(life: Life) -> None:
        life.ready()
        await life.wait_stop()

    @trio.lowlevel.disable_ki_protection
    async def use(system: ActorSystem) -> None:
        assert not trio.lowlevel.currently_ki_protected()
        await system.root.start_child(ChildSpec("A", serve))
        await system.root.terminate_child("A")

    async def main() -> None:
        async with ActorSystem(SupervisorSpec(), on_event=look) as system:
            protected.clear()
            await use(system)
            assert protected == [True] * 4, "starting, ready, stopping, stopped"

    run_seeded(main, seed=0)
