"""A model with a gate before it, and what is done when the gate is shut."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from understudy.models.part_bounds import UNBOUNDED, PartBounds
from understudy_protocols.chat import (
    Model,
    ModelReply,
    ModelRequest,
    Price,
    StreamEvent,
)
from understudy_protocols.supervision import ChildSpec

if TYPE_CHECKING:
    # Loaded by those who have a model with a gate.
    from understudy.gates.gate import Gate


class GatedModel(abc.ABC):
    """A `Model` that is asked only through its gate.

    Whoever asks it enters the gate first and says to it what came of the request;
    within a runtime that is done by `BoundModel`.

    Attributes:
      name: what results and errors call it.
      price: what it costs; None if nobody has said.
      gate: who may ask it now.
      fallbacks: the names of the models to ask when it cannot answer, in order.
      hedge_after: send a second request when an answer has taken so long, and
        take the first that comes; seconds, None for never.
      max_tokens: the most tokens that it may write when the request does not
        say; a count, None if the provider decides.
      context_window: tokens that prompt and answer may have together; a count,
        None if it is not known.
      part_bounds: the most tokens that a picture or a file counts for.
    """

    name: str
    price: Price | None
    gate: Gate
    fallbacks: tuple[str, ...] = ()
    hedge_after: float | None = None
    max_tokens: int | None = None
    context_window: int | None = None
    part_bounds: PartBounds = UNBOUNDED

    @abc.abstractmethod
    async def complete(self, request: ModelRequest) -> ModelReply:
        """See `Model.complete`."""

    @abc.abstractmethod
    def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        """See `Model.stream`."""

    @abc.abstractmethod
    def can(self, request: ModelRequest) -> bool:
        """Whether it is made for such a request: its parts, tools, and length."""

    @property
    @abc.abstractmethod
    def services(self) -> tuple[ChildSpec, ...]:
        """The actors that it needs, such as the one that holds its connections.

        Models that share one give the same `start`, and it runs once.
        """


def services_of(model: Model) -> tuple[ChildSpec, ...]:
    """Return the actors that *model* needs; most need none.

    A model around another one gives those of the model inside.
    """
    return cast("tuple[ChildSpec, ...]", getattr(model, "services", ()))
