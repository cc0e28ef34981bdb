"""One logical call: from a request to the reply that counts, or the last word.

Between the two lie gates, attempts, waits, other models that stand in, and a
second request when the first is late.  What each attempt used is settled on
every way out, and each gate hears what came of the requests that it let in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
import msgspec
import trio

from understudy.budgets import Hold
from understudy.models.call_scope import CallScope
from understudy.models.gated import GatedModel
from understudy.models.hedge import Hedge
from understudy.models.next_try import Again, Instead, next_try
from understudy.models.settling import need_of
from understudy.models.underway import Underway, as_step_error
from understudy.models.unusable import unusable
from understudy.models.worst_case import bounds_of, worst_case
from understudy_protocols.chat import (
    Finished,
    Model,
    ModelReply,
    ModelRequest,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
)
from understudy_protocols.failures import (
    Cause,
    Failure,
    ModelError,
    StepError,
)
from understudy_protocols.usage import NO_USAGE, Usage

if TYPE_CHECKING:
    # Loaded by those who have a model with a gate.
    from understudy.gates.gate import Ticket


class ModelDelta(msgspec.Struct, frozen=True):
    """A piece of a model's answer, as those who watch a run are shown it.

    Args:
      seq: its number within the call, from 1; a piece missed is a gap.
      text: the piece.
      reasoning: whether it is what the model thinks, and not its answer.
    """

    seq: int
    text: str
    reasoning: bool = False


class Restarted(msgspec.Struct, frozen=True):
    """What was shown of a model's answer is void: it is asked again."""

    reason: str


class _Shut(msgspec.Struct, frozen=True):
    """A gate lets a request in too late."""

    error: ModelError


class _Failed(msgspec.Struct, frozen=True):
    """A request was sent, and there is no reply that can be used."""

    error: StepError
    usage: Usage


