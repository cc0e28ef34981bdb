"""Small questions to the user's code, asked between steps.

`accept`, `until`, `when`, `over` and the like are quick functions without
effect.  What they raise must not break the actor that asks: it is the run's
failure, like that of a step.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CoroutineType

from understudy_protocols.failures import Failure


def ask(where: str, function: Callable[..., object], *arguments: object) -> object:
    """Return what *function* says, or the `Failure` that came of asking."""
    try:
        answer = function(*arguments)
        if isinstance(answer, CoroutineType):
            answer.close()
            raise TypeError("the function is async, and its answer is needed at once")
        return answer
    except Exception as error:  # noqa: BLE001 - a behaviour failed: classified
        return Failure.from_error(error, where=where)


def ask_if(
    where: str, function: Callable[..., object], *arguments: object
) -> bool | Failure:
    """Return whether *function* says yes, or the `Failure` that came of asking.

    The truth of an answer is the user's code as well: an array has none.
    """
    answer = ask(where, function, *arguments)
    return answer if isinstance(answer, Failure) else _truth(where, answer)


def _truth(where: str, answer: object) -> bool | Failure:
    try:
        return bool(answer)
    except Exception as error:  # noqa: BLE001 - a behaviour failed: classified
        return Failure.from_error(error, where=where)
