"""How a handler is driven under the sender's context variables."""

from __future__ import annotations

import contextvars
import types
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any

import pytest
import trio

from understudy.testing import run_seeded
from understudy_actors.envelope import Address, Envelope, Hand, carry, current_hand

color = contextvars.ContextVar("color", default="none")


def carried(work: Coroutine[Any, Any, str]) -> Awaitable[str]:
    context = contextvars.copy_context()
    context.run(color.set, "red")
    envelope = Envelope("hello", context)
    return carry(envelope, Hand(Address("a"), envelope), work)


def test_an_address_says_what_it_is() -> None:
    assert repr(Address("root/a")) == "<Address root/a>"


def test_what_is_in_hand_is_known_inside_and_nowhere_else() -> None:
    async def work() -> str:
        hand = current_hand()
        assert hand is not None
        assert hand.chain == (hand.holder,)
        hand.over = True
        assert current_hand() is None
        return color.get()

    async def main() -> None:
        assert current_hand() is None
        assert await carried(work()) == "red"
        assert color.get() == "none"

    run_seeded(main, seed=0)


def test_awaiting_what_trio_does_not_know_is_an_error_in_the_handler() -> None:
    @types.coroutine
    def foreign() -> Generator[Any, Any, None]:
        yield "a trap of another library"

    async def work() -> str:
        with pytest.raises(TypeError, match="trio"):
            await foreign()
        await trio.lowlevel.checkpoint()
        return color.get()

    async def main() -> None:
        assert await carried(work()) == "red"

    run_seeded(main, seed=0)
