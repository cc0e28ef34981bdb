"""A model as a step uses it: bound to one attempt, whose limits it keeps.

A call that fails is made again in place, and draws on the attempts of the
step; what leaves here has failed for good.  A reply of the wrong shape goes
back to the model with the validator's words; that has a count of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, Protocol, TypeVar, overload

import attrs
import msgspec
import trio

from understudy.budgets import Hold
from understudy.models.structured import decode, schema_of
from understudy.models.worst_case import worst_case
from understudy_protocols.chat import (
    Message,
    Model,
    ModelReply,
    ModelRequest,
    Prompt,
    as_messages,
)
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import (
    Cause,
    Failure,
    ModelError,
    StepError,
    classify,
)
from understudy_protocols.retry import Retry, RetryConfig, decide
from understudy_protocols.usage import NO_USAGE, Usage

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

DEFAULT_REPAIRS = 2
"""How often a model is asked to mend one reply."""


_MAYBE_BILLED = frozenset(
    {Cause.TRANSPORT, Cause.TIMEOUT, Cause.SERVER, Cause.CONFLICT}
)
"""Failures after which the provider may have done, and billed, the work."""


class CallScope(Protocol):
    """The attempt around a call: what it may use, and what it has to know."""

    number: int

    @property
    def retry(self) -> RetryConfig:
        """The step's retry rules."""
        ...

    @property
    def time_left(self) -> float:
        """Until the nearest deadline around the attempt; seconds."""
        ...

    def now(self) -> float:
        """The runtime's clock; seconds."""
        ...

    def jitter(self) -> float:
        """A number from 0 to 1, from the runtime's random source."""
        ...

    def call_key(self) -> str:
        """An idempotency key for one logical call."""
        ...

    def request_begins(self) -> None:
        """From here on the request has a bound of its own."""
        ...

    def request_ends(self) -> None:
        """From here on the step's own code is bounded again."""
        ...

    async def wait(self, delay: float, why: str) -> None:
        """Wait *delay* seconds, and let other messages pass meanwhile."""
        ...

    def reserve(self, worst: Usage) -> Hold:
        """Put the worst case aside; BudgetExceededError if it could pass a cap."""
        ...

    @property
    def capped(self) -> bool:
        """Whether money or tokens have a cap."""
        ...

    @property
    def tokens_capped(self) -> bool:
        """Whether tokens have a cap."""
        ...

    def settle(self, hold: Hold, used: Usage) -> None:
        """Count what a call used in place of what was put aside for it, once."""
        ...

    def failed_in_place(self, failure: Failure, started: float, usage: Usage) -> None:
        """Record an attempt that failed within the step's function."""
        ...

    def final(self, error: BaseException) -> None:
        """Take note that *error* is the last word of a call."""
        ...


class Completion(msgspec.Struct, Generic[T_co], frozen=True):
    """What came of a call.

    Args:
      value: the typed value, or the text if no type was asked for.
      reply: the model's reply that holds it.
      repairs: how often the model was asked to mend its reply; a count.
      mended: whether the reply's text was mended here before it could be read.
    """

    value: T_co
    reply: ModelReply
    repairs: int
    mended: bool


