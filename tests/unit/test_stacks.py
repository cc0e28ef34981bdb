"""Where a task stands is told down to the line that waits, whoever steps the code."""

from __future__ import annotations

import contextvars
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
import trio

from understudy.engine.driving import drive
from understudy.testing import run_seeded
from understudy_actors.envelope import Address, Envelope, Hand, carry
from understudy_actors.stacks import stack_of


async def innermost() -> None:
    await trio.sleep(10)


async def awaited() -> None:
    await innermost()


async def carried() -> None:
    envelope = Envelope("hello", contextvars.copy_context())
    await carry(envelope, Hand(Address("a"), envelope), innermost())


async def driven() -> None:
    await drive(contextvars.copy_context(), innermost())


async def driven_twice() -> None:
    await drive(contextvars.copy_context(), carried())


async def stack_while(code: Callable[[], Awaitable[None]]) -> str:
    tasks: list[trio.lowlevel.Task] = []

    async def run() -> None:
        tasks.append(trio.lowlevel.current_task())
        await code()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.sleep(1)
        stack = stack_of(tasks[0])
        nursery.cancel_scope.cancel()
    return stack


@pytest.mark.parametrize("code", [awaited, carried, driven, driven_twice])
def test_a_stack_leads_to_the_line_that_waits(
    code: Callable[[], Awaitable[None]],
) -> None:
    stack = run_seeded(stack_while, code, seed=0)
    places = [stack.index(f"in {name}\n") for name in (code.__name__, "innermost")]
    assert places == sorted(places)
    assert stack.count("in innermost\n") == 1
    assert "await trio.sleep(10)" in stack


def test_a_stack_ends_where_an_asynchronous_generator_begins() -> None:
    async def numbers() -> AsyncGenerator[int]:
        await trio.sleep(10)
        yield 1

    async def iterates() -> None:
        await anext(numbers())

    assert "in iterates\n" in run_seeded(stack_while, iterates, seed=0)
