"""Asking something of the process that executes a journal's runs."""

from __future__ import annotations

import time
from collections.abc import Mapping

import typer

from understudy.cli.continuing import REFUSED
from understudy.cli.exits import EXIT_FAILED, harmless, say
from understudy.cli.plain import json_line
from understudy.cli.runs.opened import found_run, journal_named
from understudy.cli.writing import print_out
from understudy.journal.lock import at_work
from understudy.journal.reader import SqliteReader

_LOOK_AGAIN = 0.05


def ask_owner(
    journal: str | None, run_id: str, what: str, body: Mapping[str, object], wait: float
) -> None:
    """Ask something about a run, and say what came of it.

    Args:
      what: the kind of request.
      body: what it takes.
      wait: how long to wait for what comes of it; seconds.

    Raises:
      typer.Exit: it was refused.
      SetupError: there is no such run.
      JournalError: the journal cannot be used.
    """
    path = journal_named(journal)
    with SqliteReader(path) as reader:
        run = found_run(reader, run_id)
        number = reader.ask(run.run_id, what, json_line(body))
        outcome = _outcome(reader, path, number, wait)
    if outcome is None:
        holder = at_work(path)
        who = (
            f"nobody executes {path} now: it is done when somebody does"
            if holder is None
            else f"not done within {wait:g} s; {holder} will do it"
        )
        print_out(harmless(f"asked ({what} {run.run_id}); {who}\n"))
    elif outcome.startswith(REFUSED):
        say(f"understudy: {outcome}")
        raise typer.Exit(EXIT_FAILED)
    else:
        print_out(harmless(f"done: {outcome or f'{what} {run.run_id}'}\n"))


def _outcome(reader: SqliteReader, path: str, number: int, wait: float) -> str | None:
    """Wait for what comes of a request, as long as somebody is there to do it."""
    deadline = time.monotonic() + wait
    while True:
        outcome = reader.outcome(number)
        if outcome is not None or time.monotonic() >= deadline or at_work(path) is None:
            return outcome
        time.sleep(_LOOK_AGAIN)