class BoundModel:
    """One model, bound to one attempt."""

    __slots__ = ("_model", "_scope")

    def __init__(self, model: Model, scope: CallScope) -> None:
        self._model = model
        self._scope = scope

    @property
    def name(self) -> str:
        """What results and errors call the model."""
        return self._model.name

    @overload
    async def complete(
        self,
        prompt: Prompt,
        *,
        output: type[T],
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        max_repairs: int = ...,
    ) -> Completion[T]: ...
    @overload
    async def complete(
        self,
        prompt: Prompt,
        *,
        max_tokens: int | None = ...,
        temperature: float | None = ...,
    ) -> Completion[str]: ...
    async def complete(
        self,
        prompt: Prompt,
        *,
        output: type[object] | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        max_repairs: int = DEFAULT_REPAIRS,
    ) -> Completion[object]:
        """Ask the model, and see to it that its answer can be used.

        Args:
          prompt: a text, a message, or a conversation.
          output: the type of the value; the model is shown its schema.
          max_tokens: the most the model may write; needed under a cap on tokens,
            and under one on money unless what the model writes costs nothing.
          max_repairs: how often the model may mend a reply of the wrong shape.

        Cancellation: the request is given up; it stays charged at its worst.
        Raises:
          ModelError: there is no answer, and trying again cannot help or has
            not helped; or there is a cap, and no bound on what it could use.
          BudgetExceededError: the next request could pass a cap; it is not sent.
          ConfigError: *output* is no type, or none that has a JSON schema.
          SetupError: the attempt is over.
        """
        if output is str:
            output = None  # the text itself, not a text inside of JSON
        base = ModelRequest(
            messages=as_messages(prompt),
            output_schema=None if output is None else schema_of(output),
            output_name=getattr(output, "__name__", "answer"),
            max_tokens=max_tokens,
            temperature=temperature,
        )
        request = attrs.evolve(base, key=self._scope.call_key())
        repairs = 0
        while True:
            started = self._scope.now()
            reply = await self._answered(request)
            if output is None:
                return Completion(reply.text, reply, repairs, mended=False)
            read = _read(reply, output)
            if not isinstance(read, ModelError):
                return Completion(read.value, reply, repairs, read.mended)
            if repairs < max_repairs:
                repairs += 1
                messages = _asking_to_mend(base.messages, reply, read)
            else:
                await self._go_on_after(read, started, NO_USAGE)
                repairs = 0
                messages = base.messages
            request = attrs.evolve(base, messages=messages, key=self._scope.call_key())

    async def _answered(self, request: ModelRequest) -> ModelReply:
        """Return a complete reply, having tried again where that can help."""
        while True:
            started = self._scope.now()
            hold = self._reserved(request, started)
            answer = await self._once(request, hold)
            if isinstance(answer, ModelReply):
                return answer
            error, usage = answer
            await self._go_on_after(error, started, usage)

    def _reserved(self, request: ModelRequest, started: float) -> Hold:
        """Put the worst case of *request* aside; a refusal is final."""
        scope = self._scope
        try:
            worst = worst_case(
                self._model,
                request,
                capped=scope.capped,
                tokens_capped=scope.tokens_capped,
            )
            return scope.reserve(worst)
        except StepError as error:
            failure = Failure.from_error(error, where=self.name)
            scope.failed_in_place(failure, started, NO_USAGE)
            scope.final(error)
            raise

    async def _once(
        self, request: ModelRequest, hold: Hold
    ) -> ModelReply | tuple[StepError, Usage]:
        """Send one request, and settle what it used, whatever happens."""
        scope = self._scope
        # Whoever is cut off does not know whether it was billed: the worst counts.
        used = attrs.evolve(hold.worst, estimated=True)
        error: StepError
        scope.request_begins()
        try:
            with trio.move_on_after(scope.retry.timeout_seconds):
                reply = await self._model.complete(request)
                used = self._priced(reply.usage)
                cause = reply.finish.cause
                if cause is None:
                    return reply
                error = ModelError(
                    f"the model stopped with {reply.raw_finish or reply.finish.value!r}",
                    cause=cause,
                    model=self.name,
                )
                return error, used
            error = ModelError(
                f"no answer within {scope.retry.timeout_seconds:g} s",
                cause=Cause.TIMEOUT,
                model=self.name,
            )
        except StepError as raised:
            error = raised
            if raised.cause not in _MAYBE_BILLED:
                used = Usage(calls=1)
        except Exception as raised:  # noqa: BLE001 - whatever an adapter lets out
            error = _as_model_error(raised, self.name)
        finally:
            scope.request_ends()
            scope.settle(hold, used)
        return error, used

    async def _go_on_after(
        self, error: StepError, started: float, usage: Usage
    ) -> None:
        """Wait before the next attempt, or raise *error* for good."""
        scope = self._scope
        failure = Failure.from_error(error, where=self.name)
        scope.failed_in_place(failure, started, usage)
        decision = decide(scope.retry, scope.number, failure, scope.jitter())
        if not isinstance(decision, Retry) or decision.delay >= scope.time_left:
            scope.final(error)
            raise error
        scope.number += 1
        if decision.delay > 0:
            await scope.wait(decision.delay, f"{failure.cause.value}: backoff")

    def _priced(self, usage: Usage) -> Usage:
        """Return *usage* as one call with its price."""
        counted = attrs.evolve(usage, calls=max(usage.calls, 1))
        if counted.cost_micros:
            return counted
        return attrs.evolve(counted, cost_micros=self._model.price.cost(counted))


def _as_model_error(raised: Exception, model: str) -> ModelError:
    """Return what *raised* is, to those who retry and record model calls."""
    seen = Failure.from_error(raised)
    error = ModelError(
        f"the model raised {seen.error_type}: {seen.message}",
        cause=classify(raised),
        retry_after=seen.retry_after,
        model=model,
    )
    error.__cause__ = raised
    return error


class _Read(msgspec.Struct, frozen=True):
    """A reply that could be read."""

    value: object
    mended: bool


def _read(reply: ModelReply, output: type[object]) -> _Read | ModelError:
    try:
        decoded = decode(reply.text, output)
    except ModelError as error:
        return error
    return _Read(decoded.value, decoded.repaired)


def _asking_to_mend(
    asked: tuple[Message, ...], reply: ModelReply, error: ModelError
) -> tuple[Message, ...]:
    """Return the conversation that shows the model its mistake."""
    return (
        *asked,
        Message.of("assistant", reply.text),
        Message.of(
            "user",
            f"That cannot be used: {error}. Answer again with the JSON alone, mended.",
        ),
    )


class BoundModels(Mapping[str, BoundModel]):
    """The models of a runtime, bound to one attempt."""

    __slots__ = ("_models", "_scope")

    def __init__(self, models: Mapping[str, Model], scope: CallScope) -> None:
        self._models = models
        self._scope = scope

    def __getitem__(self, name: str) -> BoundModel:
        """Return one model by its name in the runtime.

        Raises:
          ConfigError: there is none of that name; says which there are.
        """
        try:
            model = self._models[name]
        except KeyError:
            there = ", ".join(map(repr, self._models)) or "none at all"
            raise ConfigError(
                f"there is no model {name!r} in this runtime, but {there}; "
                "give it to Runtime(models=...)"
            ) from None
        return BoundModel(model, self._scope)

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)
