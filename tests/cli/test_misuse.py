"""A mistake in the call: exit code 2, one sentence, nothing run or emptied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
Flow = Callable[[str], str]


def refused(said: Any) -> str:
    """Return the one sentence of a call that was refused."""
    assert said.code == 2, said
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("understudy: ")
    return str(said.err).removeprefix("understudy: ").strip()


@pytest.mark.parametrize(
    ("workflow", "sentence"),
    [
        ("shuting", "there is no workflow shuting in {file}; did you mean shouting?"),
        ("qqq", "there is no workflow qqq in {file}; name one of: shouting, "),
        ("no_workflow", "no_workflow in {file} is an int and no workflow; name one of"),
        ("wrong", "measure: needs 'shout', which runs later"),
    ],
)
def test_what_is_no_workflow_is_refused_with_what_there_is(
    command: Command, flow: Flow, workflow: str, sentence: str
) -> None:
    file = flow("").removesuffix(":")

    told = refused(command("run", flow(workflow), "-", stdin=""))

    assert told.startswith(sentence.format(file=file))


def test_a_file_without_a_name_is_told_what_to_write(
    command: Command, flow: Flow
) -> None:
    file = flow("").removesuffix(":")

    told = refused(command("run", file, "-", stdin=""))

    assert told.startswith(f"{file} names no workflow; write {file}:NAME with one of")


def test_a_missing_file_module_or_input_is_named(
    command: Command, flow: Flow, tmp_path: Path
) -> None:
    nowhere = f"{tmp_path}/nowhere"

    assert refused(command("run", f"{nowhere}.py:x", "-")) == (
        f"there is no file {nowhere}.py"
    )
    assert refused(command("run", "user_nowhere.deep:x", "-")).startswith(
        "there is no module user_nowhere.deep; "
    )
    assert refused(command("run", flow("shouting"), nowhere)) == (
        f"there is no input file {nowhere}"
    )
    assert refused(command("run", flow("shouting"), str(tmp_path))).startswith(
        f"{tmp_path} is a directory"
    )


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("x = 1 / 0\n", "ZeroDivisionError: division by zero ({file}, line 1)"),
        ("import user_nothing\n", "ModuleNotFoundError: No module named"),
        ("def f(:\n", "SyntaxError: "),
        ("from understudy import step\n@step\ndef f(context): ...\n", "step 'f'"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told_in_one_sentence(
    command: Command, tmp_path: Path, code: str, sentence: str
) -> None:
    file = tmp_path / "user_broken.py"
    file.write_text(code)

    told = refused(command("run", f"{file}:x", "-"))

    assert sentence.format(file=file) in told


def test_results_that_are_there_are_not_overwritten(
    command: Command, flow: Flow, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("precious")

    told = refused(command("run", flow("shouting"), "-", "-o", str(out), stdin=""))

    assert told == (
        f"{out} exists already; give --overwrite to replace it, or another name"
    )
    assert out.read_text() == "precious"


def test_the_input_is_never_the_output(
    command: Command, flow: Flow, tmp_path: Path
) -> None:
    both = tmp_path / "both.jsonl"
    both.write_text('"a"\n')

    told = refused(
        command("run", flow("shouting"), str(both), "-o", str(both), "--overwrite")
    )

    assert "is the input itself" in told
    assert both.read_text() == '"a"\n'


def test_an_output_in_no_folder_is_named(
    command: Command, flow: Flow, tmp_path: Path
) -> None:
    out = tmp_path / "no" / "out.jsonl"

    told = refused(command("run", flow("shouting"), "-", "-o", str(out), stdin=""))

    assert told == f"cannot write {out}: No such file or directory"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--concurrency", "0"], "Invalid value for '--concurrency'"),
        (["--deadline", "-1"], "Invalid value for '--deadline'"),
        (["--deadline", "inf"], "--deadline is inf"),
        (["--max-cost", "inf"], "--max-cost is inf"),
        (["--order", "random"], "Invalid value for '--order'"),
        (["--speed", "3"], "No such option"),
        (["--models", "understudy.nothing:x"], "there is no module understudy.nothing"),
        (["--models", "understudy:step"], "understudy:step is a function with arg"),
        (["--deps", "understudy"], "understudy names nothing; write understudy:NAME"),
    ],
)
def test_an_option_that_cannot_be_meant_is_named(
    command: Command, flow: Flow, tmp_path: Path, words: list[str], sentence: str
) -> None:
    out = tmp_path / "out.jsonl"

    told = refused(
        command("run", flow("shouting"), "-", "-o", str(out), *words, stdin="")
    )

    assert told.startswith(sentence)
    assert not out.exists()


def test_deps_of_the_wrong_type_are_refused_before_anything_runs(
    command: Command, flow: Flow, tmp_path: Path
) -> None:
    (tmp_path / "user_deps.py").write_text("number = 3\n")

    told = refused(
        command("run", flow("greet"), "-", "--deps", f"{tmp_path}/user_deps.py:number")
    )

    assert told.startswith("a step of greet takes str as its deps")


def test_a_header_with_a_column_twice_stops_the_job(
    command: Command, flow: Flow, tmp_path: Path
) -> None:
    table = tmp_path / "twice.csv"
    table.write_text("a,a\n1,2\n")

    said = command("run", flow("anything"), str(table))

    assert said.code == 2
    assert "the header has two columns called 'a'" in said.err
    assert said.err.count("\n") == 1


def test_an_unknown_command_is_named(command: Command) -> None:
    assert refused(command("rnu")).startswith("No such command 'rnu'")


def test_a_drawing_of_an_unknown_kind_is_refused(command: Command, flow: Flow) -> None:
    told = refused(command("draw", flow("shouting"), "-o", "picture.bmp"))

    assert told == "picture.bmp is neither .svg nor .mmd; give it one of these"
