"""Steps: functions that a workflow runs, with all that is declared about them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import (
    TYPE_CHECKING,
    Generic,
    Literal,
    Never,
    Protocol,
    TypeVar,
    cast,
    overload,
)

import msgspec

from understudy.workflows.attempt import Attempt
from understudy.workflows.context import Context
from understudy.workflows.hints import (
    UNDECLARED,
    argument_of,
    hints_of,
    is_async,
    parameters_of,
)
from understudy.workflows.nodes import (
    Deps_contra,
    In_contra,
    Maybe,
    Need,
    Out_co,
    Workflow,
)
from understudy_protocols.errors import ConfigError
from understudy_protocols.frozen import declared_type_problem
from understudy_protocols.retry import RetryConfig

if TYPE_CHECKING:
    # Loaded by those who have models.
    from understudy.models.input_limit import InputLimit

I = TypeVar("I")
O = TypeVar("O")
D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)


class StatefulStep(Protocol[D_contra]):
    """A step that keeps something between messages; one instance per worker.

    It may also have ``async setup()`` and ``async teardown()``; when either
    raises, or `execute` raises something its step restarts on, the worker is
    replaced, with a new instance.
    """

    async def execute(
        self, context: Context[object], attempt: Attempt[D_contra], /
    ) -> object:
        """Make the step's value; may be called many times."""
        ...


class Step(
    Workflow[In_contra, Out_co, Deps_contra],
    Generic[In_contra, Out_co, Deps_contra],
    frozen=True,
    eq=False,
):
    """One function as a node of a workflow.

    Args:
      call: the function; takes the context, and the attempt if *takes_attempt*.
      needs: what it may see besides the input; None for all that is in scope.
      input_type: the run's input as the function declares it.
      output_type: what it declares to return; a type, or a JSON schema.
      deps_type: the dependencies as the function declares them.
      timeout: bounds the step with its retries and waits; seconds.
      retry: what happens when an attempt fails.
      max_concurrent: messages in hand at once; None for no limit of its own.
      input_limit: the most that its models are to read in one request.
      replay_safe: whether a message in hand may be tried again after it was
        lost; False means that it is never repeated.
      min_time: an attempt is not begun with less time left; seconds.
      thread: whether the function is synchronous and runs in a worker thread.
      when: whether the step runs at all; quick, and without effect.
      factory: makes the object that keeps state; then *call* is not used.
      restart_on: exceptions of *factory*'s object that replace it.
    """

    call: Callable[..., Awaitable[object]] | Callable[..., object]
    takes_attempt: bool = False
    needs: tuple[Need, ...] | None = ()
    input_type: object = UNDECLARED
    output_type: object = UNDECLARED
    deps_type: object = UNDECLARED
    timeout: float = math.inf
    retry: RetryConfig = msgspec.field(default_factory=RetryConfig)
    max_concurrent: int | None = None
    input_limit: InputLimit | None = None
    replay_safe: bool = True
    min_time: float = 0.0
    thread: bool = False
    when: Callable[[Context[object]], bool] | None = None
    factory: Callable[[], StatefulStep[object]] | None = None
    restart_on: tuple[type[Exception], ...] = ()


class StepDecorator(Protocol):
    """What ``step(...)`` returns: makes a step of an async function."""

    @overload
    def __call__(
        self, function: Callable[[Context[I]], Awaitable[O]], /
    ) -> Step[I, O, object]: ...
    @overload
    def __call__(
        self, function: Callable[[Context[I], Attempt[D]], Awaitable[O]], /
    ) -> Step[I, O, D]: ...


class ThreadStepDecorator(Protocol):
    """What ``step(thread=True)`` returns: makes a step of a plain function."""

    @overload
    def __call__(
        self, function: Callable[[Context[I]], O], /
    ) -> Step[I, O, object]: ...
    @overload
    def __call__(
        self, function: Callable[[Context[I], Attempt[D]], O], /
    ) -> Step[I, O, D]: ...


