"""Models behind gates that do as they are told, without a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import attrs
import trio
from call_probe import PRICE, gate

from understudy.gates.gate import Gate
from understudy.models.gated import GatedModel
from understudy_protocols.chat import (
    Finish,
    Finished,
    ModelReply,
    ModelRequest,
    Price,
    StreamEvent,
    TextDelta,
)
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.supervision import ChildSpec
from understudy_protocols.usage import Usage

COST = Usage(calls=1, input_tokens=3, output_tokens=2)


@attrs.frozen
class Say:
    """What a model does with a request.

    Args:
      what: a text to answer, a finish that makes it useless, or what it raises.
      after: before that; seconds.
      usage: what it says that it cost.
    """

    what: str | Finish | Exception = "yes"
    after: float = 0.0
    usage: Usage = COST

    def reply(self) -> ModelReply:
        """Return the reply, or raise."""
        if isinstance(self.what, Exception):
            raise self.what
        if isinstance(self.what, Finish):
            return ModelReply("no", usage=self.usage, finish=self.what)
        return ModelReply(self.what, usage=self.usage)


def fails(cause: Cause, after: float = 0.0, retry_after: float | None = None) -> Say:
    """Return a failure."""
    return Say(ModelError("no", cause=cause, retry_after=retry_after), after)


@attrs.frozen
class Sent:
    """A request that a model got."""

    at: float
    request: ModelRequest


class Told(GatedModel):
    """A model that says one thing after the other, and then the last for ever.

    Attributes:
      sent: what it was asked.
      cut: how often it was cancelled; a count.
      under_way: how many ask it now; a count.
    """

    def __init__(
        self,
        *says: Say,
        name: str = "m",
        through: Gate | None = None,
        hedge_after: float | None = None,
        fits: Callable[[ModelRequest], bool] = lambda request: True,
        max_tokens: int | None = 50,
    ) -> None:
        self.name = name
        self.price: Price | None = PRICE
        self.gate = through or gate(name)
        self.hedge_after = hedge_after
        self.max_tokens = max_tokens
        self.sent: list[Sent] = []
        self.cut = 0
        self.under_way = 0
        self._says = list(says)
        self._fits = fits

    async def complete(self, request: ModelRequest) -> ModelReply:
        return (await self._next(request)).reply()

    async def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        say = await self._next(request)
        if isinstance(say.what, str):
            for word in say.what.split():
                await trio.sleep(0.1)
                if word == "!":
                    raise ModelError("it broke off", cause=Cause.TRANSPORT)
                if word == ".":
                    return
                yield TextDelta(word)
        yield Finished(say.reply())

    async def _next(self, request: ModelRequest) -> Say:
        self.sent.append(Sent(trio.current_time(), request))
        say = self._says[0]
        if len(self._says) > 1:
            del self._says[0]
        self.under_way += 1
        try:
            await trio.sleep(say.after)
        except trio.Cancelled:
            self.cut += 1
            raise
        finally:
            self.under_way -= 1
        return say

    def can(self, request: ModelRequest) -> bool:
        return self._fits(request)

    @property
    def services(self) -> tuple[ChildSpec, ...]:
        return ()
