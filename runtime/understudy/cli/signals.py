"""Work that a person can interrupt: cancelled in order, and then said."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from understudy.cli.exits import EXIT_INTERRUPTED
from understudy_protocols.errors import UnderstudyError

T = TypeVar("T")


def watched(work: Callable[[], Awaitable[T]]) -> T | int:
    """Do *work*, and return what it returns; an exit code if a signal ended it.

    The first Ctrl-C cancels the work, which may still close what it has open; the
    second ends it at once.

    Raises:
      UnderstudyError: as *work* raised it.
    """
    ended: T | int | UnderstudyError = EXIT_INTERRUPTED
    try:
        ended = trio.run(_cancelled_by_signal, work)
    except* KeyboardInterrupt:
        pass  # the second one
    if isinstance(ended, UnderstudyError):
        raise ended
    return ended


async def _cancelled_by_signal(
    work: Callable[[], Awaitable[T]],
) -> T | int | UnderstudyError:
    numbers: list[int] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(_heed, numbers, nursery.cancel_scope)
        try:
            return await work()
        except UnderstudyError as error:
            return error  # past the nursery, which would put a group around it
        finally:
            nursery.cancel_scope.cancel()
    return 128 + numbers[0]


async def _heed(
    numbers: list[int],
    scope: trio.CancelScope,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        numbers.append(await anext(signals))
        scope.cancel()