@overload
def step(function: Callable[[Context[I]], Awaitable[O]], /) -> Step[I, O, object]: ...
@overload
def step(
    function: Callable[[Context[I], Attempt[D]], Awaitable[O]], /
) -> Step[I, O, D]: ...
@overload
def step(
    *,
    name: str | None = ...,
    needs: Iterable[Need] = ...,
    output: object = ...,
    timeout: float | None = ...,
    retry: RetryConfig | None = ...,
    max_concurrent: int | None = ...,
    max_input_tokens: int | InputLimit | None = ...,
    replay_safe: bool = ...,
    min_time: float = ...,
    when: Callable[[Context[object]], bool] | None = ...,
    version: str = ...,
    thread: Literal[False] = ...,
) -> StepDecorator: ...
@overload
def step(
    *,
    name: str | None = ...,
    needs: Iterable[Need] = ...,
    output: object = ...,
    timeout: float | None = ...,
    retry: RetryConfig | None = ...,
    max_concurrent: int | None = ...,
    max_input_tokens: int | InputLimit | None = ...,
    replay_safe: bool = ...,
    min_time: float = ...,
    when: Callable[[Context[object]], bool] | None = ...,
    version: str = ...,
    thread: Literal[True],
) -> ThreadStepDecorator: ...
def step(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    needs: Iterable[Need] = (),
    output: object = UNDECLARED,
    timeout: float | None = None,
    retry: RetryConfig | None = None,
    max_concurrent: int | None = None,
    max_input_tokens: int | InputLimit | None = None,
    replay_safe: bool = True,
    min_time: float = 0.0,
    when: Callable[[Context[object]], bool] | None = None,
    version: str = "",
    thread: bool = False,
) -> object:
    """Make a step of a function.

    Args:
      name: the function's own name if not given.
      needs: nodes, or their names, whose values the step may see.
      output: a JSON schema or type, where no annotation says it.
      timeout: bounds the step with its retries and waits; seconds, without
        limit of its own if not given.
      retry: three attempts with backoff if not given; see `RetryConfig`.
      max_concurrent: messages in hand at once, over all runs.  One that was cut
        and does not end, such as a blocked thread, counts until it ends.
      max_input_tokens: the most that a model reads in one request of this step;
        a longer prompt is refused, or trimmed as an `InputLimit` says.
      replay_safe: False if the function must never run twice for one message.
      min_time: an attempt is not begun with less time left; seconds.
      when: whether the step runs at all for this run.
      version: a mark to change with the meaning of the function.
      thread: the function is synchronous and runs in a worker thread.
    Raises:
      ConfigError: a value that cannot be meant, or a function that cannot be
        a step; says which and why.
    """

    def decorate(function: Callable[..., object]) -> Step[Never, object, Never]:
        label = name or str(getattr(function, "__name__", type(function).__name__))
        _right_colour(function, label, thread)
        takes_attempt = _takes_attempt(function, label)
        declared = (*parameters_of(function), UNDECLARED)
        return Step(
            name=label,
            version=version,
            call=function,
            takes_attempt=takes_attempt,
            needs=checked_needs(needs, label),
            input_type=argument_of(declared[0]),
            output_type=_output(function, output, label),
            deps_type=argument_of(declared[1]) if takes_attempt else UNDECLARED,
            timeout=_timeout(label, timeout),
            retry=RetryConfig() if retry is None else retry,
            max_concurrent=_permits(label, max_concurrent),
            input_limit=_input_limit(max_input_tokens),
            replay_safe=replay_safe,
            min_time=_min_time(label, min_time),
            thread=thread,
            when=_quick(label, when),
        )

    return decorate if function is None else decorate(function)


def stateful_step(
    factory: Callable[[], StatefulStep[D]],
    *,
    name: str,
    needs: Iterable[Need] = (),
    output: type[O],
    timeout: float | None = None,
    retry: RetryConfig | None = None,
    max_concurrent: int | None = None,
    replay_safe: bool = True,
    restart_on: tuple[type[Exception], ...] = (),
    version: str = "",
) -> Step[object, O, D]:
    """Make a step that keeps something between messages, such as a connection.

    Each worker has an object of its own from *factory*.  Its ``setup`` runs
    before the first message, its ``teardown`` after the last.  When `execute`
    raises one of *restart_on*, what the object keeps is no good any more: the
    worker is replaced with a fresh one, at the expense of the step's few
    restarts, and the message is tried again as its `retry` says.

    Args:
      replay_safe: False if `execute` must never run twice for one message.

    Raises:
      ConfigError: a value that cannot be meant; says which and why.
    """
    _check_output(output, name)
    return Step(
        name=name,
        version=version,
        call=_unused,
        takes_attempt=True,
        needs=checked_needs(needs, name),
        output_type=output,
        deps_type=_deps_of(factory),
        timeout=_timeout(name, timeout),
        retry=RetryConfig() if retry is None else retry,
        max_concurrent=_permits(name, max_concurrent),
        replay_safe=replay_safe,
        # Runtime.__init__ sees to it that the dependencies are of the right type.
        factory=cast("Callable[[], StatefulStep[object]]", factory),
        restart_on=restart_on,
    )


def _unused(*_: object) -> object:
    raise AssertionError("a stateful step runs its object, not its function")


def checked_needs(needs: Iterable[Need], label: str) -> tuple[Need, ...]:
    """Return *needs* as a tuple.

    Raises:
      ConfigError: it is a single need, and not a tuple of them.
    """
    if isinstance(needs, str | Workflow | Maybe):
        raise ConfigError(
            f"needs of step {label!r} must be a tuple: needs=(that,), with the comma"
        )
    return tuple(needs)


def _right_colour(function: Callable[..., object], label: str, thread: bool) -> None:
    if thread == is_async(function):
        raise ConfigError(
            f"step {label!r} runs in a thread, so it must be a plain function"
            if thread
            else f"step {label!r} is a plain function; write async def, "
            "or step(thread=True) to run it in a worker thread"
        )


def _takes_attempt(function: Callable[..., object], label: str) -> bool:
    empty = inspect.Parameter.empty
    needed = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is empty
        and parameter.kind
        not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    by_name = [p for p in needed if p.kind is inspect.Parameter.KEYWORD_ONLY]
    if by_name or len(needed) not in (1, 2):
        raise ConfigError(
            f"step {label!r} takes ({', '.join(p.name for p in needed)}); "
            "a step takes (context) or (context, attempt)"
        )
    return len(needed) == 2


def _output(function: Callable[..., object], output: object, label: str) -> object:
    """Return the declared output: as given, else as annotated."""
    if output is UNDECLARED:
        output = hints_of(function).get("return", UNDECLARED)
    _check_output(output, label)
    return output


def _check_output(declared: object, label: str) -> None:
    if declared is UNDECLARED or isinstance(declared, Mapping):
        return
    problem = declared_type_problem(declared, f"the output of step {label!r}")
    if problem is not None:
        raise ConfigError(problem)


def _deps_of(factory: Callable[[], object]) -> object:
    """Return the dependencies that a stateful step's class declares."""
    execute: Callable[..., object] | None = getattr(factory, "execute", None)
    if execute is None:
        return UNDECLARED
    return argument_of((*parameters_of(execute)[2:], UNDECLARED)[0])


def _quick(
    label: str, when: Callable[[Context[object]], bool] | None
) -> Callable[[Context[object]], bool] | None:
    if when is not None and is_async(when):
        raise ConfigError(
            f"when of step {label!r} is async; it must be a plain, quick function"
        )
    return when


def _timeout(label: str, value: float | None) -> float:
    if value is None:
        return math.inf
    if isinstance(value, bool) or not value > 0:
        raise ConfigError(
            f"timeout of step {label!r} is {value!r}; give seconds above 0"
        )
    return value


def _min_time(label: str, value: float) -> float:
    if isinstance(value, bool) or not 0 <= value < math.inf:
        raise ConfigError(
            f"min_time of step {label!r} is {value!r}; give seconds, 0 or more"
        )
    return value


def _input_limit(given: int | InputLimit | None) -> InputLimit | None:
    if not isinstance(given, int):
        return given
    # Loaded by those who have models.
    from understudy.models.input_limit import InputLimit

    return InputLimit(given)


def _permits(label: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(
            f"max_concurrent of step {label!r} is {value!r}; give a whole number from 1"
        )
    return value
