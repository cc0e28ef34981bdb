"""A thread that writes: its caller waits for a batch, and everybody else goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import perf_counter
from typing import Final, NamedTuple

import outcome
import trio

from understudy_protocols.journal import Batch

AT_ONCE: Final = 0.0005
"""How long the trio thread may stand still for a write; seconds.

To be told of its end later costs a tenth of a millisecond, which is nothing beside a
write that takes longer than this.
"""


class StillWriting(Exception):
    """A write goes on that one may not wait for any longer.

    Its cause is what a handler of a signal has raised meanwhile, if it has.
    """


class WriterThread:
    """One thread for the writes of one store, one batch at a time.

    It lives from the first write until `close`: a thread for each write would
    take as long to start as a quick disk to write.

    Args:
      write: blocking; called in the thread alone.
      clock: how long it takes; seconds.
    """

    def __init__(
        self,
        write: Callable[[Batch], None],
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._write = write
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()  # None ends the thread
        self._over = threading.Lock()  # released if nobody is to be told otherwise
        self._over.acquire()
        self._written: outcome.Outcome[None]  # what came of the last batch
        self._took: float = 0.0
        # What `write_now` did not see the end of.
        self._late: Batch | None = None

    async def write(self, batch: Batch) -> None:
        """Write a batch and return when it is safe.

        One that `write_now` has left under way is not written again.  Always a
        checkpoint.

        Cancellation: waits for the end of the write, which happened.
        Raises:
          JournalError: what the store raises.
        """
        late = self._late is not None
        assert not late or self._late is batch, "one at a time"
        token = trio.lowlevel.current_trio_token()
        task = trio.lowlevel.current_task()

        def tell() -> None:
            token.run_sync_soon(trio.lowlevel.reschedule, task)

        # Whoever is told of the job behind knows that the late one is over.
        self._hand_over(_Job(None if late else batch, tell))
        await trio.lowlevel.wait_task_rescheduled(_not_in_the_middle)
        if late:
            self._forget_late()
        self._written.unwrap()

    def write_now(self, batch: Batch) -> bool:
        """Write a batch while the trio thread stands still, for `AT_ONCE` or so.

        Returns:
          Whether it was written; if not, nothing has happened, as the last write
          has shown that the disk is slow.
        Raises:
          StillWriting: it is not safe yet; `write` waits for it.
          JournalError: what the store raises.
        """
        if self._took > AT_ONCE:
            return False
        self._hand_over(_Job(batch, None))
        self._late = batch
        try:
            there = self._over.acquire(True, AT_ONCE)
            if there:
                self._late = None
        except BaseException as error:  # by a signal: raised again when it is safe to
            raise StillWriting from error
        if not there:
            raise StillWriting
        self._written.unwrap()
        return True

    def close(self) -> None:
        """Let the thread end; what was handed over is written."""
        if self._thread is None:
            return
        self._jobs.put(None)
        self._thread.join()
        self._thread = None
        self._forget_late()

    def _forget_late(self) -> None:
        self._late = None
        # Else the next one would seem to be over at once.  A signal that came just at
        # its end may have let nobody see it, or somebody.
        self._over.acquire(blocking=False)

    def _hand_over(self, job: _Job) -> None:
        if self._thread is None:
            thread = threading.Thread(
                target=self._serve, name="understudy-journal", daemon=True
            )
            thread.start()
            self._thread = thread
        self._jobs.put(job)

    def _serve(self) -> None:
        while self._serve_one(self._jobs.get()):
            pass

    def _serve_one(self, job: _Job | None) -> bool:
        if job is None:
            return False
        if job.batch is not None:
            begun = self._clock()
            self._written = outcome.capture(self._write, job.batch)
            self._took = self._clock() - begun
        if job.tell is None:
            self._over.release()
        else:
            job.tell()
        return True


class _Job(NamedTuple):
    """A batch to write, if any, and how to tell of its end."""

    batch: Batch | None
    tell: Callable[[], None] | None


def _not_in_the_middle(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED
