"""A workflow whose values are for the program alone, in part."""

from __future__ import annotations

from typing import Annotated, Literal

import attrs
import msgspec

from understudy import SENSITIVE, Context, RetryConfig, pause, sequence, step

ONCE = RetryConfig(max_attempts=1)


@attrs.frozen
class Account:
    user: str
    password: Annotated[str, msgspec.Meta(max_length=40), SENSITIVE]
    notes: str = ""
    kind: Annotated[Literal["person", "robot"], SENSITIVE] = "person"


@attrs.frozen
class Ticket:
    text: Annotated[str, SENSITIVE]


@step(output=Ticket)
async def sign_in(context: Context[Account]) -> Ticket:
    return Ticket(f"token of {context.input.password}")


@step(output=Account)
async def long(context: Context[Account]) -> Account:
    return attrs.evolve(context.input, notes="n" * 5000)


@step(output=str, retry=ONCE)
async def last(context: Context[Account]) -> str:
    if context.input.user == "bad":
        raise ValueError("no such user")
    return "done"


signing = sequence(sign_in, long, last, name="signing")
asking = sequence(sign_in, pause("token", output=Ticket), last, name="asking")
