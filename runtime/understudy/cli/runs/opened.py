"""The journal that a command is about, opened to be read."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.runs.story import Story, story_of
from understudy.journal.reader import SqliteReader
from understudy_protocols.errors import JournalCorruptError, SetupError
from understudy_protocols.journal import StoredRun
from understudy_protocols.records import Accepted, decode_record

VARIABLE = "UNDERSTUDY_JOURNAL"
DEFAULT = "runs.db"

JournalOption = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="FILE",
        help=f"The journal; by default what {VARIABLE} names, else {DEFAULT} here.",
    ),
]

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run.")]


def journal_named(given: str | None) -> str:
    """Return the path of the journal that is meant.

    Raises:
      SetupError: none is named, and there is none here.
    """
    named = given or os.environ.get(VARIABLE)
    if named:
        return named
    if Path(DEFAULT).exists():
        return DEFAULT
    raise SetupError(
        f"there is no {DEFAULT} here; name the journal with --journal FILE, or in the "
        f"environment variable {VARIABLE}"
    )


@contextmanager
def opened(given: str | None) -> Generator[SqliteReader]:
    """Open the journal that is meant, to read it.

    Raises:
      SetupError: none is named, and there is none here.
      JournalError: it cannot be read.
    """
    with SqliteReader(journal_named(given)) as reader:
        yield reader


def found_run(reader: SqliteReader, run_id: str) -> StoredRun:
    """Return a run of a journal.

    Args:
      run_id: its id, or how it begins if no other one begins so.

    Raises:
      SetupError: there is no such run, or several.
    """
    exactly = reader.find(run_id)
    if exactly is not None:
        return exactly
    # One that is damaged is no reason not to find another.
    runs = reader.runs(damaged=lambda _: None)
    close = [run for run in runs if run.run_id.startswith(run_id)]
    if len(close) == 1:
        return close[0]
    if close:
        shown = ", ".join(run.run_id for run in close[:3])
        more = f" and {len(close) - 3:,} more" if len(close) > 3 else ""
        raise SetupError(f"{run_id} is how several runs begin: {shown}{more}")
    raise SetupError(
        f"there is no run {run_id} in this journal; `understudy runs list` shows them"
    )


def told_story(reader: SqliteReader, run: StoredRun) -> Story:
    """Return what happened in a run.

    Raises:
      JournalError: its records are damaged.
      CodecError: its records are of a later release.
    """
    contents = reader.records(run.row)
    records = [decode_record(content) for content in contents]
    if not records or not isinstance(records[0], Accepted):
        raise JournalCorruptError(
            f"run {run.run_id!r} has no record of how it was accepted; "
            "see what else is wrong with `understudy runs verify`"
        )
    paths: dict[int, str] = {}

    def path_of(node: int) -> str:
        if node not in paths:
            paths[node] = reader.fingerprint(node).decode()
        return paths[node]

    size = sum(map(len, contents))
    return story_of(records[0], records[1:], path_of, reader.blob, size)
