"""Actors that do next to nothing, as a user of the actor layer would write them."""

from __future__ import annotations

from collections.abc import Iterator

from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.supervision import ChildSpec, Strategy, SupervisorSpec


class Echo(Behaviour[int, int]):
    """Answers with what it was sent."""

    async def handle(self, message: int, actor: Actor[int, int]) -> int:
        return message


EchoRef = Ref[int, int]


def refs(count: int) -> Iterator[EchoRef]:
    """Return the addresses of *count* actors that are to be."""
    return (EchoRef(f"root/echo{number}", capacity=1) for number in range(count))


def echo_child(ref: EchoRef) -> ChildSpec:
    """Return the spec of the actor behind *ref*."""
    return actor_child(ref, Echo)


async def in_order(count: int) -> None:
    """Start *count* actors, each when the one before is ready; stop them in reverse."""
    async with ActorSystem(SupervisorSpec(map(echo_child, refs(count)))):
        pass


def one_by_one() -> ActorSystem:
    """Return a system whose root takes any number of echoes, and stops them together."""
    template = echo_child(EchoRef("root/echo"))
    return ActorSystem(SupervisorSpec((template,), strategy=Strategy.DYNAMIC))


async def start_some(system: ActorSystem, count: int) -> list[EchoRef]:
    """Start *count* actors, each when the one before is ready."""
    started = list(refs(count))
    for ref in started:
        await system.root.start_child(echo_child(ref))
    return started


async def stopped_together(count: int, *, answering: bool = False) -> None:
    """Start *count* actors one by one, and stop all at once.

    Args:
      answering: whether each answers an ask in between.
    """
    async with one_by_one() as system:
        started = await start_some(system, count)
        if answering:
            for number, ref in enumerate(started):
                assert await ref.ask(number) == number
