"""The denominators of the actor layer: the least that an actor is in plain trio.

Such an actor is a task that reads a memory channel inside a shielded scope of
its own, says when it is ready, and says when it is gone.  It has no supervisor,
no address that outlives it, no restart, and no account of what it lost.
"""

from __future__ import annotations

from collections.abc import Iterable

import trio


class IdleActor:
    """An actor that does nothing until its channel is closed.

    Attributes:
      ready: set when it is.
      gone: set when it has ended.
    """

    __slots__ = ("_receive", "_send", "gone", "ready")

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[int](1)
        self.ready = trio.Event()
        self.gone = trio.Event()

    async def live(self) -> None:
        """Be its task."""
        with trio.CancelScope(shield=True):
            self.ready.set()
            async for _ in self._receive:
                pass
        self.gone.set()

    async def answer(self) -> None:
        """Send it one message, which it takes."""
        self._send.send_nowait(1)
        await trio.lowlevel.checkpoint()

    def stop(self) -> None:
        """Close its channel."""
        self._send.close()


async def in_order(count: int) -> None:
    """Start *count* actors, each when the one before is ready; stop them in reverse."""
    actors = list[IdleActor]()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            actor = IdleActor()
            nursery.start_soon(actor.live)
            await actor.ready.wait()
            actors.append(actor)
        for actor in reversed(actors):
            actor.stop()
            await actor.gone.wait()


async def stopped_together(count: int, *, answering: bool = False) -> None:
    """Start *count* actors one by one, and stop all at once.

    Args:
      answering: whether each takes a message in between.
    """
    actors = list[IdleActor]()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            actor = IdleActor()
            nursery.start_soon(actor.live)
            await actor.ready.wait()
            actors.append(actor)
        if answering:
            for actor in actors:
                await actor.answer()
        await stop_together(actors)


async def stop_together(actors: Iterable[IdleActor]) -> None:
    """Stop them all at once, and wait until they are gone."""
    for actor in actors:
        actor.stop()
    for actor in actors:
        await actor.gone.wait()
