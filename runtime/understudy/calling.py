"""Call a user's function and turn what it raises into a value.

The one place of the stand-alone functions where `Exception` is caught: with it,
what to do about a failure can be decided by plain code outside of any ``except``.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from understudy_protocols.articles import with_article
from understudy_protocols.errors import ConfigError

_T = TypeVar("_T")


class Raised(msgspec.Struct, frozen=True, eq=False):
    """What a call raised, in place of what it would have returned."""

    error: Exception


async def call(
    func: Callable[[], Awaitable[_T]], name: str = "the function"
) -> _T | Raised:
    """Await ``func()`` and return its result, or its exception as a value.

    Args:
      func: takes no argument and returns an awaitable.
      name: what to call it in an error.

    Cancellation: passes through, as do all exceptions that are not `Exception`;
      what the function had done is done.
    Raises:
      ConfigError: the function returned something that cannot be awaited.
    """
    try:
        awaitable = func()
        # Asked here, since a TypeError out of ``await`` could as well be raised by
        # the function's own code.
        if inspect.isawaitable(awaitable):
            return await awaitable
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises
        return Raised(error)
    raise not_awaitable(awaitable, name)


def call_plain(func: Callable[[], _T]) -> _T | Raised:
    """Do as `call` does for a plain function."""
    try:
        return func()
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises
        return Raised(error)


async def call_bare(func: Callable[[], Awaitable[_T]], name: str) -> _T:
    """Do as `call` does, but let every exception through."""
    awaitable = func()
    if not inspect.isawaitable(awaitable):
        raise not_awaitable(awaitable, name)
    return await awaitable


def not_awaitable(found: object, name: str) -> ConfigError:
    """Return the error for a function *name* that returned *found*."""
    return ConfigError(
        f"{name} returned {with_article(type(found).__name__)}, which cannot be awaited; "
        "make it an async function"
    )
