"""The commands ``understudy runs ...``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from understudy.cli.exits import EXIT_FAILED, EXIT_UNREAD, say
from understudy.cli.plain import json_line
from understudy.cli.reading import words_given
from understudy.cli.runs.ages import MICROS, age_micros
from understudy.cli.runs.asking import ask_owner
from understudy.cli.runs.differences import differences, figures, sameness
from understudy.cli.runs.facts import run_facts, story_facts
from understudy.cli.runs.opened import (
    JournalOption,
    RunArgument,
    found_run,
    journal_named,
    opened,
    told_story,
)
from understudy.cli.runs.values import printable
from understudy.cli.writing import open_output, print_out, write_lines
from understudy.journal.exporting import export_lines
from understudy.journal.lock import at_work
from understudy.journal.pruning import prune as pruned
from understudy.journal.reader import SqliteReader
from understudy.journal.sealing import new_key
from understudy.journal.verifying import verify as verified
from understudy_protocols.errors import SetupError
from understudy_protocols.journal import StoredRun
from understudy_protocols.outcomes import RunStatus

WAIT = 5.0
"""How long a command waits for what it asked, unless it is told; seconds."""

runs_commands: typer.Typer = typer.Typer(
    no_args_is_help=True, help="What a journal holds, and what is asked of it."
)

StatusOption = Annotated[
    list[RunStatus] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="Only those that are queued, running, waiting, paused, held, completed, "
        "failed, cancelled or expired; may be repeated.",
    ),
]
WorkflowOption = Annotated[
    str | None, typer.Option("--workflow", metavar="NAME", help="Only those of it.")
]
OlderOption = Annotated[
    str | None,
    typer.Option(
        "--older-than", metavar="AGE", help="Only those accepted before: 12h, 30d."
    ),
]
NewerOption = Annotated[
    str | None,
    typer.Option("--newer-than", metavar="AGE", help="Only those accepted since."),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON, for other programs.")
]
WaitOption = Annotated[
    float,
    typer.Option(
        min=0.0, metavar="SECONDS", help="How long to wait for what comes of it."
    ),
]


@runs_commands.command("list")
def list_runs(
    journal: JournalOption = None,
    status: StatusOption = None,
    workflow: WorkflowOption = None,
    older_than: OlderOption = None,
    newer_than: NewerOption = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="How many are shown; 30, and all of them as JSON."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, the newest first.

    As JSON they are lines in the order of their acceptance.

    Exit code: 0, 1 if one that is shown is damaged, 2 if the call is wrong.
    """
    troubles: list[str] = []
    damaged = troubles.append
    with opened(journal) as reader:
        runs = _chosen(reader, status, workflow, older_than, newer_than, damaged)
        if as_json:
            for run in islice(runs, limit):
                print_out(json_line(run_facts(run)).decode())
        else:
            # Heavy, and of no use to other programs.
            from understudy.cli.runs.listing import runs_text

            story_of = partial(told_story, reader)
            most = limit or 30
            print_out(runs_text(runs, most, _now(), story_of, damaged, sys.stdout))
    for trouble in troubles:
        say(f"understudy: {trouble}")
    raise typer.Exit(EXIT_FAILED if troubles else 0)


