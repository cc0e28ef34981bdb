"""The command ``understudy``: run, draw, demo."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Never, Protocol, cast

import trio
import typer

from understudy.cli.inputs import Fit
from understudy.cli.job import Ended, JobSpec, Show, run_job
from understudy.cli.load import Target, load_deps, load_models, load_workflow
from understudy.cli.reading import open_input
from understudy.cli.records import MAX_RECORD
from understudy.cli.tally import Tally
from understudy.cli.writing import open_output, rescue
from understudy.drawing.mermaid import workflow_mermaid
from understudy.drawing.workflow import workflow_svg
from understudy.runtime import Runtime
from understudy.workflows.check import check
from understudy.workflows.plan import Plan
from understudy_protocols.budget import Budget
from understudy_protocols.chat import Model
from understudy_protocols.errors import SetupError, WorkflowError

EXIT_FAILED = 1
"""Some run did not complete."""

EXIT_MISUSE = 2
"""The call itself is wrong; nothing was run."""

EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells have it."""

app: typer.Typer = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: drawing boxes would cost as much time as all the rest.
    rich_markup_mode=None,
    help="LLM workflows as supervised actors.",
)


class Order(Enum):
    """The order in which results are written."""

    INPUT = "input"
    DONE = "done"


class InputFormat(Enum):
    """How an input file is written."""

    JSONL = "jsonl"
    CSV = "csv"


WorkflowArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODULE_OR_FILE:WORKFLOW",
        help="Where the workflow is: package.module:name or path/file.py:name.",
    ),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit code.

    Args:
      arguments: the words after the command's name; the process's own if None.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code: object = app(
            words or ["--help"], prog_name="understudy", standalone_mode=False
        )
    except SetupError as error:
        _say(f"understudy: {error}")
        return EXIT_MISUSE
    except _UsageError as error:
        _say(f"understudy: {cast('_Told', error).format_message()}")
        return EXIT_MISUSE
    except (KeyboardInterrupt, typer.Abort):
        _say("understudy: interrupted before anything was run")
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


class _Told(Protocol):
    def format_message(self) -> str: ...


# typer has no public name for the base of its errors about options.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"understudy {version('understudy')}")
        raise typer.Exit


@app.callback()
def _common(  # pyright: ignore[reportUnusedFunction]  # typer calls it
    _: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print the version and leave.",
        ),
    ] = False,
) -> None:
    """LLM workflows as supervised actors."""


@app.command()
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
        int, typer.Option(min=1, help="Runs under way at once.")
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
    models: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE_OR_FILE:NAME",
            help="A mapping from names to models, or a function that returns one; "
            "by default `models` beside the workflow, if it is there.",
        ),
    ] = None,
    deps: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE_OR_FILE:NAME",
            help="What steps get as attempt.deps, or a function that returns it; "
            "by default `deps` beside the workflow, if it is there.",
        ),
    ] = None,
) -> None:
    """Run a workflow on every line of a file.

    Writes one JSON line per input line: its run id, status, value, outputs,
    failure, usage and steps.  Each line is made into the workflow's declared
    input type; one that does not fit gets a result line that says so.

    Exit code: 0 if every run completed, 1 if some did not, 2 if the call is
    wrong, 130 after Ctrl-C.
    """
    # Cells may be documents; what is read is bounded elsewhere.
    csv.field_size_limit(MAX_RECORD)
    target = load_workflow(workflow)
    plan = check(target.workflow)
    csv_wanted = None if input_format is None else input_format is InputFormat.CSV
    given = open_input(source, csv=csv_wanted)
    runtime = _runtime(
        plan,
        load_models(models, target.module),
        load_deps(deps, target.module),
        concurrency,
        _usd("--max-cost", max_cost),
    )
    fit = Fit(plan.input_type, text=given.text)
    run_deadline = _finite("--deadline", deadline)
    run_budget = _usd("--max-cost-per-run", max_cost_per_run)
    spec = JobSpec(
        plan=plan,
        source=given,
        # Last: nothing is emptied for a call that turns out to be wrong.
        output=open_output(output, overwrite=overwrite, source=given.fd),
        fit=fit,
        concurrency=concurrency,
        ordered=order is Order.INPUT,
        deadline=run_deadline,
        budget=run_budget,
    )
    raise typer.Exit(_execute(spec, runtime))


