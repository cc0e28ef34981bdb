"""A damaged journal says so; it is never taken for another state than it was in.

``UNDERSTUDY_DAMAGES`` says how many places are damaged in each test.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from journal_probe import (
    View,
    copied,
    digests_in,
    flip,
    opened,
    some_runs,
    view_of,
)

from understudy.journal.connection import PAGE_BYTES
from understudy.journal.reader import SqliteReader
from understudy.journal.verifying import verify
from understudy.journal.wal import read_log
from understudy_protocols.errors import JournalCorruptError, JournalError
from understudy_protocols.journal import Batch

DAMAGES = int(os.environ.get("UNDERSTUDY_DAMAGES", "60"))
ROWS = range(1, 9)


class Given(NamedTuple):
    """A journal, and all that has stood in it, oldest first."""

    path: Path
    digests: list[bytes]
    views: list[View]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """A journal whose owner has closed it."""
    path = tmp_path_factory.mktemp("closed") / "runs.db"
    with opened(path) as store:
        some_runs(store, len(ROWS))
    with SqliteReader(path) as reader:
        reader.ask("run-2", "answer", b'"yes"')
    digests = digests_in(path)
    with opened(path) as store:
        return Given(path, digests, [view_of(store, ROWS, digests)])


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """A journal whose owner was killed: part of it stands in SQLite's log."""
    path = tmp_path_factory.mktemp("live") / "runs.db"
    copy = tmp_path_factory.mktemp("killed") / "runs.db"
    with opened(path) as store:
        some_runs(store, 3)
        store._taken().writer.execute("PRAGMA wal_checkpoint(RESTART)")
        digests = digests_in(path)
        views = [view_of(store, ROWS, digests)]
        write = store.write

        def writing(batch: Batch) -> None:
            write(batch)
            views.append(view_of(store, ROWS, digests))

        store.write = writing  # type: ignore[method-assign]  # sees every state
        some_runs(store, len(ROWS) - 3)
        with SqliteReader(path) as reader:
            reader.ask("run-2", "answer", b'"yes"')
        views.append(view_of(store, ROWS, digests))
        copied(path, copy)
    return Given(copy, digests, views)


def _view(path: Path, given: Given) -> View:
    with opened(path) as store:
        return view_of(store, ROWS, given.digests)


def _is_sound(path: Path) -> bool:
    try:
        return not verify(path).problems
    except JournalError:
        return False


def _drawn(size: int, seed: int) -> Iterator[int]:
    dice = random.Random(seed)
    for _ in range(DAMAGES):
        yield dice.randrange(size)


def _log_in_use(path: Path) -> int:
    """Return up to where the log was written to, and a frame's room behind; bytes."""
    frame = 24 + PAGE_BYTES
    log = path.with_name("runs.db-wal")
    used = 32 + (read_log(log).frames + 1) * frame
    assert used < log.stat().st_size
    return used


@pytest.mark.parametrize("name", ["closed", "killed"])
def test_a_flipped_bit_in_the_file_is_an_error_or_changes_nothing(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    given: Given = request.getfixturevalue(name)
    refused = 0
    for bit in _drawn(given.path.stat().st_size * 8, 1):
        copy = copied(given.path, tmp_path / "copy.db")
        flip(copy, bit)
        sound = _is_sound(copy)
        try:
            found = _view(copy, given)
        except JournalError:
            refused += 1
            assert not sound, f"bit {bit}"
        else:
            assert found == given.views[-1], f"bit {bit}"
    assert refused


def test_a_flipped_bit_in_the_log_is_an_error_or_undoes_the_last_write_alone(
    killed: Given, tmp_path: Path
) -> None:
    refused = 0
    for bit in _drawn(_log_in_use(killed.path) * 8, 2):
        copy = copied(killed.path, tmp_path / "copy.db")
        flip(copy.with_name("copy.db-wal"), bit)
        sound = _is_sound(copy)
        try:
            found = _view(copy, killed)
        except JournalCorruptError:
            refused += 1
            assert not sound, f"bit {bit}"
            with pytest.raises(JournalCorruptError):
                _view(copy, killed)
        else:
            assert found in killed.views[-2:], f"bit {bit}"
    assert refused


def test_a_log_that_was_cut_is_what_was_written_until_then(
    killed: Given, tmp_path: Path
) -> None:
    size = _log_in_use(killed.path)
    found: list[View] = []
    for length in sorted({0, size, *_drawn(size, 3)}):
        copy = copied(killed.path, tmp_path / "copy.db")
        os.truncate(copy.with_name("copy.db-wal"), length)
        found.append(_view(copy, killed))
    places = [killed.views.index(view) for view in found]
    assert places == sorted(places)
    assert places[0] == 0
    assert places[-1] == len(killed.views) - 1


@pytest.mark.parametrize("name", ["closed", "killed"])
def test_a_file_that_was_cut_is_an_error_or_whole_with_its_log(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    given: Given = request.getfixturevalue(name)
    refused = 0
    for length in _drawn(given.path.stat().st_size, 4):
        copy = copied(given.path, tmp_path / "copy.db")
        os.truncate(copy, length)
        try:
            found = _view(copy, given)
        except JournalError:
            refused += 1
        else:
            assert found == given.views[-1], f"cut to {length}"
    assert refused


def test_an_empty_file_with_a_log_is_no_new_journal(
    killed: Given, tmp_path: Path
) -> None:
    copy = copied(killed.path, tmp_path / "copy.db")
    os.truncate(copy, 0)
    with pytest.raises(JournalCorruptError, match="it is empty, and what belongs"):
        _view(copy, killed)
    assert copy.with_name("copy.db-wal").stat().st_size > 0


def test_a_damaged_name_of_a_table_is_an_error_like_others(
    closed: Given, tmp_path: Path
) -> None:
    copy = copied(closed.path, tmp_path / "copy.db")
    content = copy.read_bytes()
    assert b"tablerecordsrecords" in content
    for damaged in (b"table\xf2ecordsrecords", b"tablerecords\xf2ecords"):
        copy.write_bytes(content.replace(b"tablerecordsrecords", damaged))
        with pytest.raises(JournalCorruptError):
            _view(copy, closed)
    copy.write_bytes(
        content.replace(b"CREATE TABLE records", b"CREATE TABL\xc5 records")
    )
    with pytest.raises(JournalCorruptError, match="it is damaged; keep a copy"):
        _view(copy, closed)


def test_the_index_of_the_log_may_be_rubbish(killed: Given, tmp_path: Path) -> None:
    copy = copied(killed.path, tmp_path / "copy.db")
    copy.with_name("copy.db-shm").write_bytes(random.Random(5).randbytes(32768))
    assert _view(copy, killed) == killed.views[-1]
