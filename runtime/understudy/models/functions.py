"""Functions that a model may ask for: described from their signatures, called strictly."""

from __future__ import annotations

import hashlib
import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

import attrs
import msgspec

from understudy.models.function_journal import FunctionJournal, FunctionOutcome
from understudy.models.replies import as_text
from understudy.models.structured import schema_of
from understudy_protocols.chat import Tool, ToolRequestPart, ToolResultPart
from understudy_protocols.errors import ConfigError
from understudy_protocols.sensitive import redacted, unheeded_mark

Callee: TypeAlias = Callable[..., Awaitable[object]]
"""An async function with annotated parameters."""


class FunctionError(Exception):
    """Raise it from a function to tell the model what went wrong.

    The model gets the text as the function's result, and may try something else.
    Any other exception is an error of the step.
    """


class FunctionCall(msgspec.Struct, frozen=True):
    """One call, for a function that takes it as a parameter of this type.

    Args:
      key: the idempotency key: the same when the step is tried again and the
        model asks for the same function with the same arguments at the same place
        of the same round; and of no other call.
      round: of the conversation, from 1.
    """

    key: str
    round: int


@attrs.frozen
class ModelFunction:
    """A function as a model sees it.

    Args:
      callee: what is called.
      tool: its name, description and parameters, for the model.
      arguments: what the model's arguments are decoded to.
      call_parameter: the name of the parameter that takes the `FunctionCall`;
        empty if there is none.
      journaled: whether a call that has finished is not made again; see
        `journaled`.
    """

    callee: Callee
    tool: Tool
    arguments: type[msgspec.Struct]
    call_parameter: str = ""
    journaled: bool = False


def model_function(callee: Callee) -> ModelFunction:
    """Describe *callee* by its name, its docstring, and its annotations.

    Raises:
      ConfigError: a parameter has no annotation, cannot be given by name, or is
        of a type that has no JSON schema; or a mark would hide nothing.
    """
    name = getattr(callee, "__name__", type(callee).__name__)
    if not inspect.iscoroutinefunction(callee):
        raise ConfigError(f"{name} is not async; make it an async function")
    try:
        hints = typing.get_type_hints(callee)
        written = typing.get_type_hints(callee, include_extras=True)
    except NameError as error:
        raise ConfigError(f"an annotation of {name} is not known: {error}") from error
    _check_marks(name, written)
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    call_parameter = ""
    for parameter in inspect.signature(callee).parameters.values():
        kind = _annotation(name, parameter, hints)
        if kind is FunctionCall:
            call_parameter = parameter.name
        elif parameter.default is parameter.empty:
            fields.append((parameter.name, kind))
        else:
            fields.append((parameter.name, kind, parameter.default))
    arguments = msgspec.defstruct(
        name, fields, kw_only=True, frozen=True, forbid_unknown_fields=True
    )
    description = inspect.getdoc(callee) or ""
    tool = Tool(name, description, _parameters(arguments))
    return ModelFunction(callee, tool, arguments, call_parameter)


def journaled(callee: Callee) -> ModelFunction:
    """Describe *callee*, as `model_function` does, as one not to be called twice.

    A call that has finished is recorded: the model was told what it returned, or
    the text of its `FunctionError`.  If the body of the step runs again, after a
    failure or when its worker was replaced, and the model asks for the same at the
    same place, it is told the same, and the function is not called.  A call that
    was cancelled or raised something else has not finished: it is made again, under
    the same key.

    Raises:
      ConfigError: see `model_function`.
    """
    return attrs.evolve(model_function(callee), journaled=True)


@attrs.frozen
class Place:
    """Where in a conversation a model asked for a function.

    Args:
      conversation: its key.
      round: from 1.
      number: among those asked for in one round, from 1.
    """

    conversation: str
    round: int
    number: int


