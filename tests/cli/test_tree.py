"""``understudy tree`` and ``run --tree``: what is shown of the supervision tree."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

Command = Callable[..., Any]
Flow = Callable[[str], str]
UNDERSTUDY = (sys.executable, "-m", "understudy")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``trio.run`` jump over every backoff."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    monkeypatch.setattr(trio, "run", partial(trio.run, clock=clock))


def test_the_tree_is_printed_as_text(command: Command, flow: Flow) -> None:
    said = command("tree", flow("looking_up"))

    assert said.code == 0, said.err
    assert said.err == ""
    assert said.out == (
        "                      supervision             state    in hand\n"
        "root                  rest_for_one, 3 in 5 s\n"
        "├── watchdog          permanent               running\n"
        "└── workflows         one_for_one, 3 in 5 s   running\n"
        "    └── looking_up    one_for_one, 3 in 5 s   running\n"
        "        ├── shout     transient               running  0\n"
        "        └── look_up   transient               running  0 of 2\n"
    )


def test_dependencies_that_are_opened_have_a_place_in_it(
    command: Command, flow: Flow, tmp_path: Path
) -> None:
    (tmp_path / "user_open.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "@asynccontextmanager\n"
        "async def deps():\n"
        "    print('opened')\n"
        "    yield 'hello'\n"
        "    print('closed')\n"
    )

    said = command("tree", flow("greet"), "--deps", f"{tmp_path}/user_open.py:deps")

    assert said.code == 0, said.err
    assert said.out.startswith("opened\nclosed\n")
    assert "├── deps              permanent               running\n" in said.out


def test_programs_get_one_line_of_json(command: Command, flow: Flow) -> None:
    said = command("tree", flow("looking_up"), "--json")

    assert said.code == 0, said.err
    (line,) = said.out.splitlines()
    root = json.loads(line)
    (workflow,) = root["children"][1]["children"]
    assert root["strategy"] == "rest_for_one"
    assert workflow["path"] == "root/workflows/looking_up"
    assert [one["workload"]["limit"] for one in workflow["children"]] == [None, 2]


def test_it_is_drawn_into_a_file(command: Command, flow: Flow, tmp_path: Path) -> None:
    picture = tmp_path / "tree.svg"

    said = command("tree", flow("looking_up"), "-o", str(picture))

    assert (said.code, said.out, said.err) == (0, "", "")
    svg = picture.read_text()
    assert "rest_for_one" in svg
    assert "running · x2" in svg


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{flow}", "-o", "tree.png"], "tree.png is no .svg; give it that ending"),
        (["{flow}", "-o", "t.svg", "--json"], "--json is printed and -o is drawn; "),
        (["{flow}", "-o", "{dir}/no/t.svg"], "cannot write {dir}/no/t.svg: No such"),
        (["{flow}_"], "there is no workflow looking_up_ in "),
        (["{dir}/nowhere.py:x"], "there is no file {dir}/nowhere.py"),
        (["{flow}", "--models", "json:x"], "there is no models x in json; "),
        ([], "Missing argument 'MODULE_OR_FILE:WORKFLOW'"),
    ],
)
def test_a_mistake_in_the_call_is_one_sentence(
    command: Command, flow: Flow, tmp_path: Path, words: list[str], sentence: str
) -> None:
    names = {"flow": flow("looking_up"), "dir": str(tmp_path)}

    said = command("tree", *(word.format(**names) for word in words))

    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"understudy: {sentence.format(**names)}")
    assert said.err.count("\n") == 1


def test_a_workflow_that_cannot_run_has_no_tree(command: Command, flow: Flow) -> None:
    said = command("tree", flow("wrong"))

    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("understudy: measure: needs 'shout', which runs later")


def test_actors_that_do_not_start_are_one_sentence_and_no_misuse(
    command: Command, flow: Flow, tmp_path: Path
) -> None:
    (tmp_path / "user_broken.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "@asynccontextmanager\n"
        "async def deps():\n"
        "    raise OSError('no database')\n"
        "    yield\n"
    )

    said = command("tree", flow("greet"), "--deps", f"{tmp_path}/user_broken.py:deps")

    assert (said.code, said.out) == (1, "")
    assert said.err == "understudy: root/deps did not start: OSError: no database\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
def test_an_output_that_is_full_is_one_sentence(flow: Flow) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*UNDERSTUDY, "tree", flow("looking_up"), "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )

    assert ended.returncode == 2
    assert ended.stderr == (
        "understudy: cannot write standard output: No space left on device\n"
    )


@pytest.mark.usefixtures("virtual_time")
def test_without_a_terminal_the_tree_of_a_job_is_told_once_at_its_end(
    command: Command, flow: Flow
) -> None:
    said = command("run", flow("looking_up"), "-", "--tree", stdin='"a"\n')

    assert said.code == 0, said.err
    assert len(said.lines) == 1
    assert said.err.startswith(
        "                      state                restarts  in hand  queued\n"
        "root\n"
        "├── watchdog          running\n"
        "└── workflows         running\n"
        "    └── looking_up    running\n"
        "        ├── shout     running                        0\n"
        "        └── look_up   running                     2  0 of 2\n"
        "            ConnectionError: not yet\n"
        "1 of 1 run completed; "
    )


@pytest.mark.usefixtures("virtual_time")
def test_a_step_that_is_down_is_told_with_what_broke_it(
    command: Command, flow: Flow
) -> None:
    said = command("run", flow("never_there"), "-", "--tree", stdin='"a"\n')

    assert said.code == 1
    assert "└── never_there  down                        3  0\n" in said.err
    # There is no terminal that it would have to fit in.
    assert f"    ConnectionError:{' never' * 20}\n" in said.err


def on_a_terminal(*words: str) -> tuple[int, str]:
    """Call the command with a terminal as its standard error; return all it drew."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*UNDERSTUDY, *words],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
    ) as process:
        os.close(theirs)
        drawn = b""
        # A terminal whose other end is closed says so with an error.
        try:
            while piece := os.read(ours, 65536):
                drawn += piece
        except OSError:
            pass
        os.close(ours)
        code = process.wait(timeout=60)
    return code, drawn.decode()


def test_on_a_terminal_the_tree_stands_above_the_bar_in_colours(
    flow: Flow, tmp_path: Path
) -> None:
    given = tmp_path / "in.jsonl"
    given.write_text('"a"\n')
    given_and_taken = (str(given), "-o", f"{tmp_path}/out.jsonl", "--overwrite")

    code, drawn = on_a_terminal("run", flow("looking_up"), *given_and_taken, "--tree")
    _, without = on_a_terminal("run", flow("shouting"), *given_and_taken)

    assert code == 0, drawn
    assert "\x1b[33mbacking off, " in drawn
    last = CONTROL.sub("", drawn).split("state    ")[-1].splitlines()
    assert [line.split()[0] for line in last[1:9]] == [
        "root",
        "├──",
        "└──",
        "└──",
        "├──",
        "└──",
        "ConnectionError:",
        "━━━━━━━━━━━━━━━━━━━━━━━━━━━━",
    ]
    assert last[9].startswith("1 of 1 run completed; ")
    assert "watchdog" not in without
    assert "━━━━" in without


def test_nothing_is_drawn_over_results_on_the_same_terminal(flow: Flow) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*UNDERSTUDY, "run", flow("plain_text"), "-"],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        process.communicate(b'"ab"\n', timeout=60)
        shown = os.read(ours, 65536).decode()
        os.close(ours)

    assert "━" not in shown
    assert '"value":"ba"' in shown
    assert "1 of 1 run completed" in shown
