"""The thread that writes: waited for in one breath, unless the disk is slow."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from journal_lives import Flow

from understudy import Context, Runtime, step
from understudy.journal import writer_thread
from understudy.journal.recorder import Recorder
from understudy.journal.sqlite import SqliteStore
from understudy.journal.verifying import verify
from understudy.journal.writer_thread import StillWriting, WriterThread
from understudy.testing import run_seeded
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import JournalWriteError
from understudy_protocols.journal import Batch
from understudy_protocols.supervision import ChildSpec, SupervisorSpec
from understudy_protocols.supervision_records import SupervisionEvent

BOUND = 30.0


@step
async def one(context: Context[object]) -> int:
    return 1


class Disk:
    """Takes batches; it can be made to hang, to fail, and to take its time.

    Attributes:
      written: what it took.
      takes: how long a write takes by `clock`; seconds.
    """

    def __init__(self) -> None:
        self.written: list[Batch] = []
        self.threads: set[threading.Thread] = set()
        self.error: Exception | None = None
        self.takes = 0.0
        self.moves = threading.Event()
        self.moves.set()
        self._now = 0.0

    def clock(self) -> float:
        return self._now

    def write(self, batch: Batch) -> None:
        assert self.moves.wait(BOUND), "nobody let it go on"
        self._now += self.takes
        self.threads.add(threading.current_thread())
        if self.error is not None:
            raise self.error
        self.written.append(batch)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def writer(disk: Disk) -> Iterator[WriterThread]:
    thread = WriterThread(disk.write, disk.clock)
    yield thread
    disk.moves.set()
    thread.close()
    assert not any(other.is_alive() for other in disk.threads)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test is about how busy the machine is."""
    monkeypatch.setattr(writer_thread, "AT_ONCE", BOUND)


def batch(*numbers: int) -> Batch:
    made = Batch()
    made.records.extend((1, number, b"") for number in numbers)
    return made


@pytest.mark.usefixtures("patient")
def test_what_a_quick_disk_takes_is_written_in_one_breath(
    disk: Disk, writer: WriterThread
) -> None:
    batches = [batch(number) for number in range(5)]
    assert all(writer.write_now(each) for each in batches)
    assert disk.written == batches
    [thread] = disk.threads
    assert thread is not threading.current_thread()
    writer.close()


def test_a_disk_that_hangs_holds_up_nobody_and_writes_once(
    disk: Disk, writer: WriterThread
) -> None:
    first = batch(0)

    async def main() -> None:
        disk.moves.clear()
        with pytest.raises(StillWriting):
            writer.write_now(first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.write, first)
            for _ in range(100):
                await trio.lowlevel.checkpoint()
            assert not disk.written
            disk.moves.set()
        assert disk.written == [first]

    trio.run(main)


def test_after_a_slow_write_one_waits_for_the_next_without_standing_still(
    disk: Disk, writer: WriterThread
) -> None:
    async def main() -> None:
        disk.takes = 1.0
        await writer.write(batch(0))
        assert not writer.write_now(batch(1))
        disk.takes = 0.0
        assert not writer.write_now(batch(1)), "it is not known yet that it is quick"
        await writer.write(batch(1))
        disk.moves.clear()
        with pytest.raises(StillWriting):
            writer.write_now(batch(2))
        disk.moves.set()

    trio.run(main)


@pytest.mark.usefixtures("patient")
def test_what_went_wrong_is_told_to_whoever_waits(
    disk: Disk, writer: WriterThread
) -> None:
    async def main() -> None:
        disk.error = JournalWriteError("the disk is full")
        for _ in range(2):
            with pytest.raises(JournalWriteError, match="is full"):
                writer.write_now(batch(0))
            with pytest.raises(JournalWriteError, match="is full"):
                await writer.write(batch(0))
        disk.error = None
        assert writer.write_now(batch(0))

    trio.run(main)
    assert len(disk.written) == 1


def test_what_went_wrong_with_a_late_write_is_told_too_and_it_is_not_done(
    disk: Disk, writer: WriterThread
) -> None:
    first = batch(0)

    async def main() -> None:
        disk.error = JournalWriteError("the disk is full")
        disk.moves.clear()
        with pytest.raises(StillWriting):
            writer.write_now(first)
        disk.moves.set()
        with pytest.raises(JournalWriteError, match="is full"):
            await writer.write(first)
        disk.error = None
        await writer.write(first)
        assert disk.written == [first]

    trio.run(main)


@pytest.fixture
def struck() -> Iterator[None]:
    """Let a signal be met by a handler that raises, as some do that watch the time."""

    def handler(number: int, frame: object) -> None:
        raise LookupError("the handler's own")

    before = signal.signal(signal.SIGUSR1, handler)
    yield
    signal.signal(signal.SIGUSR1, before)


class Struck:
    """A lock at which a signal comes for whoever waits, once; before or at its end."""

    def __init__(self, lock: threading.Lock, at_its_end: bool) -> None:
        self.lock = lock
        self.at_its_end = at_its_end
        self.release = lock.release

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        self.acquire = self.lock.acquire  # type: ignore[method-assign]  # only once
        if self.at_its_end:
            self.lock.acquire()
        signal.raise_signal(signal.SIGUSR1)
        pytest.fail("no signal came")


def strike(writer: WriterThread, *, at_its_end: bool) -> None:
    writer._over = Struck(writer._over, at_its_end)  # type: ignore[assignment]  # stands in for it


@pytest.mark.usefixtures("patient", "struck")
@pytest.mark.parametrize("at_its_end", [False, True])
def test_what_a_signal_raises_in_the_wait_leaves_the_write_under_way(
    at_its_end: bool, disk: Disk, writer: WriterThread
) -> None:
    first, second = batch(0), batch(1)
    strike(writer, at_its_end=at_its_end)
    with pytest.raises(StillWriting) as caught:
        writer.write_now(first)
    assert isinstance(caught.value.__cause__, LookupError)
    trio.run(writer.write, first)
    assert disk.written == [first]
    assert writer.write_now(second)
    assert disk.written == [first, second]


