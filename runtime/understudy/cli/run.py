"""The command ``understudy run``."""

from __future__ import annotations

import csv
import math
import os
from enum import Enum
from typing import Annotated, Never, cast

import typer

from understudy.cli.continuing import Continuing
from understudy.cli.inputs import Fit
from understudy.cli.job_spec import JobSpec
from understudy.cli.load import load_deps, load_models, load_workflow
from understudy.cli.options import DepsOption, ModelsOption, WorkflowArgument
from understudy.cli.reading import open_input
from understudy.cli.records import MAX_RECORD
from understudy.cli.running import execute
from understudy.cli.writing import open_output
from understudy.runtime import Runtime
from understudy.workflows.check import check
from understudy_protocols.budget import Budget
from understudy_protocols.errors import SetupError
from understudy_protocols.sensitive import sensitive_fields

MAX_PAUSED = 1_000_000
"""Runs that may wait for a person and keep no other line from being run."""


class HowDurable(Enum):
    """What a run with a journal waits for."""

    STEP = "step"
    ASYNC = "async"


class Order(Enum):
    """The order in which results are written."""

    INPUT = "input"
    DONE = "done"


class InputFormat(Enum):
    """How an input file is written."""

    JSONL = "jsonl"
    CSV = "csv"


def run(
    workflow: WorkflowArgument,
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="A JSONL or CSV file; - is standard input."
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="OUT.jsonl", help="- is standard output."
        ),
    ] = "-",
    concurrency: Annotated[
        int, typer.Option(min=1, help="Lines at work at once.")
    ] = 10,
    deadline: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="SECONDS", help="How long one run may take."),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="USD", help="Cap on the whole job."),
    ] = None,
    max_cost_per_run: Annotated[
        float | None, typer.Option(min=0.0, metavar="USD", help="Cap on one run.")
    ] = None,
    order: Annotated[
        Order,
        typer.Option(
            help="Write results in the order of the inputs, or as they are done."
        ),
    ] = Order.INPUT,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT if it is there.")
    ] = False,
    input_format: Annotated[
        InputFormat | None,
        typer.Option(help="Of INPUT; by its name if not given, else JSONL."),
    ] = None,
    models: ModelsOption = None,
    deps: DepsOption = None,
    journal: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.db",
            help="Write runs down there.  After a crash the same call goes on.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="With --journal: what tells lines apart; by default all they say.",
        ),
    ] = None,
    durability: Annotated[
        HowDurable | None,
        typer.Option(
            help="With --journal: whether a run waits until each step is on the disk "
            "(step, the default), or a crash may repeat the last moments (async)."
        ),
    ] = None,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes",
            help="With --journal: let runs go on although their workflow has changed.",
        ),
    ] = False,
    with_tree: Annotated[
        bool,
        typer.Option(
            "--tree",
            help="Show the supervision tree: all the time on a terminal, else once, "
            "as it was at the end.",
        ),
    ] = False,
) -> None:
    """Run a workflow on every line of a file.

    Writes one JSON line per input line: its run id, status, value, outputs,
    failure, usage and steps.  Each line is made into the workflow's declared
    input type; one that does not fit gets a result line that says so.

    Exit code: 0 if every run completed, 1 if some did not, 2 if the call is
    wrong, 130 after Ctrl-C.

    With --journal the same call goes on where an earlier one was ended, by Ctrl-C
    or a crash: no finished step runs again, and OUT gets what it lacks.
    """
    if journal is None and (
        key is not None or durability is not None or accept_changes
    ):
        raise SetupError("--key, --durability and --accept-changes need --journal")
    # Cells may be documents; what is read is bounded elsewhere.
    csv.field_size_limit(MAX_RECORD)
    target = load_workflow(workflow)
    plan = check(target.workflow)
    csv_wanted = None if input_format is None else input_format is InputFormat.CSV
    given = open_input(source, csv=csv_wanted)
    continuing = _continuing(journal, key, output, overwrite=overwrite)
    # What the steps declare is checked by the runtime, against these very deps.
    runtime = Runtime[Never](
        plan.workflow,
        models=load_models(models, target.module),
        deps=cast("Never", load_deps(deps, target.module)),
        max_runs=concurrency,
        max_paused=MAX_PAUSED,
        budget=_usd("--max-cost", max_cost),
        journal=journal,
        durability=(durability or HowDurable.STEP).value,
        accept_changes=accept_changes,
    )
    fit = Fit(plan.input_type, text=given.text)
    _check_key(plan.input_type, key)
    run_deadline = _finite("--deadline", deadline)
    run_budget = _usd("--max-cost-per-run", max_cost_per_run)
    spec = JobSpec(
        plan=plan,
        source=given,
        # Last: nothing is emptied for a call that turns out to be wrong.
        output=open_output(
            output,
            overwrite=overwrite,
            source=given.fd,
            journaled=journal is not None,
        ),
        fit=fit,
        concurrency=concurrency,
        ordered=order is Order.INPUT,
        deadline=run_deadline,
        budget=run_budget,
        continuing=continuing,
    )
    raise typer.Exit(execute(spec, runtime, with_tree=with_tree))


def _check_key(declared: object, key: str | None) -> None:
    if isinstance(declared, type) and key in sensitive_fields(declared):
        raise SetupError(
            f"--key is {key}, which is sensitive, and would stand in the id of every "
            "run; name another field"
        )


def _continuing(
    journal: str | None, key: str | None, output: str, *, overwrite: bool
) -> Continuing | None:
    if journal is None:
        return None
    if os.path.realpath(journal) == os.path.realpath(output):
        raise SetupError(f"{journal} is the journal; write the results to another file")
    return Continuing(journal, key, keep=not overwrite)


def _usd(option: str, amount: float | None) -> Budget | None:
    usd = _finite(option, amount)
    return None if usd is None else Budget(usd=usd)


def _finite(option: str, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise SetupError(f"{option} is {value}; give a number, or leave it out")
    return value