class Asking:
    """One logical call.

    Args:
      models: the one to ask, then those that can stand in for it.
      scope: the attempt around the call.
      shown: whether its pieces are shown as they come.
    """

    def __init__(
        self, models: Sequence[Model], scope: CallScope, *, shown: bool = False
    ) -> None:
        self._chain = list(models)
        self._scope = scope
        self._shown = shown
        self._pieces = 0
        self._void = False  # whether pieces were shown of what is no answer yet
        self._text: list[str] = []  # of the request under way
        self._again = False  # whether the next request to this model is a retry
        self._hedge = Hedge(scope)
        self._bound = trio.CancelScope()  # the request under way

    async def answer(self, request: ModelRequest) -> ModelReply:
        """Return a reply that can be used, having done what can be done for one.

        Raises:
          ModelError, BudgetExceededError: the last word.
        """
        self._hedge = Hedge(self._scope)
        self._again = False
        await self._restarted("repair")
        while True:
            model = self._chain[0]
            request = self._fitted(request, model)
            asked = _complete(request, model)
            started = self._scope.now()
            hold = self._reserved(model, asked, started)
            if hold is None:
                continue
            outcome = await self._once(model, asked, hold)
            if isinstance(outcome, ModelReply):
                return outcome
            if isinstance(outcome, _Shut):
                self._stand_in(request, outcome.error, started)
            else:
                await self._go_on_after(request, outcome, started)

    def _fitted(self, request: ModelRequest, model: Model) -> ModelRequest:
        limit = self._scope.input_limit
        if limit is None:
            return request
        try:
            return limit.fitted(request, bounds_of(model))
        except ModelError as error:
            self._scope.final(error)
            raise

    def _reserved(
        self, model: Model, request: ModelRequest, started: float
    ) -> Hold | None:
        """Put the worst case aside; None if another model is to be asked instead."""
        scope = self._scope
        try:
            return scope.reserve(
                worst_case(
                    model,
                    request,
                    money_capped=scope.money_capped,
                    tokens_capped=scope.tokens_capped,
                )
            )
        except StepError as error:
            self._stand_in(request, error, started)
            return None

    # One request

    async def _once(
        self, model: Model, request: ModelRequest, hold: Hold
    ) -> ModelReply | _Shut | _Failed:
        """Enter the gate, send the request, and settle what came of it."""
        ticket: Ticket | None = None
        try:
            await self._scope.on_record(hold)
            if isinstance(model, GatedModel):
                ticket = await self._entered(model, request)
        except ModelError as error:
            self._scope.settle(hold, NO_USAGE)
            return _Shut(error)
        except BaseException:
            self._scope.settle(hold, NO_USAGE)
            raise
        with Underway(model, self._scope, hold, ticket) as underway:
            return await self._sent(model, request, underway)

    async def _entered(self, model: GatedModel, request: ModelRequest) -> Ticket:
        scope, gate = self._scope, model.gate
        need = need_of(request, model.part_bounds)
        if not self._again:
            gate.account.retries.asked()
        now = scope.now()
        latest = now + min(scope.time_left, gate.longest_wait)
        why = gate.blocked(need, scope.priority)

        async def enter() -> Ticket:
            return await gate.enter(
                need, latest=latest, priority=scope.priority, key=request.key
            )

        if why is None:
            return await enter()
        how_long = f", {why.until - now:.3g} s" if why.until < math.inf else ""
        ticket: Ticket | None = None
        try:
            async with scope.waiting(f"the gate of {model.name}: {why.why}{how_long}"):
                ticket = await enter()
        except BaseException:
            if ticket is not None:  # cut while it took its permit back
                gate.given_up(ticket)
            raise
        ticket.began = scope.now()  # the permit may have been long in coming
        return ticket

    async def _sent(
        self, model: Model, request: ModelRequest, underway: Underway
    ) -> ModelReply | _Failed:
        """Send one request, and take note of what comes of it."""
        scope = self._scope
        self._text.clear()
        scope.request_begins()
        try:
            with trio.move_on_after(scope.retry.timeout_seconds) as self._bound:
                reply = await self._asked(model, request, underway)
                error = unusable(reply, model.name)
                return reply if error is None else _Failed(error, underway.used)
            error = ModelError(
                f"no answer within {scope.retry.timeout_seconds:g} s",
                cause=Cause.TIMEOUT,
                model=model.name,
                partial="".join(self._text),
            )
        except Exception as raised:  # noqa: BLE001 - whatever an adapter lets out
            error = as_step_error(raised, model.name)
        finally:
            scope.request_ends()
        underway.failed(error)
        return _Failed(error, underway.used)

    async def _asked(
        self, model: Model, request: ModelRequest, underway: Underway
    ) -> ModelReply:
        if self._shown:
            reply = await self._streamed(model, request, underway)
        elif isinstance(model, GatedModel) and model.hedge_after is not None:
            return await self._hedge.reply(model, request, underway, model.hedge_after)
        else:
            reply = await model.complete(request)
        underway.answered(reply)
        return reply

    async def _streamed(
        self, model: Model, request: ModelRequest, underway: Underway
    ) -> ModelReply:
        events = model.stream(request)
        try:
            async for event in events:
                if isinstance(event, Finished):
                    return event.reply
                await self._show(event, underway)
        finally:
            # Left in the middle, a generator would close its socket some day.
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()
        raise ModelError(
            "the stream ended before the answer did",
            cause=Cause.TRANSPORT,
            model=model.name,
            partial="".join(self._text),
        )

    async def _show(self, event: StreamEvent, underway: Underway) -> None:
        if isinstance(event, TextDelta | ReasoningDelta):
            self._pieces += 1
            self._void = True
            reasoning = isinstance(event, ReasoningDelta)
            if not reasoning:
                self._text.append(event.text)
            delta = ModelDelta(self._pieces, event.text, reasoning)
            await self._shown_slowly(delta, underway)

    async def _shown_slowly(self, delta: ModelDelta, underway: Underway) -> None:
        """Show a piece; the time that its readers take is not the model's."""
        bound, before = self._bound, self._scope.now()
        left, bound.deadline = bound.deadline - before, math.inf
        try:
            await self._scope.show(delta)
        finally:
            now = self._scope.now()
            bound.deadline = now + left
            underway.stood_still(now - before)

    async def _restarted(self, reason: str) -> None:
        """Say so if pieces were shown that are void now."""
        if self._void:
            self._void = False
            await self._scope.show(Restarted(reason))

    # What follows a failure

    async def _go_on_after(
        self, request: ModelRequest, failed: _Failed, started: float
    ) -> None:
        """Wait, or turn to another model, or raise the error for good."""
        scope, model, error = self._scope, self._chain[0], failed.error
        failure = Failure.from_error(error, where=model.name)
        scope.failed_in_place(failure, started, failed.usage)
        gate = model.gate if isinstance(model, GatedModel) else None
        retries = None if gate is None else gate.account.retries
        other = self._another(request, failure.cause)
        follows = next_try(
            scope.retry,
            scope.number,
            failure,
            scope.jitter(),
            time_left=scope.time_left,
            longest_wait=math.inf if gate is None else gate.longest_wait,
            retries_left=retries is None or retries.left >= 1,
            another=other is not None,
        )
        if not isinstance(follows, Again | Instead):
            scope.final(error)
            raise error
        scope.number += 1
        await self._restarted(failure.cause.value)
        if isinstance(follows, Instead):
            assert other is not None, "it follows only if there is another"
            self._turn_to(other)
            return
        self._again = True
        if retries is not None:
            retries.take()
        if follows.delay > 0:
            await scope.wait(follows.delay, f"{failure.cause.value}: backoff")

    def _stand_in(
        self, request: ModelRequest, error: StepError, started: float
    ) -> None:
        """Turn to another model for a request that was not sent, or raise *error*."""
        other = self._another(request, error.cause)
        if other is not None:
            self._turn_to(other)
            return
        failure = Failure.from_error(error, where=self._chain[0].name)
        self._scope.failed_in_place(failure, started, NO_USAGE)
        self._scope.final(error)
        raise error

    def _another(self, request: ModelRequest, cause: Cause) -> int | None:
        """Return which model of the chain can stand in; None if none can.

        Args:
          cause: of the failure of the one that was asked.
        """
        for place, model in enumerate(self._chain[1:], start=1):
            if not isinstance(model, GatedModel):
                return place
            if cause is Cause.CONTEXT_TOO_LONG and not _wider(model, self._chain[0]):
                continue
            gate, now = model.gate, self._scope.now()
            need = need_of(_complete(request, model), model.part_bounds)
            blocked = gate.blocked(need, self._scope.priority)
            known = blocked is not None and blocked.until < math.inf
            wait = blocked.until - now if blocked is not None and known else 0.0
            if model.can(request) and wait < min(
                self._scope.time_left, gate.longest_wait
            ):
                return place
        return None

    def _turn_to(self, place: int) -> None:
        del self._chain[:place]
        self._again = False


def _complete(request: ModelRequest, model: Model) -> ModelRequest:
    """Return *request* with the most tokens that *model* is configured to write."""
    most = model.max_tokens if isinstance(model, GatedModel) else None
    if request.max_tokens is not None or most is None:
        return request
    return attrs.evolve(request, max_tokens=most)


def _wider(model: GatedModel, other: Model) -> bool:
    """Whether more may fit into *model* than into *other*, for all that is known."""
    known = other.context_window if isinstance(other, GatedModel) else None
    window = model.context_window
    return known is None or window is None or window > known
