"""The benchmarks run, every row of them; nothing here looks at a time."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import pytest
import trio
from benchmarks.leftovers import still_running
from benchmarks.measure import Contender, Sample, Sizes, alternate
from benchmarks.rows import ROWS
from trio.testing import MockClock

from understudy.runtime import Runtime
from understudy.workflows.nodes import Workflow

ROOT = Path(__file__).parents[2]


class ClaimJson(TypedDict):
    text: str
    subject: str
    against: str | None
    value: float
    verdict: str


class RowJson(TypedDict):
    title: str
    unit: str
    claims: Sequence[ClaimJson]
    processes: Sequence[Mapping[str, Sequence[Mapping[str, float]]]]


class ReportJson(TypedDict):
    environment: Mapping[str, str]
    settings: Mapping[str, float]
    rows: Mapping[str, RowJson]


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> ReportJson:
    """All rows with next to no work in them, as the driver writes them."""
    path = tmp_path_factory.mktemp("benchmarks") / "report.json"
    done = benchmarks("--scale", "0.001", "--repeats", "1", "--json", str(path))
    assert done.returncode == 0, done.stderr
    read: ReportJson = json.loads(path.read_text())
    return read


def test_the_report_names_machine_versions_and_settings(report: ReportJson) -> None:
    assert {"date", "processor", "python", "trio"} <= report["environment"].keys()
    assert report["settings"] == {"scale": 0.001, "repeats": 1}
    assert list(report["rows"]) == list(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_measures_every_contender_that_it_claims_something_of(
    name: str, report: ReportJson
) -> None:
    row = report["rows"][name]
    (figures,) = row["processes"]
    for claim in row["claims"]:
        assert figures[claim["subject"]]
        assert claim["against"] is None or figures[claim["against"]]
        assert claim["verdict"]
    for samples in figures.values():
        assert all(math.isfinite(clock) for s in samples for clock in s.values())


def test_nothing_is_left_running_in_any_of_the_three_cases(report: ReportJson) -> None:
    claims = report["rows"]["leftovers"]["claims"]
    assert [claim["value"] for claim in claims] == [0, 0, 0]


def test_what_is_left_running_is_counted() -> None:
    async def leaves_it_running(
        runtime: Runtime[object], workflow: Workflow[int, object, object]
    ) -> None:
        await runtime.submit(workflow, 1)
        await trio.sleep(1.5)

    clock = MockClock(autojump_threshold=0)
    left = trio.run(still_running, leaves_it_running, -1, clock=clock)
    assert left == 10 + 1 + 10, "ten bodies inside, one run, ten that went on"


def test_contenders_begin_in_turn() -> None:
    order: list[str] = []

    def contender(name: str) -> Contender:
        async def work() -> Sample:
            order.append(name)
            await trio.lowlevel.checkpoint()
            return Sample.of(len(order))

        return work

    async def main(turn: int) -> None:
        named = {name: contender(name) for name in "ab"}
        figures = await alternate(named, 2, Sizes(turn=turn), warm_up=1)
        assert [len(samples) for samples in figures.values()] == [2, 2]

    for turn, expected in enumerate(("baabba", "abbaab")):
        order.clear()
        trio.run(main, turn)
        assert "".join(order) == expected


def test_an_unknown_row_is_refused_in_one_sentence() -> None:
    done = benchmarks("nonsense")
    assert done.returncode == 2
    assert "no such row: nonsense" in done.stderr
    assert "Traceback" not in done.stderr
