"""The command that fits a linear classifier on a file of labelled texts.

``python -m understudy.models.fit_linear DATA -o WEIGHTS.json`` reads CSV or JSON
Lines, writes the weights, and says how good they are on texts they were not
fitted on.  It needs scikit-learn (``pip install 'understudy[fit]'``); using what
it writes does not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from understudy.models.examples import Columns, read_examples
from understudy.models.fitting import FitOptions, Fitted, fit
from understudy.models.weights import write_weights
from understudy_protocols.errors import UnderstudyError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m understudy.models.fit_linear",
        description="Fit a small text classifier on labelled texts.",
    )
    parser.add_argument("data", type=Path, help="a .csv or .jsonl file")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="WEIGHTS")
    parser.add_argument("--text", default="text", help="column with the text")
    parser.add_argument("--labels", default="labels", help="column with the labels")
    parser.add_argument("--weight", help="column with the weight of a row")
    parser.add_argument("--separator", default="|", help="between labels in a string")
    parser.add_argument("--max-features", type=int, default=5_000)
    parser.add_argument("--words-only", action="store_true", help="no pairs of words")
    parser.add_argument("--looseness", type=float, default=30.0)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, or 2 with one sentence why not."""
    given = _parser().parse_args(arguments)
    columns = Columns(given.text, given.labels, given.weight, given.separator)
    try:
        options = FitOptions(
            max_features=given.max_features,
            pairs=not given.words_only,
            looseness=given.looseness,
            folds=given.folds,
            seed=given.seed,
        )
        fitted = fit(read_examples(given.data, columns), options)
        content = write_weights(fitted.weights)
        given.output.write_bytes(content)
    except (UnderstudyError, OSError, ValueError) as error:
        sys.stderr.write(f"fit_linear: {error}\n")
        return 2
    sys.stdout.write(_report(fitted, given.output, len(content)))
    return 0


def _report(fitted: Fitted, output: Path, size: int) -> str:
    held_out = fitted.held_out
    labels, features = len(fitted.weights.labels), len(fitted.weights.rows)
    return (
        f"{output}: {labels} labels, {features} features, {size / 1000:.0f} kB\n"
        f"held out ({held_out.texts} texts, each judged without itself):\n"
        f"  all labels right   {held_out.exact:.1%}\n"
        f"  micro F1           {held_out.micro_f1:.1%}\n"
        f"  most sure half     {held_out.confident_half:.1%} all right\n"
        f"  mean confidence    {held_out.mean_confidence:.1%}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
