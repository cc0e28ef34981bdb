"""A job: one workflow run over every line of a file.

One task reads, *concurrency* tasks take a line each through the runtime, one
writes.  Nothing is ever cut in the middle: to stop is to take no further line
and to cancel the runs under way, whose ends the tasks then see as any other.
With a journal it is to leave the runtime, which leaves its runs for later.
"""

from __future__ import annotations

import os
import signal
from typing import Never, cast

import trio

from understudy.cli.continuing import (
    Earlier,
    MisfitError,
    cut,
    is_kept,
    misfit_place,
    refused_place,
    requests_done,
)
from understudy.cli.job_spec import Ended, JobSpec, Show
from understudy.cli.lines import Line, Lines
from understudy.cli.reading import Records
from understudy.cli.reorder import Reorder
from understudy.cli.results import (
    held_line,
    open_line,
    paused_line,
    refused_line,
    result_line,
)
from understudy.cli.run_ids import RunIds
from understudy.cli.tally import Tally
from understudy.cli.writing import ResultWriter
from understudy.handle import RunHandle
from understudy.many import READ_AHEAD
from understudy.result import RunResult
from understudy.runtime import Runtime
from understudy.workflows.nodes import Pause, Workflow
from understudy_protocols.errors import (
    AdmissionError,
    CodecError,
    EscalationError,
    JournalCorruptError,
    JournalError,
    RunHeldError,
    RunSuspendedError,
    RuntimeFailed,
    SetupError,
)
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.supervision_records import TreeSnapshot

REFRESH = 0.2
"""How often the progress is shown; seconds."""

LOOK_AGAIN = 0.2
"""How often a run is looked at that waits for several pauses; seconds."""

