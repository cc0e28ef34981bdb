"""What a journal in a file costs, and where and how it may be used."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest
from journal_probe import (
    NOW,
    accepts,
    adds,
    all_left_over,
    by_hand,
    keeps,
    opened,
    some_runs,
)

from understudy.journal.reader import SqliteReader
from understudy.journal.reading import LEFT_RECORDS, RUN
from understudy.journal.schema import UNFINISHED
from understudy.journal.sqlite import SqliteStore
from understudy.journal.values import digest_of
from understudy.journal.verifying import verify
from understudy_protocols.errors import JournalCorruptError, JournalError
from understudy_protocols.journal import Batch, StoredRun
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import Finished, Passed, encode_record


def test_all_connections_sync_every_commit_and_share_a_log(tmp_path: Path) -> None:
    with opened(tmp_path / "runs.db") as store:
        for one in (store._taken().writer, store._taken().reader):
            found = [
                one.execute(f"PRAGMA {name}").fetchall()[0][0]
                for name in ("journal_mode", "synchronous", "page_size", "fullfsync")
            ]
            assert found == ["wal", 2, 4096, 1]


@pytest.mark.parametrize("status", RunStatus)
def test_every_status_that_is_not_terminal_is_unfinished(
    status: RunStatus, tmp_path: Path
) -> None:
    with opened(tmp_path / "runs.db") as store:
        batch = Batch()
        batch.runs.append(StoredRun(1, "a", "w", 0, status, NOW, NOW))
        store.write(batch)
        assert [run.status for run, _ in store.left_over(0)] == [status] * (
            not status.terminal
        )
        plan = (
            store._taken()
            .reader.execute(
                f"EXPLAIN QUERY PLAN {RUN} WHERE {UNFINISHED} AND row > 0"
                " ORDER BY row LIMIT 1000"
            )
            .fetchall()
        )
        assert "unfinished" in plan[0][3]


@pytest.mark.parametrize("runs", [1, 50])
def test_a_record_costs_little_also_where_runs_take_turns(
    runs: int, tmp_path: Path
) -> None:
    path = tmp_path / "runs.db"
    content = encode_record(Finished(3, "", 1_000_000, 1_000, 5, 1, None, [9, 9]))
    steps = 3000 // runs
    with opened(path) as store:
        batch = Batch()
        for row in range(1000, 1000 + runs):
            accepts(batch, row)
        store.write(batch)
        store._taken().writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = path.stat().st_size
        for number in range(1, steps + 1):
            batch = Batch()
            batch.records = [(row, number, content) for row in range(1000, 1000 + runs)]
            store.write(batch)
    each = (path.stat().st_size - before) / (runs * steps)
    assert each - len(content) <= 32
    assert each <= 90


def test_a_journal_may_have_any_name(tmp_path: Path) -> None:
    for name in ("a b.db", "?x=1", "50%20#.db", "läufe", "'", '"', "a;b", "x&mode=ro"):
        path = tmp_path / name
        with opened(path) as store:
            some_runs(store, 1)
        assert path.is_file()
        with SqliteReader(str(path)) as reader:
            assert reader.find("run-1") is not None
    assert len(list(tmp_path.glob("*.lock"))) == 8


def test_a_large_value_and_many_runs_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.journal.reading.LEFT_RUNS", 7)
    with opened(tmp_path / "runs.db") as store:
        batch = Batch()
        for row in range(1, 31):
            accepts(batch, row)
        kept = keeps(batch, "z" * 3_000_000)
        adds(batch, 30, 1, Finished(0, "", 1, 1, kept))
        store.write(batch)
        assert [run.row for run, _ in all_left_over(store)] == list(range(1, 31))
        assert store.blob(kept["$blob"]) == msgspec.msgpack.encode("z" * 3_000_000)


def test_runs_with_many_records_come_few_at_once(tmp_path: Path) -> None:
    lengths = [100, 150, 40, 700, 1, LEFT_RECORDS - 1, LEFT_RECORDS, 3]
    with opened(tmp_path / "runs.db") as store:
        batch = Batch()
        for row, length in enumerate(lengths, 1):
            accepts(batch, row)
            for number in range(1, length):
                adds(batch, row, number, Passed(0, "", number))
        store.write(batch)
        found: list[int | None] = []
        while page := store.left_over(len(found)):
            known = [None if one is None else len(one) for _, one in page]
            assert sum(one or 0 for one in known) <= LEFT_RECORDS
            found += known
    # What may be more than can be read at once is left to be read alone.
    assert found == [100, 150, 40, None, 1, LEFT_RECORDS - 1, None, 3]


def test_a_damaged_record_is_missed_by_its_own_run_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with opened(path) as store:
        batch = Batch()
        for row in (1, 2, 3):
            accepts(batch, row)
            for number in (1, 2):
                adds(batch, row, number, Passed(0, "", number))
        store.write(batch)
    by_hand(path, "DELETE FROM records WHERE run = 1 AND number = 1")
    by_hand(path, "UPDATE records SET content = x'00' WHERE run = 2 AND number = 0")
    with opened(path) as store:
        left = {run.row: found for run, found in all_left_over(store)}
        assert list(left) == [1, 2, 3]
        assert left[1] is left[2] is None
        assert left[3] == store.records(3)
        for row in (1, 2):
            with pytest.raises(JournalCorruptError, match=r"damaged|missing"):
                store.records(row)


@pytest.mark.parametrize("bad", [{1}, {30}, {2, 3, 7}, set(range(1, 30)), {1, 30}])
def test_a_run_that_is_damaged_itself_hides_no_other_and_is_told_of_once(
    bad: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.journal.reading.LEFT_RUNS", 4)
    path = tmp_path / "runs.db"
    rows = range(1, 31)
    with opened(path) as store:
        batch = Batch()
        for row in rows:
            accepts(batch, row)
        store.write(batch)
    for row in bad:
        by_hand(path, f"UPDATE runs SET workflow = 'v' WHERE row = {row}")
    told: list[str] = []
    seen: list[int] = []
    with opened(path) as store:
        while page := store.left_over(seen[-1] if seen else 0, told.append):
            seen += [run.row for run, _ in page]
        with pytest.raises(JournalCorruptError, match="is damaged"):
            all_left_over(store)
    assert seen == [row for row in rows if row not in bad]
    assert told == [
        f"the journal {path}: the run in row {row} is damaged" for row in sorted(bad)
    ]


def test_all_threads_read_while_one_writes(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    failed: list[Exception] = []
    writing = threading.Event()
    writing.set()

    def look(store: SqliteStore | SqliteReader) -> None:
        seen = 0
        try:
            while writing.is_set():
                found = 0
                while store.find(f"run-{found + 1}") is not None:
                    found += 1
                    assert store.records(found)
                assert found >= seen, "what was there has gone"
                seen = found
                store.requests()
        except (JournalError, AssertionError) as error:
            failed.append(error)

    with opened(path) as store, SqliteReader(path) as reader:
        threads = [
            threading.Thread(target=look, args=(one,))
            for one in (store, store, reader, reader)
        ]
        for thread in threads:
            thread.start()
        some_runs(store, 12)
        first = store.fingerprint_id(b"0")
        for number in range(5):
            assert store.fingerprint_id(b"%d" % number) == number + first
        writing.clear()
        for thread in threads:
            thread.join()
    assert failed == []
    assert verify(path).runs == 12


def test_threads_take_turns_at_what_is_kept_of_workflows(tmp_path: Path) -> None:
    found: list[int] = []
    failed: list[JournalError] = []
    with opened(tmp_path / "runs.db") as store:
        at_once = threading.Barrier(4)

        def keep(name: int) -> None:
            at_once.wait()
            try:
                for number in range(8):
                    found.append(store.fingerprint_id(b"%d/%d" % (name, number)))
                    store.find("run-1")
            except JournalError as error:
                failed.append(error)

        threads = [threading.Thread(target=keep, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    assert sorted(found) == list(range(32))


def test_a_request_that_was_dealt_with_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with opened(path) as store, SqliteReader(path) as reader:
        number = reader.ask("run-1", "cancel")
        for outcome in ("", "again"):
            batch = Batch()
            batch.done[number] = outcome
            accepts(batch, 1 + len(outcome))
            if outcome:
                with pytest.raises(JournalCorruptError, match="dealt with already"):
                    store.write(batch)
            else:
                store.write(batch)
        assert reader.outcome(number) == ""
        assert store.next_row == 2


def test_a_value_that_is_there_already_stays(tmp_path: Path) -> None:
    with opened(tmp_path / "runs.db") as store:
        for content in (b"first", b"second"):
            batch = Batch()
            batch.blobs[digest_of(b"first")] = content
            store.write(batch)
        assert store.blob(digest_of(b"first")) == b"first"
