"""SQLite's log: what a crash leaves is told from what was damaged later."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.journal import wal
from understudy.journal.wal import Frame, Log, checksum, judge, read_log

GOOD, COMMIT = Frame(True, False, True), Frame(True, True, True)
BAD, BAD_COMMIT = Frame(False, False, True), Frame(False, True, True)
OLD, OLD_COMMIT = Frame(False, False, False), Frame(False, False, False)


@pytest.mark.parametrize("pages", [1, 2, 7])
def test_a_log_that_sqlite_wrote_is_whole(pages: int, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        for _ in range(pages):
            connection.execute("INSERT INTO t VALUES (randomblob(9000))")
        log = path.with_name("x.db-wal")
        found = read_log(log)
        assert found == Log((log.stat().st_size - 32) // (4096 + 24), 0, False)
        # Another log over it, shorter: what is behind belongs to the old one.
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
        connection.execute("INSERT INTO t VALUES (1)")
        new = read_log(log)
        assert 0 < new.frames < found.frames
        assert (new.behind, new.broken) == (0, False)


def test_no_log_and_half_a_header_are_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x-wal"
    assert read_log(path) == Log(0, 0, False)
    path.write_bytes(b"\x37" * 31)
    assert read_log(path) == Log(0, 0, False)


@pytest.mark.parametrize(
    ("frames", "log"),
    [
        ([], Log(0, 0, False)),
        ([COMMIT], Log(0, 0, False)),
        ([COMMIT, GOOD, COMMIT], Log(2, 0, False)),
        # The last transaction was not safe yet: any of its frames may be missing.
        ([COMMIT, GOOD, BAD, BAD_COMMIT], Log(1, 2, False)),
        ([COMMIT, COMMIT, BAD, GOOD, COMMIT], Log(1, 3, False)),
        ([COMMIT, COMMIT, OLD, BAD, GOOD, COMMIT], Log(1, 3, False)),
        ([COMMIT, COMMIT, OLD_COMMIT, OLD], Log(1, 0, False)),
        # One stands behind a whole one that was.
        ([COMMIT, BAD_COMMIT, COMMIT], Log(0, 2, True)),
        ([COMMIT, BAD, GOOD, COMMIT, GOOD, BAD], Log(0, 5, True)),
        ([COMMIT, OLD, BAD_COMMIT, COMMIT], Log(0, 2, True)),
        ([Frame(False, True, True), GOOD], Log(0, 2, True)),
        ([Frame(False, True, True)], Log(0, 1, False)),
    ],
)
def test_what_was_safe_is_missing_only_if_something_follows_a_whole_transaction(
    frames: list[Frame], log: Log
) -> None:
    assert judge(frames) == log


def test_what_others_write_while_it_is_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x-wal"
    path.touch()
    left: list[Log] = []

    def judged(_: object) -> Log:
        return left.pop(0)

    monkeypatch.setattr(wal, "judge", judged)
    for seen in (
        [Log(3, 5, True), Log(8, 0, False)],
        [Log(3, 5, True), Log(8, 4, True), Log(9, 0, False)],
        [Log(3, 5, True), Log(3, 6, True)],
    ):
        left[:] = seen
        assert read_log(path) == seen[-1]
        assert left == []


FRAME = 24 + 4096
FIELDS = {"page": 3, "commit": 7, "salt 1": 9, "salt 2": 13, "sum": 17, "data": 100}


def _six(path: Path) -> bytearray:
    """Let SQLite write a log of six transactions and more, of a frame each."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        for number in range(6):
            connection.execute("INSERT INTO t VALUES (?)", (number,))
        return bytearray(path.with_name("x.db-wal").read_bytes())


@pytest.mark.parametrize("bit", range(0, 32 * 8, 5))
def test_damage_of_the_header_is_known_by_what_follows(
    bit: int, tmp_path: Path
) -> None:
    content = _six(tmp_path / "x.db")
    content[bit // 8] ^= 1 << bit % 8
    log = tmp_path / "damaged-wal"
    log.write_bytes(content)
    assert read_log(log) == Log(0, len(content) // FRAME + 1, True)
    log.write_bytes(content[:32])
    assert read_log(log) == Log(0, 1, False)


def test_room_behind_what_was_written_is_nothing(tmp_path: Path) -> None:
    content = _six(tmp_path / "x.db")
    frames = (len(content) - 32) // FRAME
    log = tmp_path / "x-wal"
    for size in (31, 32, 32 + FRAME, 100_000):
        log.write_bytes(content + bytes(size))
        assert read_log(log) == Log(frames, 0, False)


@pytest.mark.parametrize("room", [0, 1, 3])
def test_a_log_that_begins_with_zeros_is_damaged_as_something_stood_there(
    room: int, tmp_path: Path
) -> None:
    content = _six(tmp_path / "x.db") + bytes(room * FRAME)
    log = tmp_path / "x-wal"
    for start in (0, 10):
        for end in range(32, len(content) + 1, 1000):
            log.write_bytes(content[:start] + bytes(end - start) + content[end:])
            assert read_log(log).broken, f"from {start} to {end}"
        log.write_bytes(content[:start] + bytes(len(content) - start))
        assert read_log(log).broken


def test_zeros_in_front_of_what_was_safe_are_damage(tmp_path: Path) -> None:
    content = _six(tmp_path / "x.db")
    frames = (len(content) - 32) // FRAME
    log = tmp_path / "x-wal"
    log.write_bytes(bytes(32) + content[32:])
    assert read_log(log).broken
    for number in range(frames):
        start = 32 + number * FRAME
        damaged = content[:start] + bytes(FRAME) + content[start + FRAME :]
        log.write_bytes(damaged + bytes(FRAME))
        found = read_log(log)
        assert found.frames == number
        # The sum of the next one goes on from this one's: whether it is whole is not
        # known, as of the very last.
        assert found.broken == (number < frames - 2)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("behind", [1, 2, 3])
def test_damage_in_front_of_what_is_safe_is_known_in_every_field(
    field: str, behind: int, tmp_path: Path
) -> None:
    content = _six(tmp_path / "x.db")
    log = tmp_path / "damaged-wal"
    frames = (len(content) - 32) // FRAME
    content[32 + (frames - 1 - behind) * FRAME + FIELDS[field]] ^= 4
    log.write_bytes(content)
    found = read_log(log)
    assert found.frames == frames - 1 - behind
    # Whether a frame is whole is not known if the sum in front of it is damaged.
    assert found.broken == (field != "sum" or behind > 1)


@given(
    st.binary(min_size=8, max_size=64).map(lambda drawn: drawn[: len(drawn) // 8 * 8]),
    st.integers(0, 511),
    st.sampled_from("<>"),
)
def test_one_bit_changes_the_checksum(content: bytes, bit: int, words: str) -> None:
    bit %= len(content) * 8
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    assert checksum(content, (1, 2), words) != checksum(bytes(changed), (1, 2), words)
