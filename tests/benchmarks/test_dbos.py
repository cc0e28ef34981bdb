"""The comparison with DBOS runs, as far as that is installed; nothing is timed."""

from __future__ import annotations

import random
from importlib.util import find_spec
from pathlib import Path

import pytest
from benchmarks import dbos_kills, dbos_speed

HERE = [
    pytest.param(
        "dbos",
        marks=pytest.mark.skipif(
            find_spec("dbos") is None,
            reason="dbos is not installed; uv run --with dbos==3.4.0",
        ),
    ),
    "ours",
]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.mark.parametrize("who", HERE)
def test_of_a_chain_that_is_killed_at_most_one_step_begins_again(who: str) -> None:
    again = dbos_kills.kill_some(who, random.Random(1))
    assert 0 < len(again) <= dbos_kills.KILLS_OF_ONE
    assert max(again) <= 1


@pytest.mark.parametrize("who", HERE)
def test_a_step_takes_some_time(who: str) -> None:
    assert dbos_speed.sample(who, 2, 1) > 0
