"""What went wrong, under one name from wire to result.

A `FailureMode` says what kind of trouble it is, a `Cause` what exactly; which
causes a retry can help is `retry.py`'s affair.  Causes come from the types of
exceptions, from status codes and codes of providers, never from their words.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Final, cast

import msgspec

from understudy_protocols.errors import SetupError, UnderstudyError
from understudy_protocols.usage import Usage


class FailureMode(Enum):
    """The five kinds of failure."""

    MALFORMED_OUTPUT = "malformed"
    CONTENT_POLICY = "content_policy"
    RATE_LIMIT = "rate_limit"
    TIMEOUT = "timeout"
    UNEXPECTED = "unexpected"

    if not TYPE_CHECKING:  # which takes it for a change of what it is
        # The identity of a member, which is all there is to it: Enum's is a call.
        __hash__ = object.__hash__


class Cause(Enum):
    """What exactly went wrong; each cause belongs to one mode."""

    RATE_LIMIT = "rate_limit"
    """The provider asked for fewer requests or tokens in a given time."""
    OVERLOADED = "overloaded"
    """The provider has too much to do, whoever asks."""
    TIMEOUT = "timeout"
    """No answer in time."""
    MALFORMED = "malformed"
    """The output could not be read at all."""
    SCHEMA = "schema"
    """The output could be read, but is not what was asked for."""
    REFUSED = "refused"
    """The model declined to answer."""
    FILTERED = "filtered"
    """A filter of the provider held the answer back."""
    TRANSPORT = "transport"
    """The connection failed."""
    SERVER = "server"
    """The provider failed inside."""
    CONFLICT = "conflict"
    """The provider has the same request under way, or a lock."""
    STEP_ERROR = "step_error"
    """The code of the step raised."""
    QUOTA = "quota"
    """The account has spent what it may."""
    AUTH = "auth"
    """The key is not accepted, or not for this."""
    BAD_REQUEST = "bad_request"
    """The request cannot be answered as it is."""
    CONTEXT_TOO_LONG = "context_too_long"
    """The prompt does not fit into the model's context."""
    TOO_LARGE = "too_large"
    """The request has too many bytes."""
    TRUNCATED = "truncated"
    """The answer was cut off at the largest number of tokens asked for."""
    MODEL_GONE = "model_gone"
    """The provider does not have this model."""
    BUDGET = "budget"
    """The next call could pass the cap."""
    CANCELLED = "cancelled"
    """Nobody wants the result any more."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """It may have been done or not, and must not be done twice."""
    DOWN = "down"
    """The actor that would do it was given up by its supervisor."""
    SETUP = "setup"
    """The program is wrong."""

    if not TYPE_CHECKING:
        __hash__ = object.__hash__

    @property
    def mode(self) -> FailureMode:
        """The kind of failure that this is."""
        return _MODES.get(self, FailureMode.UNEXPECTED)


_MODES: Final = {
    Cause.RATE_LIMIT: FailureMode.RATE_LIMIT,
    Cause.OVERLOADED: FailureMode.RATE_LIMIT,
    Cause.TIMEOUT: FailureMode.TIMEOUT,
    Cause.MALFORMED: FailureMode.MALFORMED_OUTPUT,
    Cause.SCHEMA: FailureMode.MALFORMED_OUTPUT,
    Cause.REFUSED: FailureMode.CONTENT_POLICY,
    Cause.FILTERED: FailureMode.CONTENT_POLICY,
}


class StepError(UnderstudyError):
    """A step ran and did not succeed, and knows why.

    Args:
      message: what happened, as one clause.
      cause: under which name.
      retry_after: the least time before another attempt can help; seconds.
    """

    def __init__(
        self, message: str, *, cause: Cause, retry_after: float | None = None
    ) -> None:
        super().__init__(message, cause, retry_after)
        self.message = message
        self.cause = cause
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own way would hand the facts to __init__ by position.
        return (_remade, (type(self), self.args), self.__dict__)


class ModelError(StepError):
    """The model's side failed.

    Args:
      model: the name of the model that was asked; may be empty.
      code: the provider's own code or status, for people.
      usage: what has been billed, or may have been; None if nobody can say, and
        the worst case must be taken.
      partial: the text that came before the answer broke off; may be empty.
    """

    def __init__(
        self,
        message: str,
        *,
        cause: Cause,
        retry_after: float | None = None,
        model: str = "",
        code: str = "",
        usage: Usage | None = None,
        partial: str = "",
    ) -> None:
        super().__init__(message, cause=cause, retry_after=retry_after)
        self.args: tuple[object, ...] = (*self.args, model, code, usage, partial)
        self.model = model
        self.code = code
        self.usage = usage
        self.partial = partial


class Failure(msgspec.Struct, frozen=True):
    """One failure, as it is recorded.

    Args:
      cause: what exactly went wrong.
      message: one clause that says it, with numbers and units.
      where: the step, node or model concerned; may be empty.
      error_type: the name of the exception's class, if there was one.
      retry_after: the least time before another attempt can help; seconds.
      causes: the failures that brought this one about, oldest first.
    """

    cause: Cause
    message: str
    where: str = ""
    error_type: str = ""
    retry_after: float | None = None
    causes: tuple[Failure, ...] = ()

    @classmethod
    def of(
        cls,
        cause: Cause,
        message: str,
        where: str = "",
        causes: tuple[Failure, ...] = (),
    ) -> Failure:
        """Return a failure that no exception stands for."""
        return cls(cause, message, where, causes=causes)

    @classmethod
    def from_error(cls, error: BaseException, where: str = "") -> Failure:
        """Return the record of an exception; see `failure_of`."""
        return failure_of(error, where)

    @property
    def mode(self) -> FailureMode:
        """What kind of failure it is."""
        return self.cause.mode

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.message} ({self.cause.value})"


class AttemptRecord(msgspec.Struct, frozen=True):
    """One attempt, from its start to its end.

    Args:
      number: counted from 1 within the step, also over restarts.
      started: seconds on the clock of the system.
      ended: seconds on the same clock.
      failure: why it did not succeed; None if it did.
      usage: what it cost; None if it called no model.
    """

    number: int
    started: float
    ended: float
    failure: Failure | None = None
    usage: Usage | None = None


_causes: dict[type[BaseException], Cause] = {
    Exception: Cause.STEP_ERROR,
    SetupError: Cause.SETUP,
    TimeoutError: Cause.TIMEOUT,
    ConnectionError: Cause.TRANSPORT,
    msgspec.DecodeError: Cause.MALFORMED,
    msgspec.ValidationError: Cause.SCHEMA,
}

# By name: who has not loaded json, which takes a while, does not meet it.
_causes_by_name: Final = {"json.decoder.JSONDecodeError": Cause.MALFORMED}


def register_failure(error_type: type[BaseException], cause: Cause) -> None:
    """Name the cause of *error_type* and of its subclasses.

    The class nearest to that of the exception decides.  Registering a class again
    replaces its cause.
    """
    _causes[error_type] = cause


def classify(error: BaseException) -> Cause:
    """Return the cause of *error*, from its type alone.

    A `StepError` knows its cause.  A group has the one that all in it share, and
    is otherwise an error of the step.  What is no `Exception`, and not registered,
    counts as a cancellation.
    """
    if isinstance(error, StepError):
        return error.cause
    if _inside(error):
        inside = {classify(leaf) for leaf in _leaves(error)}
        return inside.pop() if len(inside) == 1 else Cause.STEP_ERROR
    for cls in type(error).__mro__:
        cause = _causes.get(cls) or _causes_by_name.get(
            f"{cls.__module__}.{cls.__qualname__}"
        )
        if cause is not None:
            return cause
    return Cause.CANCELLED


def failure_of(error: BaseException, where: str = "") -> Failure:
    """Return the record of *error*, which happened at *where*.

    A group of one, as every nursery makes it, is recorded as that one.
    """
    causes: tuple[Failure, ...] = ()
    wait = error.retry_after if isinstance(error, StepError) else None
    if _inside(error):
        leaves = list(_leaves(error))
        if len(leaves) == 1:
            return failure_of(leaves[0], where)
        causes = tuple(map(failure_of, leaves))
        waits = [cause.retry_after for cause in causes]
        wait = max((one for one in waits if one is not None), default=None)
    return Failure(
        classify(error),
        safe_text(error) or f"{type(error).__name__} without a message",
        where,
        type(error).__qualname__,
        wait,
        causes,
    )


def safe_text(error: BaseException) -> str:
    """Return what *error* says of itself, also if it fails to say it."""
    try:
        return str(error).strip()
    except Exception as broken:  # noqa: BLE001 - its own code failed: said instead
        return f"{type(error).__name__}, whose text raised {type(broken).__name__}"


def described(error: BaseException) -> str:
    """Return the type of *error* and what it says, for a sentence about it."""
    text = safe_text(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _inside(error: BaseException) -> tuple[BaseException, ...]:
    """Return what a group holds; nothing for any other exception."""
    if not isinstance(error, BaseExceptionGroup):
        return ()
    return cast("BaseExceptionGroup[BaseException]", error).exceptions


def _leaves(error: BaseException) -> Iterator[BaseException]:
    parts = _inside(error)
    for part in parts:
        yield from _leaves(part)
    if not parts:
        yield error


def _remade(cls: type[StepError], args: tuple[object, ...]) -> StepError:
    return cls.__new__(cls, *args)
