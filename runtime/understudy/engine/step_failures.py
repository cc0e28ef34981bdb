"""What the failures of a step are called that no attempt reports by itself."""

from __future__ import annotations

import msgspec
import trio

from understudy_protocols.failures import Cause, Failure, described, register_failure

# Trio's own exceptions are not of the kinds that Python has for the same things.
register_failure(trio.TooSlowError, Cause.TIMEOUT)
register_failure(trio.BrokenResourceError, Cause.TRANSPORT)


def overrun(where: str, what: str, bound: float, error: Exception | None) -> Failure:
    """Return the failure of what took longer than *bound* seconds.

    Args:
      error: what its clean-up raised after the cut, if it raised.
    """
    failure = Failure.of(
        Cause.TIMEOUT, f"{what} took longer than {bound:g} s", where=where
    )
    if error is None:
        return failure
    return msgspec.structs.replace(
        failure,
        message=f"{failure.message}; its clean-up raised {described(error)}",
        causes=(Failure.from_error(error, where=where),),
    )


def lost(where: str, why: str, error: BaseException | None) -> Failure:
    """Return the failure of a message that was in hand when something broke."""
    if isinstance(error, Exception):
        return Failure.from_error(error, where=where)
    # What is no Exception is no cancellation of the run either, though it be a
    # Cancelled that the step let out of a scope of its own.
    message = why if error is None else f"{why}: {described(error)}"
    return Failure.of(Cause.STEP_ERROR, message, where=where)


def unknown(failure: Failure, where: str) -> Failure:
    """Return what *failure* means for a step that must not be repeated."""
    return Failure.of(
        Cause.UNKNOWN_OUTCOME,
        f"{failure.message}; the step may or may not have had its effect, and "
        "it is declared not to be repeated",
        where=where,
    )
