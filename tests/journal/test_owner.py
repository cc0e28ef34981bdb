"""One process executes the runs of a journal, and knows when it no longer does."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from journal_probe import PYTHON, accepts, opened, some_runs

from understudy.journal.lock import Holder, OwnerLock, holder_of
from understudy.journal.reader import SqliteReader
from understudy.journal.sqlite import LOOK_EVERY, SqliteStore
from understudy_protocols.errors import (
    JournalBusyError,
    JournalError,
    JournalStaleError,
)
from understudy_protocols.journal import Batch

OWNER = """
import sys
from understudy.journal.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
store.open()
print("open", flush=True)
sys.stdin.read()
"""

PARENT = """
import os, sys
from understudy.journal.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
store.open()
if os.fork() == 0:
    print(os.getpid(), flush=True)
sys.stdin.read()
"""


@contextmanager
def process(code: str, path: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Run *code* beside, until the block ends; give it with the first line it says."""
    with subprocess.Popen(
        [PYTHON, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        try:
            yield running, running.stdout.readline().strip()
        finally:
            running.kill()


def test_a_second_owner_is_told_who_the_first_one_is(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    since = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    first = SqliteStore(path, utcnow=lambda: since)
    first.open()
    with pytest.raises(JournalBusyError) as caught:
        SqliteStore(path).open()
    host = os.uname().nodename
    assert str(caught.value) == (
        f"the journal {path}: its runs are executed by process {os.getpid()} on "
        f"{host}, since 2026-05-04 03:02:01+00:00; end that one, or give this one a "
        "journal of its own"
    )
    first.close()
    with opened(path):
        pass


def test_another_name_of_the_file_is_the_same_journal(tmp_path: Path) -> None:
    path, other = tmp_path / "runs.db", tmp_path / "other.db"
    other.symlink_to(path)
    with opened(path), pytest.raises(JournalBusyError):
        SqliteStore(other).open()


def test_the_journal_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with process(OWNER, path) as (owner, said):
        assert said == "open"
        with pytest.raises(JournalBusyError, match=f"process {owner.pid} on "):
            SqliteStore(path).open()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        with opened(path) as store:
            some_runs(store)


def test_a_child_by_fork_does_not_keep_the_journal_of_its_dead_parent(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    with process(PARENT, path) as (owner, child):
        try:
            owner.kill()
            owner.wait()
            os.kill(int(child), 0)
            with opened(path):
                pass
        finally:
            os.kill(int(child), signal.SIGKILL)


def test_a_child_by_fork_does_not_free_the_journal_of_its_parent(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    with process(PARENT, path) as (_, child):
        os.kill(int(child), signal.SIGKILL)
        with pytest.raises(JournalBusyError):
            SqliteStore(path).open()


def test_what_stands_in_the_lock_of_somebody_gone_hinders_nobody(
    tmp_path: Path,
) -> None:
    path, lock = tmp_path / "runs.db", tmp_path / "runs.db.lock"
    for left in (b"", b"{", msgspec.json.encode(Holder(1, "x", datetime.now(UTC)))):
        lock.write_bytes(left)
        with opened(path):
            holder = holder_of(lock)
            assert holder is not None
            assert holder.pid == os.getpid()
        assert holder_of(lock) is None


def test_a_holder_that_does_not_say_who_it_is_is_refused_all_the_same(
    tmp_path: Path,
) -> None:
    path, lock = tmp_path / "runs.db", tmp_path / "runs.db.lock"
    held = OwnerLock(path)
    held.take(datetime.now(UTC))
    lock.write_bytes(b"?")
    with pytest.raises(JournalBusyError, match="executed by another process;"):
        SqliteStore(path).open()
    held.free()
    held.free()


def test_a_lock_that_cannot_be_taken_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(_: int, __: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    path = tmp_path / "runs.db"
    with pytest.raises(JournalError, match="cannot be taken \\(No locks available"):
        SqliteStore(path).open()
    assert not path.exists()


@contextmanager
def lost_owner(path: Path) -> Generator[SqliteStore]:
    """Give a store whose lock was removed, so that another one could be opened."""
    store = SqliteStore(path)
    store.open()
    try:
        some_runs(store, 2)
        path.with_name("runs.db.lock").unlink()
        yield store
    finally:
        store.close()


def test_nothing_of_a_stale_owner_is_written(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with lost_owner(path) as stale, opened(path) as store:
        batch = Batch()
        accepts(batch, 9)
        batch.blobs[b"digest"] = b"content"
        with pytest.raises(JournalStaleError, match="another process has taken it"):
            stale.write(batch)
        with pytest.raises(JournalStaleError):
            stale.fingerprint_id(b"new")
        assert store.find("run-9") is None
        assert store.next_row == 3
        batch.blobs.clear()
        store.write(batch)
        assert store.find("run-9") is not None


def test_a_stale_owner_stays_stale_when_the_other_one_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with lost_owner(path) as stale:
        with opened(path):
            pass
        batch = Batch()
        accepts(batch, 9)
        with pytest.raises(JournalStaleError):
            stale.write(batch)


@pytest.mark.parametrize("put_back", [False, True])
def test_nothing_is_written_when_the_file_has_gone(
    put_back: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("understudy.journal.sqlite.monotonic", lambda: now)
    path = tmp_path / "runs.db"
    with opened(path) as store:
        some_runs(store, 1)
        path.rename(tmp_path / "moved.db")
        if put_back:
            path.write_bytes((tmp_path / "moved.db").read_bytes())
        now += LOOK_EVERY
        batch = Batch()
        accepts(batch, 9)
        with pytest.raises(JournalStaleError, match="moved, removed or replaced"):
            store.write(batch)
        with pytest.raises(JournalStaleError, match="moved, removed or replaced"):
            store.fingerprint_id(b"new")


def test_a_file_that_was_just_there_is_not_looked_for_at_each_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("understudy.journal.sqlite.monotonic", lambda: now)
    looks: list[object] = []
    stat = os.stat

    def looked(place: str) -> os.stat_result:
        looks.append(place)
        return stat(place)

    path = tmp_path / "runs.db"
    with opened(path) as store:
        monkeypatch.setattr("understudy.journal.sqlite.os.stat", looked)
        some_runs(store, 5)
        assert len(looks) == 1
        now += LOOK_EVERY
        monkeypatch.setattr("understudy.journal.sqlite.os.stat", looked)
        store.fingerprint_id(b"new")
        assert len(looks) == 2


def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = SqliteStore(path)
    for _ in range(2):
        for call in (
            lambda: store.write(Batch()),
            lambda: store.next_row,
            lambda: store.find("x"),
            lambda: list(store.left_over(0)),
        ):
            with pytest.raises(JournalError, match="is not open; open it first"):
                call()
        store.close()


def test_others_read_and_ask_while_a_process_owns_it_and_when_it_was_killed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    with opened(path) as store:
        some_runs(store, 2)
    with process(OWNER, path) as (owner, _), SqliteReader(path) as reader:
        assert [run.row for run in reader.runs()] == [1, 2]
        first = reader.ask("run-2", "cancel")
        owner.kill()
        owner.wait()
        second = reader.ask("run-2", "answer", b"5")
        with SqliteReader(path) as late, opened(path) as store:
            assert [one.id for one in store.requests()] == [first, second]
            batch = Batch()
            batch.done[first] = "no such pause"
            store.write(batch)
            assert late.outcome(first) == "no such pause"
            assert late.outcome(second) is None
            assert late.outcome(77) is None
