"""Faults put on purpose into the answers of any model, replayable from a seed.

Which request fails, and how, follows from the seed, the request's text, and how
often that text was sent before; not from the order in which requests arrive.  So
two programs that ask the same things meet the same faults, and the figures of one
seed are the same on a slow machine and on a fast one.
"""

from __future__ import annotations

import hashlib
import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import assert_never

import attrs
import trio

from understudy.models.gated import GatedModel, services_of
from understudy_protocols.chat import (
    Finish,
    Finished,
    Model,
    ModelReply,
    ModelRequest,
    Price,
    StreamEvent,
    TextDelta,
    TextPart,
)
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.supervision import ChildSpec

# A request among more than this many others that is sent again is taken for new:
# it may meet the same fault twice, and memory stays bounded.
_MAX_REQUESTS_KNOWN = 65_536


class Fault(Enum):
    """What can go wrong with one answer."""

    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    TRANSPORT = "transport"
    SERVER = "server"
    MALFORMED = "malformed"
    REFUSED = "refused"


@attrs.frozen
class FaultMix:
    """Which share of the requests meets which fault.

    Args:
      timeout: no answer comes; share from 0 to 1, as are all up to *refused*.
      rate_limit: the request is turned away.
      overloaded: the request is turned away, for no fault of the caller.
      transport: the connection breaks.
      server: the provider fails.
      malformed: the model answers, and breaks off in the midst of it.
      refused: the model declines.
      timeout_after: how long a request that times out takes, if nobody cuts it
        before; seconds.
      retry_after: what a rate limit asks the caller to wait; seconds, or None if it
        does not say.

    Raises:
      ConfigError: a share is no share, or they are more than 1 together.
    """

    timeout: float = 0.0
    rate_limit: float = 0.0
    overloaded: float = 0.0
    transport: float = 0.0
    server: float = 0.0
    malformed: float = 0.0
    refused: float = 0.0
    timeout_after: float = 30.0
    retry_after: float | None = None

    def __attrs_post_init__(self) -> None:
        for fault, share in self.shares.items():
            if not 0 <= share <= 1:
                raise ConfigError(f"{fault.value} is {share}; give a share, 0 to 1")
        # Ten shares of 0.1 are a little less or more than 1 in binary.
        if self.total > 1 + 1e-9:
            raise ConfigError(f"the shares of the faults are {self.total:g} together")
        if not self.timeout_after >= 0:
            raise ConfigError(f"timeout_after is {self.timeout_after}; give seconds")

    @property
    def shares(self) -> Mapping[Fault, float]:
        """The share of each fault."""
        return {
            Fault.TIMEOUT: self.timeout,
            Fault.RATE_LIMIT: self.rate_limit,
            Fault.OVERLOADED: self.overloaded,
            Fault.TRANSPORT: self.transport,
            Fault.SERVER: self.server,
            Fault.MALFORMED: self.malformed,
            Fault.REFUSED: self.refused,
        }

    @property
    def total(self) -> float:
        """The share of the requests that meet any fault."""
        return sum(self.shares.values())

    def fault_at(self, chance: float) -> Fault | None:
        """Return the fault that *chance*, 0 to below 1, falls on; None if on none."""
        for fault, share in self.shares.items():
            if chance < share:
                return fault
            chance -= share
        return None


