"""The words that several commands have in common."""

from __future__ import annotations

from typing import Annotated

import typer

WorkflowArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODULE_OR_FILE:WORKFLOW",
        help="Where the workflow is: package.module:name or path/file.py:name.",
    ),
]

ModelsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.toml|MODULE_OR_FILE:NAME",
        help="A file that describes models, or a mapping from names to models, or a "
        "function that returns one; by default `models` beside the workflow, if it "
        "is there.",
    ),
]

ModelsFileOption = Annotated[
    str | None,
    typer.Option(
        "--models",
        metavar="FILE.toml",
        help="The file that describes models; understudy.toml if not given.",
    ),
]

DepsOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE_OR_FILE:NAME",
        help="What steps get as attempt.deps, or a function that returns it; "
        "by default `deps` beside the workflow, if it is there.",
    ),
]
