"""Looking through a journal, deleting what is old, and giving runs to other programs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from journal_probe import (
    NOW,
    accepts,
    adds,
    by_hand,
    digests_in,
    ends,
    keeps,
    opened,
    some_runs,
)

from understudy.journal import pruning
from understudy.journal.checksums import sealed
from understudy.journal.exporting import export_lines
from understudy.journal.pruning import Pruned, prune
from understudy.journal.reader import SqliteReader
from understudy.journal.references import put_in, references, unpacked
from understudy.journal.values import digest_of
from understudy.journal.verifying import Problem, Verified, verify
from understudy.journal.wal import read_log
from understudy_protocols.errors import CodecError, JournalCorruptError, JournalError
from understudy_protocols.journal import Batch, StoredRun
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import (
    Accepted,
    Answered,
    Ended,
    Finished,
    encode_record,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "runs.db"
    with opened(path) as store:
        some_runs(store)
    return path


def _replaced(row: int, number: int, content: bytes) -> str:
    """Give the statement by which a record is another one, with its checksum."""
    stored = sealed(row, number, content).hex()
    return (
        f"UPDATE records SET content = X'{stored}'"
        f" WHERE run = {row} AND number = {number}"
    )


def test_a_sound_journal_has_no_problems_whether_or_not_it_is_open(path: Path) -> None:
    sound = Verified(6, 36, 6, 0, 0, ())
    assert verify(path) == sound
    with opened(path) as store:
        assert verify(path) == sound
        some_runs(store, 1)
        assert verify(path) == Verified(7, 42, 7, 0, 0, ())


@pytest.mark.parametrize(
    ("statement", "where", "detail"),
    [
        ("DELETE FROM records WHERE run = 2 AND number = 3", "row 2", "3 is missing"),
        ("DELETE FROM records WHERE run = 2 AND number = 0", "row 2", "0 is missing"),
        ("DELETE FROM records WHERE run = 2", "row 2", "the run has no records"),
        ("DELETE FROM runs WHERE row = 2", "row 2", "6 records belong to no run"),
        (
            "UPDATE records SET run = 4, number = 6 WHERE run = 2 AND number = 5",
            "row 4, record 6",
            "record 6 of the run in row 4 is damaged",
        ),
        (
            "UPDATE records SET content = X'00' WHERE run = 2 AND number = 1",
            "row 2, record 1",
            "record 1 of the run in row 2 is damaged",
        ),
        (
            _replaced(2, 1, b"xyz"),
            "row 2, record 1",
            "this is no record that can be read",
        ),
        (
            _replaced(2, 0, encode_record(Ended("x", 1))),
            "row 2, record 0",
            "it is not that of the acceptance",
        ),
        (
            "UPDATE runs SET status = 'completed' WHERE row = 2",
            "row 2",
            "its status is completed, and its last record says that it goes on",
        ),
        (
            "UPDATE runs SET status = 'failed' WHERE row = 3",
            "row 3",
            "its status is failed, and its last record says completed",
        ),
        (
            "UPDATE runs SET status = 'running' WHERE row = 3",
            "row 3",
            "its status is running, and its last record says completed",
        ),
        ("UPDATE runs SET status = 'gone' WHERE row = 2", "row 2", "row 2 is damaged"),
        ("UPDATE runs SET run_id = 'x' WHERE row = 2", "row 2", "row 2 is damaged"),
        ("UPDATE runs SET fingerprint = 5 WHERE row = 2", "row 2", "row 2 is damaged"),
        ("UPDATE runs SET recoveries = 6 WHERE row = 2", "row 2", "row 2 is damaged"),
        ("UPDATE runs SET recoveries = -1 WHERE row = 2", "row 2", "row 2 is damaged"),
        (
            "UPDATE runs SET changed_at = changed_at + (1 << 53) WHERE row = 2",
            "row 2",
            "row 2 is damaged",
        ),
        (
            "UPDATE runs SET changed_at = -changed_at WHERE row = 3",
            "row 3",
            "row 3 is damaged",
        ),
        (
            "INSERT INTO requests VALUES (1, 'run-1', 'cancel', X'00', 5, 'befused: ')",
            "the requests",
            "what came of the request 1 is damaged",
        ),
        (
            "INSERT INTO requests VALUES (1, 'run-1', 'cancel', X'00', 5, X'00')",
            "the requests",
            "what came of the request 1 is damaged",
        ),
        ("DELETE FROM fingerprints", "the workflows", "the shape 0 is missing"),
        (
            "UPDATE fingerprints SET document = X'00'",
            "the workflows",
            "the shape 0 in it is damaged",
        ),
        ("DELETE FROM blobs WHERE rowid = 2", "row 2, record 2", "is missing"),
        (
            "UPDATE blobs SET content = X'00' WHERE rowid = 2",
            "row 2, record 2",
            "is damaged",
        ),
        (
            "INSERT INTO requests VALUES (1, 'run-1', 'cancel', X'00', 5, NULL)",
            "the requests",
            "the request 1 is damaged",
        ),
        (
            "INSERT INTO blobs VALUES (X'0102', X'03')",
            "the values",
            "the value 0102 is damaged",
        ),
    ],
)
def test_what_is_wrong_is_found_and_named(
    statement: str, where: str, detail: str, path: Path
) -> None:
    by_hand(path, statement)
    problems = verify(path).problems
    assert where in [problem.where for problem in problems]
    assert any(
        problem.where == where and detail in problem.detail for problem in problems
    ), problems


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM records WHERE run = 2 AND number = 3",
        "UPDATE records SET content = X'00' WHERE run = 2 AND number = 1",
        "UPDATE records SET content = 'text' WHERE run = 2 AND number = 1",
        "UPDATE records SET run = 4, number = 6 WHERE run = 2 AND number = 5",
        # What the same step of another run gave, and another step of the same run.
        """
        UPDATE records SET content = (
          SELECT content FROM records WHERE run = 4 AND number = 1
        ) WHERE run = 2 AND number = 1
        """,
        """
        UPDATE records SET content = (
          SELECT content FROM records WHERE run = 2 AND number = 3
        ) WHERE run = 2 AND number = 1
        """,
        "UPDATE runs SET run_id = 'run-9' WHERE row = 2",
        "UPDATE runs SET workflow = 'other' WHERE row = 2",
        "UPDATE runs SET status = 'gone' WHERE row = 2",
        "UPDATE runs SET recoveries = 'many' WHERE row = 2",
        "UPDATE runs SET changed_at = 'now' WHERE row = 2",
        "UPDATE runs SET changed_at = 1 << 60 WHERE row = 2",
        "UPDATE runs SET recoveries = 70 WHERE row = 2",
        "UPDATE requests SET body = X'00'",
        "UPDATE requests SET run_id = 'run-4'",
        "UPDATE requests SET what = 'answer'",
    ],
)
def test_what_is_damaged_is_not_read(statement: str, path: Path) -> None:
    with SqliteReader(path) as reader:
        reader.ask("run-2", "cancel")
    by_hand(path, statement)
    with SqliteReader(path) as reader, pytest.raises(JournalCorruptError):
        _ = (
            [reader.records(row) for row in (2, 4)],
            list(reader.runs()),
            reader.requests(),
        )


def test_a_write_that_was_cut_off_is_told_and_is_no_problem(
    path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    with opened(path) as store:
        some_runs(store, 1)
        batch = Batch()
        keeps(batch, "x" * 90_000)
        store.write(batch)
        log = path.with_name("runs.db-wal").read_bytes()
        frames = read_log(path.with_name("runs.db-wal")).frames
        copy.write_bytes(path.read_bytes())
    at = 32 + (frames - 20) * 4120
    copy.with_name("copy.db-wal").write_bytes(log[:at] + b"?" + log[at + 1 :])
    found = verify(copy)
    assert found.problems == ()
    assert found.unsafe == 20
    with opened(copy):
        # The next crash does not meet what this one has left.
        assert read_log(copy.with_name("copy.db-wal")).behind == 0
        assert verify(copy) == Verified(7, 42, 7, 0, 0, ())


def test_prune_deletes_what_ended_before_and_the_values_that_only_it_had(
    path: Path,
) -> None:
    with opened(path) as store:
        batch = Batch()
        shared = keeps(batch, "shared by an old run and one that goes on")
        only = keeps(batch, "of the old one alone")
        accepts(batch, 7, shared)
        adds(batch, 7, 1, Answered(0, "", 1, [only, {"deep": shared}]))
        ends(batch, 7, 2, NOW - 5)
        accepts(batch, 8, {"in": [shared]})
        store.write(batch)
    assert prune(path, NOW - 5) == Pruned(0, 0, 0)
    assert prune(path, NOW - 4) == Pruned(1, 3, 1)
    assert prune(path, NOW - 4) == Pruned(0, 0, 0)
    assert verify(path) == Verified(7, 37, 7, 0, 0, ())
    assert prune(path, NOW + 4) == Pruned(2, 12, 2)
    assert verify(path) == Verified(5, 25, 5, 0, 0, ())
    with SqliteReader(path) as reader:
        assert [run.row for run in reader.runs()] == [2, 4, 5, 6, 8]
        assert reader.find("run-1") is None


def test_no_value_is_deleted_while_a_record_is_damaged(path: Path) -> None:
    by_hand(path, "UPDATE records SET content = X'00' WHERE run = 2 AND number = 2")
    with pytest.raises(JournalCorruptError, match="record 2 of the run in row 2 is"):
        prune(path, 0)
    assert len(digests_in(path)) == 6


def test_the_row_of_a_deleted_run_is_not_given_again(path: Path) -> None:
    with opened(path) as store:
        batch = Batch()
        accepts(batch, 20)
        ends(batch, 20, 1, NOW - 5)
        store.write(batch)
    assert prune(path, NOW).runs == 1
    with opened(path) as store:
        assert store.next_row == 21


def test_requests_that_were_dealt_with_go_with_their_run(path: Path) -> None:
    with SqliteReader(path) as reader:
        done, waiting = reader.ask("run-1", "answer"), reader.ask("run-1", "cancel")
        other = reader.ask("run-2", "cancel")
        with opened(path) as store:
            batch = Batch()
            batch.done = {done: "it was", other: ""}
            store.write(batch)
        assert prune(path, NOW + 2).runs == 1
        assert reader.outcome(done) is None
        assert [one.id for one in reader.requests()] == [waiting]
        assert reader.outcome(other) == ""


def test_many_runs_are_deleted_in_several_transactions(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_AT_ONCE", 2)
    assert prune(path, NOW + 100) == Pruned(3, 18, 3)
    assert verify(path) == Verified(3, 18, 3, 0, 0, ())


def test_a_value_that_is_written_again_meanwhile_is_not_deleted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(path, "DELETE FROM records WHERE number = 2", "DELETE FROM runs")
    by_hand(path, "DELETE FROM records")
    assert len(digests_in(path)) == 6
    with opened(path) as store:
        batch = Batch()
        accepts(batch, 31)
        store.write(batch)
        look = pruning._wanted
        looks: list[int] = []

        def looking(stored: Iterable[tuple[int, int, object]]) -> set[bytes]:
            # Between the look at all records and the deletion three runs come to refer
            # to a value each: one that was there, and two that were not.
            looks.append(1)
            found = look(stored)
            if len(looks) == 1:
                for row, what in ((31, 1), (40, 0), (39, 0)):
                    batch = Batch()
                    kept = keeps(batch, "x" * (6000 + row % 30))
                    if what:
                        adds(batch, row, 1, Answered(0, "", 1, kept))
                        ends(batch, row, 2)
                    else:
                        accepts(batch, row, kept)
                    if row == 39:
                        ends(batch, row, 1)
                    store.write(batch)
            return found

        monkeypatch.setattr(pruning, "_wanted", looking)
        deleted = prune(path, 0)
    assert deleted.blobs == 5
    assert verify(path).problems == ()


def test_prune_goes_on_beside_an_owner_that_writes(path: Path) -> None:
    failed: list[Exception] = []

    def pruning_on() -> None:
        try:
            for _ in range(5):
                prune(path, NOW + 10_000)
        except JournalError as error:
            failed.append(error)

    with opened(path) as store:
        beside = threading.Thread(target=pruning_on)
        beside.start()
        some_runs(store, 12)
        beside.join()
        assert not failed
        assert verify(path).problems == ()


def test_a_line_of_an_export_is_a_run_with_its_records_and_their_values(
    path: Path,
) -> None:
    with SqliteReader(path) as reader:
        lines = list(export_lines(reader, reader.runs(created_before=NOW + 3)))
    assert all(line.endswith(b"}\n") and line.count(b"\n") == 1 for line in lines)
    first, second = (json.loads(line) for line in lines)
    assert first.keys() == {*StoredRun.__struct_fields__, "records"}
    assert (first["run_id"], first["status"]) == ("run-1", "completed")
    assert [record["record"] for record in second["records"]] == [
        "Accepted",
        *["Finished"] * 4,
        "Passed",
    ]
    assert first["records"][2] == {
        "record": "Finished",
        **msgspec.structs.asdict(Finished(1, "", 10, 7, "x" * 6001)),
        "node": "step 1",
    }
    assert first["records"][0] == {
        "record": "Accepted",
        **msgspec.structs.asdict(Accepted("question 1", NOW + 1)),
    }


def test_a_run_that_is_deleted_during_an_export_is_left_out(path: Path) -> None:
    with SqliteReader(path) as reader:
        runs = list(reader.runs())
        assert prune(path, NOW + 4).runs == 2
        lines = list(export_lines(reader, runs))
        assert [json.loads(line)["row"] for line in lines] == [2, 4, 5, 6]
        by_hand(path, "DELETE FROM records WHERE run = 5 AND number = 1")
        with pytest.raises(JournalCorruptError):
            list(export_lines(reader, runs))


@pytest.mark.parametrize(
    ("filters", "rows"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"statuses": [RunStatus.COMPLETED]}, [1, 3, 5]),
        ({"statuses": [RunStatus.COMPLETED, RunStatus.RUNNING]}, [1, 2, 3, 4, 5, 6]),
        ({"statuses": [RunStatus.HELD]}, []),
        ({"workflow": "w"}, [1, 2, 3, 4, 5, 6]),
        ({"workflow": "v"}, []),
        ({"created_from": NOW + 3}, [3, 4, 5, 6]),
        ({"created_before": NOW + 3}, [1, 2]),
        (
            {
                "statuses": {RunStatus.COMPLETED},
                "created_from": NOW + 2,
                "created_before": NOW + 5,
                "workflow": "w",
            },
            [3],
        ),
    ],
)
def test_runs_are_listed_by_status_workflow_and_age(
    filters: dict[str, Any],
    rows: list[int],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("understudy.journal.reading._PAGE", 2)
    with SqliteReader(path) as reader:
        found = [run.row for run in reader.runs(**filters)]
    assert found == rows


def test_values_stand_at_any_depth_and_may_be_unreadable(path: Path) -> None:
    with opened(path) as store:
        batch = Batch()
        kept = keeps(batch, {"a": [1, None]})
        accepts(batch, 9, {"in": [kept, {"deeper": kept}, 5]})
        batch.blobs[digest_of(b"\xc1")] = b"\xc1"
        adds(batch, 9, 1, Answered(0, "", 1, {"$blob": digest_of(b"\xc1")}))
        store.write(batch)
        assert references(store.records(9)[0]) == {kept["$blob"]}
    with SqliteReader(path) as reader:
        run = reader.find("run-9")
        assert run is not None
        with pytest.raises(CodecError, match="no plain data that can be read"):
            list(export_lines(reader, [run]))
        value = {"a": [1, None]}
        assert put_in(unpacked(reader.records(9)[0]), reader.blob) == [
            1,
            {"in": [value, {"deeper": value}, 5]},
            *msgspec.structs.astuple(Accepted("", NOW + 9))[1:],
        ]


def test_pages_that_sqlite_cannot_read_are_problems_as_well(path: Path) -> None:
    with opened(path) as store:
        batch = Batch()
        batch.runs = [
            StoredRun(row, f"run-{row}", "w", 0, RunStatus.RUNNING, NOW, NOW)
            for row in range(10, 300)
        ]
        store.write(batch)
        [(page,)] = store._taken().reader.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'runs'"
        )
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = bytes(4096)
    path.write_bytes(content)
    problems = verify(path).problems
    assert Problem("the file", "ok") not in problems
    assert any("is damaged; keep a copy" in problem.detail for problem in problems)


def test_a_damaged_shape_is_not_taken_for_the_same(path: Path) -> None:
    by_hand(path, "UPDATE fingerprints SET document = X'00'")
    with opened(path) as store, pytest.raises(JournalCorruptError, match="shape 0"):
        store.fingerprint_id(b"the shape of w")


def test_a_problem_can_be_written_as_json() -> None:
    report = Verified(1, 2, 3, 4, 5, (Problem("here", "gone"),))
    assert json.loads(msgspec.json.encode(report))["problems"] == [
        {"where": "here", "detail": "gone"}
    ]