class FaultyModel:
    """A model of which a given share of the requests fails; see `with_faults`.

    Attributes:
      name: of the model inside.
      price: of the model inside.

    Raises:
      ConfigError: the model inside has a gate, which only `with_faults` keeps.
    """

    def __init__(self, model: Model, mix: FaultMix, seed: int) -> None:
        if isinstance(model, GatedModel) and not isinstance(self, GatedModel):
            raise ConfigError(
                f"{model.name} is asked through its gate only; make it faulty by "
                "with_faults(...), which keeps the gate"
            )
        self.name: str = model.name
        self.price: Price | None = model.price
        self._model = model
        self._mix = mix
        self._seed = seed
        self._sent: OrderedDict[bytes, int] = OrderedDict()
        self._met = dict.fromkeys(Fault, 0)

    @property
    def services(self) -> tuple[ChildSpec, ...]:
        """The actors that the model inside needs."""
        return services_of(self._model)

    @property
    def met(self) -> Mapping[Fault, int]:
        """How many requests met each fault so far."""
        return dict(self._met)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Answer as the model inside does, or fail.

        Cancellation: as of the model inside.
        Raises:
          ModelError: the request met a fault, or the model inside raised it.
        """
        fault = self._fault_for(request)
        if fault is None:
            return await self._model.complete(request)
        return await self._failed(fault, request)

    async def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        """Stream as the model inside does, or fail before anything was shown.

        Cancellation: as of the model inside.
        Raises:
          ModelError: as of `complete`.
        """
        fault = self._fault_for(request)
        if fault is None:
            events = self._model.stream(request)
            try:
                async for event in events:
                    yield event
            finally:
                # Left in the middle, a generator would close its socket some day.
                close = getattr(events, "aclose", None)
                if close is not None:
                    await close()
            return
        reply = await self._failed(fault, request)
        if reply.text:
            yield TextDelta(reply.text)
        yield Finished(reply)

    async def _failed(self, fault: Fault, request: ModelRequest) -> ModelReply:
        match fault:
            case Fault.MALFORMED:
                return _broken_off(await self._model.complete(request))
            case Fault.REFUSED:
                return _declined(await self._model.complete(request))
            case Fault.TIMEOUT:
                await trio.sleep(self._mix.timeout_after)
                raise self._error("did not answer in time", Cause.TIMEOUT)
            case Fault.RATE_LIMIT:
                await trio.lowlevel.checkpoint()
                raise self._error(
                    "was asked too often", Cause.RATE_LIMIT, self._mix.retry_after
                )
            case Fault.OVERLOADED:
                await trio.lowlevel.checkpoint()
                raise self._error("has too much to do", Cause.OVERLOADED)
            case Fault.TRANSPORT:
                await trio.lowlevel.checkpoint()
                raise self._error("could not be reached", Cause.TRANSPORT)
            case Fault.SERVER:
                await trio.lowlevel.checkpoint()
                raise self._error("failed inside", Cause.SERVER)
            case _:
                assert_never(fault)

    def _error(
        self, what: str, cause: Cause, retry_after: float | None = None
    ) -> ModelError:
        return ModelError(
            f"{self.name} {what} (injected fault)",
            cause=cause,
            retry_after=retry_after,
            model=self.name,
        )

    def _fault_for(self, request: ModelRequest) -> Fault | None:
        text = hashlib.blake2b(request.text.encode(), digest_size=16).digest()
        turn = self._sent.pop(text, 0) + 1
        self._sent[text] = turn
        if len(self._sent) > _MAX_REQUESTS_KNOWN:
            self._sent.popitem(last=False)
        chance = random.Random(f"{self._seed}/{turn}/{text.hex()}").random()
        fault = self._mix.fault_at(chance)
        if fault is not None:
            self._met[fault] += 1
        return fault


class _FaultyGated(FaultyModel, GatedModel):
    """A faulty model behind the gate of the one inside, and all else as that one."""

    def __init__(self, model: GatedModel, mix: FaultMix, seed: int) -> None:
        super().__init__(model, mix, seed)
        self.gate = model.gate
        self.fallbacks = model.fallbacks
        self.hedge_after = model.hedge_after
        self.max_tokens = model.max_tokens
        self.context_window = model.context_window
        self.part_bounds = model.part_bounds
        self._gated = model

    def can(self, request: ModelRequest) -> bool:
        """Whether the model inside is made for such a request."""
        return self._gated.can(request)


def with_faults(
    model: Model,
    mix: FaultMix,
    random: random.Random,
) -> FaultyModel:
    """Return *model* with faults: the shares of *mix* of its requests fail.

    What stands before a model over HTTP, and what is known of it, stays: its gate,
    price, limits, fallbacks.  A fault counts there as what it would be.

    Args:
      random: one number is drawn from it, from which all faults follow.
    """
    seed = random.getrandbits(64)
    if isinstance(model, GatedModel):
        return _FaultyGated(model, mix, seed)
    return FaultyModel(model, mix, seed)


def _broken_off(reply: ModelReply) -> ModelReply:
    # Half of a JSON text does not parse, but half of a number does: hence the words
    # before it.
    text = f"Here is the answer: {reply.text[: len(reply.text) // 2]}"
    return attrs.evolve(reply, text=text, parts=(TextPart(text),))


def _declined(reply: ModelReply) -> ModelReply:
    text = "I cannot help with that."
    return attrs.evolve(
        reply,
        text=text,
        parts=(TextPart(text),),
        finish=Finish.REFUSED,
        raw_finish="injected fault",
        refusal=f"{text} (injected fault)",
    )