async def run_function(
    functions: Mapping[str, ModelFunction],
    request: ToolRequestPart,
    place: Place,
    journal: FunctionJournal,
) -> ToolResultPart:
    """Return what the function returned that the model asked for, or what was wrong.

    Cancellation: the call may have had its effect; it counts as not finished.
    Raises:
      Whatever the function raises but `FunctionError`.
    """
    function = functions.get(request.name)
    if function is None:
        there = ", ".join(functions)
        text = f"there is no function {request.name!r}; there are: {there}"
        return ToolResultPart(request.id, text, failed=True)
    try:
        # No text at all stands for no arguments.
        text = request.arguments.strip() or "{}"
        given = msgspec.json.decode(text, type=function.arguments)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        text = f"the arguments cannot be used: {error}"
        return ToolResultPart(request.id, text, failed=True)
    call = FunctionCall(_key(place, request.name, given), place.round)
    if function.journaled:
        outcome = await _called_once(function, given, call, place, journal)
        return ToolResultPart(request.id, outcome.text, outcome.failed)
    text, failed, _ = await _called(function, given, call)
    return ToolResultPart(request.id, text, failed)


def _key(place: Place, name: str, given: msgspec.Struct) -> str:
    """Return the key of a call: another place, name or argument makes another."""
    asked = msgspec.json.encode((name, given), order="deterministic")
    digest = hashlib.blake2b(asked, digest_size=8).hexdigest()
    return f"{place.conversation}/{place.round}/{place.number}/{digest}"


async def _called_once(
    function: ModelFunction,
    given: msgspec.Struct,
    call: FunctionCall,
    place: Place,
    journal: FunctionJournal,
) -> FunctionOutcome:
    """Return what came of a call, and make it if it has not finished before."""
    before = journal.recorded(call.key)
    if before is not None:
        return before
    started = journal.now()
    text, failed, sensitive = await _called(function, given, call)
    outcome = FunctionOutcome(
        call.key,
        function.tool.name,
        f"{place.round}/{place.number}",
        text,
        failed,
        started,
        journal.now(),
        sensitive,
    )
    await journal.record(outcome)
    return outcome


async def _called(
    function: ModelFunction, given: msgspec.Struct, call: FunctionCall
) -> tuple[str, bool, bool]:
    """Return what the model is told of a call.

    And whether that is what was wrong, and whether something in it is sensitive.
    """
    arguments: dict[str, object] = {
        field: getattr(given, field) for field in given.__struct_fields__
    }
    if function.call_parameter:
        arguments[function.call_parameter] = call
    try:
        result = await function.callee(**arguments)
    except FunctionError as error:
        return str(error), True, False
    return as_text(result), False, redacted(result) is not result


def _annotation(
    name: str, parameter: inspect.Parameter, hints: Mapping[str, object]
) -> object:
    if parameter.kind not in (
        parameter.POSITIONAL_OR_KEYWORD,
        parameter.KEYWORD_ONLY,
    ):
        raise ConfigError(
            f"the parameter {parameter.name!r} of {name} cannot be given by name"
        )
    if parameter.name not in hints:
        raise ConfigError(
            f"the parameter {parameter.name!r} of {name} has no annotation; "
            "the model is told its type"
        )
    return hints[parameter.name]


def _check_marks(name: str, hints: Mapping[str, object]) -> None:
    for place, hint in hints.items():
        problem = unheeded_mark(hint)
        if problem is not None:
            what = "what it gives" if place == "return" else repr(place)
            raise ConfigError(f"{name}: {what} {problem}")


def _parameters(arguments: type[msgspec.Struct]) -> Mapping[str, object]:
    """Return the schema of an object itself, with what it refers to beside it."""
    schema = dict(schema_of(arguments))
    definitions = dict(cast("Mapping[str, object]", schema.pop("$defs")))
    own = cast("Mapping[str, object]", definitions.pop(arguments.__name__))
    return {**own, **({"$defs": definitions} if definitions else {})}
