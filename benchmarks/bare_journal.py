"""What a journal is divided by: the same rows into SQLite, with nothing around."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

CONTENT = bytes(24)
"""As much as the record of a step that gives a small number."""


class Table:
    """A table of records in a file of its own, synced at each commit."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE records (run INTEGER, number INTEGER, content BLOB, "
            "PRIMARY KEY (run, number)) WITHOUT ROWID"
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
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(
                    "INSERT INTO records VALUES (?, ?, ?)",
                    [(run, number, CONTENT) for run in some],
                )
                self._connection.execute("COMMIT")
        self._runs += runs


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
