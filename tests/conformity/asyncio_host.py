"""Trio as the guest of an asyncio program: one run, cancelled as its awaiter is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import outcome
import trio

_T = TypeVar("_T")


async def trio_in_asyncio(main: Callable[[], Awaitable[_T]]) -> _T:
    """Run *main* under trio inside the running asyncio loop; return what it returns.

    Cancellation: trio's side is cancelled, and waited for to its end, however
      often the caller is cancelled: a guest that is abandoned leaves trio
      unusable in this thread.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[outcome.Outcome[_T]] = loop.create_future()
    scope = trio.CancelScope()
    token: trio.lowlevel.TrioToken | None = None

    async def guest() -> _T:
        nonlocal token
        token = trio.lowlevel.current_trio_token()
        with scope:
            return await main()
        raise _Cancelled

    trio.lowlevel.start_guest_run(
        guest,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        done_callback=done.set_result,
        host_uses_signal_set_wakeup_fd=True,
    )
    cancelled = asyncio.CancelledError()
    while not done.done():
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError as error:
            cancelled = error
            if token is None:
                scope.cancel()
            else:
                token.run_sync_soon(scope.cancel, "the host was cancelled")
    try:
        return done.result().unwrap()
    except _Cancelled:
        raise cancelled from None


class _Cancelled(Exception):
    """Trio's side has ended because it was cancelled."""
