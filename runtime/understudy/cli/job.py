"""A job: one workflow run over every line of a file.

One task reads, *concurrency* tasks take a line each through the runtime, one
writes.  Nothing is ever cut in the middle: to stop is to take no further line
and to cancel the runs under way, whose ends the tasks then see as any other.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Never, cast

import attrs
import trio

from understudy.cli.inputs import Fit
from understudy.cli.reading import InputFile, Records
from understudy.cli.records import Record
from understudy.cli.reorder import Reorder
from understudy.cli.results import paused_line, refused_line, result_line
from understudy.cli.tally import Tally
from understudy.cli.writing import OutputFile, ResultWriter
from understudy.handle import RunHandle
from understudy.many import READ_AHEAD
from understudy.result import RunResult
from understudy.runtime import Runtime
from understudy.workflows.inputs import InputError
from understudy.workflows.nodes import Pause, Workflow
from understudy.workflows.plan import Plan
from understudy_protocols.budget import Budget
from understudy_protocols.errors import EscalationError, NotFrozenError, SetupError
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.supervision_records import TreeSnapshot

REFRESH = 0.2
"""How often the progress is shown; seconds."""

LOOK_AGAIN = 0.2
"""How often a run is looked at that waits for several pauses; seconds."""

COUNTING = 2.0
"""How long the lines that were not run are counted; seconds."""

Show = Callable[[Tally, float | None, Callable[[], TreeSnapshot]], None]
"""Shows the progress: the counts, the part of the input done, from 0 to 1, and
the supervision tree."""


@attrs.frozen
class JobSpec:
    """What to do.

    Args:
      plan: the workflow, checked.
      source: where inputs come from.
      output: where results go.
      fit: makes inputs of lines.
      concurrency: runs under way at once; a count.
      ordered: whether results are written in the order of the inputs.
      deadline: of each run; seconds.
      budget: caps on each run.
    """

    plan: Plan
    source: InputFile
    output: OutputFile
    fit: Fit
    concurrency: int
    ordered: bool
    deadline: float | None
    budget: Budget | None


@attrs.frozen
class Ended:
    """How a job ended.

    Args:
      tally: its counts.
      elapsed: how long it took; seconds.
      stopped: why it ended before its input did, as a clause; empty if it did not.
      misuse: what is wrong with the input as a whole; empty if nothing is.
      signal: the number of the signal that ended it; 0 if none did.
      unwritten: result lines that could not be written.
    """

    tally: Tally
    elapsed: float
    stopped: str
    misuse: str
    signal: int
    unwritten: list[bytes]


async def run_job(spec: JobSpec, runtime: Runtime[Never], show: Show) -> Ended:
    """Run a job to its end, or until a signal or an error stops it."""
    started = trio.current_time()
    job = _Job(spec, runtime)
    async with trio.open_nursery() as around:
        await around.start(job.heed_signals)
        around.start_soon(job.write)
        around.start_soon(job.report, show)
        await job.work()
        around.cancel_scope.cancel()
    with trio.CancelScope(shield=True):
        await job.writer.finish()
    if job.writer.error is not None and not job.stopped:
        job.stop_for_output(job.writer.error)
    show(job.tally, job.part_done(), job.tree)
    return Ended(
        job.tally,
        trio.current_time() - started,
        job.stopped,
        job.misuse,
        job.signal,
        job.writer.unwritten(),
    )


class _Job:
    def __init__(self, spec: JobSpec, runtime: Runtime[Never]) -> None:
        self.spec = spec
        self.runtime = runtime
        self.workflow: Workflow[Never, object, Never] = spec.plan.workflow
        self.records = Records(spec.source)
        self.writer = ResultWriter(spec.output)
        self.order = Reorder(ordered=spec.ordered)
        self.tally = Tally()
        self.stopped = ""
        self.misuse = ""
        self.signal = 0
        self.reading = trio.CancelScope()
        # A pause with a timeout ends by itself; nobody will answer the others.
        self.endless = {
            node.path
            for node in spec.plan.root.walk()
            if isinstance(node.node, Pause) and node.node.timeout is None
        }
        self._last_tree: TreeSnapshot | None = None
        self._moved = trio.Event()

    # --- the tasks ---------------------------------------------------------

    async def work(self) -> None:
        """Take every line through the runtime; then nothing is in hand."""
        try:
            async with self.runtime:
                try:
                    await self._run_all()
                finally:
                    self._last_tree = self.runtime.tree()
        except EscalationError as error:
            self.stop(str(error))
        self.writer.add(self.order.rest())
        if self.stopped:
            await self._count_the_rest()

    async def _run_all(self) -> None:
        async with trio.open_nursery() as nursery:
            send, receive = trio.open_memory_channel[tuple[int, Record, object]](
                self.spec.concurrency
            )
            nursery.start_soon(self._read, send)
            async with receive:
                for _ in range(self.spec.concurrency):
                    nursery.start_soon(self._take, receive.clone())

    async def write(self) -> None:
        """Write results as they come; stop the job if that fails."""
        await self.writer.serve()
        assert self.writer.error is not None, "writing ends by itself only if it fails"
        self.stop_for_output(self.writer.error)

    async def heed_signals(
        self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Stop the job at the first signal; the second has its usual effect."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                self.signal = number
                self.stop("interrupted" if number == signal.SIGINT else "terminated")
                return

    async def report(self, show: Show) -> None:
        """Show the progress, again and again."""
        while True:
            show(self.tally, self.part_done(), self.tree)
            await trio.sleep(REFRESH)

    # --- stopping ----------------------------------------------------------

    def stop(self, reason: str) -> None:
        """Take no further line, and cancel the runs under way."""
        if self.stopped:
            return
        self.stopped = reason
        self.reading.cancel()
        self._moved.set()
        for handle in self.runtime.list():
            handle.cancel()

    def stop_for_output(self, error: OSError) -> None:
        """Stop, as results can no longer be written."""
        self.stop(f"cannot write to {self.spec.output.name} ({_why(error)})")

    def part_done(self) -> float | None:
        """Return how much of the input is done, from 0 to 1; None for a pipe."""
        size = self.spec.source.size
        if size is None:
            return None
        taken = min(1.0, self.records.position / size) if size else 1.0
        return taken * self.tally.finished / self.tally.read if self.tally.read else 0.0

    def tree(self) -> TreeSnapshot:
        """Return the supervision tree, as it was before it was stopped."""
        return self._last_tree or self.runtime.tree()

    async def _count_the_rest(self) -> None:
        self.tally.counted_all = False
        if self.spec.source.size is None:
            return
        with trio.CancelScope(shield=True), trio.move_on_after(COUNTING):
            try:
                while await self.records.next() is not None:
                    self.tally.not_read += 1
                self.tally.counted_all = True
            except (OSError, SetupError):
                return

    # --- reading -----------------------------------------------------------

    async def _read(
        self, send: trio.MemorySendChannel[tuple[int, Record, object]]
    ) -> None:
        async with send:
            with self.reading:
                try:
                    await self._read_all(send)
                except SetupError as error:
                    self.misuse = f"cannot use {self.spec.source.name}: {error}"
                    self.stop(self.misuse)
                except OSError as error:
                    self.stop(f"cannot read {self.spec.source.name} ({_why(error)})")

    async def _read_all(
        self, send: trio.MemorySendChannel[tuple[int, Record, object]]
    ) -> None:
        index = 0
        while (record := await self.records.next()) is not None:
            self.tally.read += 1
            await self._room_for(index)
            try:
                value = self.spec.fit.value(record)
            except InputError as error:
                self._refuse(index, record, error.problem)
            else:
                await _sent(send, (index, record, value))
            index += 1

    async def _room_for(self, index: int) -> None:
        """Wait until input *index* is near enough to the oldest unfinished one."""
        await self.writer.room()
        ahead = READ_AHEAD * self.spec.concurrency
        while self.spec.ordered and index >= self.order.oldest + ahead:
            self._moved = trio.Event()
            await self._moved.wait()

    # --- running -----------------------------------------------------------

    async def _take(
        self, receive: trio.MemoryReceiveChannel[tuple[int, Record, object]]
    ) -> None:
        async with receive:
            async for index, record, value in receive:
                if not self.stopped:
                    await self._run(index, record, value)

    async def _run(self, index: int, record: Record, value: object) -> None:
        try:
            # Of the declared type, as Fit made it; which, only the user's file knows.
            handle = await self.runtime.submit(
                self.workflow,
                cast("Never", value),
                deadline=self.spec.deadline,
                budget=self.spec.budget,
            )
        except (InputError, NotFrozenError) as error:
            self._refuse(index, record, str(error))
            return
        if self.stopped:
            handle.cancel()
        pauses = await self._end_or_pause(handle)
        handle.cancel()
        self._finish(index, record, await handle.result(), pauses)

    async def _end_or_pause(self, handle: RunHandle[object]) -> tuple[str, ...]:
        """Wait for the end, or until only an answer could help; return its pauses."""
        while not (await handle.wait(RunStatus.PAUSED)).terminal:
            pauses = handle.pauses
            if all(key.split("#")[0] in self.endless for key in pauses):
                return pauses
            # One of them ends by itself, in its time.
            with trio.move_on_after(LOOK_AGAIN):
                await handle.result()
        return ()

    def _finish(
        self,
        index: int,
        record: Record,
        result: RunResult[object],
        pauses: tuple[str, ...],
    ) -> None:
        if pauses:
            self.tally.add("paused", result.usage)
            self._put(index, paused_line(record.line, result, pauses))
            return
        if self.stopped and result.status is RunStatus.CANCELLED:
            # It was we who cancelled it: as good as not run.
            return
        self.tally.add(_reason(result), result.usage)
        self._put(index, result_line(record.line, result))

    def _refuse(self, index: int, record: Record, problem: str) -> None:
        self.tally.add("bad input", None)
        self._put(index, refused_line(record.line, problem))

    def _put(self, index: int, line: bytes) -> None:
        self.writer.add(self.order.put(index, line))
        self._moved.set()


async def _sent(
    send: trio.MemorySendChannel[tuple[int, Record, object]],
    item: tuple[int, Record, object],
) -> None:
    """Send; without a checkpoint while there is room, for half the turns in all."""
    try:
        send.send_nowait(item)
    except trio.WouldBlock:
        await send.send(item)


def _reason(result: RunResult[object]) -> str | None:
    if result.ok:
        return None
    if result.status is RunStatus.FAILED and result.failure is not None:
        return result.failure.cause.value
    return result.status.value


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
