"""Journals of released versions: read for good, or refused by their version."""

from __future__ import annotations

import shutil
from pathlib import Path

import golden_flow
import pytest
import trio
from golden_flow import LONG, ORDERS, Price, flow

from understudy import RunStatus, Runtime
from understudy.journal.sqlite import SqliteStore
from understudy.journal.verifying import verify
from understudy_protocols.errors import JournalError

GOLDEN = Path(__file__).with_name("golden")


def copied(name: str, folder: Path) -> Path:
    """Return a copy of a golden journal that can be written."""
    path = folder / "runs.db"
    shutil.copy(GOLDEN / name, path)
    return path


def test_a_journal_of_the_first_version_is_read_and_its_runs_go_on(
    tmp_path: Path,
) -> None:
    path = copied("format-1.db", tmp_path)

    async def main() -> None:
        async with Runtime(flow, journal=path) as runtime:
            golden_flow.LEFT = 0.0
            completed = await runtime.run(flow, ORDERS["completed"], run_id="completed")
            failed = await runtime.run(flow, ORDERS["failed"], run_id="failed")
            paused, left = runtime.get("paused"), runtime.get("left")
            assert paused.pauses == ("approve",)
            with trio.fail_after(20):
                await left.wait(RunStatus.PAUSED)
            runtime.answer("paused", "approve", False)
            runtime.answer("left", "approve", True)
            results = [completed, await paused.result(), await left.result()]
            assert [result.value for result in results] == [True, False, True]
            assert [result.outputs["price"] for result in results] == [
                Price(2),
                Price(6),
                Price(8),
            ]
            assert completed.outputs["counts"] == (3, 5)
            assert completed.outputs["texts"]["a"].value == LONG  # type: ignore[index]
            assert completed.outputs["rounds"] == 2
            assert completed.outputs["way"] == "paid"
            assert failed.status is RunStatus.FAILED
            assert "no price for that" in str(failed.failure)
            assert [step.number for step in completed.steps[:1]] == [2]

    trio.run(main)


def test_a_journal_of_an_older_version_is_read_once_its_owner_has_opened_it(
    tmp_path: Path,
) -> None:
    path = copied("format-1.db", tmp_path)
    with pytest.raises(JournalError, match="let a runtime of this release open it"):
        verify(path)
    store = SqliteStore(path)
    store.open()
    try:
        waiting = [run.run_id for run, _ in store.left_over(0)]
    finally:
        store.close()
    assert waiting == ["paused", "left"]
    assert verify(path).problems == ()


def test_a_journal_of_a_later_version_is_refused_by_its_number(tmp_path: Path) -> None:
    path = copied("format-2.db", tmp_path)
    before = path.read_bytes()

    async def main() -> None:
        async with Runtime(flow, journal=path):
            pass

    with pytest.raises(JournalError, match="of version 2, and this release reads"):
        trio.run(main)
    assert path.read_bytes() == before