@app.command()
def draw(
    workflow: WorkflowArgument,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.svg|.mmd",
            help="Where to; Mermaid on standard output if not given.",
        ),
    ] = None,
) -> None:
    """Draw a workflow, as SVG or as Mermaid text."""
    target = load_workflow(workflow)
    _warn_if_wrong(target)
    if output is None:
        typer.echo(workflow_mermaid(target.workflow), nl=False)
        return
    drawings = {".svg": workflow_svg, ".mmd": workflow_mermaid}
    make = drawings.get(Path(output).suffix.lower())
    if make is None:
        raise SetupError(f"{output} is neither .svg nor .mmd; give it one of these")
    try:
        Path(output).write_text(make(target.workflow), encoding="utf-8")
    except OSError as error:
        raise SetupError(f"cannot write {output}: {error.strerror}") from error


@app.command()
def demo(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where results go."),
    ] = None,
) -> None:
    """Run 200 customer messages through a workflow, with faults injected.

    Needs no key, no server and no network.
    """
    # Heavy: it loads its models, and nothing else needs them.
    from understudy.demo.run import main as run_demo

    raise typer.Exit(run_demo(output))


def _runtime(
    plan: Plan,
    models: Mapping[str, Model] | None,
    deps: object,
    concurrency: int,
    budget: Budget | None,
) -> Runtime[Never]:
    # What the steps declare is checked by the runtime, against these very deps.
    return Runtime(
        plan.workflow,
        models=models,
        deps=cast("Never", deps),
        max_runs=concurrency,
        budget=budget,
    )


def _execute(spec: JobSpec, runtime: Runtime[Never]) -> int:
    interrupted = False
    ended: Ended | None = None
    with _progress() as show:
        try:
            ended = trio.run(run_job, spec, runtime, show)
        except* KeyboardInterrupt:
            interrupted = True
    if ended is None or interrupted:
        _say("understudy: interrupted at once; results not yet written are lost")
        return EXIT_INTERRUPTED
    return _close(spec, ended)


def _close(spec: JobSpec, ended: Ended) -> int:
    """Say how the job ended, and return the exit code."""
    tally = ended.tally
    if ended.misuse:
        _say(f"understudy: {ended.misuse}")
        return EXIT_MISUSE
    if not ended.stopped:
        _say(tally.sentence(ended.elapsed, spec.output.name))
        return EXIT_FAILED if tally.others else 0
    _say(f"understudy: {tally.stopped_sentence(ended.stopped, _kept(spec, ended))}")
    return 128 + ended.signal if ended.signal else EXIT_FAILED


def _kept(spec: JobSpec, ended: Ended) -> str:
    """Say where the finished results are."""
    left = len(ended.unwritten)
    if not left:
        return f"kept in {spec.output.name}"
    written = ended.tally.finished - left
    elsewhere = rescue(ended.unwritten)
    if elsewhere is None:
        return f"{written:,} kept in {spec.output.name}, {left:,} lost"
    return f"{written:,} kept in {spec.output.name}, {left:,} in {elsewhere}"


def _progress() -> AbstractContextManager[Show]:
    if not sys.stderr.isatty():
        return nullcontext(_show_nothing)
    # Heavy, and of no use without a terminal.
    from understudy.cli.progress import progress_bar

    return progress_bar()


def _show_nothing(tally: Tally, part: float | None) -> None:
    del tally, part


def _warn_if_wrong(target: Target) -> None:
    try:
        check(target.workflow)
    except WorkflowError as error:
        _say(f"understudy: this workflow cannot run yet: {error}")


def _usd(option: str, amount: float | None) -> Budget | None:
    usd = _finite(option, amount)
    return None if usd is None else Budget(usd=usd)


def _finite(option: str, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise SetupError(f"{option} is {value}; give a number, or leave it out")
    return value


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
