"""A second request while the first is late; the first reply that can be used wins.

The second one is sent only if it has a reservation of its own, would not have
to wait at the gate, and the account's share of such requests allows it.  The
loser is cancelled, and paid for at its worst.
"""

from __future__ import annotations

import math

import attrs
import trio

from understudy.models.call_scope import CallScope
from understudy.models.gated import GatedModel
from understudy.models.settling import need_of
from understudy.models.underway import Underway, as_step_error
from understudy.models.worst_case import worst_case
from understudy_protocols.chat import ModelReply, ModelRequest
from understudy_protocols.errors import UnderstudyError
from understudy_protocols.failures import StepError
from understudy_protocols.usage import NO_USAGE


class Hedge:
    """The second request of one call: at most one, however often it is tried again.

    Args:
      scope: the attempt around the call.
    """

    def __init__(self, scope: CallScope) -> None:
        self._scope = scope
        self._sent = False

    async def reply(
        self, model: GatedModel, request: ModelRequest, first: Underway, after: float
    ) -> ModelReply:
        """Return the reply of *model*, or of a second request to it.

        Args:
          request: what was let in as *first*.
          after: how long it may take before a second is sent; seconds.

        Cancellation: both are given up.
        Raises:
          StepError: that of the first request, if neither can be used.
        """
        model.gate.account.hedges.asked()
        replies: list[ModelReply] = []
        errors: list[StepError] = []
        first_is_over = trio.Event()

        async def ask_first() -> None:
            outcome = await _outcome(model, request, first)
            if isinstance(outcome, ModelReply):
                replies.insert(0, outcome)
                if outcome.finish.cause is None:
                    nursery.cancel_scope.cancel("a reply has come")
            else:
                errors.append(outcome)
            first_is_over.set()

        async def ask_second() -> None:
            with trio.move_on_after(after):
                await first_is_over.wait()
                return  # what follows is not ours to say
            outcome = await self._second(model, request)
            if isinstance(outcome, ModelReply) and outcome.finish.cause is None:
                replies.append(outcome)
                nursery.cancel_scope.cancel("the other reply has come")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_first)
            nursery.start_soon(ask_second)
        usable = [reply for reply in replies if reply.finish.cause is None]
        if usable or replies:
            return (usable or replies)[0]
        raise errors[0]

    async def _second(
        self, model: GatedModel, request: ModelRequest
    ) -> ModelReply | StepError | None:
        """Send a second request; None if it must not be sent."""
        scope, gate = self._scope, model.gate
        need = need_of(request, model.part_bounds)
        hedges = gate.account.hedges
        if self._sent or hedges.left < 1 or gate.blocked(need, scope.priority):
            return None
        asked = attrs.evolve(request, key=scope.call_key())
        try:
            hold = scope.reserve(
                worst_case(
                    model,
                    asked,
                    money_capped=scope.money_capped,
                    tokens_capped=scope.tokens_capped,
                )
            )
        except UnderstudyError:
            return None
        try:
            await scope.on_record(hold)
            if gate.blocked(need, scope.priority):
                scope.settle(hold, NO_USAGE)
                return None
            # It goes in at once: nothing stands in its way in this moment.
            ticket = await gate.enter(
                need, latest=math.inf, priority=scope.priority, key=asked.key
            )
        except BaseException:
            scope.settle(hold, NO_USAGE)
            raise
        self._sent = hedges.take()
        with Underway(model, scope, hold, ticket) as second:
            return await _outcome(model, asked, second)


async def _outcome(
    model: GatedModel, request: ModelRequest, underway: Underway
) -> ModelReply | StepError:
    """Send a request, and take note of what comes of it."""
    try:
        reply = await model.complete(request)
    except Exception as raised:  # noqa: BLE001 - raised by the caller, unless the other wins
        error = as_step_error(raised, model.name)
        underway.failed(error)
        return error
    underway.answered(reply)
    return reply
