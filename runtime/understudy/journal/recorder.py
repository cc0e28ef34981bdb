"""The writer: gathers what is to be recorded, and says when it is safe.

Whoever has a record hands it over with what is to follow, and goes on.  While one
batch is being written the next one gathers; when it is safe, what follows its
records is called, in their order.  So whatever a record leads to happens after the
record, and in the same order as it will when the records are followed again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal

import trio

from understudy.journal.writer_thread import StillWriting
from understudy_protocols.errors import JournalError, JournalWriteError
from understudy_protocols.journal import Batch
from understudy_protocols.supervision import Life

Durability = Literal["step", "async"]
"""Whether a run waits for each of its records to be safe, or goes on at once."""

FIRST_WAIT, LONGEST_WAIT, GIVE_UP = 0.05, 2.0, 60.0
"""A batch that cannot be written is tried again after so long, at most after so
long, and for so long in all; seconds."""

IN_A_TURN = 50
"""Calls in one breath of the loop; a count."""

_LOG = logging.getLogger("understudy.journal")


class Recorder:
    """Hands batches to a store, one at a time.

    Args:
      write: writes one batch and returns when it is safe; not cut in the middle.
        One that *write_now* has left under way is waited for, and not written again.
      durability: see there.
      write_now: writes one batch while the loop stands still, if nobody else is
        about to hand something over that could be written along; whether it was.

    Attributes:
      batch: what has been handed over and is not under way yet.
      trouble: why the journal cannot be written at present; None if it can.
    """

    def __init__(
        self,
        write: Callable[[Batch], Awaitable[None]],
        durability: Durability,
        write_now: Callable[[Batch], bool] | None = None,
    ) -> None:
        self.durability: Durability = durability
        self.batch: Batch = Batch()
        self.trouble: str | None = None
        self._write = write
        self._write_now = write_now
        self._follow: list[Callable[[], None]] = []
        # Both outlive the life that began with them, should it end in the middle.
        self._under_way: Batch | None = None
        self._due: list[Callable[[], None]]  # set with the batch under way
        # The life before may be stuck in a write: its batch is not for two.
        self._one_life: trio.Lock = trio.Lock()
        self._parked: trio.lowlevel.Task | None = None
        # What a handler of a signal has raised where it would have done harm.
        self._interruption: BaseException | None = None
        self._closing: bool  # whether the present life was asked to stop
        self._fatal: JournalError | None = None

    def follow(self, call: Callable[[], None]) -> None:
        """Make *call* when all that was handed over so far is safe."""
        self._follow.append(call)
        self.wake()

    @trio.lowlevel.enable_ki_protection
    def write_now(self) -> bool:
        """Write what was handed over in the same breath; whether that could be done.

        It saves whoever is alone two turns of the loop.  A Ctrl-C waits until it is
        known what was written: else that would be written once more.
        """
        if self._write_now is None or self._parked is None:
            return False
        if not self.batch:
            return True  # nothing is due either
        batch, self.batch = self.batch, Batch()
        self._under_way, self._due = batch, []
        try:
            written = self._write_now(batch)
        except StillWriting as error:
            self._interruption = error.__cause__
            self.wake()
            return False
        except Exception:  # noqa: BLE001 - the actor meets it again, and deals with it
            written = False
        except BaseException:
            self.wake()
            raise
        self._under_way = None
        if not written:
            self.batch = batch
        return written

    def wake(self) -> None:
        """See that what was handed over is written soon."""
        if self._parked is not None:
            trio.lowlevel.reschedule(self._parked)
            self._parked = None

    def rest(self) -> Iterator[Batch]:
        """Yield what was handed over and not written before this was ended."""
        if self._under_way:
            yield self._under_way
        if self.batch:
            yield self.batch

    async def run(self, life: Life) -> None:
        """Write until asked to stop; what was handed over until then is written.

        Raises:
          JournalError: it cannot be written, or could not be for a minute; or another
            process has taken it over.
        """
        if self._fatal is not None:
            raise self._fatal  # another life would not help
        self._closing = False
        life.on_stop(self._stop)
        life.ready()
        async with self._one_life:
            await self._write_on()

    async def _write_on(self) -> None:
        rested = True
        while True:
            if self._under_way is not None or self.batch or self._follow:
                if not rested:
                    # What follows a record may be the next record, again and again.
                    await trio.lowlevel.checkpoint()
                await self._round()
                rested = False
                if self._interruption is not None:
                    error, self._interruption = self._interruption, None
                    raise error
            elif self._closing:
                return
            else:
                await self._park()
                rested = True

    def _stop(self) -> None:
        self._closing = True
        self.wake()

    async def _park(self) -> None:
        self._parked = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    async def _round(self) -> None:
        if self._under_way is None:
            self._under_way, self.batch = self.batch, Batch()
            self._due, self._follow = self._follow, []
        if self._under_way:
            await self._written(self._under_way)
        self._under_way, follow = None, self._due
        turns = iter(follow)
        try:
            for number, call in enumerate(turns, 1):
                call()
                if number % IN_A_TURN == 0:
                    await trio.lowlevel.checkpoint()
        finally:
            # Should one of them raise, or this be cut, the others are for the next life.
            self._follow[:0] = turns

    async def _written(self, batch: Batch) -> None:
        """Write one batch, however often it takes."""
        delay, deadline = FIRST_WAIT, math.inf
        while True:
            try:
                await self._write(batch)
            except JournalWriteError as error:
                now = trio.current_time()
                deadline = min(deadline, now + GIVE_UP)
                if now >= deadline:
                    self._fatal = error
                    raise
                if self.trouble is None:
                    _LOG.error("%s; runs wait until it can be written", error)
                self.trouble = str(error)
            except JournalError as error:
                self.trouble, self._fatal = str(error), error
                raise
            else:
                self.trouble = None
                return
            await trio.sleep(delay)
            delay = min(2 * delay, LONGEST_WAIT)
