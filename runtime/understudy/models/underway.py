"""A request under way: what is put aside for it, and its place at the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from understudy.budgets import Hold
from understudy.models.call_scope import CallScope
from understudy.models.settling import billed, priced
from understudy_protocols.chat import Model, ModelReply
from understudy_protocols.failures import Failure, ModelError, StepError, classify
from understudy_protocols.usage import Usage

if TYPE_CHECKING:
    # Loaded by those who have a model with a gate.
    from understudy.gates.gate import Ticket


class Underway:
    """A request that is being sent; a context manager.

    What comes of it is said once.  If the block ends before that, it was given up:
    whoever is cut off does not know whether it was billed, so the worst counts.

    Args:
      model: who is asked.
      scope: the attempt around the call.
      hold: what is put aside for it.
      ticket: its place at the gate; None if there is no gate.

    Attributes:
      used: what it is charged.
    """

    def __init__(
        self, model: Model, scope: CallScope, hold: Hold, ticket: Ticket | None
    ) -> None:
        self._model = model
        self._scope = scope
        self._hold = hold
        self._ticket = ticket
        self._over = False
        self.used: Usage = msgspec.structs.replace(hold.worst, estimated=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._ends(self.used) and self._ticket is not None:
            self._ticket.gate.given_up(self._ticket)

    def answered(self, reply: ModelReply) -> None:
        """Take note of a reply, whether or not it can be used."""
        used = priced(self._model, reply.usage)
        if self._ends(used) and self._ticket is not None:
            cause = reply.finish.cause
            if cause is None:
                self._ticket.gate.succeeded(self._ticket, used.tokens)
            else:
                self._ticket.gate.failed(self._ticket, cause, None, used.tokens)

    def failed(self, error: StepError) -> None:
        """Take note that there is no reply."""
        used = billed(self._model, error, self.used)
        if self._ends(used) and self._ticket is not None:
            tokens = used.tokens if used.calls else None
            self._ticket.gate.failed(
                self._ticket, error.cause, error.retry_after, tokens
            )

    def stood_still(self, seconds: float) -> None:
        """Take note that so much of its time was not the model's."""
        if self._ticket is not None:
            self._ticket.began += seconds

    def _ends(self, used: Usage) -> bool:
        """Settle what was put aside; False if that was done already."""
        if self._over:
            return False
        self._over = True
        self.used = used
        self._scope.settle(self._hold, used)
        return True


def as_step_error(raised: Exception, model: str) -> StepError:
    """Return what *raised* is, to those who retry and record model calls."""
    if isinstance(raised, StepError):
        return raised
    seen = Failure.from_error(raised)
    error = ModelError(
        f"the model raised {seen.error_type}: {seen.message}",
        cause=classify(raised),
        retry_after=seen.retry_after,
        model=model,
    )
    error.__cause__ = raised
    return error
