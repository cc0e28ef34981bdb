"""The denominators: the same work in plain trio, with nothing added.

Actors here are resident tasks, one for each step, with one memory channel
between two of them; they read with ``async for`` and send with ``await send``.
``send_nowait`` is measured too, and printed, but nothing is divided by it.
The garbage collector is on, as the host has it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import trio

Body = Callable[[int], Awaitable[int]]


async def no_op(message: int) -> int:
    """Do nothing, without a checkpoint."""
    return message


async def yielding(message: int) -> int:
    """Do nothing, but let others run."""
    await trio.lowlevel.checkpoint()
    return message


async def sleeping(message: int) -> int:
    """Wait as long as a quick model call takes."""
    await trio.sleep(0.05)
    return message


class ChannelActors:
    """A chain of resident actors, entered at one end and left at the other.

    Args:
      steps: how many actors; a count.
      in_line: messages that each channel holds; a count.
      nowait: whether actors send with ``send_nowait``.
    """

    def __init__(self, steps: int, in_line: int, *, nowait: bool) -> None:
        self._channels = [
            trio.open_memory_channel[int](in_line) for _ in range(steps + 1)
        ]
        self._act = _act_nowait if nowait else _act
        self._entry = self._channels[0][0]
        self._exit = self._channels[-1][1]

    def start(self, nursery: trio.Nursery) -> None:
        """Start the actors."""
        for (_, source), (target, _) in zip(
            self._channels, self._channels[1:], strict=False
        ):
            nursery.start_soon(self._act, source, target)

    async def run(self, runs: int) -> None:
        """Send *runs* messages down the chain, one after another."""
        for number in range(runs):
            await self._entry.send(number)
            await self._exit.receive()

    async def run_together(self, runs: int, together: int) -> None:
        """Send *runs* messages down the chain, *together* at a time."""
        for _ in range(runs // together):
            for number in range(together):
                await self._entry.send(number)
            for _ in range(together):
                await self._exit.receive()


async def _act(
    source: trio.MemoryReceiveChannel[int], target: trio.MemorySendChannel[int]
) -> None:
    async for message in source:
        await target.send(await no_op(message))


async def _act_nowait(
    source: trio.MemoryReceiveChannel[int], target: trio.MemorySendChannel[int]
) -> None:
    async for message in source:
        target.send_nowait(await no_op(message))


@asynccontextmanager
async def channel_actors(
    steps: int, in_line: int = 1, *, nowait: bool = False
) -> AsyncGenerator[ChannelActors]:
    """Keep a chain of actors running for the length of the block."""
    async with trio.open_nursery() as nursery:
        actors = ChannelActors(steps, in_line, nowait=nowait)
        actors.start(nursery)
        yield actors
        nursery.cancel_scope.cancel(reason="the measurement is over")


async def plain_awaits(steps: int, runs: int) -> None:
    """Await *steps* functions in a row, with a checkpoint after each."""
    for number in range(runs):
        for _ in range(steps):
            await no_op(number)
            await trio.lowlevel.checkpoint()


async def worker_pool(items: Sequence[int], limit: int, body: Body) -> list[int]:
    """Work through *items* with *limit* tasks on one iterator."""
    results = [0] * len(items)
    numbered = iter(enumerate(items))

    async def work() -> None:
        for place, item in numbered:
            results[place] = await body(item)

    async with trio.open_nursery() as nursery:
        for _ in range(limit):
            nursery.start_soon(work)
    return results


async def task_per_item(items: Sequence[int], limit: int, body: Body) -> list[int]:
    """Work through *items* with a task for each, and a limiter of *limit*."""
    results = [0] * len(items)
    limiter = trio.CapacityLimiter(limit)

    async def work(place: int, item: int) -> None:
        async with limiter:
            results[place] = await body(item)

    async with trio.open_nursery() as nursery:
        for place, item in enumerate(items):
            nursery.start_soon(work, place, item)
    return results


async def task_per_run(runs: int, steps: int, body: Body) -> None:
    """Do *runs* times *steps* steps, with a task for each run."""

    async def run(number: int) -> None:
        for _ in range(steps):
            number = await body(number)

    async with trio.open_nursery() as nursery:
        for number in range(runs):
            nursery.start_soon(run, number)


async def retry_loop(runs: int, failures: int) -> None:
    """Call a function *runs* times until it succeeds, which takes *failures* more."""

    async def attempt(number: int) -> int:
        if number <= failures:
            raise ValueError("not yet")
        return number

    for _ in range(runs):
        number = 1
        while True:
            try:
                await attempt(number)
            except ValueError:
                number += 1
            else:
                break


async def spawn_and_crash(times: int) -> None:
    """Let a task crash and start the next, *times*: the least that restarts cost."""
    crashed = trio.Event()

    async def broken() -> None:
        raise ValueError("broken")

    async def child() -> None:
        nonlocal crashed
        try:
            with trio.CancelScope(shield=True):
                await broken()
        except ValueError:
            crashed.set()

    async with trio.open_nursery() as nursery:
        for _ in range(times):
            crashed = trio.Event()
            nursery.start_soon(child)
            await crashed.wait()
