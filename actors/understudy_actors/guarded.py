"""The one place where another's callback may fail without failing us."""

from __future__ import annotations

from collections.abc import Callable


def guarded(callback: Callable[[], object]) -> Exception | None:
    """Call what the user gave us; return what it raised instead of raising it."""
    try:
        callback()
    except Exception as error:  # noqa: BLE001 # the caller reports it
        return error
    return None