@runs_commands.command()
def show(
    run: RunArgument,
    journal: JournalOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Fold nothing, however many steps there are.")
    ] = False,
    values: Annotated[
        bool, typer.Option("--values", help="Show what each step gave.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a run over time.

    Its steps with attempts, waits and costs, and what stands in its way.  Made from its records alone: nothing of the workflow's code is needed.
    """
    with opened(journal) as reader:
        found = found_run(reader, run)
        story = told_story(reader, found)
    if as_json:
        print_out(json_line(story_facts(found, story)).decode())
        return
    # Heavy, and of no use to other programs.
    from understudy.cli.runs.showing import run_text

    print_out(
        run_text(
            found,
            story,
            sys.stdout,
            journal=journal,
            holder=at_work(journal_named(journal)),
            folded=not every,
            values=values,
        )
    )


@runs_commands.command()
def answer(
    run: RunArgument,
    pause: Annotated[
        str, typer.Argument(metavar="PAUSE", help="Its name, path or key.")
    ],
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE", help="As JSON, or a text; - is standard input."
        ),
    ],
    journal: JournalOption = None,
    wait: WaitOption = WAIT,
) -> None:
    """Answer a pause; the first answer counts."""
    body = {"pause": pause, "value": _given(value)}
    ask_owner(journal, run, "answer", body, wait)


@runs_commands.command()
def cancel(
    run: RunArgument, journal: JournalOption = None, wait: WaitOption = WAIT
) -> None:
    """Cancel a run that is not over."""
    ask_owner(journal, run, "cancel", {}, wait)


@runs_commands.command()
def resume(
    run: RunArgument, journal: JournalOption = None, wait: WaitOption = WAIT
) -> None:
    """Let a run go on that was left for later."""
    ask_owner(journal, run, "resume", {}, wait)


@runs_commands.command()
def retry(
    run: RunArgument, journal: JournalOption = None, wait: WaitOption = WAIT
) -> None:
    """Let a held run go on, or begin a failed one again.

    The second is a new run, which has what RUN had done before it failed.
    """
    ask_owner(journal, run, "retry", {}, wait)


@runs_commands.command()
def fork(
    run: RunArgument,
    step: Annotated[
        str,
        typer.Option(
            "--from", metavar="STEP", help="The first step that is run again."
        ),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=JSON",
            help="Another value for a step before it, - for that of standard input; "
            "may be repeated.",
        ),
    ] = None,
    new_id: Annotated[
        str | None,
        typer.Option("--id", metavar="NEW", help="Of the new run; else one is drawn."),
    ] = None,
    journal: JournalOption = None,
    wait: WaitOption = WAIT,
) -> None:
    """Begin a new run that has what RUN had done before a step."""
    body: dict[str, object] = {
        "from": step,
        "set": dict(map(_change, changes or ())),
        "id": new_id,
    }
    ask_owner(journal, run, "fork", body, wait)


@runs_commands.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="The id of a run.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The id of another one.")],
    journal: JournalOption = None,
) -> None:
    """Say in what two runs differ.

    In their input, in what their steps gave and decided, in how they ended; what is
    sensitive is not compared.

    Exit code: 0 if they are the same, 1 if they differ, 2 if the call is wrong.
    """
    with opened(journal) as reader:
        one, other = found_run(reader, a), found_run(reader, b)
        stories = told_story(reader, one), told_story(reader, other)
    found = list(differences(one, stories[0], other, stories[1]))
    told = found or [sameness(*stories)]
    lines = [f"{one.run_id} | {other.run_id}", *told, figures(*stories)]
    print_out("".join(f"{printable(line)}\n" for line in lines))
    raise typer.Exit(EXIT_FAILED if found else 0)


@runs_commands.command()
def prune(
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="AGE", help="How long ago they ended: 12h, 30d."
        ),
    ],
    journal: JournalOption = None,
) -> None:
    """Delete runs that ended long ago."""
    path = journal_named(journal)
    gone = pruned(path, _now() - age_micros("--older-than", older_than))
    print_out(
        f"{gone.runs:,} runs deleted from {path}, with {gone.records:,} records and "
        f"{gone.blobs:,} large values\n"
    )


@runs_commands.command()
def verify(journal: JournalOption = None, as_json: JsonOption = False) -> None:
    """Look through a journal for what is damaged or missing.

    Exit code: 0 if nothing is wrong, 1 if something is, 2 if it is no journal.
    """
    path = journal_named(journal)
    found = verified(path)
    if as_json:
        print_out(json_line(msgspec.to_builtins(found)).decode())
    else:
        # Heavy, and of no use to other programs.
        from understudy.cli.runs.report import report_text

        print_out(report_text(path, found, sys.stdout))
    raise typer.Exit(EXIT_FAILED if found.problems else 0)


@runs_commands.command()
def export(
    journal: JournalOption = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="OUT.jsonl", help="- is standard output."
        ),
    ] = "-",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT if it is there.")
    ] = False,
    status: StatusOption = None,
    workflow: WorkflowOption = None,
    older_than: OlderOption = None,
    newer_than: NewerOption = None,
) -> None:
    """Write runs with all their records as JSON lines.

    Exit code: 0, 1 if one is damaged and therefore left out, 2 if the call is wrong.
    """
    troubles: list[str] = []
    damaged = troubles.append
    path = journal_named(journal)
    with SqliteReader(path) as reader:
        runs = _chosen(reader, status, workflow, older_than, newer_than, damaged)
        with Path(path).open("rb") as source:
            out = open_output(output, overwrite=overwrite, source=source.fileno())
        count = 0
        for line in export_lines(reader, runs, damaged):
            _, error = write_lines(out.fd, [line])
            if isinstance(error, BrokenPipeError):
                raise typer.Exit(EXIT_UNREAD)
            if error is not None:
                raise SetupError(f"cannot write {out.name}: {error.strerror}")
            count += 1
    written = "1 run" if count == 1 else f"{count:,} runs"
    for trouble in troubles:
        say(f"understudy: {trouble}")
    left_out = f"; {len(troubles):,} cannot be read" if troubles else ""
    say(f"{written} written to {out.name}{left_out}")
    raise typer.Exit(EXIT_FAILED if troubles else 0)


@runs_commands.command("new-key")
def key() -> None:
    """Make a key for what is sensitive in a journal.

    It is to stand in the environment variable UNDERSTUDY_JOURNAL_KEY.
    """
    print_out(f"{new_key()}\n")


def _chosen(
    reader: SqliteReader,
    statuses: list[RunStatus] | None,
    workflow: str | None,
    older_than: str | None,
    newer_than: str | None,
    damaged: Callable[[str], None] | None = None,
) -> Iterator[StoredRun]:
    now = _now()
    before = (
        None if older_than is None else now - age_micros("--older-than", older_than)
    )
    since = None if newer_than is None else now - age_micros("--newer-than", newer_than)
    return reader.runs(
        statuses=statuses or (),
        workflow=workflow,
        created_from=since,
        created_before=before,
        damaged=damaged,
    )


def _now() -> int:
    return int(time.time() * MICROS)


def _given(word: str) -> object:
    """Return what *word* is as JSON, or itself; of standard input for ``-``."""
    # The words of a command are in the shell's history, and other users see them.
    text = words_given(word).removesuffix("\n")
    with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        return msgspec.json.decode(text)
    return text


def _change(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise SetupError(f"--set is {text!r}; give NAME=JSON")
    return name, _given(value)
