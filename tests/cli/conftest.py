"""Runs the command line inside this process, and gives back what it said."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from understudy.cli.main import main

FLOWS = str(Path(__file__).with_name("flows.py"))


@attrs.frozen
class Said:
    """What a call came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, object]]:
        """The result lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Said]


@pytest.fixture(autouse=True)
def _restored_imports() -> Iterator[None]:
    path = sys.path.copy()
    yield
    sys.path[:] = path
    _forget_flows()


def _forget_flows() -> None:
    """Let the files of workflows be loaded anew, as another process would."""
    for name in list(sys.modules):
        if name.startswith(("flows", "understudy_file_", "user_")):
            del sys.modules[name]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Call the command line with these words, and with *stdin*."""

    def call(*words: str, stdin: str | None = None) -> Said:
        _forget_flows()
        before = os.dup(0)
        if stdin is not None:
            read, write = os.pipe()
            os.write(write, stdin.encode())
            os.close(write)
            os.dup2(read, 0)
            os.close(read)
        try:
            code = main(words)
        finally:
            os.dup2(before, 0)
            os.close(before)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Said(code, out, err)

    return call


@pytest.fixture
def flow() -> Callable[[str], str]:
    """Give the place of a workflow of the file beside this one."""
    return lambda name: f"{FLOWS}:{name}"
