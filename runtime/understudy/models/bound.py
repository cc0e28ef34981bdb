"""A model as a step uses it: bound to one attempt, whose limits it keeps.

A call that fails is made again in place, and draws on the attempts of the
step; what leaves here has failed for good.  A reply of the wrong shape goes
back to the model with the validator's words; that has a count of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar, overload

import attrs
import msgspec

from understudy.models.asking import Asking
from understudy.models.call_scope import CallScope
from understudy.models.function_journal import FunctionJournal
from understudy.models.gated import GatedModel
from understudy.models.registry import UnknownModelError
from understudy.models.structured import (
    Output,
    Reader,
    decode_by,
    is_sensitive,
    reader_of,
    schema_of,
)
from understudy_protocols.chat import (
    Message,
    Model,
    ModelReply,
    ModelRequest,
    Prompt,
    as_messages,
)
from understudy_protocols.failures import Failure, ModelError
from understudy_protocols.own_tags import tag_later
from understudy_protocols.retry import Retry, decide
from understudy_protocols.sensitive import HIDDEN
from understudy_protocols.usage import NO_USAGE

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

DEFAULT_REPAIRS = 2
"""How often a model is asked to mend one reply."""


class Completion(msgspec.Struct, Generic[T_co], frozen=True):
    """What came of a call.

    Args:
      value: the typed value, or the text if no type was asked for.
      reply: the model's reply that holds it; without its words if the type has a
        sensitive field.
      repairs: how often the model was asked to mend its reply; a count.
      mended: whether the reply's text was mended here before it could be read.
    """

    value: T_co
    reply: ModelReply
    repairs: int
    mended: bool


tag_later(Completion, "understudy.completion")


class BoundModel:
    """One model, bound to one attempt.

    Args:
      model: the one to ask.
      scope: the attempt.
      others: those that may stand in for it, in order.
    """

    __slots__ = ("_model", "_others", "_scope")

    def __init__(
        self, model: Model, scope: CallScope, others: tuple[Model, ...] = ()
    ) -> None:
        self._model = model
        self._scope = scope
        self._others = others

    @property
    def name(self) -> str:
        """What results and errors call the model."""
        return self._model.name

    @property
    def journal(self) -> FunctionJournal:
        """What keeps the outcomes of `journaled` functions; for `converse`."""
        return self._scope

    async def reply(self, request: ModelRequest, *, stream: bool = False) -> ModelReply:
        """Ask the model, as `complete` does, and return its reply as it is.

        For those who write requests themselves, and read what a reply holds besides
        its text, such as `ToolRequestPart`.  The request's key is set here.

        Cancellation, Raises: as of `complete`.
        """
        asking = Asking((self._model, *self._others), self._scope, shown=stream)
        return await asking.answer(attrs.evolve(request, key=self._scope.call_key()))

    @overload
    async def complete(
        self,
        prompt: Prompt,
        *,
        output: type[T],
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        reasoning: str = ...,
        stream: bool = ...,
        max_repairs: int = ...,
    ) -> Completion[T]: ...
    @overload
    async def complete(
        self,
        prompt: Prompt,
        *,
        output: Mapping[str, object],
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        reasoning: str = ...,
        stream: bool = ...,
        max_repairs: int = ...,
    ) -> Completion[object]: ...
    @overload
    async def complete(
        self,
        prompt: Prompt,
        *,
        max_tokens: int | None = ...,
        temperature: float | None = ...,
        reasoning: str = ...,
        stream: bool = ...,
    ) -> Completion[str]: ...
    async def complete(
        self,
        prompt: Prompt,
        *,
        output: Output | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        reasoning: str = "",
        stream: bool = False,
        max_repairs: int = DEFAULT_REPAIRS,
    ) -> Completion[object]:
        """Ask the model, and see to it that its answer can be used.

        Args:
          prompt: a text, a message, or a conversation.
          output: the type of the value, or its JSON schema; the model is shown it.
          max_tokens: the most the model may write; needed under a cap on tokens,
            and under one on money unless what the model writes costs nothing.
          reasoning: how much it should think first; see `ModelRequest`.
          stream: show the pieces of the answer, as `ModelDelta`, to those who
            watch the run; a piece that turns out void is followed by `Restarted`.
            Of an *output* with a sensitive field nothing is shown.
          max_repairs: how often the model may mend a reply of the wrong shape.

        Cancellation: the request is given up; it stays charged at its worst.
        Raises:
          ModelError: there is no answer, and trying again cannot help or has
            not helped; or there is a cap, and no bound on what it could use.
          BudgetExceededError: the next request could pass a cap; it is not sent.
          ConfigError: *output* is no type, or none that has a JSON schema, and no
            such schema itself.
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
            reasoning=reasoning,
        )
        reader = None if output is None else reader_of(output)
        request = attrs.evolve(base, key=self._scope.call_key())
        hidden = output is not None and is_sensitive(output)
        shown = stream and not hidden
        asking = Asking((self._model, *self._others), self._scope, shown=shown)
        repairs = 0
        while True:
            started = self._scope.now()
            reply = await asking.answer(request)
            if reader is None:
                return Completion(reply.text, reply, repairs, mended=False)
            read = _read(reply, reader)
            if not isinstance(read, ModelError):
                if hidden:
                    # The words would be where the value may not be seen.
                    reply = attrs.evolve(reply, text=HIDDEN, parts=())
                return Completion(read.value, reply, repairs, read.mended)
            if repairs < max_repairs:
                repairs += 1
                messages = _asking_to_mend(base.messages, reply, read)
            else:
                await self._once_more(read, started)
                repairs = 0
                messages = base.messages
            request = attrs.evolve(base, messages=messages, key=self._scope.call_key())

    async def _once_more(self, error: ModelError, started: float) -> None:
        """Count an attempt whose reply could not be mended; wait, or raise *error*."""
        scope = self._scope
        failure = Failure.from_error(error, where=self.name)
        scope.failed_in_place(failure, started, NO_USAGE)
        decision = decide(scope.retry, scope.number, failure, scope.jitter())
        if not isinstance(decision, Retry) or decision.delay >= scope.time_left:
            scope.final(error)
            raise error
        scope.number += 1
        if decision.delay > 0:
            await scope.wait(decision.delay, f"{failure.cause.value}: backoff")


class _Read(msgspec.Struct, frozen=True):
    """A reply that could be read."""

    value: object
    mended: bool


def _read(reply: ModelReply, reader: Reader) -> _Read | ModelError:
    try:
        decoded = decode_by(reply.text, reader)
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
          UnknownModelError: there is none of that name; says which there are.
        """
        model = self._model(name)
        others = model.fallbacks if isinstance(model, GatedModel) else ()
        return BoundModel(model, self._scope, tuple(map(self._model, others)))

    def _model(self, name: str) -> Model:
        try:
            return self._models[name]
        except KeyError:
            raise UnknownModelError(name, tuple(self._models)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)
