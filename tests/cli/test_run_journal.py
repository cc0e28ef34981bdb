"""``understudy run --journal``: a job that goes on where an earlier call left it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from understudy.journal import recorder
from understudy.journal.sqlite import SqliteStore
from understudy_protocols.errors import JournalWriteError
from understudy_protocols.journal import Batch

Command = Callable[..., Any]
UNDERSTUDY = (sys.executable, "-m", "understudy")
FLOWS = str(Path(__file__).with_name("flows_durable.py"))


@attrs.frozen
class Place:
    """A folder with an input, an output, a journal and a ledger."""

    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "out.jsonl"

    @property
    def journal(self) -> Path:
        return self.folder / "runs.db"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def give(self, *lines: object) -> None:
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (self.folder / "in.jsonl").write_text(text)

    def words(self, workflow: str, *more: str) -> list[str]:
        given = str(self.folder / "in.jsonl")
        out, journal = str(self.out), str(self.journal)
        target = f"{FLOWS}:{workflow}"
        return ["run", target, given, "-o", out, "--journal", journal, *more]

    def results(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    @property
    def written(self) -> int:
        """Whole lines of the output; a count."""
        return self.out.read_bytes().count(b"\n") if self.out.exists() else 0

    def done(self) -> Counter[str]:
        return Counter(self.ledger.read_text().splitlines())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("LEDGER", str(tmp_path / "ledger"))
    (tmp_path / "ledger").touch()
    return Place(tmp_path)


def orders(numbers: Iterable[int]) -> list[dict[str, object]]:
    return [{"number": number} for number in numbers]


@contextmanager
def begun(words: Iterable[str], **variables: str) -> Generator[subprocess.Popen[str]]:
    """Start the command as a process of its own, and see that it ends."""
    with subprocess.Popen(
        [*UNDERSTUDY, *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait for another process; in real time, as it is one."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "it has not happened within a minute"
        time.sleep(0.005)


# --- kill it, and run it again -----------------------------------------------------


@pytest.mark.parametrize("order", ["input", "done"])
def test_killed_in_the_middle_and_run_again_each_line_has_one_result(
    command: Command, place: Place, order: str
) -> None:
    place.give(*orders(range(200)))
    words = place.words("packing", "--order", order)

    with begun(words) as process:
        wait_until(lambda: place.done().total() > 150)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
    finished = place.done().total()
    with place.out.open("ab") as out:
        out.write(b'{"run_id":"packing-00')  # as a kill in the midst of a write leaves
    said = command(*words)

    assert said.code == 0, said.err
    assert finished < 400
    lines = [result["line"] for result in place.results()]
    assert (lines if order == "input" else sorted(lines)) == list(range(1, 201))
    for result in place.results():
        assert result["value"] == f"parcel {result['line'] - 1}"
    # At most what was in hand when it was killed has been done twice.
    assert set(place.done()) == {
        f"{w} {n}" for w in ("take", "pack") for n in range(200)
    }
    again = [what for what, times in place.done().items() if times > 1]
    assert len(again) <= 10
    assert max(place.done().values()) <= 2


def test_the_same_call_again_runs_nothing_and_leaves_the_output_as_it_is(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(5)))
    assert command(*place.words("packing")).code == 0
    before, done = place.out.read_bytes(), place.done()

    said = command(*place.words("packing"))

    assert said.code == 0
    assert "5 of 5 runs completed; 5 of them before; " in said.err
    assert place.out.read_bytes() == before
    assert place.done() == done


@pytest.mark.parametrize("cut", [0, 1, 200, -1, -2])
def test_an_output_cut_anywhere_is_made_whole_out_of_the_journal(
    command: Command, place: Place, cut: int
) -> None:
    place.give(*orders(range(5)))
    command(*place.words("packing"))
    whole, content, done = place.results(), place.out.read_bytes(), place.done()

    place.out.write_bytes(content[:cut])
    said = command(*place.words("packing"))

    assert said.code == 0, said.err
    told = ("run_id", "line", "status", "value", "outputs", "usage", "failure")
    for one, other in zip(whole, place.results(), strict=True):
        assert {key: one[key] for key in told} == {key: other[key] for key in told}
        assert other["duration"] == pytest.approx(one["duration"], abs=1e-5)
    assert place.done() == done


def test_what_a_rebuilt_result_cost_is_what_it_had_cost(
    command: Command, place: Place
) -> None:
    place.give({"number": 3, "text": "hello"})
    command(*place.words("looking"))
    (before,) = place.results()

    said = command(*place.words("looking", "--overwrite"))

    (after,) = place.results()
    assert before["usage"]["cost_micros"] == 20_000
    assert after["usage"] == before["usage"]
    assert after["value"] == before["value"]
    assert "$0.0200" in said.err


def test_lines_that_were_added_are_run_and_the_others_are_not(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(3)))
    command(*place.words("packing"))
    place.give(*orders(range(5)))

    said = command(*place.words("packing"))

    assert said.code == 0
    assert "5 of 5 runs completed; 3 of them before" in said.err
    assert place.done()["take 0"] == 1
    assert [result["line"] for result in place.results()] == [1, 2, 3, 4, 5]


# --- which line is which -------------------------------------------------------------


def test_lines_that_say_the_same_are_runs_of_their_own(
    command: Command, place: Place
) -> None:
    place.give({"number": 1}, {"number": 2}, {"number": 1, "text": ""}, {"number": 1})

    assert command(*place.words("packing")).code == 0

    first, second, third, fourth = (result["run_id"] for result in place.results())
    assert fourth == f"{first}-2"
    assert len({first, second, third, fourth}) == 4
    assert place.done()["take 1"] == 3


def test_a_key_names_the_runs_and_the_rest_of_a_line_must_stay(
    command: Command, place: Place
) -> None:
    words = place.words("packing", "--key", "number")
    place.give({"number": 7, "text": "a"})
    command(*words)
    assert place.results()[0]["run_id"] == "packing-7"

    place.give({"number": 7, "text": "b"})
    said = command(*words, "--overwrite")

    assert said.code == 1
    (result,) = place.results()
    assert result["failure"]["message"] == (
        "there is a run 'packing-7' with another input; give this one another id"
    )


def test_a_line_that_the_journal_kept_from_running_is_tried_again(
    command: Command, place: Place
) -> None:
    words = place.words("packing", "--key", "number")
    place.give({"number": 7, "text": "a"})
    command(*words)
    place.give({"number": 7, "text": "b"}, {"number": 8})
    again = command(*words, "--overwrite")
    assert "1 of 2 runs completed, 1 did not (1 refused)" in again.err

    place.journal.unlink()
    said = command(*words)

    assert said.code == 0, said.err
    assert [result["line"] for result in place.results()] == [1, 2]


def test_of_lines_with_one_key_the_first_has_it_and_those_that_say_the_same(
    command: Command, place: Place
) -> None:
    texts = ["a", "b", "a", "c"]
    place.give(*({"number": 7, "text": text} for text in texts))

    said = command(*place.words("packing", "--key", "number"))

    assert said.code == 1
    failures = [result["failure"] for result in place.results()]
    wrong = "has the number of an earlier line, and other content"
    told = [failure and failure["message"] for failure in failures]
    assert told == [None, wrong, None, wrong]
    assert place.done().total() == 2


def test_a_line_without_the_key_gets_a_result_that_says_so(
    command: Command, place: Place
) -> None:
    place.give({"number": 1, "text": ""}, {"number": 2, "text": "b"})

    said = command(*place.words("packing", "--key", "text"))

    assert said.code == 1
    first, second = place.results()
    assert first["failure"]["message"] == (
        "has no text or whole number 'text', which --key tells lines apart by"
    )
    assert second["status"] == "completed"
    again = command(*place.words("packing", "--key", "text"))
    assert (
        "1 of 2 runs completed, 1 did not (1 bad input); 2 of them before" in again.err
    )


# --- what stands in the output -------------------------------------------------------


def refused(said: Any) -> str:
    assert said.code == 2, said
    assert said.err.count("\n") == 1
    return str(said.err).removeprefix("understudy: ").strip()


def test_a_file_of_something_else_is_left_alone(command: Command, place: Place) -> None:
    place.give(*orders(range(2)))
    for content in ("my notes\n", "my notes", '{"run_id":"other-1","line":1,"status":'):
        place.out.write_text(content if content[0] == "m" else content + '"failed"}\n')
        before = place.out.read_bytes()
        assert "is not what a job with a journal writes" in refused(
            command(*place.words("packing"))
        )
        assert place.out.read_bytes() == before


def test_results_of_another_input_are_left_alone(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(3)))
    command(*place.words("packing"))
    before = place.out.read_bytes()

    place.give(*orders(range(1, 4)))
    other = refused(command(*place.words("packing")))
    place.give(*orders(range(2)))
    shorter = refused(command(*place.words("packing")))

    assert "line 1 of the input is not what it was when" in other
    assert "has a result of line 3, which the input does not have" in shorter
    assert place.out.read_bytes() == before


@pytest.mark.parametrize(
    ("before", "key"),
    [
        ({"number": "three"}, "number"),
        ({"number": 1, "text": "another one"}, "number"),
        ({"number": 3}, "text"),
    ],
)
def test_a_line_that_was_refused_is_not_passed_over_when_it_has_been_mended(
    command: Command, place: Place, before: object, key: str
) -> None:
    place.give({"number": 1}, before)
    for _ in range(2):  # nothing is mended yet
        assert command(*place.words("packing", "--key", key)).code == 1
    content = place.out.read_bytes()

    place.give({"number": 1}, {"number": 3})
    told = refused(command(*place.words("packing", "--key", "number")))
    assert "of the input is not what it was when" in told
    assert "begin it anew with --overwrite" in told
    assert place.out.read_bytes() == content

    said = command(*place.words("packing", "--key", "number", "--overwrite"))
    assert said.code == 0, said.err


def test_results_that_stand_in_an_output_twice_are_not_counted_twice(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(2)))
    command(*place.words("packing"))
    place.out.write_bytes(2 * place.out.read_bytes())

    assert "is not what a job with a journal writes" in refused(
        command(*place.words("packing"))
    )


def test_an_output_in_the_order_of_the_ends_is_not_continued_in_that_of_the_inputs(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(3)))
    command(*place.words("packing", "--order", "done"))
    latest_first = sorted(place.results(), key=lambda line: -line["line"])
    place.out.write_text("".join(f"{json.dumps(line)}\n" for line in latest_first))

    told = refused(command(*place.words("packing")))

    assert "has its results in another order than the input" in told
    assert command(*place.words("packing", "--order", "done")).code == 0


def test_standard_output_is_neither_read_nor_cut(place: Place) -> None:
    place.give(*orders(range(2)))
    words = place.words("packing")
    words[words.index("-o") + 1] = "-"
    both = place.folder / "both"

    for _ in range(2):
        with both.open("ab") as out:
            subprocess.run([*UNDERSTUDY, *words], stdout=out, timeout=60, check=True)

    assert len(both.read_text().splitlines()) == 4
    assert place.done()["take 0"] == 1


@pytest.mark.parametrize(
    "option", [("--key", "number"), ("--durability", "async"), ("--accept-changes",)]
)
def test_options_of_a_journal_need_one(
    command: Command, place: Place, option: tuple[str, ...]
) -> None:
    place.give(*orders(range(2)))
    words = place.words("packing")
    at = words.index("--journal")

    told = refused(command(*words[:at], *option))

    assert told == "--key, --durability and --accept-changes need --journal"


def test_the_journal_is_no_place_for_results(command: Command, place: Place) -> None:
    place.give(*orders(range(2)))
    words = place.words("packing", "-o", str(place.journal))

    told = refused(command(*words))

    assert told == f"{place.journal} is the journal; write the results to another file"
    assert not place.journal.exists()


def test_a_journal_of_something_else_is_refused_before_anything_is_emptied(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(2)))
    place.journal.write_text("these are my notes, and no database at all\n" * 100)
    place.out.write_text("precious\n")

    told = refused(command(*place.words("packing", "--overwrite")))

    assert told.startswith(f"the journal {place.journal}: ")
    assert place.out.read_text() == "precious\n"


def test_a_call_that_is_refused_leaves_no_output_behind(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(2)))
    place.journal.write_text("these are my notes, and no database at all\n" * 100)

    refused(command(*place.words("packing")))

    assert not place.out.exists()
    place.out.touch()
    refused(command(*place.words("packing")))
    assert place.out.exists()


# --- ends before the end ----------------------------------------------------------------


def test_ctrl_c_leaves_the_runs_open_and_the_same_call_goes_on(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(4)))
    words = place.words("hanging")

    with begun(words, HANG="1") as process:
        wait_until(lambda: place.done().total() == 8 and place.written == 1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    said = command(*words)

    assert process.returncode == 130
    assert err == (
        f"understudy: interrupted: 1 run finished (kept in {place.journal}), 3 not "
        "run; nothing is lost: make the same call again to go on\n"
    )
    assert said.code == 0, said.err
    assert [result["status"] for result in place.results()] == ["completed"] * 4
    done = place.done()
    assert [done[f"take {n}"] for n in range(4)] == [1, 1, 1, 1]
    assert [done[f"hang {n}"] for n in range(4)] == [1, 2, 2, 2]


def test_a_journal_that_is_lost_under_way_is_named_as_what_ended_the_job(
    place: Place,
) -> None:
    place.give(*orders(range(2000)))

    with begun(place.words("packing")) as process:
        wait_until(lambda: place.done().total() > 50)
        place.journal.rename(place.folder / "elsewhere.db")
        _, err = process.communicate(timeout=60)

    assert process.returncode == 1
    last = err.splitlines()[-1]
    assert last.startswith(
        f"understudy: the journal {place.journal}: the file was moved, removed or "
        "replaced while it was open"
    )
    assert last.endswith("; nothing is lost: make the same call again to go on")


def test_a_journal_that_cannot_be_written_any_more_is_named_as_what_ended_the_job(
    command: Command, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.give(*orders(range(50)))
    write = SqliteStore.write

    def fills_up(store: SqliteStore, batch: Batch) -> None:
        if place.done().total() > 30:
            raise JournalWriteError(f"the journal {place.journal}: the disk is full")
        write(store, batch)

    with monkeypatch.context() as patched:
        patched.setattr(SqliteStore, "write", fills_up)
        patched.setattr(recorder, "GIVE_UP", 0.1)  # a minute, for a user
        said = command(*place.words("packing"))
    again = command(*place.words("packing"))

    assert said.code == 1
    last = said.err.splitlines()[-1]
    assert last.startswith(f"understudy: the journal {place.journal}: the disk is full")
    assert last.endswith("; nothing is lost: make the same call again to go on")
    assert again.code == 0, again.err
    assert place.written == 50


def test_a_line_that_comes_while_the_journal_cannot_be_written_is_run_later(
    command: Command, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, fifo = SqliteStore.write, place.folder / "in"
    os.mkfifo(fifo)
    feed = os.open(fifo, os.O_RDWR)
    os.write(feed, b'{"number": 1}\n')
    refusals = 0

    def is_full_at_first(store: SqliteStore, batch: Batch) -> None:
        nonlocal refusals
        if batch.runs and refusals < 4:
            refusals += 1
            if refusals == 2:
                os.write(feed, b'{"number": 2}\n')
                os.close(feed)
            raise JournalWriteError("the disk is full")
        write(store, batch)

    monkeypatch.setattr(SqliteStore, "write", is_full_at_first)
    words = place.words("packing")
    words[2] = str(fifo)
    said = command(*words)

    assert said.code == 0, said.err
    assert [line["value"] for line in place.results()] == ["parcel 1", "parcel 2"]


def test_a_second_process_is_told_who_has_the_journal(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(4)))

    with begun(place.words("hanging"), HANG="1") as process:
        wait_until(lambda: place.done()["hang 3"] == 1)
        told = refused(command(*place.words("packing")))

    assert f"its runs are executed by process {process.pid} on " in told


def test_a_step_that_may_have_been_done_is_not_done_again(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(5)))
    words = place.words("sending", "--order", "done")

    with begun(words, HANG="1") as process:
        wait_until(lambda: place.done()["send 3"] == 1 and place.written == 4)
        process.kill()
        process.wait(timeout=60)
    said = command(*words)

    assert said.code == 1
    assert "4 of 5 runs completed, 1 did not (1 held)" in said.err
    assert "see `understudy runs list --journal" in said.err
    held = place.results()[-1]
    assert (held["status"], held["reason"]) == ("held", "unknown_outcome")
    assert "attempt 1 of send had begun" in held["detail"]
    assert place.done()["send 3"] == 1


def test_under_changed_code_a_run_is_held_unless_the_change_is_accepted(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(2)))
    words = place.words("asking")
    changed = [word.replace(":asking", ":asking_otherwise") for word in words]
    command(*words)

    held = command(*changed)
    lines = place.results()
    accepted = command(*changed, "--accept-changes")

    assert "2 did not (2 held)" in held.err
    assert [line["reason"] for line in lines] == ["changed_code"] * 2
    assert "2 did not (2 paused)" in accepted.err


def test_a_paused_run_waits_in_the_journal_and_its_result_takes_its_place(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(3)))
    first = command(*place.words("asking"))
    paused = place.results()
    journal = ("--journal", str(place.journal))

    asked = command("runs", "answer", paused[1]["run_id"], "approval", "yes", *journal)
    second = command(*place.words("asking"))

    assert first.code == 1
    assert "3 did not (3 paused)" in first.err
    assert [line["pauses"] for line in paused] == [["approval"]] * 3
    assert asked.code == 0
    assert "nobody executes" in asked.out
    assert second.code == 1
    assert [line["status"] for line in place.results()] == [
        "paused",
        "completed",
        "paused",
    ]
    assert [line["line"] for line in place.results()] == [1, 2, 3]
    assert place.done() == Counter({f"take {n}": 1 for n in range(3)})


def test_more_runs_may_be_paused_than_run_at_once(
    command: Command, place: Place
) -> None:
    place.give(*orders(range(50)))
    words = place.words("asking", "--concurrency", "4")

    said = command(*words)
    for line in place.results()[::10]:
        journal = ("--journal", str(place.journal))
        command("runs", "answer", line["run_id"], "approval", "yes", *journal)
    again = command(*words)

    assert "50 did not (50 paused)" in said.err
    assert "5 of 50 runs completed, 45 did not (45 paused)" in again.err


def test_paused_runs_go_on_when_they_are_answered_while_the_command_runs(
    command: Command, place: Place
) -> None:
    paused = [{"number": 0, "text": str(number)} for number in range(6)]
    place.give(*paused, {"number": 1})
    journal = ("--journal", str(place.journal))

    with begun(place.words("asking_late", "--concurrency", "2"), HANG="1"):
        # One place is taken by the run that hangs; the others take turns.
        wait_until(lambda: place.done()["hang 1"] == 1 and place.written == 6)
        for line in place.results():
            said = command("runs", "answer", line["run_id"], "approval", "y", *journal)
            assert said.code == 0
            assert "nobody executes" not in said.out
        told = command("runs", "list", *journal).out

    assert "7 runs: 6 completed, 1 running" in told
