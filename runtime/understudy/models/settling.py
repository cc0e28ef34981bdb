"""What a request is taken to use before it is sent, and what it has used after."""

from __future__ import annotations

import msgspec

from understudy.gates.line import Need
from understudy.models.input_limit import estimated_input
from understudy.models.part_bounds import UNBOUNDED, PartBounds
from understudy_protocols.chat import Model, ModelRequest
from understudy_protocols.failures import Cause, ModelError, StepError
from understudy_protocols.usage import Usage

_MAYBE_BILLED = frozenset(
    {
        Cause.TRANSPORT,
        Cause.TIMEOUT,
        Cause.SERVER,
        Cause.CONFLICT,
        Cause.MALFORMED,  # it is an answer all the same
    }
)
"""Failures after which the provider may have done, and billed, the work."""


def need_of(request: ModelRequest, bounds: PartBounds = UNBOUNDED) -> Need:
    """Return about what *request* takes of a rate limit: nobody knows it exactly."""
    return Need(estimated_input(request, bounds) + (request.max_tokens or 0))


def billed(model: Model, error: StepError, worst: Usage) -> Usage:
    """Return what a failed request has been billed, as far as one can say."""
    said = error.usage if isinstance(error, ModelError) else None
    if said is not None:
        return priced(model, said) if said.calls else said
    return worst if error.cause in _MAYBE_BILLED else Usage(calls=1)


def priced(model: Model, usage: Usage) -> Usage:
    """Return *usage* as one call with its price, as far as one is known."""
    counted = msgspec.structs.replace(usage, calls=max(usage.calls, 1))
    if counted.cost_micros or model.price is None:
        return counted
    return msgspec.structs.replace(counted, cost_micros=model.price.cost(counted))
