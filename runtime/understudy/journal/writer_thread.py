"""A thread that writes: its caller waits for a batch, and everybody else goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

import outcome
import trio

from understudy_protocols.journal import Batch


class WriterThread:
    """One thread for the writes of one store.

    It lives from the first write until `close`: a thread for each write would
    take as long to start as a quick disk to write.

    Args:
      write: blocking; called in the thread alone.
    """

    def __init__(self, write: Callable[[Batch], None]) -> None:
        self._write = write
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def write(self, batch: Batch) -> None:
        """Write a batch and return when it is safe.

        Always a checkpoint.

        Cancellation: waits for the end of the write, which happened.
        Raises:
          JournalError: what the store raises.
        """
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._serve, name="understudy-journal", daemon=True
            )
            self._thread.start()
        token = trio.lowlevel.current_trio_token()
        task = trio.lowlevel.current_task()

        def job() -> None:
            written = outcome.capture(self._write, batch)
            token.run_sync_soon(trio.lowlevel.reschedule, task, written)

        self._jobs.put(job)
        await trio.lowlevel.wait_task_rescheduled(_not_in_the_middle)

    def close(self) -> None:
        """Let the thread end; what was handed over is written."""
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _not_in_the_middle(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED
