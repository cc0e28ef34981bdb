"""Steps: functions that a workflow runs, with all that is declared about them."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, Literal, Never, Protocol, TypeVar, overload

import attrs

from understudy.workflows.attempt import Attempt
from understudy.workflows.context import Context
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

I = TypeVar("I")
O = TypeVar("O")
D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)


class Undeclared:
    """Stands where a step declares no type: checked when it runs, not before."""


UNDECLARED = Undeclared()


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


@attrs.frozen(eq=False)
class Step(Workflow[In_contra, Out_co, Deps_contra], Generic[In_contra, Out_co, Deps_contra]):
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
    retry: RetryConfig = attrs.field(factory=RetryConfig)
    max_concurrent: int | None = None
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
    replay_safe: bool = True,
    min_time: float = 0.0,
    when: Callable[[Context[object]], bool] | None = None,
    version: str = "",
    thread: bool = False,
) -> Step[Never, object, Never] | Callable[[Callable[..., object]], object]:
    """Make a step of a function.

    Args:
      name: the function's own name if not given.
      needs: nodes, or their names, whose values the step may see.
      output: a JSON schema or type, where no annotation says it.
      timeout: bounds the step with its retries and waits; seconds, without
        limit of its own if not given.
      retry: three attempts with backoff if not given; see `RetryConfig`.
      max_concurrent: messages in hand at once, over all runs.
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
        label = name or getattr(function, "__name__", type(function).__name__)
        if thread == inspect.iscoroutinefunction(function):
            raise ConfigError(
                f"step {label!r} runs in a thread, so it must be a plain function"
                if thread
                else f"step {label!r} is a plain function; write async def, "
                "or step(thread=True) to run it in a worker thread"
            )
        takes_attempt = _takes_attempt(function, label)
        hints = _hints(function)
        declared = hints.get("return", UNDECLARED) if output is UNDECLARED else output
        problem = (
            None
            if declared is UNDECLARED or isinstance(declared, typing.Mapping)
            else declared_type_problem(declared, f"the output of step {label!r}")
        )
        if problem is not None:
            raise ConfigError(problem)
        parameters = list(inspect.signature(function).parameters)
        return Step(
            name=label,
            version=version,
            call=function,
            takes_attempt=takes_attempt,
            needs=_needs(needs, label),
            input_type=_argument(hints.get(parameters[0])),
            output_type=declared,
            deps_type=_argument(hints.get(parameters[1]))
            if takes_attempt
            else UNDECLARED,
            timeout=_seconds("timeout", label, timeout),
            retry=RetryConfig() if retry is None else retry,
            max_concurrent=_permits(label, max_concurrent),
            replay_safe=replay_safe,
            min_time=min_time,
            thread=thread,
            when=when,
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
    restart_on: tuple[type[Exception], ...] = (Exception,),
    version: str = "",
) -> Step[object, O, D]:
    """Make a step that keeps something between messages, such as a connection.

    Each worker has an object of its own from *factory*.  Its ``setup`` runs
    before the first message, its ``teardown`` after the last.  When `execute`
    raises one of *restart_on*, the worker is replaced with a fresh object, and
    the message tried again as its `retry` says.
    """
    problem = declared_type_problem(output, f"the output of step {name!r}")
    if problem is not None:
        raise ConfigError(problem)
    return Step(
        name=name,
        version=version,
        call=_unused,
        takes_attempt=True,
        needs=_needs(needs, name),
        output_type=output,
        timeout=_seconds("timeout", name, timeout),
        retry=RetryConfig() if retry is None else retry,
        max_concurrent=_permits(name, max_concurrent),
        factory=factory,
        restart_on=restart_on,
    )


def _unused(*_: object) -> object:
    raise AssertionError("a stateful step runs its object, not its function")


def _takes_attempt(function: Callable[..., object], label: str) -> bool:
    kinds = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    parameters = inspect.signature(function).parameters.values()
    needed = [
        p.name
        for p in parameters
        if p.kind in kinds and p.default is inspect.Parameter.empty
    ]
    keyword_only = [
        p.name
        for p in parameters
        if p.kind is inspect.Parameter.KEYWORD_ONLY
        and p.default is inspect.Parameter.empty
    ]
    if keyword_only or len(needed) not in (1, 2):
        raise ConfigError(
            f"step {label!r} takes ({', '.join(needed + keyword_only)}); "
            "a step takes (context) or (context, attempt)"
        )
    return len(needed) == 2


def _hints(function: Callable[..., object]) -> dict[str, object]:
    """Return the annotations that can be resolved; none if one of them cannot."""
    target = inspect.unwrap(function)
    closure = (
        inspect.getclosurevars(target).nonlocals if inspect.isfunction(target) else {}
    )
    try:
        return typing.get_type_hints(target, localns=dict(closure))
    except NameError:
        # A type that only the function's own surroundings know: like none.
        return {}


def _argument(hint: object) -> object:
    arguments = typing.get_args(hint)
    if not arguments or isinstance(arguments[0], TypeVar):
        return UNDECLARED
    return arguments[0]


def _needs(needs: Iterable[Need], label: str) -> tuple[Need, ...]:
    if isinstance(needs, str | Workflow | Maybe):
        raise ConfigError(
            f"needs of step {label!r} must be a tuple: needs=(that,), with the comma"
        )
    return tuple(needs)


def _seconds(what: str, label: str, value: float | None) -> float:
    if value is None:
        return math.inf
    if isinstance(value, bool) or not value > 0:
        raise ConfigError(
            f"{what} of step {label!r} is {value!r}; give seconds above 0"
        )
    return value


def _permits(label: str, value: int | None) -> int | None:
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int) or value < 1
    ):
        raise ConfigError(
            f"max_concurrent of step {label!r} is {value!r}; give a whole number from 1"
        )
    return value
