"""``understudy runs``: what is shown of a journal, and what is asked of its owner."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from understudy.journal.sqlite import SqliteStore
from understudy_protocols.journal import Batch, StoredRun
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import Accepted, Finished, encode_record

Command = Callable[..., Any]
UNDERSTUDY = (sys.executable, "-m", "understudy")
FLOWS = str(Path(__file__).with_name("flows_durable.py"))
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own, whose journal is ``runs.db``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEDGER", str(tmp_path / "ledger"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("UNDERSTUDY_JOURNAL", raising=False)
    return tmp_path


@pytest.fixture
def ran(command: Command, here: Path) -> Callable[..., list[dict[str, Any]]]:
    """Run a workflow on orders, by number or with a text, and give the results."""

    def run(workflow: str, *orders: object) -> list[dict[str, Any]]:
        lines = [{"number": o} if isinstance(o, int) else o for o in orders]
        given = here / f"{workflow}.jsonl"
        given.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        said = command("run", f"{FLOWS}:{workflow}", str(given), "--journal", "runs.db")
        return list(said.lines)

    return run


Ran = Callable[..., list[dict[str, Any]]]


def listed(command: Command, *words: str) -> list[str]:
    """Return the ids of the runs that are listed as JSON lines."""
    said = command("runs", "list", "--json", *words)
    assert said.code == 0, said.err
    return [line["run_id"] for line in said.lines]


def refused(said: Any) -> str:
    assert said.code == 2, said
    assert said.out == ""
    assert said.err.count("\n") == 1
    return str(said.err).removeprefix("understudy: ").strip()


# --- which journal --------------------------------------------------------------------


def test_the_journal_is_the_one_named_or_that_of_the_environment_or_the_one_here(
    command: Command, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran("packing", 1, 2)
    Path("runs.db").rename("other.db")

    assert refused(command("runs", "list")) == (
        "there is no runs.db here; name the journal with --journal FILE, or in the "
        "environment variable UNDERSTUDY_JOURNAL"
    )
    assert len(listed(command, "--journal", "other.db")) == 2
    monkeypatch.setenv("UNDERSTUDY_JOURNAL", "other.db")
    assert len(listed(command)) == 2
    assert refused(command("runs", "list", "--journal", "none.db")) == (
        "the journal none.db: there is no such file"
    )


def test_what_a_terminal_would_obey_is_shown_by_no_command(
    command: Command, ran: Ran
) -> None:
    evil = "\x1b]0;owned\x07\x9b31m"
    orders = ({"number": number, "text": f"bad{evil}{number}"} for number in (1, 2))
    given = Path("in.jsonl")
    given.write_text("".join(f"{json.dumps(order)}\n" for order in orders))
    words = ("run", f"{FLOWS}:asking", str(given), "--journal", "runs.db")
    begun = command(*words, "--key", "text")
    (first, *_) = listed(command)
    assert evil in first
    said = [
        begun,
        command("runs", "list"),
        command("runs", "show", first),
        command("runs", "show", first[:-1]),
        command("runs", "show", f"none{evil}"),
        command("runs", "diff", first, first),
        command("runs", "answer", first, f"none{evil}", "1"),
        command("runs", "cancel", first),
        command(*words, "--key", "text"),
    ]
    for one in said:
        # Results are for other programs, and JSON has no such characters.
        assert not set(one.out + one.err) & set("\x1b\x07"), one
        assert "\x9b" not in one.err, one


def test_links_in_a_circle_are_no_journal(command: Command, here: Path) -> None:
    (here / "runs.db").symlink_to(here / "runs.db")
    run = ("run", f"{FLOWS}:packing", "-", "--journal", "runs.db")
    for words in (("runs", "list", "--journal", "runs.db"), run):
        assert refused(command(*words, stdin="")) == (
            "the journal runs.db: it cannot be reached (Too many levels of symbolic "
            "links); name another place for it"
        )
    assert [file.name for file in here.iterdir()] == ["runs.db"]


def test_what_is_no_journal_is_said_to_be_none(command: Command, here: Path) -> None:
    (here / "runs.db").write_text("my notes\n" * 1000)

    for words in (["list"], ["show", "x"], ["verify"], ["prune", "--older-than", "1d"]):
        told = refused(command("runs", *words))
        assert told.startswith("the journal runs.db: ")


# --- list -------------------------------------------------------------------------------


def test_runs_are_listed_with_what_one_has_to_know_of_them(
    command: Command, ran: Ran
) -> None:
    ran("packing", 1)
    ran("asking", 2)
    (bad,) = ran("looking", {"number": 0, "text": "x"})

    said = command("runs", "list")

    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].split() == ["run", "workflow", "status", "age"]
    assert lines[1].startswith(bad["run_id"])
    assert "asking    paused " in lines[2]
    assert lines[2].endswith("waits for approval")
    assert "packing   completed" in lines[3]
    assert lines[4] == "3 runs: 2 completed, 1 paused"
    assert all(len(line) <= 80 for line in lines)


def test_what_is_long_takes_nothing_from_the_other_columns(
    command: Command, ran: Ran
) -> None:
    (paused,) = ran("asking", {"number": 1, "text": "bad" * 100})
    command("runs", "answer", paused["run_id"], "approval", "yes")
    ran("asking", {"number": 1, "text": "bad" * 100})

    said = command("runs", "list")

    (line,) = [line for line in said.out.splitlines() if paused["run_id"] in line]
    assert "asking    failed " in line
    assert line.endswith("…")
    assert len(line) == 80


def test_words_of_others_do_not_steer_the_terminal(command: Command, ran: Ran) -> None:
    (paused,) = ran("asking", {"number": 1, "text": "bad \x1b[2J\x9b[bold]"})
    command("runs", "answer", paused["run_id"], "approval", "yes")
    ran("asking", {"number": 1, "text": "bad \x1b[2J\x9b[bold]"})

    for words in (["list"], ["show", "asking"], ["show", "asking", "--values"]):
        said = command("runs", *words)
        assert "bad \ufffd[2J\ufffd[bold]" in said.out
        assert not {"\x1b", "\x9b"} & set(said.out)


def test_runs_are_filtered_by_status_workflow_and_age(
    command: Command, ran: Ran
) -> None:
    ran("packing", 1, 2)
    ran("asking", 3)

    assert len(listed(command, "--status", "paused")) == 1
    assert len(listed(command, "--status", "paused", "--status", "completed")) == 3
    assert len(listed(command, "--workflow", "packing")) == 2
    assert listed(command, "--older-than", "1h") == []
    assert len(listed(command, "--newer-than", "1h")) == 3
    assert len(listed(command, "--limit", "2")) == 2
    assert command("runs", "list", "--status", "failed").out == "no such runs\n"
    shown = command("runs", "list", "--limit", "1").out
    assert shown.endswith("; the newest 1 are shown (--limit)\n")


def test_an_age_has_a_number_and_a_unit(command: Command, ran: Ran) -> None:
    ran("packing", 1)

    for wrong in ("30", "d", "1.5h", "-3d", ""):
        assert refused(command("runs", "list", "--older-than", wrong)) == (
            f"--older-than is {wrong!r}; give a number and its unit, as 90s, 15m, 12h, "
            "30d or 4w"
        )


# --- show -------------------------------------------------------------------------------


def test_a_run_is_shown_over_time_with_its_costs_and_what_failed_in_it(
    command: Command, ran: Ran
) -> None:
    (result,) = ran("looking", {"number": 1000, "text": "hello"})

    said = command("runs", "show", result["run_id"])

    assert said.code == 0
    lines = said.out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == f"{result['run_id']}  looking  completed"
    assert "; 1 model call for $0.0200" in lines[1]
    assert lines[3] == 'input  {"number": 1000, "text": "hello"}'
    # A thousand items are one line, and those that did not go well some more.
    assert len(lines) < 20
    (page,) = [line for line in lines if line.startswith("page ")]
    assert page.endswith("$0.0200")
    assert "  990 completed, 10 failed; 3 of 10 are shown (--all)" in lines
    assert "  looks/look: 7 is not good (step_error)" in lines
    assert (
        len(command("runs", "show", result["run_id"], "--all").out.splitlines()) > 1000
    )


def test_a_run_is_shown_without_the_code_of_its_workflow(
    command: Command, ran: Ran
) -> None:
    ran("asking", {"number": 1, "text": "nothing"})
    code = (
        "import sys; from understudy.cli.main import main; "
        "code = main(['runs', 'show', 'asking', '--json']); "
        "sys.exit(code or 'flows_durable' in sys.modules or 'rich' in sys.modules)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 0, ended.stderr
    facts = json.loads(ended.stdout)
    assert facts["input"] == {"number": 1, "text": "nothing"}
    assert [event["status"] for event in facts["events"]] == ["completed", "waiting"]
    assert facts["events"][0]["value"] == 1


def test_a_pause_that_is_open_is_shown_with_the_command_that_answers_it(
    command: Command, ran: Ran
) -> None:
    (result,) = ran("asking", 1)

    lines = command("runs", "show", "asking").out.splitlines()

    assert "approval waits for an answer" in lines
    assert f"  understudy runs answer {result['run_id']} approval VALUE" in lines
    assert "nobody executes this journal now" in lines[-1]


def test_a_command_that_is_shown_can_be_given_as_it_stands(
    command: Command, here: Path
) -> None:
    journal, text = "my $HOME's.db", 'a; b "$HOME"'
    order = json.dumps({"number": 1, "text": text})
    names = ("--key", "text", "--journal", journal)

    def shown(workflow: str) -> tuple[list[str], list[str]]:
        said = command("run", f"{FLOWS}:{workflow}", "-", *names, stdin=order)
        (hint,) = re.findall("`(.*)`", said.err)
        out = command("runs", "show", "wordy", "--journal", journal).out
        (line,) = [line for line in out.splitlines() if "understudy runs" in line]
        return as_a_shell_reads(hint), as_a_shell_reads(line)

    (hint, answer), (_, retry) = shown("wordy"), shown("wordy_otherwise")

    begin = ["--journal", journal]
    assert hint == ["understudy", "runs", "list", *begin]
    whose = [*begin, f"wordy-{text}"]
    pause = "Bob's word for $HOME; ok?"
    assert answer == ["understudy", "runs", "answer", *whose, pause, "VALUE"]
    assert retry == ["understudy", "runs", "retry", *whose]


def as_a_shell_reads(command: str) -> list[str]:
    """Return the words that a shell makes of a command."""
    return subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {command}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()


@pytest.mark.parametrize("more", [" and worse", "worse", "更糟"])
def test_an_endless_failure_is_shown_with_its_beginning(
    command: Command, ran: Ran, more: str
) -> None:
    order = {"number": 1, "text": "bad" + more * 10_000}
    (result,) = ran("asking", order)
    command("runs", "answer", result["run_id"], "approval", "yes")
    (result,) = ran("asking", order)
    assert result["status"] == "failed"

    lines = command("runs", "show", "asking").out.splitlines()

    assert len(lines) < 40
    assert (cell_len(lines[3]), lines[3][-1]) == (80, "…")
    row = next(at for at, line in enumerate(lines) if line.startswith("check "))
    assert [line.endswith(" …") for line in lines[row : row + 5]] == [
        *(False, False, False, True, False)
    ]
    assert lines[-1] == "… (--json shows all of it)"


def test_an_id_may_be_cut_short_if_it_is_of_one_run(command: Command, ran: Ran) -> None:
    ran("packing", 1, 2)
    first, second = listed(command)

    assert command("runs", "show", first[:-3]).out.startswith(f"{first}  packing")
    told = refused(command("runs", "show", "packing"))
    assert told == f"packing is how several runs begin: {first}, {second}"
    assert "there is no run nothing in this journal" in refused(
        command("runs", "show", "nothing")
    )


def test_on_a_terminal_it_has_colours_and_fits(command: Command, ran: Ran) -> None:
    ran("asking", {"number": 1, "text": "a long text " * 30})

    for width in (80, 120):
        shown = on_a_terminal(width, "runs", "show", "asking", "--values")
        assert "\x1b[" in shown
        plain = CONTROL.sub("", shown).splitlines()
        assert max(map(len, plain)) <= width
        (bar,) = [line for line in plain if line.startswith("take ")]
        assert "█" in bar


@pytest.mark.parametrize("width", [1, 20, 40, 47])
def test_a_terminal_too_narrow_for_bars_and_figures_gets_both_all_the_same(
    width: int, command: Command, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    (result,) = ran("looking", {"number": 9, "text": "hello"})
    monkeypatch.setenv("COLUMNS", str(width))
    shown = command("runs", "show", result["run_id"], "--values")
    assert shown.code == 0, shown.err
    assert "$0.0200" in shown.out
    assert "█" in shown.out


def on_a_terminal(width: int, *words: str) -> str:
    """Return what the command writes to a terminal of this width."""
    master, slave = pty.openpty()
    variables = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR"}}
    process = subprocess.Popen(
        [*UNDERSTUDY, *words],
        stdout=slave,
        stderr=slave,
        env={**variables, "TERM": "xterm", "COLUMNS": str(width)},
    )
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 4096):
            shown += part
    except OSError:
        pass  # that is how a terminal ends
    os.close(master)
    assert process.wait(timeout=60) == 0
    return shown.decode()


def test_values_of_unknown_classes_are_shown_as_plain_data(
    command: Command, here: Path
) -> None:
    value = {
        "@Nobody.knows": {"when": {"$datetime": "2026-01-01"}, "n": {"$int": "0xff"}}
    }
    pairs = {"$map": [[1, {"$set": ["a", "b"]}], [{"@K": {"x": 1}}, b"\x00"]]}
    accepted = Accepted(value, 0)
    written(here, [accepted, Finished(0, "", 1_000_000, 500_000, pairs)])

    facts = json.loads(command("runs", "show", "old", "--json").out)

    assert facts["input"] == {"when": "2026-01-01", "n": 255}
    (event,) = facts["events"]
    assert event["path"] == "step"
    assert event["value"] == {"1": ["a", "b"], "{'x': 1}": "AA=="}
    assert (event["begin"], event["end"]) == (0.5, 1.0)


def written(here: Path, records: list[Any], *, created: int = 0, row: int = 1) -> None:
    """Write a run by hand into the journal that is here."""
    store = SqliteStore(here / "runs.db")
    store.open()
    try:
        node = store.fingerprint_id(b"step")
        batch = Batch()
        run_id = "old" if row == 1 else f"old-{row}"
        run = StoredRun(row, run_id, "flow", node, RunStatus.RUNNING, created, created)
        batch.runs.append(run)
        for number, record in enumerate(records):
            if isinstance(record, Finished):
                record = Finished(  # the node has the number that the store gave it
                    node, *[getattr(record, f) for f in record.__struct_fields__[1:]]
                )
            batch.records.append((row, number, encode_record(record)))
        store.write(batch)
    finally:
        store.close()


# --- ask the one who executes them ---------------------------------------------------------


@contextmanager
def executing(here: Path, workflow: str, *numbers: int) -> Generator[None]:
    """Let another process execute runs of the journal, until it is interrupted."""
    given = here / "given.jsonl"
    given.write_text("".join(f'{{"number": {number}}}\n' for number in numbers))
    words = ["run", f"{FLOWS}:{workflow}", str(given), "--journal", "runs.db"]
    process = subprocess.Popen(
        [*UNDERSTUDY, *words],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "HANG": "1"},
        stderr=subprocess.PIPE,
    )
    try:
        ledger, deadline = here / "ledger", time.monotonic() + 60
        while not ledger.exists() or ledger.read_text().count("hang") < len(numbers):
            assert time.monotonic() < deadline, "it has not begun within a minute"
            time.sleep(0.01)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_what_is_asked_is_done_by_the_process_that_executes_the_runs(
    command: Command, here: Path
) -> None:
    with executing(here, "hanging", 1, 2):
        run_id, _ = listed(command, "--workflow", "hanging")
        shown = command("runs", "show", run_id).out
        said = command("runs", "cancel", run_id)
        again = command("runs", "cancel", run_id)

    assert re.search(r"executed by process \d+ on ", shown)
    assert said.out == f"done: cancel {run_id}\n"
    assert again.code == 1
    assert again.err == (
        f"understudy: refused: the run '{run_id}' is over: cancelled\n"
    )
    assert listed(command, "--status", "cancelled") == [run_id]


def test_what_nobody_can_do_now_is_done_at_the_next_start(
    command: Command, ran: Ran
) -> None:
    (paused,) = ran("asking", {"number": 1, "text": "bad"})
    run_id = paused["run_id"]

    said = command("runs", "answer", run_id, "approval", '"yes"')

    assert said.code == 0
    assert said.out == (
        f"asked (answer {run_id}); nobody executes runs.db now: it is done when "
        "somebody does\n"
    )
    (failed,) = ran("asking", {"number": 1, "text": "bad"})
    assert failed["failure"]["message"] == "bad text"
    lines = command("runs", "show", run_id).out.splitlines()
    assert "failed: check: bad text (step_error)" in lines


def test_who_cannot_be_told_at_once_is_told_by_the_next_start_what_was_refused(
    command: Command, here: Path
) -> None:
    (here / "one.jsonl").write_text('{"number": 1}\n')
    words = ("run", f"{FLOWS}:asking", "one.jsonl", "--journal", "runs.db")
    command(*words)
    (run_id,) = listed(command)

    command("runs", "answer", run_id, "approval", "5")
    said = command(*words)

    assert said.lines[0]["status"] == "paused"
    assert said.err.splitlines()[0] == (
        f"understudy: what was asked of run {run_id} (answer) was refused: the answer "
        "to approval: is an int; give a str"
    )


def test_a_fork_has_other_values_and_a_diff_says_which(
    command: Command, ran: Ran
) -> None:
    (result,) = ran("packing", 1)
    run_id = result["run_id"]

    asked = command(
        *("runs", "fork", run_id, "--from", "pack", "--set", "take=5", "--id", "forked")
    )
    ran("packing", 1)
    said = command("runs", "diff", run_id, "forked")

    assert asked.code == 0
    assert said.code == 1
    assert said.out.splitlines()[:3] == [
        f"{run_id} | forked",
        "take: 1 | 5",
        'pack: "parcel 1" | "parcel 5"',
    ]
    same = command("runs", "diff", run_id, run_id)
    assert same.code == 0
    assert same.out.splitlines()[1] == "the same input, and the same came of it"


def test_two_long_values_are_shown_where_they_differ(
    command: Command, ran: Ran
) -> None:
    long = "x" * 200
    ran("packing", {"number": 1, "text": f"{long}one{long}"})
    ran("packing", {"number": 1, "text": f"{long}two{long}"})
    one, two = listed(command)

    said = command("runs", "diff", one, two).out

    line = next(line for line in said.splitlines() if line.startswith("input.text: "))
    left, right = line.removeprefix("input.text: ").split(" | ")
    assert {left, right} == {f"…{'x' * 15}{word}{'x' * 40}…" for word in ("one", "two")}


def test_what_makes_no_sense_is_refused_before_it_is_asked(
    command: Command, ran: Ran
) -> None:
    ran("packing", 1)
    (run_id,) = listed(command)

    assert refused(command("runs", "cancel", "nothing")).startswith("there is no run")
    assert refused(
        command("runs", "fork", run_id, "--from", "pack", "--set", "take")
    ) == ("--set is 'take'; give NAME=JSON")


# --- upkeep -----------------------------------------------------------------------------


def test_a_sound_journal_is_said_to_be_sound(command: Command, ran: Ran) -> None:
    ran("packing", 1, 2)

    said = command("runs", "verify")

    assert said.code == 0
    assert said.out == "runs.db: 2 runs, 8 records, 0 large values; nothing is wrong\n"
    facts = json.loads(command("runs", "verify", "--json").out)
    assert (facts["runs"], facts["problems"]) == (2, [])


def test_what_is_damaged_is_named_and_the_code_says_so(
    command: Command, ran: Ran, here: Path
) -> None:
    ran("packing", {"number": 1, "text": "find me here"})
    content = (here / "runs.db").read_bytes()
    assert content.count(b"find me here") == 1
    (here / "runs.db").write_bytes(content.replace(b"find me here", b"find ME here"))

    said = command("runs", "verify")

    assert said.code == 1
    lines = said.out.splitlines()
    assert lines[0].split() == ["where", "what", "is", "wrong"]
    assert "record 0" in lines[1]
    assert lines[-1].endswith("; 1 problem")


def test_a_damaged_run_hides_no_other_in_the_list_and_the_code_says_so(
    command: Command, ran: Ran, here: Path
) -> None:
    bad, good = ran("asking", {"number": 1, "text": "find me here"}, {"number": 2})
    content = (here / "runs.db").read_bytes()
    (here / "runs.db").write_bytes(content.replace(b"find me here", b"find ME here"))

    said = command("runs", "list")

    assert said.code == 1
    *shown, total = said.out.splitlines()[1:]
    waits, damaged = sorted(shown, key=lambda line: line.startswith(bad["run_id"]))
    assert waits.startswith(good["run_id"])
    assert waits.endswith("waits for approval")
    assert damaged.startswith(bad["run_id"])
    assert damaged.endswith("cannot be read")
    assert total == "2 runs: 2 paused"
    # Which of two lines at work at once is accepted first, nobody knows.
    assert re.sub(r"row \d", "row N", said.err) == (
        f"understudy: run {bad['run_id']}: the journal runs.db: record 0 of the run in "
        "row N is damaged\n"
    )


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_run_whose_very_row_is_damaged_hides_no_other_in_the_list(
    command: Command, here: Path, words: list[str]
) -> None:
    many_written(here, runs=3, steps=0)
    with closing(sqlite3.connect("runs.db")) as file, file:
        file.execute("UPDATE runs SET created_at = 1 WHERE row IN (1, 3)")

    said = command("runs", "list", *words)

    assert said.code == 1
    assert re.findall(r"old-\d", said.out) == ["old-2"]
    assert said.err == (
        "understudy: the journal runs.db: the run in row 1 is damaged\n"
        "understudy: the journal runs.db: the run in row 3 is damaged\n"
    )


def test_an_export_leaves_out_what_is_damaged_and_says_so(
    command: Command, ran: Ran, here: Path
) -> None:
    bad, good = ran("packing", {"number": 1, "text": "find me here"}, {"number": 2})
    content = (here / "runs.db").read_bytes()
    (here / "runs.db").write_bytes(content.replace(b"find me here", b"find ME here"))

    said = command("runs", "export")

    assert said.code == 1
    assert [json.loads(line)["run_id"] for line in said.out.splitlines()] == [
        good["run_id"]
    ]
    assert re.sub(r"row \d", "row N", said.err) == (
        f"understudy: run {bad['run_id']}: the journal runs.db: record 0 of the run in "
        "row N is damaged\n"
        "1 run written to standard output; 1 cannot be read\n"
    )


def test_a_run_is_found_by_its_beginning_also_beside_one_that_is_damaged(
    command: Command, here: Path
) -> None:
    many_written(here, runs=13, steps=0)
    with closing(sqlite3.connect("runs.db")) as file, file:
        file.execute("UPDATE runs SET created_at = 1 WHERE row = 2")

    said = refused(command("runs", "show", "old-1x"))
    assert said.startswith("there is no run old-1x in this journal")
    assert refused(command("runs", "show", "old")).endswith(
        "old-1, old-3, old-4 and 9 more"
    )


def test_runs_that_ended_long_ago_are_pruned_and_no_others(
    command: Command, ran: Ran
) -> None:
    ran("packing", 1, 2)
    ran("asking", 3)

    kept = command("runs", "prune", "--older-than", "1h")
    gone = command("runs", "prune", "--older-than", "0s")

    assert kept.out.startswith("0 runs deleted from runs.db")
    assert gone.out == (
        "2 runs deleted from runs.db, with 8 records and 0 large values\n"
    )
    assert len(listed(command)) == 1


def test_runs_are_exported_as_json_lines(
    command: Command, ran: Ran, here: Path
) -> None:
    ran("packing", 1, 2)
    ran("asking", 3)

    said = command("runs", "export", "--workflow", "packing", "-o", "all.jsonl")

    assert said.code == 0
    assert said.err == "2 runs written to all.jsonl\n"
    lines = [json.loads(line) for line in (here / "all.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["completed"] * 2
    assert "exists already" in refused(command("runs", "export", "-o", "all.jsonl"))
    assert len(command("runs", "export").lines) == 3


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["export"]])
def test_a_reader_that_has_seen_enough_is_no_trouble(
    ran: Ran, here: Path, words: list[str]
) -> None:
    ran("packing", 1, 2)
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [*UNDERSTUDY, "runs", *words],
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert (process.returncode, process.stderr) == (141, b"")


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--json"],
        ["list", "--limit", "4000"],
        ["show", "old-1", "--all"],
        ["show", "old-1", "--json"],
        ["diff", "old-1", "old-2"],
        ["export"],
    ],
)
def test_a_reader_that_leaves_in_the_middle_is_no_trouble(
    here: Path, words: list[str]
) -> None:
    # More than a pipe holds, so that who writes still does when the reader leaves.
    many_written(here, runs=4000, steps=4000)
    with subprocess.Popen(
        [*UNDERSTUDY, "runs", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            assert os.read(process.stdout.fileno(), 1)
            process.stdout.close()
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, said) == (141, b"")


def many_written(here: Path, *, runs: int, steps: int) -> None:
    """Write so many runs by hand, the first of them with so many steps."""
    store = SqliteStore(here / "runs.db")
    store.open()
    try:
        node, batch = store.fingerprint_id(b"step"), Batch()
        for row in range(1, runs + 1):
            run_id = f"old-{row}"
            run = StoredRun(row, run_id, "flow", node, RunStatus.RUNNING, 0, 0)
            batch.runs.append(run)
            batch.records.append((row, 0, encode_record(Accepted("in", 0))))
        for number in range(1, steps + 1):
            step = Finished(node, str(number), number, 1, "done")
            batch.records.append((1, number, encode_record(step)))
        store.write(batch)
    finally:
        store.close()
