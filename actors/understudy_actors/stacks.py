"""Where a task stands, also in code that is not awaited but stepped by hand.

Trio follows a task from one await to the next.  That ends at a driver, which
steps a coroutine itself in order to do so in another context: such a generator
keeps the coroutine in a variable called ``driven``, and so it can be followed.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from types import FrameType

import trio


def stack_of(task: trio.lowlevel.Task) -> str:
    """Return where *task* stands, innermost last; text."""
    return "".join(traceback.StackSummary.extract(await_frames(task)).format())


def await_frames(task: trio.lowlevel.Task) -> Iterator[tuple[FrameType, int]]:
    """Yield the frames that *task* waits in, outermost first, and their lines."""
    awaited: object = task.coro
    while awaited is not None:
        kind = "cr" if hasattr(awaited, "cr_frame") else "gi"
        frame: FrameType | None = getattr(awaited, f"{kind}_frame", None)
        if frame is None:
            return  # the parts of an asynchronous generator cannot be looked into
        yield frame, frame.f_lineno
        following = "cr_await" if kind == "cr" else "gi_yieldfrom"
        awaited = getattr(awaited, following) or frame.f_locals.get("driven")
