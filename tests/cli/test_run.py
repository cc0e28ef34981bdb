"""``understudy run``: what comes out for what goes in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
Flow = Callable[[str], str]


def test_each_line_gives_one_result_line_in_the_order_of_the_input(
    command: Command, flow: Flow
) -> None:
    said = command(
        "run", flow("shouting"), "-", stdin='{"text": "a"}\n{"text": "bcd"}\n'
    )

    assert said.code == 0
    first, second = said.lines
    assert first["value"] == 1
    assert second["outputs"] == {"shout": "BCD", "measure": 3}
    assert [line["line"] for line in said.lines] == [1, 2]
    assert first["status"] == "completed"
    assert first["failure"] is None
    assert first["run_id"] != second["run_id"]
    assert [step["path"] for step in first["steps"]] == ["shout", "measure"]
    assert first["steps"][0]["attempts"] == 1
    assert 0 <= first["steps"][0]["started"] <= first["steps"][1]["ended"]
    assert first["steps"][1]["ended"] <= first["duration"]
    assert said.err.startswith("2 of 2 runs completed; ")


def test_a_record_of_one_field_takes_its_value_alone(
    command: Command, flow: Flow
) -> None:
    said = command("run", flow("shouting"), "-", stdin='"abcd"')

    assert said.lines[0]["outputs"]["shout"] == "ABCD"


def test_a_plain_text_may_come_as_an_object_of_one_field(
    command: Command, flow: Flow
) -> None:
    said = command("run", flow("plain_text"), "-", stdin='{"any": "abc"}\n"xy"\n')

    assert [line["value"] for line in said.lines] == ["cba", "yx"]


def test_an_undeclared_input_is_taken_as_it_is(command: Command, flow: Flow) -> None:
    said = command("run", flow("anything"), "-", stdin='{"a": [1, {"b": null}]}\n7\n')

    assert [line["value"] for line in said.lines] == [{"a": [1, {"b": None}]}, 7]


def test_rows_of_csv_become_the_declared_type(
    command: Command, flow: Flow, tmp_path: Path
) -> None:
    orders = tmp_path / "orders.CSV"
    orders.write_text('item,count,note\n"a ""b""\nc",3,\nd,x,\ne,4,soon\nf\n')

    said = command("run", flow("total"), str(orders))

    assert said.code == 1
    values = [line["value"] for line in said.lines]
    assert values[0] == {"item": 'a "b"\nc', "twice": 6, "note": None}
    assert values[2] == {"item": "e", "twice": 8, "note": "soon"}
    assert [line["line"] for line in said.lines] == [2, 4, 5, 6]
    assert "`$.count`" in said.lines[1]["failure"]["message"]
    assert said.lines[3]["failure"]["message"] == "has 1 cells, and the header 3"


def test_standard_input_can_be_csv(command: Command, flow: Flow) -> None:
    said = command(
        "run", flow("plain_text"), "-", "--input-format", "csv", stdin="text\nabc\n"
    )

    assert said.lines[0]["value"] == "cba"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": ', "is no JSON: "),
        ('{"text": 3}', "does not fit Feedback: Expected `str`, got `int`"),
        ('{"texts": "a"}', "does not fit Feedback: Object missing required field"),
        ("3", "does not fit Feedback: Expected `str`, got `int`"),
    ],
)
def test_a_line_that_cannot_be_an_input_is_told_and_the_rest_goes_on(
    command: Command, flow: Flow, line: str, problem: str
) -> None:
    said = command("run", flow("shouting"), "-", stdin=f'"a"\n\n{line}\n"b"\n')

    assert said.code == 1
    assert [line["status"] for line in said.lines] == [
        "completed",
        "failed",
        "completed",
    ]
    failure = said.lines[1]["failure"]
    assert failure["cause"] == "setup"
    assert failure["where"] == "line 3"
    assert failure["message"].startswith(problem)
    assert said.lines[1]["line"] == 3
    assert "1 did not (1 bad input)" in said.err


def test_a_run_that_fails_tells_mode_cause_message_and_place(
    command: Command, flow: Flow
) -> None:
    said = command("run", flow("picky"), "-", stdin='"good"\n"bad"\n"good"\n')

    assert said.code == 1
    failure = said.lines[1]["failure"]
    assert failure["mode"] == "unexpected"
    assert failure["cause"] == "step_error"
    assert failure["message"] == "bad text"
    assert failure["where"] == "picky"
    assert failure["error_type"] == "ValueError"
    assert said.lines[1]["steps"][0]["status"] == "failed"
    assert said.lines[1]["value"] is None
    assert "2 of 3 runs completed, 1 did not (1 step_error)" in said.err


def test_a_run_over_its_deadline_expires_and_the_rest_goes_on(
    command: Command, flow: Flow
) -> None:
    said = command(
        "run", flow("picky"), "-", "--deadline", "0.05", stdin='"hang"\n"good"\n'
    )

    assert said.code == 1
    assert [line["status"] for line in said.lines] == ["expired", "completed"]
    assert "1 did not (1 expired)" in said.err


def test_a_paused_run_is_written_as_paused_and_the_rest_goes_on(
    command: Command, flow: Flow
) -> None:
    said = command(
        "run", flow("approved"), "-", "--concurrency", "1", stdin='"ab"\n"cd"\n'
    )

    assert said.code == 1
    assert [line["status"] for line in said.lines] == ["paused", "paused"]
    assert said.lines[0]["pauses"] == ["approval"]
    assert said.lines[0]["failure"] is None


def test_a_pause_that_ends_by_itself_is_waited_for(
    command: Command, flow: Flow
) -> None:
    said = command("run", flow("approved_in_time"), "-", stdin='"ab"\n')

    assert said.code == 0
    assert said.lines[0]["value"] == "silence"


def test_at_most_four_times_the_concurrency_is_read_ahead(
    command: Command, flow: Flow
) -> None:
    numbers = "".join(f"{n}\n" for n in range(50))

    said = command("run", flow("first_waits"), "-", "--concurrency", "3", stdin=numbers)

    assert said.code == 0
    assert said.lines[0]["value"] == 12
    assert [line["line"] for line in said.lines] == list(range(1, 51))


def test_in_the_order_of_their_ends_nothing_waits_for_the_slowest(
    command: Command, flow: Flow
) -> None:
    numbers = "".join(f"{n}\n" for n in range(50))

    said = command(
        "run",
        flow("first_waits"),
        "-",
        "--concurrency",
        "3",
        "--order",
        "done",
        stdin=numbers,
    )

    assert said.lines[-1]["value"] == 50
    assert said.lines[-1]["line"] == 1


def test_models_are_found_beside_the_workflow_and_usage_is_told(
    command: Command, flow: Flow
) -> None:
    said = command("run", flow("ask"), "-", stdin='"abc"\n')

    assert said.code == 0, said.err
    assert said.lines[0]["value"] == "ABC"
    assert said.lines[0]["usage"]["calls"] == 1
    assert said.lines[0]["usage"]["cost_micros"] == 10_000
    assert "1 model calls, about $0.0100" in said.err


def test_a_cap_on_the_job_stops_the_spending_and_tells_it(
    command: Command, flow: Flow
) -> None:
    said = command(
        "run",
        flow("ask"),
        "-",
        "--max-cost",
        "0.02",
        "--concurrency",
        "1",
        stdin='"a"\n"b"\n"c"\n',
    )

    assert said.code == 1
    assert [line["status"] for line in said.lines] == [
        "completed",
        "completed",
        "failed",
    ]
    assert said.lines[2]["failure"]["cause"] == "budget"


def test_a_cap_on_a_run_holds_for_each_alone(command: Command, flow: Flow) -> None:
    words = ("run", flow("ask"), "-", "--max-cost-per-run")

    enough = command(*words, "0.011", stdin='"a"\n"b"\n')
    too_little = command(*words, "0.009", stdin='"a"\n"b"\n')

    assert enough.code == 0
    assert [line["failure"]["cause"] for line in too_little.lines] == ["budget"] * 2


def test_deps_are_found_beside_the_workflow_or_where_one_says(
    command: Command, flow: Flow, tmp_path: Path
) -> None:
    (tmp_path / "user_deps.py").write_text("def polite():\n    return 'good day'\n")

    beside = command("run", flow("greet"), "-", stdin='"you"')
    said = command(
        "run",
        flow("greet"),
        "-",
        "--deps",
        f"{tmp_path}/user_deps.py:polite",
        stdin='"you"',
    )

    assert beside.lines[0]["value"] == "hello, you"
    assert said.lines[0]["value"] == "good day, you"


def test_a_workflow_is_found_in_a_module_from_here(
    command: Command, flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(flow("x")).parent)

    said = command("run", "flows:plain_text", "-", stdin='"ab"')

    assert said.lines[0]["value"] == "ba"


def test_an_empty_input_is_no_failure(
    command: Command, flow: Flow, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"

    said = command("run", flow("shouting"), "-", "-o", str(out), stdin="\n\n")

    assert said.code == 0
    assert out.read_bytes() == b""
    assert said.err == f"no input lines, and nothing to do ({out} is empty)\n"


def test_overwrite_leaves_nothing_of_what_was_there(
    command: Command, flow: Flow, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("old\n" * 1_000)

    said = command(
        "run", flow("plain_text"), "-", "-o", str(out), "--overwrite", stdin='"ab"\n'
    )

    assert said.code == 0
    (line,) = out.read_text().splitlines()
    assert json.loads(line)["value"] == "ba"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
def test_a_full_device_is_one_sentence_and_the_results_are_put_elsewhere(
    command: Command, flow: Flow
) -> None:
    said = command(
        "run", flow("plain_text"), "-", "-o", "/dev/full", stdin='"ab"\n"cd"\n'
    )

    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "cannot write to /dev/full (No space left on device)" in said.err
    rescued = Path(said.err.split(" in ")[-1].split(")")[0])
    values = [json.loads(line)["value"] for line in rescued.read_text().splitlines()]
    rescued.unlink()
    assert values == ["ba", "dc"]
