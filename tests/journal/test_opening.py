"""Taking a file over: what is made of it, and what is left of it when it is refused."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from journal_probe import by_hand, copied, opened, some_runs

from understudy.journal import connection as connections
from understudy.journal import opening
from understudy.journal.opening import (
    ROOM_BYTES,
    check_log,
    check_pages,
    make_room,
    prepare,
    take_over,
)
from understudy.journal.wal import Log, read_log
from understudy.journal.writing import raise_epoch
from understudy_protocols.errors import JournalCorruptError, JournalError


def test_a_new_journal_has_pages_of_the_size_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PAGE_BYTES", 8192)
    with closing(take_over(tmp_path / "runs.db")) as connection:
        assert connection.execute("PRAGMA page_size").fetchall() == [(8192,)]


def test_taking_a_journal_over_leaves_nothing_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    take_over(Path("runs.db")).close()
    assert os.listdir() == ["runs.db"]


def test_what_a_crash_left_in_the_log_is_in_the_file_when_it_is_taken_over(
    tmp_path: Path,
) -> None:
    path, copy = tmp_path / "runs.db", tmp_path / "copy.db"
    log = copy.with_name("copy.db-wal")
    with opened(path) as store:
        some_runs(store, 2)
        copied(path, copy)
    # As after a crash in the midst of a write.
    log.write_bytes(log.read_bytes()[:-1])
    with closing(take_over(copy)) as connection:
        assert read_log(log).frames == 0
        assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(2,)]


def test_the_log_has_room_from_the_beginning_and_stays_as_long(
    tmp_path: Path,
) -> None:
    path, log = tmp_path / "runs.db", tmp_path / "runs.db-wal"
    zeros = tmp_path / "zeros"
    with zeros.open("wb", buffering=0) as file:
        file.write(bytes(ROOM_BYTES))
        os.fsync(file.fileno())
    for _ in range(2):
        with opened(path) as store:
            assert log.stat().st_size == ROOM_BYTES
            # A hole would not help: it is filled at the first write.
            assert log.stat().st_blocks >= zeros.stat().st_blocks
            some_runs(store, 5)
            assert log.stat().st_size == ROOM_BYTES
            assert read_log(log).behind == 0
        assert not log.exists()


@pytest.fixture
def written(tmp_path: Path) -> Iterator[tuple[sqlite3.Connection, Path, bytes]]:
    """A journal with something in its log: a connection, its place, and the log."""
    place = tmp_path / "written.db"
    with closing(take_over(place)) as connection:
        raise_epoch(connection)
        yield connection, place, (tmp_path / "written.db-wal").read_bytes()


Written = tuple[sqlite3.Connection, Path, bytes]


def test_room_is_made_behind_what_is_there(written: Written) -> None:
    connection, place, before = written
    log = place.with_name("written.db-wal")
    for size in (len(before) - 1, len(before), len(before) + 1, len(before) + 9000):
        make_room(connection, place, size)
        assert log.read_bytes() == before + bytes(max(0, size - len(before)))
        assert not connection.in_transaction
    # Nobody has to find it if it has gone, or has nothing in it.
    for content in (b"", None):
        log.unlink()
        if content is not None:
            log.write_bytes(content)
        make_room(connection, place)
        assert (log.read_bytes() if log.exists() else None) == content


def test_no_room_is_made_while_another_one_writes(written: Written) -> None:
    connection, place, before = written
    connection.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(place, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            make_room(connection, place)
    assert place.with_name("written.db-wal").read_bytes() == before


@pytest.mark.parametrize("plenty", [False, True])
def test_room_is_a_tenth_of_what_the_disk_has_at_most(
    plenty: bool, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, place, before = written
    size = len(before) + 1000

    class Usage(NamedTuple):
        free: int = 10 * size + plenty

    def usage(_: Path) -> Usage:
        return Usage()

    monkeypatch.setattr("understudy.journal.opening.shutil.disk_usage", usage)
    make_room(connection, place, size)
    log = place.with_name("written.db-wal").read_bytes()
    assert len(log) == (size if plenty else len(before))


def test_a_disk_that_fails_while_room_is_made_is_written_to_all_the_same(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, place, before = written
    tries: list[int] = []

    def full(file: int) -> None:
        tries.append(file)
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("understudy.journal.opening.os.fsync", full)
    make_room(connection, place)
    assert len(tries) == 1
    assert place.with_name("written.db-wal").read_bytes() == before
    raise_epoch(connection)


def test_what_is_wrong_with_a_log_is_told_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, log = tmp_path / "runs.db", tmp_path / "runs.db-wal"
    check_log(path)
    log.write_bytes(b"x")
    with pytest.raises(JournalCorruptError) as caught:
        check_log(path)
    assert str(caught.value) == (
        f"it is empty, and what belongs to it is in {log}; restore it from a copy, or "
        "remove that file as well to begin anew"
    )
    path.write_bytes(b"x")
    check_log(path)

    def read_log(_: Path) -> Log:
        return Log(1, 2, broken=True)

    monkeypatch.setattr(opening, "read_log", read_log)
    with pytest.raises(JournalCorruptError) as caught:
        check_log(path)
    assert str(caught.value) == (
        f"what was written last is damaged in {log}; keep copies of both files, and "
        "restore them from a backup"
    )


def test_a_journal_that_somebody_reads_just_now_is_taken_over_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_CARE", ("PRAGMA busy_timeout = 10",))
    path, copy = tmp_path / "runs.db", tmp_path / "copy.db"
    with opened(path) as store:
        some_runs(store, 2)
        copied(path, copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM runs").fetchall()
        with closing(take_over(copy)) as connection:
            assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(2,)]


def test_a_file_that_is_refused_is_let_go_of(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    by_hand(path, "CREATE TABLE t (x)")
    before = os.listdir("/dev/fd")
    with pytest.raises(JournalCorruptError, match="something else") as caught:
        take_over(path)
    # The error holds all that was under way.
    assert caught.value.__traceback__ is not None
    assert os.listdir("/dev/fd") == before


def test_where_no_memory_can_be_shared_another_disk_is_asked_for() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        with pytest.raises(JournalError) as caught:
            prepare(connection)
        assert str(caught.value) == (
            "its file system cannot share memory between processes, as SQLite's "
            "write-ahead log needs; put it on another disk"
        )
        assert connection.execute("SELECT * FROM sqlite_master").fetchall() == []


def test_pages_that_do_not_fit_together_are_told_of(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with opened(path) as store:
        some_runs(store, 2)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        check_pages(connection)
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_master WHERE name = 'unfinished'")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(JournalCorruptError) as caught:
            check_pages(connection)
        assert "it is damaged (" in str(caught.value)
        assert str(caught.value).endswith("keep a copy, and restore it from a backup")


def test_a_file_that_was_made_private_stays_so_with_all_that_is_in_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    before = os.umask(0o022)
    try:
        with opened(path) as store:
            some_runs(store, 1)
            modes = {
                file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()
            }
    finally:
        os.umask(before)
    # In the lock stands only who executes the runs.
    assert modes.pop("runs.db.lock") == 0o644
    assert modes == dict.fromkeys(("runs.db", "runs.db-wal", "runs.db-shm"), 0o600)
