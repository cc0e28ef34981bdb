"""What a journal is divided by: the same rows into SQLite, with nothing around."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from pathlib import Path

import trio

CONTENT = bytes(24)
"""As much as the record of a step that gives a small number."""

RunRow = tuple[int, int, bool]
"""A record: its run, its number there, and whether it is the last one."""


class Tables:
    """Runs and their records in a file of its own, synced at each commit."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS runs"
            " (run INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, status TEXT NOT NULL)"
        )
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS records (run INTEGER, number INTEGER,"
            " content BLOB, PRIMARY KEY (run, number)) WITHOUT ROWID"
        )
        self._runs = 0

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    async def write(self, runs: int, rows: int, together: int) -> None:
        """Write *rows* rows for each of *runs* runs, *together* runs in one commit."""
        for first in range(0, runs, together):
            some = range(self._runs + first, self._runs + min(first + together, runs))
            for number in range(rows):
                self.commit([(run, number, number == rows - 1) for run in some])
        self._runs += runs

    async def write_in_turn(self, runs: int, rows: int) -> None:
        """Write the same one by one, and let other tasks go on after each.

        Any program in an event loop has to, or nothing else in it ever goes on.
        """
        for run in range(self._runs, self._runs + runs):
            for number in range(rows):
                await self._write_one(run, number, rows)
                await trio.lowlevel.checkpoint()
        self._runs += runs

    async def _write_one(self, run: int, number: int, rows: int) -> None:
        self.commit([(run, number, number == rows - 1)])

    def commit(self, rows: list[RunRow]) -> None:
        """Write records in one transaction, and where their runs stand."""
        execute, many = self._connection.execute, self._connection.executemany
        execute("BEGIN IMMEDIATE")
        many(
            "INSERT INTO records VALUES (?, ?, ?)",
            [(run, number, CONTENT) for run, number, _ in rows],
        )
        begun = [(run, f"{run:032x}") for run, number, _ in rows if number == 0]
        if begun:
            many("INSERT INTO runs VALUES (?, ?, 'running')", begun)
        ended = [(run,) for run, _, last in rows if last]
        if ended:
            many("UPDATE runs SET status = 'completed' WHERE run = ?", ended)
        execute("COMMIT")


class GroupCommit:
    """Tasks that each wait for their own row to be safe, and a thread that writes.

    While one commit is under way the next rows gather: the least that a durable
    program of many runs does, with nothing else in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[RunRow] = []
        self._waiting: list[trio.Event] = []
        self._more = threading.Semaphore(0)
        self._idle = True
        self._runs = 0

    async def write(self, runs: int, rows: int, together: int) -> None:
        """Write *rows* rows for each of *runs* runs, *together* at a time."""
        token = trio.lowlevel.current_trio_token()
        thread = threading.Thread(target=self._commit, args=(token,))
        thread.start()
        numbers = iter(range(self._runs, self._runs + runs))
        self._runs += runs

        async def one_after_another() -> None:
            for run in numbers:
                for number in range(rows):
                    await self._row((run, number, number == rows - 1))

        async with trio.open_nursery() as nursery:
            for _ in range(together):
                nursery.start_soon(one_after_another)
        self._more.release()
        thread.join()

    async def _row(self, row: RunRow) -> None:
        safe = trio.Event()
        self._rows.append(row)
        self._waiting.append(safe)
        if self._idle:
            self._idle = False
            self._more.release()
        await safe.wait()

    def _commit(self, token: trio.lowlevel.TrioToken) -> None:
        tables = Tables(self._path)
        while True:
            self._more.acquire()
            rows, self._rows = self._rows, []
            waiting, self._waiting = self._waiting, []
            if not rows:
                break
            tables.commit(rows)
            token.run_sync_soon(self._safe, waiting)
        tables.close()

    def _safe(self, waiting: list[trio.Event]) -> None:
        for event in waiting:
            event.set()
        if self._rows:
            self._more.release()
        else:
            self._idle = True


def sync_latency(folder: Path, times: int) -> list[float]:
    """Return how long it takes to make a page safe, so many times; seconds."""
    taken: list[float] = []
    with (folder / "page").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(bytes(4096))
            start = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - start)
    return taken