COUNTING = 2.0
"""How long the lines that were not run are counted; seconds."""


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
        job.refused,
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
        self.refused: tuple[str, ...] = ()
        self.signal = 0
        self.reading = trio.CancelScope()
        # A pause with a timeout ends by itself; nobody will answer the others.
        self.endless = {
            node.path
            for node in spec.plan.root.walk()
            if isinstance(node.node, Pause) and node.node.timeout is None
        }
        self.leaving = trio.CancelScope()
        ids: RunIds | None = None
        self.earlier: Earlier | None = None
        if spec.continuing is not None:
            ids = RunIds(self.workflow.name, spec.continuing.key)
            self.earlier = Earlier(spec.output.name, ordered=spec.ordered)
        self.lines = Lines(self.records, spec.fit, ids, self.earlier)
        self._last_tree: TreeSnapshot | None = None
        self._moved = trio.Event()

    # --- the tasks ---------------------------------------------------------

    async def work(self) -> None:
        """Take every line through the runtime; then nothing is in hand."""
        try:
            with self.leaving:
                async with self.runtime:
                    try:
                        await self._go_on_from_earlier()
                        await self._run_all()
                    finally:
                        self._last_tree = self.runtime.tree()
        except EscalationError as error:
            self.stop(_cause_of(error))
        except (JournalError, SetupError) as error:
            # Of the journal as it is opened, or of what stands in the output.
            self.misuse = str(error)
            self.stop(self.misuse)
        if self.spec.continuing is None:
            # With a journal they are put back in their order by the next call.
            self.writer.add(self.order.rest())
        if self.stopped:
            await self._count_the_rest()

    async def _go_on_from_earlier(self) -> None:
        """See what of the output stays: nobody else is at this journal any more."""
        fd, continuing = self.spec.output.fd, self.spec.continuing
        if continuing is None or self.earlier is None:
            return
        self.refused = await requests_done(continuing.journal)
        if not is_kept(fd):
            return
        name = self.workflow.name
        if continuing.keep:
            try:
                await trio.to_thread.run_sync(self.earlier.take, fd, name, self.tally)
            except OSError as error:
                raise SetupError(
                    f"cannot read {self.spec.output.name} ({_why(error)})"
                ) from error
        cut(fd, self.earlier.end)

    async def _run_all(self) -> None:
        async with trio.open_nursery() as nursery:
            send, receive = trio.open_memory_channel[Line](self.spec.concurrency)
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
        """Take no further line, and cancel the runs under way, or leave them."""
        if self.stopped:
            return
        self.stopped = reason
        self.reading.cancel()
        self._moved.set()
        if self.spec.continuing is not None:
            self.leaving.cancel()
            return
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
        tally = self.tally
        return taken * min(1.0, tally.finished / tally.read) if tally.read else 0.0

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

    async def _read(self, send: trio.MemorySendChannel[Line]) -> None:
        async with send:
            with self.reading:
                try:
                    await self._read_all(send)
                except MisfitError as error:
                    self.misuse = str(error)
                    self.stop(self.misuse)
                except SetupError as error:
                    self.misuse = f"cannot use {self.spec.source.name}: {error}"
                    self.stop(self.misuse)
                except OSError as error:
                    self.stop(f"cannot read {self.spec.source.name} ({_why(error)})")

    async def _read_all(self, send: trio.MemorySendChannel[Line]) -> None:
        while (line := await self.lines.next()) is not None:
            self.tally.read += 1
            await self._room_for(line.index)
            if line.there:
                self.order.put(line.index, b"")
            elif line.problem:
                self._refuse(line, line.problem)
            else:
                await _sent(send, line)

    async def _room_for(self, index: int) -> None:
        """Wait until input *index* is near enough to the oldest unfinished one."""
        await self.writer.room()
        ahead = READ_AHEAD * self.spec.concurrency
        while self.spec.ordered and index >= self.order.oldest + ahead:
            self._moved = trio.Event()
            await self._moved.wait()

    # --- running -----------------------------------------------------------

    async def _take(self, receive: trio.MemoryReceiveChannel[Line]) -> None:
        async with receive:
            async for line in receive:
                if not self.stopped:
                    await self._run(line)

    async def _run(self, line: Line) -> None:
        try:
            await self._to_its_end(line, await self._submitted(line))
        except RunHeldError as error:
            self.tally.add("held", None)
            self._put(line.index, held_line(line.number, error))
        except RunSuspendedError:
            return  # the runtime has failed, and its journal has the run
        except (SetupError, CodecError, JournalCorruptError) as error:
            self._refuse(line, str(error))
        except JournalError as error:
            self.stop(str(error))

    async def _submitted(self, line: Line) -> RunHandle[object]:
        while True:
            try:
                return await self.runtime.submit(
                    self.workflow,
                    # As Fit made it; of which type, only the user's file knows.
                    cast("Never", line.value),
                    run_id=line.run_id,
                    deadline=self.spec.deadline,
                    budget=self.spec.budget,
                )
            except AdmissionError:
                # The journal cannot be written at present, or the runtime has failed:
                # either ends soon.
                await trio.sleep(LOOK_AGAIN)

    async def _to_its_end(self, line: Line, handle: RunHandle[object]) -> None:
        journaled = self.spec.continuing is not None
        if self.stopped and not journaled:
            handle.cancel()
        pauses = await self._end_or_pause(handle)
        if pauses and journaled:
            # It stays open: whoever answers need not be quick.
            self.tally.add("paused", None)
            self._put(line.index, open_line(line.number, handle.run_id, pauses))
            return
        if pauses:
            handle.cancel()
        self._finish(line, await handle.result(), pauses)

    async def _end_or_pause(self, handle: RunHandle[object]) -> tuple[str, ...]:
        """Wait for the end, or until only an answer could help; return its pauses."""
        while (await handle.wait(RunStatus.PAUSED)) is RunStatus.PAUSED:
            pauses = handle.pauses
            if all(key.split("#")[0] in self.endless for key in pauses):
                return pauses
            # One of them ends by itself, in its time.
            with trio.move_on_after(LOOK_AGAIN):
                await handle.result()
        return ()

    def _finish(
        self, line: Line, result: RunResult[object], pauses: tuple[str, ...]
    ) -> None:
        if pauses:
            self.tally.add("paused", result.usage)
            self._put(line.index, paused_line(line.number, result, pauses))
            return
        if self.stopped and result.status is RunStatus.CANCELLED:
            # It was we who cancelled it: as good as not run.
            return
        self.tally.add(_reason(result), result.usage)
        self._put(line.index, result_line(line.number, result))

    def _refuse(self, line: Line, problem: str) -> None:
        if line.problem or line.run_id is None:
            reason, where = "bad input", misfit_place(line.number)
        else:
            reason, where = "refused", refused_place(line.run_id)
        self.tally.add(reason, None)
        self._put(line.index, refused_line(line.number, problem, where))

    def _put(self, index: int, line: bytes) -> None:
        self.writer.add(self.order.put(index, line))
        self._moved.set()


async def _sent(send: trio.MemorySendChannel[Line], item: Line) -> None:
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


def _cause_of(error: EscalationError) -> str:
    """Say what ended the runtime: here nobody sees where an error comes from."""
    causes = error.causes if isinstance(error, RuntimeFailed) else ()
    return str(next((one for one in causes if isinstance(one, JournalError)), error))


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
