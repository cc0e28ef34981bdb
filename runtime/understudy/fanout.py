"""Run many async calls with a limit on how many are under way at once.

A window of workers takes the calls from one iterator, so a generator of a million
calls is read only as fast as they end; nothing is left when the function returns.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Literal, TypeVar, cast, overload

import trio

from understudy.calling import Raised, call, call_bare
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import failure_of
from understudy_protocols.outcomes import Outcome

_T = TypeVar("_T")
_R = TypeVar("_R")

# A worker whose calls never wait lets the other tasks run after so many of them.
_CALLS_PER_CHECKPOINT = 64


@overload
async def parallel_execute(
    tasks: Iterable[Callable[[], Awaitable[_T]] | Awaitable[_T]],
    max_concurrent: int = 5,
    on_error: Literal["cancel"] = "cancel",
) -> list[_T]: ...


@overload
async def parallel_execute(
    tasks: Iterable[Callable[[], Awaitable[_T]] | Awaitable[_T]],
    max_concurrent: int = 5,
    *,
    on_error: Literal["collect"],
) -> list[Outcome[_T]]: ...


async def parallel_execute(
    tasks: Iterable[Callable[[], Awaitable[_T]] | Awaitable[_T]],
    max_concurrent: int = 5,
    on_error: Literal["cancel", "collect"] = "cancel",
) -> list[_T] | list[Outcome[_T]]:
    """Run *tasks*, at most *max_concurrent* at once; return results in their order.

    Args:
      tasks: async functions of no argument, or coroutines.  A generator is read as
        the calls go on.  Coroutines of a list or tuple that were never started are
        closed.
      max_concurrent: how many calls may be under way; a count, 1 or more.
      on_error: what happens when a call fails.  ``"cancel"``: the others are
        cancelled, and the error is raised as it is, in no group (of several at
        once the first; the others are in its notes).  ``"collect"``: the others
        go on, and each result is an `Outcome`, a value or a failure.

    Cancellation: all calls under way are cancelled and waited for; results are lost.
    Raises:
      ConfigError: an argument has a value that cannot be meant.
      Whatever a call raises, with ``"cancel"``; whatever *tasks* raises when it is
      iterated over, with either.
    """
    if max_concurrent < 1:
        raise ConfigError(
            f"max_concurrent is {max_concurrent}; with fewer than 1 nothing runs"
        )
    functions = (_function(task) for task in tasks)
    try:
        if on_error == "cancel":
            return await _run_all(functions, max_concurrent, call_bare)
        if on_error == "collect":
            return await _run_all(functions, max_concurrent, _call_for_outcome)
        raise ConfigError(f"on_error is {on_error!r}; give 'cancel' or 'collect'")
    finally:
        _close_unstarted(tasks)


async def _run_all(
    functions: Iterable[Callable[[], Awaitable[_T]]],
    width: int,
    run: Callable[[Callable[[], Awaitable[_T]], str], Awaitable[_R]],
) -> list[_R]:
    """Apply *run* to each of *functions* in a window of *width* workers."""
    results: dict[int, _R] = {}
    source = enumerate(functions)

    async def work(index: int, function: Callable[[], Awaitable[_T]]) -> None:
        for count in itertools.count(1):
            results[index] = await run(function, f"task {index}")
            if count % _CALLS_PER_CHECKPOINT == 0:
                await trio.lowlevel.checkpoint()
            following = next(source, None)
            if following is None:
                return
            index, function = following

    failure: BaseException | None = None
    try:
        await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            # A worker starts with a call in hand: none is started for nothing.
            for index, function in itertools.islice(source, width):
                nursery.start_soon(work, index, function)
    except BaseExceptionGroup as group:
        failure = _what_happened(group)
    if failure is not None:
        # Not inside the except block, where the group would become its context.
        raise failure
    return [results[index] for index in range(len(results))]


def _what_happened(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one exception to raise for what the workers raised.

    The first that is more than a cancellation: an outer scope that was cancelled
    as well cuts the caller again at its next checkpoint, while an error not raised
    here would be lost.  Else the cancellation.
    """
    errors = [error for error in group.exceptions if not _is_cancellation(error)]
    if not errors:
        return next(_leaves(group))
    # An interrupt of the whole program counts more than a failure in it.
    errors.sort(key=lambda error: isinstance(error, Exception))
    for other in errors[1:]:
        errors[0].add_note(f"while it was cancelled, a sibling failed too: {other!r}")
    return errors[0]


def _is_cancellation(error: BaseException) -> bool:
    return all(isinstance(leaf, trio.Cancelled) for leaf in _leaves(error))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for part in group.exceptions:
            yield from _leaves(part)
    else:
        yield error


async def _call_for_outcome(
    function: Callable[[], Awaitable[_T]], name: str
) -> Outcome[_T]:
    result = await call(function, name)
    if isinstance(result, Raised):
        return Outcome(failure=failure_of(result.error, where=name))
    return Outcome(value=result)


def _function(
    task: Callable[[], Awaitable[_T]] | Awaitable[_T],
) -> Callable[[], Awaitable[_T]]:
    if callable(task):
        return task
    return lambda: task


def _close_unstarted(tasks: Iterable[object]) -> None:
    # Python warns of a coroutine that was never awaited; those of an iterator are
    # not made before they are wanted.
    if isinstance(tasks, Sequence):
        for task in tasks:
            if (
                inspect.iscoroutine(task)
                and inspect.getcoroutinestate(task) == inspect.CORO_CREATED
            ):
                task.close()
