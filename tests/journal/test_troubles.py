"""What is wrong with the file of a journal is said in a sentence, and nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from journal_probe import PYTHON, accepts, adds, by_hand, keeps, opened, some_runs

from understudy.journal import opening
from understudy.journal.connection import transaction
from understudy.journal.pruning import prune
from understudy.journal.reader import SqliteReader
from understudy.journal.schema import STEPS, check_schema, migrate
from understudy.journal.sqlite import SqliteStore
from understudy.journal.verifying import verify
from understudy_protocols.errors import (
    JournalCorruptError,
    JournalError,
    JournalWriteError,
)
from understudy_protocols.journal import Batch
from understudy_protocols.records import FORMAT, Finished


def _foreign(path: Path) -> None:
    by_hand(path, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")


def _foreign_empty(path: Path) -> None:
    by_hand(path, "PRAGMA application_id = 7", "VACUUM")


def _text(path: Path) -> None:
    path.write_text("name: value\n" * 1000)


def _later(path: Path) -> None:
    _journal(path)
    by_hand(path, f"PRAGMA user_version = {len(STEPS) + 1}")


def _later_format(path: Path) -> None:
    _journal(path)
    by_hand(path, f"UPDATE meta SET value = {FORMAT + 1} WHERE name = 'format'")


def _other_tables(path: Path) -> None:
    _journal(path)
    by_hand(path, "CREATE INDEX mine ON runs (workflow)")


def _journal(path: Path) -> None:
    with opened(path) as store:
        some_runs(store, 2)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (_foreign, JournalCorruptError, "it is a database of something else; name"),
        (_foreign_empty, JournalCorruptError, "it is a database of something else"),
        (_text, JournalCorruptError, "it is no database of SQLite; name another"),
        (_later, JournalError, f"its tables are of version {len(STEPS) + 1}, and this"),
        (_later_format, JournalError, f"its records are of version {FORMAT + 1}, and"),
        (_other_tables, JournalCorruptError, "its tables are not those that are made"),
        (Path.mkdir, JournalError, "it is a folder; name a file in it"),
        (os.mkfifo, JournalError, "it is no ordinary file; name another one"),
    ],
)
def test_what_is_no_journal_of_this_release_is_refused_and_left_alone(
    make: Callable[[Path], None],
    kind: type[JournalError],
    words: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    for use in (SqliteStore(path).open, lambda: SqliteReader(path)):
        with pytest.raises(JournalError) as caught:
            use()
        assert type(caught.value) is kind
        assert str(caught.value).startswith(f"the journal {path}: {words}")
        assert (path.read_bytes() if path.is_file() else b"") == before
        # And again: the first one has let go of it.
        with pytest.raises(kind):
            use()


def test_where_no_journal_can_be_is_said(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "runs.db"
    for use in (SqliteStore(nowhere).open, lambda: SqliteReader(nowhere)):
        with pytest.raises(JournalError, match=f"there is no folder {nowhere.parent};"):
            use()
    path = tmp_path / "runs.db"
    for read in (
        lambda: SqliteReader(path),
        lambda: verify(path),
        lambda: prune(path, 0),
    ):
        with pytest.raises(JournalError, match="there is no such file"):
            read()
    assert not path.exists()
    path.touch()
    with pytest.raises(JournalError, match="nothing has been written into it yet"):
        SqliteReader(path)


def test_a_very_large_file_is_not_looked_through_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    _journal(path)
    checks: list[object] = []
    monkeypatch.setattr(opening, "check_pages", checks.append)
    monkeypatch.setattr(opening, "CHECKED_BYTES", path.stat().st_size)
    with opened(path):
        assert len(checks) == 1
    monkeypatch.setattr(opening, "CHECKED_BYTES", path.stat().st_size - 1)
    with opened(path):
        assert len(checks) == 1


def test_a_step_of_the_schema_is_applied_once_and_whole(tmp_path: Path) -> None:
    path, now = tmp_path / "runs.db", len(STEPS)
    _journal(path)
    later = (*STEPS, ("CREATE TABLE more (x)", "INSERT INTO more VALUES (1)"))
    broken = (*STEPS, ("CREATE TABLE more (x)", "INSERT INTO nothing VALUES (1)"))
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as connection,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as empty,
    ):
        with pytest.raises(JournalError, match=f"of version {now}, and this"):
            check_schema(connection, empty, later)
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, broken)
        for _ in range(2):
            migrate(connection, later)
            check_schema(connection, empty, later)
            assert connection.execute("SELECT x FROM more").fetchall() == [(1,)]
            assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(2,)]
        with pytest.raises(
            JournalError, match=f"version {now + 1}, and this release reads up"
        ):
            migrate(connection)
    with pytest.raises(JournalError, match="use a later release"):
        SqliteStore(path).open()


def test_a_full_disk_is_an_error_and_the_same_batch_can_be_written_later(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    with opened(path) as store:
        some_runs(store, 2)
        writer = store._taken().writer
        [(pages,)] = writer.execute("PRAGMA page_count").fetchall()
        writer.execute(f"PRAGMA max_page_count = {pages + 3}")
        batch = Batch()
        accepts(batch, 9)
        adds(batch, 9, 1, Finished(0, "", 1, 1, keeps(batch, "y" * 90_000)))
        with pytest.raises(JournalWriteError) as caught:
            store.write(batch)
        assert str(caught.value).startswith(
            f"the journal {path}: the disk is full; make room (SQLITE_FULL"
        )
        assert store.find("run-9") is None
        writer.execute(f"PRAGMA max_page_count = {pages + 300}")
        store.write(batch)
        assert len(store.records(9)) == 2
    assert verify(path).problems == ()


LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from journal_probe import accepts, keeps, opened, some_runs
from understudy_protocols.errors import JournalWriteError
from understudy_protocols.journal import Batch
path = Path(sys.argv[1])
with opened(path) as store:
    some_runs(store, 2)
    size = path.with_name("runs.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5000, resource.RLIM_INFINITY))
    for row in range(3, 100):
        batch = Batch()
        accepts(batch, row, "z" * 700_000)  # the log has some room
        try:
            store.write(batch)
        except JournalWriteError as error:
            print(error)
            break
    assert store.find(f"run-{row}") is None
    assert row == 3 or len(store.records(row - 1)) == 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    store.write(batch)
    print(row)
"""


