"""What came of looking through a journal, on a terminal."""

from __future__ import annotations

from typing import TextIO

from rich.table import Table
from rich.text import Text

from understudy.cli.runs.screen import console_for
from understudy.cli.runs.values import printable
from understudy.journal.verifying import Verified


def report_text(path: str, found: Verified, file: TextIO) -> str:
    """Return a report as it is to be written to *file*."""
    console = console_for(file)
    with console.capture() as captured:
        if found.problems:
            table = Table(box=None, pad_edge=False, header_style="dim")
            table.add_column("where", no_wrap=True)
            table.add_column("what is wrong", overflow="fold")
            for problem in found.problems:
                table.add_row(
                    Text(printable(problem.where)),
                    Text(printable(problem.detail), "red"),
                )
            console.print(table)
        console.print(Text(_summary(path, found)), soft_wrap=True)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _summary(path: str, found: Verified) -> str:
    wrong = len(found.problems)
    told = "1 problem" if wrong == 1 else f"{wrong:,} problems"
    looked = (
        f"{path}: {found.runs:,} runs, {found.records:,} records, "
        f"{found.blobs:,} large values"
    )
    said = [f"{looked}; {told if wrong else 'nothing is wrong'}"]
    if found.spare:
        said.append(
            f"{found.spare:,} large values belong to no run; `runs prune` deletes them"
        )
    if found.unsafe:
        said.append(
            f"{found.unsafe:,} pages belong to a write that was never done; they are "
            "dropped when the journal is opened"
        )
    return "\n".join(said)
