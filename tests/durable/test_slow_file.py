"""A file that cannot be read now holds up nobody but those who ask by way of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from journal_lives import Flow

from understudy import RunStatus, Runtime, pause
from understudy.engine.requests import LOOKS
from understudy.journal.reader import SqliteReader
from understudy.journal.sqlite import SqliteStore
from understudy_protocols.errors import JournalError
from understudy_protocols.journal import Request

FLOW: Flow = pause("ask", output=int)
RUN = "run"
ANSWER = b'{"pause": "ask", "value": 7}'
BOUND = 30.0


class Watched(SqliteStore):
    """A store that says when its requests are read, and can be made to wait there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.inside = 0
        self.looks = 0
        self.free = threading.Event()
        self.free.set()
        self.left = threading.Event()
        self.trouble: list[JournalError] = []

    def requests(self) -> Iterable[Request]:
        self.looks += 1
        self.inside += 1
        try:
            assert self.free.wait(BOUND), "nobody let it go on"
            return super().requests()
        except JournalError as error:
            self.trouble.append(error)
            raise
        finally:
            self.inside -= 1
            self.left.set()


async def next_look(store: Watched) -> None:
    """Return when the requests are being read once more."""
    before = store.looks
    with trio.fail_after(BOUND):
        while store.looks == before:
            await trio.sleep(LOOKS / 50)


async def outcome(reader: SqliteReader, number: int) -> str:
    with trio.fail_after(BOUND):
        while (found := reader.outcome(number)) is None:
            await trio.sleep(LOOKS / 50)
    return found


# What SQLite reads under is locked by a program that is not SQLite, such as one that
# makes copies of files; no connection can keep another one from reading.
LOCKS = """
import fcntl, os, sys
file = os.open(sys.argv[1] + "-shm", os.O_RDWR)
fcntl.lockf(file, fcntl.LOCK_EX, 5, 123)
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(path: Path) -> Generator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", LOCKS, os.fspath(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        yield other


@pytest.mark.skipif(sys.platform == "win32", reason="locks as Unix has them")
def test_while_another_program_has_the_file_locked_all_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = Watched(path)

    async def main() -> None:
        async with Runtime(FLOW, journal=store) as runtime:
            handle = await runtime.submit(FLOW, "input", run_id=RUN)
            await handle.wait(RunStatus.PAUSED)
            with SqliteReader(path) as reader, locked(path) as other:
                await next_look(store)
                for _ in range(100):
                    await trio.lowlevel.checkpoint()
                assert store.inside, "it was read in spite of the lock"
                other.kill()
                number = reader.ask(RUN, "answer", ANSWER)
                assert await outcome(reader, number) == ""
            assert (await handle.result()).value == 7

    trio.run(main)
    assert not store.trouble


def test_what_was_asked_before_the_file_was_slow_is_done_once_afterwards(
    tmp_path: Path,
) -> None:
    store = Watched(tmp_path / "runs.db")

    async def main() -> None:
        async with Runtime(FLOW, journal=store) as runtime:
            handle = await runtime.submit(FLOW, "input", run_id=RUN)
            await handle.wait(RunStatus.PAUSED)
            store.free.clear()
            await next_look(store)
            with SqliteReader(tmp_path / "runs.db") as reader:
                first = reader.ask(RUN, "answer", ANSWER)
                second = reader.ask(RUN, "answer", ANSWER)
                for _ in range(100):
                    await trio.lowlevel.checkpoint()
                assert (store.inside, handle.status) == (1, RunStatus.PAUSED)
                store.free.set()
                assert await outcome(reader, first) == ""
                assert "refused" in await outcome(reader, second)
            assert (await handle.result()).value == 7

    trio.run(main)


@pytest.mark.parametrize("way", ["left", "cancelled"])
def test_a_runtime_does_not_wait_for_a_look_that_is_under_way(
    way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "runs.db"
    store = Watched(path)

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with Runtime(FLOW, journal=store) as runtime:
                await runtime.submit(FLOW, "input", run_id=RUN)
                store.free.clear()
                await next_look(store)
                if way == "cancelled":
                    scope.cancel()
        assert scope.cancelled_caught is (way == "cancelled")
        assert store.inside == 1
        store.left.clear()
        store.free.set()
        assert store.left.wait(BOUND)

    trio.run(main)
    assert "is not open" in str(store.trouble.pop())
    assert not caplog.records

    async def go_on() -> None:
        async with Runtime(FLOW, journal=path) as runtime:
            await runtime.get(RUN).wait(RunStatus.PAUSED)
            runtime.answer(RUN, "ask", 7)
            assert (await runtime.get(RUN).result()).value == 7

    trio.run(go_on)