def test_a_disk_that_fails_in_the_middle_of_a_write_leaves_nothing_of_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    said = _child(LIMITED, path)
    assert said[0].startswith(f"the journal {path}: its disk reports an error; see to")
    with opened(path) as store:
        assert store.next_row == int(said[1]) + 1
        assert len(store.records(int(said[1]))) == 1
    assert verify(path).problems == ()


UNPRIVILEGED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import journal_probe
from understudy.journal.reader import SqliteReader
from understudy.journal.sqlite import SqliteStore
from understudy_protocols.errors import JournalError
if os.getuid() == 0:
    os.setuid(65534)
path = Path(sys.argv[1])
for use in (
    SqliteStore(path).open,
    lambda: print(len(list(SqliteReader(path).runs()))),
    lambda: print(SqliteReader(path).ask("run-1", "cancel")),
):
    try:
        use()
    except JournalError as error:
        print(type(error).__name__, error)
"""


def _child(code: str, path: Path) -> list[str]:
    done = subprocess.run(
        [PYTHON, "-c", code, str(path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_may_not_be_written_or_read_is_said() -> None:
    # In a folder that anybody can reach, which pytest's own is not.
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name) / "runs.db"
        _journal(path)
        folder.chmod(0o777)
        path.chmod(0o444)
        path.with_name("runs.db.lock").chmod(0o666)
        not_written = (
            f"JournalWriteError the journal {path}: it, or its folder, cannot be "
            "written; change the permissions (SQLITE_READONLY: attempt to write a "
            "readonly database)"
        )
        assert _child(UNPRIVILEGED, path) == [not_written, "2", not_written]
        path.chmod(0o666)
        path.with_name("runs.db.lock").unlink()
        folder.chmod(0o555)
        said = _child(UNPRIVILEGED, path)
        assert said[0].startswith(
            f"JournalError the journal {path}: its lock {path}.lock cannot be made "
            "(Permission denied); see to the permissions of the folder"
        )
        folder.chmod(0o777)
        path.chmod(0o000)
        said = _child(UNPRIVILEGED, path)
        not_opened = (
            f"JournalError the journal {path}: it, or a file beside it, cannot be "
            "opened; see to the permissions (SQLITE_CANTOPEN: "
            "unable to open database file)"
        )
        assert said == [not_opened] * 3


def test_a_journal_that_another_program_has_locked_is_an_error_that_passes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    with opened(path) as store, closing(sqlite3.connect(path)) as other:
        store._taken().writer.execute("PRAGMA busy_timeout = 10")
        other.execute("BEGIN IMMEDIATE")
        batch = Batch()
        accepts(batch, 1)
        with pytest.raises(JournalWriteError, match="another program has locked it;"):
            store.write(batch)
        other.execute("ROLLBACK")
        store.write(batch)
        assert store.find("run-1") is not None


def test_nobody_else_writes_during_a_transaction_that_has_only_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    _journal(path)
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as one,
        closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other,
        transaction(one),
    ):
        one.execute("SELECT * FROM meta").fetchall()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("UPDATE meta SET value = 7")


def test_a_transaction_whose_block_fails_is_undone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as one:
        one.execute("CREATE TABLE t (x)")

        def failing() -> None:
            with transaction(one):
                one.execute("INSERT INTO t VALUES (1)")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            failing()
        assert one.execute("SELECT * FROM t").fetchall() == []
        assert not one.in_transaction
