"""Running the function of a step: in a context of its own, or in a thread."""

from __future__ import annotations

import contextvars
import types
from collections.abc import Callable, Coroutine, Generator
from typing import cast

import trio

Body = Callable[..., Coroutine[object, object, object]]


@types.coroutine
def drive(
    context: contextvars.Context, driven: Coroutine[object, object, object]
) -> Generator[object, object, object]:
    """Await *driven*, each stretch of it in *context*.

    Variables that it sets stay in *context*; tasks and threads that it starts
    inherit from there.

    Cancellation: raised inside the coroutine, as by an ordinary await.
    Source: PEP 380, less what a coroutine has no use for.
    """
    run = context.run
    go: Callable[..., object] = driven.send
    argument: object = None
    while True:
        try:
            trap = run(go, argument)
        except StopIteration as stop:
            return stop.value
        try:
            argument = yield trap
        except BaseException as error:  # noqa: BLE001 - handed on, not handled
            go, argument = cast("Callable[..., object]", driven.throw), error
        else:
            go = driven.send


def threaded(function: Callable[..., object]) -> Body:
    """Return the async form of a synchronous function: it runs in a worker thread."""

    async def in_thread(*arguments: object) -> object:
        return await trio.to_thread.run_sync(function, *arguments)

    return in_thread
