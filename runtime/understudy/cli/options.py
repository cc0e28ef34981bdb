"""The words that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.config.files import DEFAULT_FILE
from understudy_protocols.errors import SetupError

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


def models_file(given: str | None, otherwise: str = "") -> str:
    """Return the file that describes models.

    Args:
      given: by the caller; None for the usual one.
      otherwise: what the caller can do without a file, as a clause.

    Raises:
      SetupError: it is to be the usual one, and that is not there.
    """
    if given is None and not Path(DEFAULT_FILE).exists():
        raise SetupError(
            f"there is no {DEFAULT_FILE} here; describe your models in one, name "
            f"another by --models FILE{otherwise}"
        )
    return given or DEFAULT_FILE
