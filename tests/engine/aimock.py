"""aimock: a server of others, for exact bodies and faults in providers' formats."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ANSWERS = Path(__file__).with_name("aimock_answers.json")
FOLDER_VARIABLE = "UNDERSTUDY_AIMOCK"


def _script() -> Path:
    return Path(os.environ.get(FOLDER_VARIABLE, ""), "dist", "cli.js")


def missing() -> str | None:
    """Return what is missing to start it, in words; None if nothing is."""
    if not shutil.which("node"):
        return "there is no node"
    if os.environ.get(FOLDER_VARIABLE) and _script().is_file():
        return None
    return f"{FOLDER_VARIABLE} does not name the folder of @copilotkit/aimock"


def command() -> list[str]:
    """Return what starts it; with a host, as it has listened more widely before."""
    options = ("--host", "127.0.0.1", "--port", "0", "--strict", "--log-level", "info")
    return ["node", str(_script()), *options, "--fixtures", str(ANSWERS)]