@pytest.mark.usefixtures("patient", "struck")
def test_what_a_signal_raises_is_raised_by_the_recorder_and_nothing_is_lost(
    disk: Disk, writer: WriterThread
) -> None:
    strike(writer, at_its_end=False)
    followed: list[int] = []
    ends: list[object] = []

    def told(event: SupervisionEvent) -> None:
        ends.append(event.cause)

    async def main() -> None:
        recorder = Recorder(writer.write, "step", writer.write_now)
        tree = SupervisorSpec((ChildSpec("journal", recorder.run),))
        async with ActorSystem(tree, on_event=told):
            await trio.testing.wait_all_tasks_blocked()
            recorder.batch.records.append((1, 0, b""))
            assert not recorder.write_now()
            recorder.batch.records.append((1, 1, b""))
            safe = trio.Event()
            recorder.follow(lambda: followed.append(len(disk.written)))
            recorder.follow(safe.set)
            await safe.wait()
            await trio.testing.wait_all_tasks_blocked()
            recorder.batch.records.append((1, 2, b""))
            assert recorder.write_now(), "the next life goes on as before"

    trio.run(main)
    assert followed == [2]
    records = [each.records for each in disk.written]
    assert records == [[(1, 0, b"")], [(1, 1, b"")], [(1, 2, b"")]]
    assert any(isinstance(error, LookupError) for error in ends)


def test_whoever_closes_waits_for_a_late_write(
    disk: Disk, writer: WriterThread
) -> None:
    first, second, third = batch(0), batch(1), batch(2)
    disk.moves.clear()
    with pytest.raises(StillWriting):
        writer.write_now(first)
    disk.moves.set()
    writer.close()
    assert disk.written == [first]
    # As at first: nothing is left of the late one that could be taken for another.
    trio.run(writer.write, second)
    assert disk.written == [first, second]
    disk.moves.clear()
    with pytest.raises(StillWriting):
        writer.write_now(third)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("cut_before", [False, True])
def test_a_write_is_not_cut(
    late: bool, cut_before: bool, disk: Disk, writer: WriterThread
) -> None:
    first = batch(0)

    async def write(scope: trio.CancelScope) -> None:
        with scope:
            await writer.write(first)
        assert disk.written == [first]

    async def main() -> None:
        disk.moves.clear()
        if late:
            with pytest.raises(StillWriting):
                writer.write_now(first)
        scope = trio.CancelScope()
        if cut_before:
            scope.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, scope)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            for _ in range(100):
                await trio.lowlevel.checkpoint()
            assert nursery.child_tasks, "nobody would know what was written"
            disk.moves.set()

    trio.run(main)


def test_a_recorder_that_is_cut_with_a_late_write_waits_for_its_end(
    disk: Disk, writer: WriterThread
) -> None:
    async def leave(recorder: Recorder) -> None:
        tree = SupervisorSpec((ChildSpec("journal", recorder.run),))
        async with ActorSystem(tree):
            await trio.testing.wait_all_tasks_blocked()
            recorder.batch.records.append((1, 0, b""))
            disk.moves.clear()
            assert not recorder.write_now()
            assert not recorder.batch, "it is on its way"
            recorder.batch.records.append((1, 1, b""))
            assert not recorder.write_now(), "one at a time"
            trio.lowlevel.spawn_system_task(let_it_move)
            raise LookupError

    async def let_it_move() -> None:
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        disk.moves.set()

    async def main() -> None:
        recorder = Recorder(writer.write, "step", writer.write_now)
        with pytest.raises(LookupError):
            await leave(recorder)
        assert not list(recorder.rest())

    trio.run(main)
    written = [each.records for each in disk.written]
    assert written == [[(1, 0, b"")], [(1, 1, b"")]]


def test_what_follows_a_late_write_follows_it_once_it_is_safe(
    disk: Disk, writer: WriterThread
) -> None:
    followed: list[int] = []

    async def main() -> None:
        recorder = Recorder(writer.write, "step", writer.write_now)
        tree = SupervisorSpec((ChildSpec("journal", recorder.run),))
        async with ActorSystem(tree):
            await trio.testing.wait_all_tasks_blocked()
            recorder.batch.records.append((1, 0, b""))
            disk.moves.clear()
            assert not recorder.write_now()
            safe = trio.Event()
            recorder.follow(lambda: followed.append(len(disk.written)))
            recorder.follow(safe.set)
            for _ in range(100):
                await trio.lowlevel.checkpoint()
            assert not followed
            disk.moves.set()
            await safe.wait()

    trio.run(main)
    assert followed == [1]
    assert len(disk.written) == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_run_on_a_disk_that_hangs_lets_everybody_else_go_on(
    seed: int, tmp_path: Path
) -> None:
    workflow: Flow = one
    moves = threading.Event()

    class Hanging(SqliteStore):
        def write(self, batch: Batch) -> None:
            assert moves.wait(BOUND), "the loop was held up"
            moves.clear()
            super().write(batch)

    async def help_it(done: trio.Event) -> None:
        while not done.is_set():
            moves.set()
            await trio.sleep(0.001)

    async def main() -> None:
        done = trio.Event()
        store = Hanging(tmp_path / "runs.db")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(help_it, done)
            async with Runtime(workflow, journal=store) as runtime:
                for number in range(3):
                    result = await runtime.run(workflow, number)
                    assert result.value == 1
            done.set()

    run_seeded(main, seed=seed)
    assert verify(tmp_path / "runs.db").records == 9
