"""The terminal, or what stands for one."""

from __future__ import annotations

import os
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console

from understudy_protocols.outcomes import RunStatus

STYLES = {
    RunStatus.COMPLETED: "green",
    RunStatus.FAILED: "bold red",
    RunStatus.EXPIRED: "red",
    RunStatus.CANCELLED: "dim",
    RunStatus.PAUSED: "yellow",
    RunStatus.HELD: "bold yellow",
}
"""How a status is shown; others plainly."""

_WIDTH_OF_A_FILE = 100


def console_for(file: TextIO) -> Console:
    """Return what draws for *file*, as wide as it or ``COLUMNS`` says."""
    fixed = not file.isatty() and "COLUMNS" not in os.environ
    return Console(
        file=file, highlight=False, width=_WIDTH_OF_A_FILE if fixed else None
    )


def cut_front(text: str, width: int) -> str:
    """Return *text* in exactly so many characters; its beginning may be left out."""
    while cell_len(text) > width:
        text = f"…{text[cell_len(text) - width + 2 :]}"
    return set_cell_size(text, width)
