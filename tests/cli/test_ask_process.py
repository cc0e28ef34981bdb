"""``understudy ask`` as a process of its own: signals, and a reader that leaves."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Iterator

import pytest
from model_server import ModelServer, chat, endless, model_server

UNDERSTUDY = (sys.executable, "-m", "understudy")


@pytest.fixture
def asked() -> Iterator[tuple[subprocess.Popen[str], ModelServer]]:
    """A process that shows the pieces of an answer without an end."""
    with model_server() as server:
        server.answers = [endless("piece ", lambda: time.sleep(0.01))]
        words = ["--protocol", "openai", "--base-url", server.url, "--model", "tiny"]
        with subprocess.Popen(
            [*UNDERSTUDY, "ask", "hello", *words, "--stream"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.read(6) == "piece "
            yield process, server


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_ends_an_answer_and_its_connection(
    asked: tuple[subprocess.Popen[str], ModelServer], number: int, code: int
) -> None:
    process, server = asked

    process.send_signal(number)
    out, err = process.communicate(timeout=60)

    assert process.returncode == code
    assert err == "understudy: interrupted\n"
    assert set(out.split()) <= {"piece"}
    assert out.endswith("\n")
    assert server.left.wait(timeout=30)


def test_a_reader_that_leaves_ends_the_answer(
    asked: tuple[subprocess.Popen[str], ModelServer],
) -> None:
    process, server = asked
    assert process.stdout is not None
    assert process.stderr is not None

    process.stdout.close()
    err = process.stderr.read()

    assert process.wait(timeout=60) == 2
    assert err == "understudy: cannot write standard output: Broken pipe\n"
    assert server.left.wait(timeout=30)


@pytest.mark.parametrize("stream", [(), ("--stream",)])
def test_a_terminal_obeys_no_word_of_a_model(stream: tuple[str, ...]) -> None:
    said = "one\u00a0\x1b]0;owned\x07two\x9b31m\tthree\nfour\n"
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with model_server() as server:
        words = ["--protocol", "openai", "--base-url", server.url, "--model", "tiny"]
        command = [*UNDERSTUDY, "ask", "hello", *words, *stream]
        server.answers = [chat(said), chat(said)]
        shown = subprocess.run(command, stdout=theirs, check=True, timeout=60)
        piped = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60)
    os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        # What is left to read when nobody writes any more.
        assert shown.returncode == 0
        told = terminal.read1(10_000).decode()
    assert told == "one\u00a0\ufffd]0;owned\ufffdtwo\ufffd31m\tthree\nfour\n"
    # Another program gets what was said.
    assert piped.stdout.decode() == said
