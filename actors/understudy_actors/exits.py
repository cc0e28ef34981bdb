"""Which exit kind an ended life has, from what its code raised.

Pure: the one who catches the exception is ``incarnation``.
"""

from __future__ import annotations

from typing import cast

import msgspec
import trio

from understudy_protocols.errors import (
    ChildEscalatedError,
    RestartIntensityError,
    StartFailedError,
)
from understudy_protocols.supervision import Exit, ExitKind, Shutdown


class Circumstances(msgspec.Struct, frozen=True):
    """What the shell knows of a life when its code ends.

    Args:
      path: the child's.
      ready: whether it had reported ready.
      asked: whether it was asked to stop.
      cut: why its scope was cancelled: KILLED, TIMEOUT, or None if it was not.
      caught: whether the scope caught its own cancellation: the code was
        really cut, and did not end by itself in the same moment.
      result: what the code returned, if it did.
    """

    path: str
    ready: bool
    asked: bool
    cut: ExitKind | None = None
    caught: bool = False
    result: object = None


def named_reason(end: Exit | None) -> str:
    """Return how *end* is called in dead letters and errors; None is a plain stop."""
    if end is None or end.kind is ExitKind.SHUTDOWN:
        return "stopped"
    kind: str = end.kind.value
    return kind


# Tuples: a union of types would be made anew at each question.
_GAVE_UP = (RestartIntensityError, ChildEscalatedError)
_TIMEOUT = (TimeoutError, trio.TooSlowError)


def leaf(error: BaseException) -> BaseException:
    """Return the one exception that *error* stands for.

    Of a group, cancellations aside: its only member; else what ends the
    process, if it has that; else the group of them.
    """
    group = _group(error)
    if group is None:
        return error
    members = [m for m in _members(error) if not isinstance(m, trio.Cancelled)]
    if len(members) == 1:
        return members[0]
    fatal = next((m for m in members if not isinstance(m, Exception)), None)
    if fatal is not None or isinstance(error, Exception):
        return fatal or error
    _, rest = group.split(trio.Cancelled)
    return rest or error


def mistake(error: BaseException) -> BaseException:
    """Return what code failed with that was not cut, and raised *error*.

    A Cancelled is then one of its own: it escaped from the scope it belongs to.
    """
    one = leaf(error)
    if not _is_cancellation(one):
        return one
    stray = RuntimeError("a Cancelled left the scope that it belongs to")
    stray.__cause__ = one
    return stray


def _is_cancellation(error: BaseException) -> bool:
    return all(isinstance(member, trio.Cancelled) for member in _members(error))


def _members(error: BaseException) -> list[BaseException]:
    """Return the exceptions in *error*, those of groups within groups too."""
    found, waiting = list[BaseException](), [error]
    while waiting:
        last = waiting.pop()
        group = _group(last)
        if group is None:
            found.append(last)
        else:
            waiting.extend(reversed(group.exceptions))
    return found


def _group(error: BaseException) -> BaseExceptionGroup[BaseException] | None:
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error)
    return None


def classify(error: BaseException | None, of: Circumstances) -> Exit:
    """Return the exit of a life whose code ended with *error*, or returned."""
    if error is not None:
        # The scope of a life that was cut has caught its own Cancelled.
        return _classify_error(mistake(error), of)
    if of.cut is not None and (of.caught or not (of.ready or of.asked)):
        return Exit(of.cut)
    if of.asked:
        return Exit(ExitKind.SHUTDOWN, result=of.result)
    if not of.ready:
        reason = "it ended without reporting ready"
        return Exit(ExitKind.START_FAILED, StartFailedError(of.path, reason))
    return Exit(ExitKind.NORMAL, result=of.result)


def _classify_error(error: BaseException, of: Circumstances) -> Exit:
    if not isinstance(error, Exception):
        return Exit(ExitKind.CRASH, error)
    if isinstance(error, Shutdown):
        return Exit(ExitKind.SHUTDOWN, error, error.result)
    if of.cut is not None:
        return Exit(of.cut, error)
    if not of.ready and not of.asked:
        return Exit(ExitKind.START_FAILED, error)
    if isinstance(error, _GAVE_UP):
        return Exit(ExitKind.GAVE_UP, error)
    if isinstance(error, _TIMEOUT):
        return Exit(ExitKind.TIMEOUT, error)
    return Exit(ExitKind.CRASH, error)
