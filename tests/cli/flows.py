"""The workflows that the tests of the command line run."""

from __future__ import annotations

import sys

import attrs
import trio
import trio.testing

from understudy import (
    Attempt,
    Context,
    FrozenMap,
    Price,
    RetryConfig,
    pause,
    sequence,
    stateful_step,
    step,
)
from understudy.models.local import LocalModel

ONCE = RetryConfig(max_attempts=1)


@attrs.frozen
class Feedback:
    text: str


@attrs.frozen
class Order:
    item: str
    count: int
    note: str | None = None


@step
async def shout(context: Context[Feedback]) -> str:
    return context.input.text.upper()


@step(needs=(shout,))
async def measure(context: Context[Feedback]) -> int:
    return len(context[shout])


shouting = sequence(shout, measure, name="shouting")


@step
async def plain_text(context: Context[str]) -> str:
    return context.input[::-1]


@step
async def total(context: Context[Order]) -> FrozenMap[str, object]:
    order = context.input
    return FrozenMap({"item": order.item, "twice": order.count * 2, "note": order.note})


@step
async def anything(context: Context[object]) -> object:
    return context.input


@step(retry=ONCE)
async def picky(context: Context[str]) -> str:
    if context.input == "bad":
        raise ValueError("bad text")
    if context.input == "hang":
        await trio.sleep_forever()
    return context.input


@step
async def first_waits(context: Context[int]) -> int:
    """The run of the number 0 waits until nothing else goes on."""
    started.append(context.input)
    if context.input == 0:
        await trio.testing.wait_all_tasks_blocked(0.05)
        return len(started)
    return context.input


started: list[int] = []


@step(retry=ONCE)
async def hang_after_three(context: Context[int]) -> int:
    """The numbers below 3 are quick; the others tell and hang."""
    if context.input >= 3:
        sys.stderr.write("hanging\n")
        sys.stderr.flush()
        await trio.sleep_forever()
    return context.input


@step
async def big(context: Context[int]) -> str:
    return "x" * 1_000


@step(retry=ONCE)
async def ask(context: Context[str], attempt: Attempt[object]) -> str:
    reply = await attempt.models["fast"].complete(context.input, max_tokens=10)
    return reply.value


@step
async def greet(context: Context[str], attempt: Attempt[str]) -> str:
    return f"{attempt.deps}, {context.input}"


class LookUp:
    """Its first two workers cannot set up."""

    made = 0

    async def setup(self) -> None:
        LookUp.made += 1
        if LookUp.made <= 2:
            raise ConnectionError("not yet")

    async def execute(self, context: Context[object], attempt: Attempt[object]) -> str:
        return "found"


class Never:
    """None of its workers can."""

    async def setup(self) -> None:
        raise ConnectionError(" ".join(["never"] * 20))

    async def execute(self, context: Context[object], attempt: Attempt[object]) -> str:
        raise AssertionError("its setup has failed")


looking_up = sequence(
    shout,
    stateful_step(LookUp, name="look_up", output=str, max_concurrent=2),
    name="looking_up",
)
never_there = stateful_step(Never, name="never_there", output=str, retry=ONCE)

approved = sequence(plain_text, pause("approval", output=str), name="approved")
approved_in_time = sequence(
    plain_text,
    pause("approval", output=str, timeout=0.01, default="silence"),
    name="approved_in_time",
)
wrong = sequence(measure, shout, name="wrong")


def _echo(text: str) -> str:
    return text.upper()


def models() -> dict[str, LocalModel]:
    return {"fast": LocalModel(_echo, price=Price(per_call_usd=0.01))}


deps = "hello"
no_workflow = 3
