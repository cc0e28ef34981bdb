"""The workflows that tests of the command line run with a journal.

What they do is told to a ledger: the file that the variable LEDGER names.
"""

from __future__ import annotations

import os

import attrs
import trio

from understudy import (
    Attempt,
    Context,
    Price,
    RetryConfig,
    best_effort,
    each,
    pause,
    sequence,
    step,
)
from understudy.models.local import LocalModel

ONCE = RetryConfig(max_attempts=1)


def note(words: str) -> None:
    """Write one line into the ledger."""
    ledger = os.environ.get("LEDGER")
    if ledger is not None:
        file = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, f"{words}\n".encode())
        os.close(file)


@attrs.frozen
class Parcel:
    number: int
    text: str = ""


@step
async def take(context: Context[Parcel]) -> int:
    note(f"take {context.input.number}")
    await trio.sleep(0.01)
    return context.input.number


@step(needs=(take,))
async def pack(context: Context[Parcel]) -> str:
    note(f"pack {context.input.number}")
    await trio.sleep(0.01)
    return f"parcel {context[take]}"


packing = sequence(take, pack, name="packing")


@step(replay_safe=False, retry=ONCE)
async def send(context: Context[Parcel]) -> str:
    """The order 3 hangs: its process is killed meanwhile."""
    note(f"send {context.input.number}")
    if context.input.number == 3 and "HANG" in os.environ:
        await trio.sleep_forever()
    return "sent"


sending = sequence(take, send, name="sending")


@step(retry=ONCE)
async def check(context: Context[Parcel]) -> str:
    if context.input.text.startswith("bad"):
        raise ValueError(f"{context.input.text} text")
    return "fine"


asking = sequence(take, pause("approval", output=str), check, name="asking")


asking_otherwise = sequence(
    take, pause("approval", output=str | int), check, name="asking"
)

WORDY = "Bob's word for $HOME; ok?"

wordy = sequence(take, pause(WORDY, output=str), name="wordy")

wordy_otherwise = sequence(take, pause(WORDY, output=str | int), name="wordy")


@step
async def hang(context: Context[Parcel]) -> str:
    """It hangs, but for the order 0."""
    note(f"hang {context.input.number}")
    if context.input.number and "HANG" in os.environ:
        await trio.sleep_forever()
    return "done"


hanging = sequence(take, hang, name="hanging")

asking_late = sequence(hang, pause("approval", output=str), check, name="late")


@step
async def page(context: Context[Parcel], attempt: Attempt[None]) -> str:
    reply = await attempt.models["reader"].complete(context.input.text)
    return reply.value


@step(retry=ONCE)
async def look(context: Context[Parcel]) -> int:
    number = context.item_as(int)
    if number % 100 == 7:
        raise ValueError(f"{number} is not good")
    return number


def numbers(context: Context[Parcel]) -> tuple[int, ...]:
    return tuple(range(context.input.number))


looking = sequence(
    page,
    each(
        look,
        over=numbers,
        join=best_effort(),
        max_concurrent=10,
        name="looks",
    ),
    name="looking",
)

models = {"reader": LocalModel(str.upper, price=Price(per_call_usd=0.02))}
