"""A secret that was planted is found nowhere in what the command line says or writes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.journal.sealing import VARIABLE

Command = Callable[..., Any]
FLOWS = str(Path(__file__).with_name("flows_sensitive.py"))
SECRET = "hunter2-planted"
HIDDEN = "(sensitive)"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> Path:
    """Work in a folder of its own, with a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNDERSTUDY_JOURNAL", raising=False)
    made = command("runs", "new-key")
    assert made.code == 0
    monkeypatch.setenv(VARIABLE, made.out.strip())
    return tmp_path


def given(*lines: object) -> str:
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    Path("in.jsonl").write_text(text)
    return "in.jsonl"


def login(user: str) -> dict[str, str]:
    return {"user": user, "password": f"{SECRET} of {user}"}


def run(command: Command, workflow: str, *users: str, more: tuple[str, ...]) -> Any:
    words = ("run", f"{FLOWS}:{workflow}", given(*map(login, users)), *more)
    said = command(*words)
    Path("in.jsonl").unlink()
    return said


JOURNAL = ("--journal", "runs.db")


def check(*said: Any) -> None:
    """See that neither a file nor a word has it."""
    for path in Path.cwd().iterdir():
        assert SECRET.encode() not in path.read_bytes(), path.name
    for one in said:
        assert SECRET not in one.out + one.err


@pytest.mark.parametrize("more", [(), JOURNAL])
def test_result_lines_show_that_there_is_something_and_not_what(
    command: Command, more: tuple[str, ...]
) -> None:
    said = run(command, "signing", "u", "bad", more=(*more, "-o", "out.jsonl"))
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    fine = next(line for line in lines if line["status"] == "completed")
    assert fine["outputs"]["sign_in"] == {"text": HIDDEN}
    assert fine["outputs"]["long"]["user"] == "u"
    assert fine["outputs"]["long"]["password"] == HIDDEN
    assert {line["status"] for line in lines} == {"completed", "failed"}
    check(said)


def test_nothing_that_is_said_of_a_journal_has_it(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(command, "signing", "u", "v", more=(*JOURNAL, "--key", "user"))
    # Whoever looks at a journal needs no key, and is shown nothing with one.
    for has_key in (True, False):
        if not has_key:
            monkeypatch.delenv(VARIABLE)
        said = [
            command("runs", "show", "signing-u"),
            command("runs", "show", "signing-u", "--json"),
            command("runs", "export"),
            command("runs", "diff", "signing-u", "signing-v"),
            command("runs", "list"),
            command("runs", "verify"),
        ]
        assert [one.code for one in said] == [0, 0, 0, 1, 0, 0], said
        for shown in said[:3]:
            assert HIDDEN in shown.out
            assert "$sealed" not in shown.out
        check(*said)


def test_of_runs_that_differ_in_what_is_sensitive_nobody_says_that_they_are_the_same(
    command: Command,
) -> None:
    lines = [{**login("u"), "password": f"{SECRET}{number}"} for number in (1, 2)]
    command("run", f"{FLOWS}:signing", given(*lines), *JOURNAL)
    Path("in.jsonl").unlink()
    ids = [run["run_id"] for run in command("runs", "list", "--json").lines]
    said = command("runs", "diff", *ids)
    assert said.code == 0
    assert "the same input, and the same came of it, but for what is sensitive" in (
        said.out
    )
    check(said)


def test_a_job_that_is_run_again_gives_the_same_values(command: Command) -> None:
    outputs: list[object] = []
    for _ in range(2):
        run(command, "signing", "u", "v", more=(*JOURNAL, "-o", "out.jsonl"))
        written = Path("out.jsonl").read_text()
        outputs.append([json.loads(line)["outputs"] for line in written.splitlines()])
        check()
        Path("out.jsonl").unlink()
    assert outputs[0] == outputs[1]


def test_an_answer_and_a_fork_take_it_and_do_not_leave_it(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(command, "asking", "u", more=(*JOURNAL, "--key", "user"))
    token = json.dumps({"text": SECRET})
    key = os.environ[VARIABLE]
    monkeypatch.delenv(VARIABLE)
    refused = command("runs", "answer", "asking-u", "token", token)
    assert refused.code == 2, refused
    assert VARIABLE in refused.err
    check(refused)
    monkeypatch.setenv(VARIABLE, key)
    asked = command("runs", "answer", "asking-u", "token", "-", stdin=f"{token}\n")
    forked = command(
        *("runs", "fork", "asking-u", "--from", "last", "--id", "new"),
        *("--set", "sign_in=-"),
        stdin=token,
    )
    assert (asked.code, forked.code) == (0, 0)
    check(asked, forked)
    done = run(command, "asking", "u", more=(*JOURNAL, "--key", "user"))
    (line,) = done.lines
    assert line["outputs"] == {
        "sign_in": {"text": HIDDEN},
        "token": {"text": HIDDEN},
        "last": "done",
    }
    check(done)


def test_a_line_that_does_not_fit_is_told_without_it(command: Command) -> None:
    lines = (
        {"user": "u", "password": SECRET * 4},
        {"user": 1, "password": SECRET},
        {"user": "u", "password": [SECRET]},
        {"user": "u", "password": "p", "kind": SECRET},
    )
    for line in lines:
        said = command("run", f"{FLOWS}:signing", given(line))
        Path("in.jsonl").unlink()
        assert "does not fit Account" in said.out + said.err
        check(said)


def test_a_sensitive_field_is_no_key_of_runs(command: Command) -> None:
    said = run(command, "signing", "u", more=(*JOURNAL, "--key", "password"))
    assert said.code == 2
    assert said.err == (
        "understudy: --key is password, which is sensitive, and would stand in the id "
        "of every run; name another field\n"
    )
    assert not Path("runs.db").exists()


def test_without_a_key_the_job_is_refused_before_it_begins(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "no key at all")
    said = run(command, "signing", "u", more=JOURNAL)
    assert said.code == 2
    assert said.err == (
        "understudy: Account.kind is sensitive, and is encrypted in a journal: key 1 "
        f"in ${VARIABLE} is not 32 bytes in base64; `understudy runs new-key` makes "
        "one\n"
    )
