"""Makes the demo's data from the data sets; nobody who runs the demo needs it.

``python -m understudy.demo.prepare SOURCE_DIR [-o OUTPUT_DIR]`` chooses the
messages, fits the classifiers on other rows, counts how far the tiers can be
trusted, writes all of it, and prints the figures of ``docs/demo-data.md``.
SOURCE_DIR holds ``banking77_train.csv``, ``nlupp_banking_dev.jsonl`` and
``nlupp_hotels_dev.jsonl``.  Fitting needs scikit-learn.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import msgspec

from understudy.demo.choose import Row, choose, digest, fitting_rows, row
from understudy.demo.labels import Dataset
from understudy.demo.messages import MESSAGES, Message, encode_messages
from understudy.demo.rules import verdict
from understudy.demo.tiers import LARGE, SMALL, TRUST, decode, labels_of
from understudy.demo.trust import (
    ASKED,
    Judged,
    Trust,
    count_verdicts,
    lowest_threshold,
)
from understudy.models.examples import Example
from understudy.models.fitting import FitOptions, Fitted, fit
from understudy.models.linear import Classification
from understudy.models.weights import write_weights
from understudy_protocols.errors import ConfigError, UnderstudyError

NLUPP_WEIGHT = 3.0
"""Weight of a row of NLU++: with it the two data sets count about as much in
fitting as they do among the messages, half and half."""

SMALL_OPTIONS = FitOptions(max_features=1_300, pairs=False, looseness=10.0)
LARGE_OPTIONS = FitOptions(max_features=7_800, looseness=60.0)


class _NluppLine(msgspec.Struct):
    text: str
    intents: tuple[str, ...] = ()


@attrs.frozen
class Prepared:
    """All that the demo ships, before it is written."""

    messages: tuple[Row, ...]
    fitted_on: tuple[Row, ...]
    small: Fitted
    large: Fitted
    trust: Trust


def read_rows(source: Path) -> tuple[Row, ...]:
    """Return all rows of the three files in the folder *source*.

    Raises:
      ConfigError: a file is missing or is not what it should be.
    """
    try:
        return (
            *_banking77(source / "banking77_train.csv"),
            *_nlupp(Dataset.NLUPP_BANKING, source / "nlupp_banking_dev.jsonl"),
            *_nlupp(Dataset.NLUPP_HOTELS, source / "nlupp_hotels_dev.jsonl"),
        )
    except (OSError, KeyError, msgspec.DecodeError) as error:
        raise ConfigError(f"{source} does not hold the data sets: {error}") from error


def prepare(rows: Sequence[Row]) -> Prepared:
    """Choose the messages, fit on the others, and count the tiers' trust."""
    messages = choose(rows)
    others = fitting_rows(rows, messages)
    examples = [_example(each) for each in others]
    small = fit(examples, SMALL_OPTIONS)
    large = fit(examples, LARGE_OPTIONS)
    return Prepared(messages, others, small, large, _trust(others, small.judged))


def write(prepared: Prepared, output: Path) -> None:
    """Write the four files of *prepared* into the folder *output*."""
    messages = [
        Message(each.id, each.text, each.dataset, each.intents, each.gold)
        for each in prepared.messages
    ]
    (output / MESSAGES).write_bytes(encode_messages(messages))
    (output / SMALL).write_bytes(write_weights(prepared.small.weights))
    (output / LARGE).write_bytes(write_weights(prepared.large.weights))
    trust = msgspec.json.format(msgspec.json.encode(prepared.trust), indent=1)
    (output / TRUST).write_bytes(trust + b"\n")


def _banking77(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as lines:
        for line in csv.DictReader(lines):
            yield row(Dataset.BANKING77, line["text"], (line["category"],))


def _nlupp(dataset: Dataset, path: Path) -> Iterator[Row]:
    for line in msgspec.json.Decoder(_NluppLine).decode_lines(path.read_bytes()):
        yield row(dataset, line.text, line.intents)


def _weight(each: Row) -> float:
    return 1.0 if each.dataset is Dataset.BANKING77 else NLUPP_WEIGHT


def _example(each: Row) -> Example:
    labels = labels_of(each.gold.categories, each.gold.urgency)
    return Example(each.text, labels, _weight(each))


def _trust(rows: Sequence[Row], judged: Sequence[Classification]) -> Trust:
    """Count the rules' verdicts, then let the small tier answer what is left."""
    verdicts = [verdict(each.text) for each in rows]
    answers = [
        (
            found.name,
            (found.categories, found.urgency)
            == (each.gold.categories, each.gold.urgency),
            _weight(each),
        )
        for each, found in zip(rows, verdicts, strict=True)
        if found
    ]
    known = dict(count_verdicts(answers))
    by_rules = [
        Judged(known[name], right, weight)
        for name, right, weight in answers
        if name in known
    ]
    rules_accept = lowest_threshold(by_rules, ASKED)
    by_small = [
        Judged(
            said.confidence,
            decode(said) == (each.gold.categories, each.gold.urgency),
            _weight(each),
        )
        for each, found, said in zip(rows, verdicts, judged, strict=True)
        if found is None or known.get(found.name, 0.0) < rules_accept
    ]
    return Trust(
        verdicts=known,
        rules_accept=rules_accept,
        small_accept=round(lowest_threshold(by_small, ASKED), 3),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, or 2 with one sentence why not."""
    parser = argparse.ArgumentParser(
        prog="python -m understudy.demo.prepare",
        description="Make the demo's data from the data sets.",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE_DIR")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).parent / "data"
    )
    parser.add_argument(
        "--digests", type=Path, help="also write digests of all texts fitted on"
    )
    given = parser.parse_args(arguments)
    try:
        prepared = prepare(read_rows(given.source))
        write(prepared, given.output)
        if given.digests:
            digests = sorted({digest(each.words) for each in prepared.fitted_on})
            given.digests.write_text("\n".join(digests) + "\n")
    except (UnderstudyError, OSError) as error:
        sys.stderr.write(f"prepare: {error}\n")
        return 2
    sys.stdout.write(_report(prepared))
    return 0


def _report(prepared: Prepared) -> str:
    lines = [
        f"{len(prepared.messages)} messages, {len(prepared.fitted_on)} rows fitted on",
        "held out, by cross-validation on the rows fitted on:",
    ]
    for name, fitted in (("small", prepared.small), ("large", prepared.large)):
        held_out = fitted.held_out
        lines.append(
            f"  {name}: all right {held_out.exact:.1%}, micro F1 "
            f"{held_out.micro_f1:.1%}, most sure half {held_out.confident_half:.1%}, "
            f"mean confidence {held_out.mean_confidence:.1%}"
        )
    trust = prepared.trust
    lines.append(
        f"accepted from: rules {trust.rules_accept:.3f} "
        f"({len(trust.verdicts)} verdicts), small {trust.small_accept:.3f}"
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
