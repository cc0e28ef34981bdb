"""The lock beside a journal: who may take it, what it says, and what a fork makes of it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from understudy.journal.lock import Holder, OwnerLock, at_work, holder_of
from understudy_protocols.errors import JournalBusyError, JournalError

# A child made here does little, whatever threads other tests have left idle.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

SINCE = datetime(2026, 5, 4, 3, 2, 1, 999_999, tzinfo=UTC)


def own(pid: int | None = None, host: str | None = None) -> Holder:
    return Holder(pid or os.getpid(), host or socket.gethostname(), SINCE)


@contextmanager
def held(journal: Path) -> Generator[OwnerLock]:
    taken = OwnerLock(journal)
    taken.take(SINCE)
    try:
        yield taken
    finally:
        taken.free()


@contextmanager
def child(work: Callable[[], object]) -> Generator[None]:
    """Fork; the block runs when the child has done its *work*, and before it ends."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os.write(writing, b"done")
            signal.pause()
        finally:
            os._exit(1)
    try:
        os.close(writing)
        assert os.read(reading, 4) == b"done"
        yield
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_the_lock_stands_beside_the_journal_and_says_who_has_it(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "runs.db"
    with held(journal):
        assert [path.name for path in tmp_path.iterdir()] == ["runs.db.lock"]
        assert holder_of(tmp_path / "runs.db.lock") == own()
        assert at_work(journal) == own()
    assert (tmp_path / "runs.db.lock").read_bytes() == b""
    assert at_work(journal) is None


def test_whoever_may_write_to_the_folder_may_take_the_lock(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with held(tmp_path / "runs.db"):
            pass
    finally:
        os.umask(before)
    mode = (tmp_path / "runs.db.lock").stat().st_mode
    assert stat.S_IMODE(mode) == 0o666


def test_a_holder_says_since_when_to_the_second() -> None:
    holder = Holder(7, "elsewhere", SINCE)
    assert str(holder) == "process 7 on elsewhere, since 2026-05-04 03:02:01+00:00"


def test_who_is_refused_is_told_by_whom_and_leaves_nothing_open(tmp_path: Path) -> None:
    journal = tmp_path / "runs.db"
    open_before = len(os.listdir("/dev/fd"))
    with held(journal):
        for _ in range(3):
            second = OwnerLock(journal)
            with pytest.raises(JournalBusyError) as caught:
                second.take(SINCE)
            assert str(caught.value) == (
                f"its runs are executed by {own()}; end that one, or give this one a "
                "journal of its own"
            )
            second.free()
        assert holder_of(tmp_path / "runs.db.lock") == own()
    assert len(os.listdir("/dev/fd")) == open_before


def test_a_lock_that_was_freed_can_be_taken_again(tmp_path: Path) -> None:
    taken = OwnerLock(tmp_path / "runs.db")
    for _ in range(2):
        taken.take(SINCE)
        assert at_work(tmp_path / "runs.db") == own()
        taken.free()


def test_nothing_is_left_of_longer_words_of_an_earlier_holder(tmp_path: Path) -> None:
    (tmp_path / "runs.db.lock").write_bytes(b"x" * 1000)
    with held(tmp_path / "runs.db"):
        assert holder_of(tmp_path / "runs.db.lock") == own()


def test_a_lock_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(JournalError) as caught:
        OwnerLock(tmp_path / "nowhere" / "runs.db").take(SINCE)
    assert str(caught.value) == (
        f"its lock {tmp_path / 'nowhere' / 'runs.db.lock'} cannot be made "
        "(No such file or directory); see to the permissions of the folder"
    )


def test_a_lock_whose_words_cannot_be_written_is_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pwrite(_: int, __: bytes, ___: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    journal = tmp_path / "runs.db"
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", pwrite)
        with pytest.raises(JournalError) as caught:
            OwnerLock(journal).take(SINCE)
    assert str(caught.value) == (
        f"its lock {journal}.lock cannot be taken (No space left on device)"
    )
    with held(journal):
        pass


def test_a_child_by_fork_does_not_keep_what_its_parent_has_left(tmp_path: Path) -> None:
    journal = tmp_path / "runs.db"
    taken = OwnerLock(journal)
    taken.take(SINCE)
    with child(lambda: None):
        for _ in range(2):
            taken.leave()  # as the end of a process does
        with held(journal):
            pass


def test_a_child_by_fork_cannot_free_what_its_parent_has(tmp_path: Path) -> None:
    journal = tmp_path / "runs.db"
    with held(journal) as taken, child(taken.free):
        assert holder_of(tmp_path / "runs.db.lock") == own()
        with pytest.raises(JournalBusyError):
            OwnerLock(journal).take(SINCE)


def test_a_program_that_is_started_does_not_keep_the_lock(tmp_path: Path) -> None:
    with held(tmp_path / "runs.db") as taken:
        assert taken._file is not None
        assert not os.get_inheritable(taken._file)


def test_who_is_gone_is_not_at_work_and_who_is_elsewhere_may_be(tmp_path: Path) -> None:
    journal, other = tmp_path / "runs.db", tmp_path / "other.db"
    other.symlink_to(journal)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    words = tmp_path / "runs.db.lock"
    for holder, found in [
        (own(pid), None),
        (own(pid, "elsewhere"), own(pid, "elsewhere")),
        (own(), own()),
    ]:
        words.write_bytes(msgspec.json.encode(holder))
        assert at_work(journal) == found
        assert at_work(str(other)) == found
    words.write_bytes(b"?")
    assert at_work(journal) is None
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    assert at_work(circle) is None


def test_who_may_not_be_asked_whether_it_lives_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(_: int, signal: int) -> None:
        assert signal == 0
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "kill", kill)
    (tmp_path / "runs.db.lock").write_bytes(msgspec.json.encode(own(1)))
    assert at_work(tmp_path / "runs.db") == own(1)


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    # In a folder of many, somebody else may have put it there.
    other = tmp_path / "other.txt"
    other.write_text("somebody's only copy of something")
    (tmp_path / "runs.db.lock").symlink_to(other)
    with pytest.raises(JournalError, match="cannot be made"):
        OwnerLock(tmp_path / "runs.db").take(SINCE)
    assert other.read_text() == "somebody's only copy of something"
