"""The demo as a whole, in virtual time: what it promises, and what it prints."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from understudy.demo import run as demo
from understudy.demo.figures import Figures, figures, percentile, step_paths
from understudy.demo.messages import shipped_messages
from understudy.demo.screen import closing, opening, progress
from understudy.demo.single_call import single_call
from understudy.demo.workflow import feedback
from understudy.models.faults import Fault


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = trio.testing.MockClock(autojump_threshold=0)
    monkeypatch.setattr(trio, "run", partial(trio.run, clock=clock))


def ignored(completed: bool) -> None:
    """Count nothing."""


def both_ways(seed: int) -> tuple[demo.Batch, demo.Batch]:
    async def main() -> tuple[demo.Batch, demo.Batch]:
        messages, sink = shipped_messages(), io.StringIO()
        single = await demo.run_batch(
            single_call, "single_call", messages, sink, ignored, seed
        )
        both = await demo.run_batch(
            feedback, "orchestrated", messages, sink, ignored, seed
        )
        return single, both

    return trio.run(main)


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("seed", [demo.SEED, 1, 2])
def test_orchestrated_nearly_all_complete_and_as_single_calls_a_quarter_do_not(
    seed: int,
) -> None:
    single, both = both_ways(seed)
    alone = figures(single.ran, step_paths(single_call))
    workflow = figures(both.ran, step_paths(feedback))
    assert 130 <= alone.completed <= 170
    assert workflow.completed >= 196
    assert workflow.right > alone.right
    assert alone.calls == alone.attempts == 200
    assert sum(tier.answered for tier in workflow.tiers) == workflow.completed
    assert both.desk.restarts == 1


@pytest.mark.usefixtures("virtual_time")
def test_the_faults_are_about_the_declared_share_of_the_calls() -> None:
    _, both = both_ways(demo.SEED)
    calls = sum(each.result.usage.calls for each in both.ran)
    met = sum(both.models.met().values())
    assert met / calls == pytest.approx(demo.MIX.total, abs=0.05)


@pytest.mark.usefixtures("virtual_time")
def test_the_same_seed_gives_the_same_outcomes() -> None:
    def outcomes(batch: demo.Batch) -> list[tuple[str, str, int, bool]]:
        return [
            (
                each.message.id,
                each.result.status.value,
                each.result.usage.calls,
                each.is_right,
            )
            for each in batch.ran
        ]

    first, second = both_ways(7), both_ways(7)
    assert outcomes(first[0]) == outcomes(second[0])
    assert outcomes(first[1]) == outcomes(second[1])


@pytest.mark.usefixtures("virtual_time")
def test_main_prints_every_figure_with_its_label_and_writes_all_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.main(tmp_path / "new") == 0
    printed = capsys.readouterr().out
    for words in (
        "Injected faults",
        f"seed {demo.SEED}",
        "completed (injected faults)",
        "right, of the completed",
        "right, of all",
        "cost (assumed prices)",
        "step (assumed delays)",
        "p50",
        "p99",
        "extract/large",
        "Supervised restarts: 1.",
        "To put a real LLM in the last tier",
        "orchestrated: 200 of 200 done",
    ):
        assert words in printed
    path = tmp_path / "new" / demo.RESULTS
    assert str(path) in printed
    assert max(map(len, printed.replace(str(path), "").splitlines())) <= 80
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["way"] for line in lines] == ["single_call"] * 200 + [
        "orchestrated"
    ] * 200
    ids = [message.id for message in shipped_messages()]
    assert [line["message"] for line in lines] == ids * 2
    failed = [line for line in lines if line["status"] == "failed"]
    assert failed
    assert all(line["failure"]["cause"] for line in failed)


def test_results_that_cannot_be_written_give_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file")
    assert demo.main(tmp_path / "taken") == 1
    printed = capsys.readouterr().out
    assert "results cannot be written" in printed
    assert "Traceback" not in printed


@pytest.mark.usefixtures("virtual_time")
def test_a_full_disk_stops_the_demo_with_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "RESULTS", "full")
    assert demo.main(Path("/dev")) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "results cannot be written" in printed
    assert "No space left" in printed


def test_on_a_terminal_there_is_a_bar() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=80)
    with progress(screen, "orchestrated", 2) as advance:
        advance(True)
        advance(False)
    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert "2/2" in shown
    assert "1 completed" in shown


def test_figures_of_runs_of_which_none_completed_can_be_shown() -> None:
    none = Figures(5, 0, 0, {"timeout": 5}, 5, 5, 0.1, 0.2, 0, (), ())
    screen = Console(file=io.StringIO(), width=80)
    opening(screen, 5, demo.MIX, 1)
    closing(screen, none, none, {Fault.SERVER: 2}, 0, Path("results.jsonl"))
    assert isinstance(screen.file, io.StringIO)
    assert "0.0% (0 of 5)" in screen.file.getvalue()


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=50),
    st.sampled_from([1, 50, 90, 99, 100]),
)
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(
    values: list[float], share: int
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= share * len(values)
    assert sum(value < found for value in values) * 100 < share * len(values)
