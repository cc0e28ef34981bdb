"""A disk that remembers what was safe: writes and syncs of SQLite, and images of a crash.

A kill leaves what was written in the system's cache, whether or not it was synced;
only when the power goes does it show.  Then of what was written since the last sync
of a file any part may be on the disk: here, any of its sectors.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw

from understudy.journal.connection import Connection

SECTOR: Final = 512


class Op(NamedTuple):
    """Something that was done to a file.

    Args:
      kind: ``write``, ``truncate``, ``delete``, ``sync``, ``folder`` for a sync of the
        folder; or ``safe``, when those who waited for a write were told that it was
        done.
      name: of the file, without its folder.
      at: where it was written, or the new length; or which write was safe.
    """

    kind: str
    name: str = ""
    at: int = 0
    data: bytes = b""


class Recorder(apsw.VFS):
    """A file system that does what it is told, and writes it down."""

    def __init__(self, ops: list[Op]) -> None:
        self.ops = ops
        super().__init__("recorder", base="")

    def xOpen(  # noqa: N802  # SQLite's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        return _File(self.ops, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802  # as above
        super().xDelete(filename, syncdir)
        self.ops.append(Op("delete", Path(filename).name))
        if syncdir:
            self.ops.append(Op("folder"))


class _File(apsw.VFSFile):
    def __init__(
        self, ops: list[Op], name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        super().__init__("", name, flags)
        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._ops, self._name = ops, Path(text or "temporary").name
        # SQLite syncs the folder with the first sync of such a file.
        self._is_new = self._name.endswith(("-wal", "-journal"))

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802  # as above
        super().xWrite(data, offset)  # pyright: ignore[reportUnknownMemberType]  # a buffer, which has no name yet
        self._ops.append(Op("write", self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  # as above
        super().xTruncate(newsize)
        self._ops.append(Op("truncate", self._name, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802  # as above
        super().xSync(flags)
        self._ops.append(Op("sync", self._name))
        if self._is_new:
            self._ops.append(Op("folder"))
            self._is_new = False


class _Counting(apsw.Connection):
    """One that says as ``sqlite3`` does how many rows it has written."""

    @property
    def total_changes(self) -> int:  # type: ignore[override]
        return super().total_changes()


@contextmanager
def recorded(path: Path, ops: list[Op]) -> Generator[Connection]:
    """Give a connection to a database, and write down what it does to its files."""
    recorder = Recorder(ops)
    opened = _Counting(str(path), vfs="recorder")
    try:
        yield _alone(opened)
    finally:
        opened.close()
        recorder.unregister()


def _alone(connection: Connection) -> Connection:
    # Such files cannot share memory, and alone SQLite does without.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection


Files = dict[str, bytes]


class Crash(NamedTuple):
    """What is found after a crash.

    Args:
      files: what is on the disk.
      safe: the last write that somebody was told of.
    """

    files: Files
    safe: int


def crashes(
    ops: list[Op], before: Files, points: int, dice: random.Random
) -> Iterator[Crash]:
    """Yield what is found after a crash at each of some random moments.

    Args:
      before: what was on the disk, safely, at the beginning.
    """
    stops = sorted(dice.randrange(len(ops) + 1) for _ in range(points))
    stable = {name: bytearray(content) for name, content in before.items()}
    pending: list[Op] = []
    safe = done = 0
    for stop in stops:
        for op in ops[done:stop]:
            if op.kind == "safe":
                safe = op.at
            elif op.kind == "sync":
                _settle(stable, pending, [it for it in pending if it.name == op.name])
            elif op.kind == "folder":
                _settle(stable, pending, [it for it in pending if it.kind == "delete"])
            else:
                pending.append(op)
        done = max(done, stop)
        yield Crash(_image(stable, pending, dice), safe)


def _settle(stable: dict[str, bytearray], pending: list[Op], settled: list[Op]) -> None:
    for op in settled:
        _apply(stable, op)
        pending.remove(op)


def _image(
    stable: dict[str, bytearray], pending: list[Op], dice: random.Random
) -> Files:
    files = {name: bytearray(content) for name, content in stable.items()}
    share = dice.choice((0.0, 0.1, 0.5, 0.9, 1.0))
    for op in pending:
        for part in _sectors(op):
            if dice.random() < share:
                _apply(files, part)
    return {name: bytes(content) for name, content in files.items()}


def _sectors(op: Op) -> Iterator[Op]:
    if op.kind != "write":
        yield op
        return
    start, end = op.at, op.at + len(op.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        yield op._replace(at=start, data=op.data[start - op.at : stop - op.at])
        start = stop


def _apply(files: dict[str, bytearray], op: Op) -> None:
    if op.kind == "delete":
        files.pop(op.name, None)
        return
    content = files.setdefault(op.name, bytearray())
    if op.kind == "truncate":
        del content[op.at :]
    else:
        content.extend(bytes(max(0, op.at + len(op.data) - len(content))))
        content[op.at : op.at + len(op.data)] = op.data
