"""The command line as a process of its own: signals, limits, pipes, import."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Flow = Callable[[str], str]
UNDERSTUDY = (sys.executable, "-m", "understudy")


def test_ctrl_c_keeps_what_is_finished_and_says_how_much_was_not_run(
    flow: Flow, tmp_path: Path
) -> None:
    given, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    # The first hangs, and holds back those that are finished after it.
    given.write_text("".join(f"{n}\n" for n in (3, 0, 1, 2, 4, 5, 6, 7, 8, 9)))
    words = ["run", flow("hang_after_three"), str(given), "-o", str(out)]

    with subprocess.Popen(
        [*UNDERSTUDY, *words, "--concurrency", "2"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        # Both that can be under way hang, so the first three are finished.
        assert [process.stderr.readline() for _ in range(2)] == ["hanging\n"] * 2
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert err == (
        f"understudy: interrupted: 3 runs finished (kept in {out}), 7 not run\n"
    )
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["line"], line["value"]) for line in lines] == [(2, 0), (3, 1), (4, 2)]


@pytest.fixture
def ctrl_c_heard() -> Iterator[None]:
    """Let processes hear Ctrl-C, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_heard")
def test_ctrl_c_before_anything_was_run_is_told_too(tmp_path: Path) -> None:
    slow, given = tmp_path / "slow.py", tmp_path / "in.jsonl"
    slow.write_text(
        "import sys, time\nprint('loading', file=sys.stderr, flush=True)\ntime.sleep(60)\n"
    )
    given.write_text("1\n")

    with subprocess.Popen(
        [*UNDERSTUDY, "run", f"{slow}:flow", str(given)],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert err == "understudy: interrupted before anything was run\n"


def test_a_pipe_that_says_nothing_does_not_keep_ctrl_c_from_working(
    flow: Flow, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    words = ["run", flow("hang_after_three"), "-", "-o", str(out)]

    with subprocess.Popen(
        [*UNDERSTUDY, *words],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write("1\n3\n")
        process.stdin.flush()
        assert process.stderr.readline() == "hanging\n"
        process.send_signal(signal.SIGTERM)
        err = process.stderr.read()
        process.wait(timeout=60)

    assert process.returncode == 143
    assert "terminated: 1 run finished" in err
    assert "1 not run, the rest of the input not read" in err
    assert json.loads(out.read_text())["value"] == 1


def test_a_file_at_its_limit_ends_with_a_whole_line_and_the_rest_is_elsewhere(
    flow: Flow, tmp_path: Path
) -> None:
    given, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    given.write_text("".join(f"{n}\n" for n in range(200)))
    limit = 20_000

    ended = subprocess.run(
        [*UNDERSTUDY, "run", flow("big"), str(given), "-o", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
        env={"TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )

    assert ended.returncode == 1
    assert f"cannot write to {out} (File too large)" in ended.stderr
    assert "Traceback" not in ended.stderr
    content = out.read_bytes()
    assert content.endswith(b"\n")
    assert limit - 3_000 < len(content) <= limit
    lines = [json.loads(line)["line"] for line in content.splitlines()]
    assert lines == list(range(1, len(lines) + 1))
    # The limit holds for the file of the rest as well, which then is not left half.
    assert f"({len(lines)} kept in {out}, " in ended.stderr
    assert " lost)" in ended.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", "out.jsonl"}


def test_version_and_help_say_so_without_the_progress_bar_being_loaded() -> None:
    code = (
        "import sys; from understudy.cli.main import main; "
        "assert main(['--version']) == 0 and main([]) == 0; "
        "sys.exit('rich' in sys.modules)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("understudy 0.")
    assert "Usage: understudy" in ended.stdout
