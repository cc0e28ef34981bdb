"""A second request while the first is late; the first reply that can be used wins.

The second one is sent only if it has a reservation of its own, would not have
to wait at the gate, and the account's share of such requests allows it.  The
loser is cancelled, and paid for at its worst.
"""

from __future__ import annotations

import attrs
import trio

from understudy.budgets import Hold
from understudy.models.call_scope import CallScope
from understudy.models.gated import GatedModel
from understudy.models.settling import billed, need_of, priced
from understudy.models.worst_case import worst_case
from understudy_protocols.chat import ModelReply, ModelRequest
from understudy_protocols.failures import ModelError, StepError
from understudy_protocols.usage import NO_USAGE


async def hedged(
    model: GatedModel, request: ModelRequest, scope: CallScope, after: float
) -> ModelReply:
    """Return the reply of *model*, or of a second request to it.

    Args:
      request: what was reserved and let in for the first.
      after: how long the first may take before a second is sent; seconds.

    Raises:
      ModelError: that of the first request, if neither can be used.
    """
    replies: list[ModelReply] = []
    errors: list[BaseException] = []
    first_is_over = trio.Event()
    model.gate.account.hedges.asked()

    async with trio.open_nursery() as nursery:

        async def first() -> None:
            try:
                reply = await model.complete(request)
            except Exception as error:  # noqa: BLE001 # raised below, unless the other wins
                errors.append(error)
            else:
                replies.insert(0, reply)
                if reply.finish.cause is None:
                    nursery.cancel_scope.cancel("a reply has come")
            first_is_over.set()

        async def second() -> None:
            with trio.move_on_after(after):
                await first_is_over.wait()
                return  # it failed: what follows is not ours to say
            reply = await _another(model, request, scope)
            if reply is not None:
                replies.append(reply)
                nursery.cancel_scope.cancel("the other reply has come")

        nursery.start_soon(first)
        nursery.start_soon(second)
    usable = [reply for reply in replies if reply.finish.cause is None]
    if usable:
        return usable[0]
    if replies:
        return replies[0]
    raise errors[0]


async def _another(
    model: GatedModel, request: ModelRequest, scope: CallScope
) -> ModelReply | None:
    """Send a second request; None if it must not be sent, or comes to nothing."""
    gate, need = model.gate, need_of(request)
    if gate.would_wait(need) > 0 or gate.account.hedges.left < 1:
        return None
    try:
        hold = scope.reserve(
            worst_case(
                model,
                request,
                capped=scope.capped,
                tokens_capped=scope.tokens_capped,
            )
        )
    except StepError:
        return None
    gate.account.hedges.take()
    return await _sent(model, attrs.evolve(request, key=scope.call_key()), scope, hold)


async def _sent(
    model: GatedModel, request: ModelRequest, scope: CallScope, hold: Hold
) -> ModelReply | None:
    gate = model.gate
    used = NO_USAGE
    try:
        ticket = await gate.enter(need_of(request), latest=scope.now())
        used = attrs.evolve(hold.worst, estimated=True)
        try:
            reply = await model.complete(request)
            used = priced(model, reply.usage)
            gate.succeeded(ticket, used.tokens)
            return reply if reply.finish.cause is None else None
        except ModelError as error:
            used = billed(model, error, used)
            gate.failed(ticket, error.cause, error.retry_after, used.tokens)
            return None
        finally:
            gate.given_up(ticket)  # nothing happens if it has been told
    except ModelError:
        return None  # the gate was shut in this moment
    finally:
        scope.settle(hold, used)
