"""Labelled texts to fit a classifier on, read from a CSV or JSON Lines file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

import attrs
import msgspec

from understudy_protocols.errors import CodecError, ConfigError


@attrs.frozen
class Example:
    """A text and the labels it should get.

    Args:
      labels: each once; none is allowed, and is something to learn too.
      weight: how much it counts in fitting, above 0; 1 is an ordinary example.
    """

    text: str
    labels: tuple[str, ...]
    weight: float = 1.0


@attrs.frozen
class Columns:
    """Where a row has what.

    Args:
      text: name of the column with the text.
      labels: name of the column with the labels: in JSON Lines a string or a
        list of strings, in CSV several are parted by *separator*.
      weight: name of the column with the weight; without one all weigh 1.
      separator: what stands between labels in one string; "" if a string is
        always one label.
    """

    text: str = "text"
    labels: str = "labels"
    weight: str | None = None
    separator: str = "|"


def read_examples(path: Path, columns: Columns) -> list[Example]:
    """Return the examples in the file *path*, in its order.

    Raises:
      ConfigError: the file cannot be read, or is neither ``.csv`` nor
        ``.jsonl``, or has no examples, or lacks a column.
      CodecError: a row is malformed; the sentence names its line.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".jsonl"):
        raise ConfigError(f"{path} is neither .csv nor .jsonl; rename or convert it")
    try:
        content = path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror or error}"
        ) from error
    except UnicodeDecodeError as error:
        raise CodecError(f"{path} is not UTF-8: {error}; convert it first") from error
    rows = _csv_rows(content) if kind == ".csv" else _json_rows(content, path)
    examples = [_example(row, columns, f"{path}, line {at}") for at, row in rows]
    if not examples:
        raise ConfigError(f"{path} has no examples")
    return examples


def _csv_rows(content: str) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.DictReader(StringIO(content, newline=""))
    for row in reader:
        yield reader.line_num, row


def _json_rows(content: str, path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    # Not splitlines(): a text may hold other line ends than the file's own.
    for at, line in enumerate(content.split("\n"), 1):
        if line.strip():
            try:
                yield at, msgspec.json.decode(line, type=dict[str, object])
            except msgspec.DecodeError as error:
                raise CodecError(
                    f"{path}, line {at}: {error}; each line must be a JSON object"
                ) from error


def _example(row: Mapping[str, object], columns: Columns, where: str) -> Example:
    for needed in (columns.text, columns.labels, columns.weight):
        if needed is not None and row.get(needed) is None:
            there = ", ".join(repr(name) for name in row)
            raise ConfigError(
                f"{where}: nothing in column {needed!r}; the row has {there}"
            )
    text = row[columns.text]
    if not isinstance(text, str):
        raise CodecError(f"{where}: the text is not a string")
    labels = _labels(row[columns.labels], columns.separator, where)
    weight = 1.0 if columns.weight is None else _weight(row[columns.weight], where)
    return Example(text, labels, weight)


def _labels(value: object, separator: str, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        named = value.split(separator) if separator else [value]
        return tuple(dict.fromkeys(name.strip() for name in named if name.strip()))
    try:
        listed = msgspec.convert(value, tuple[str, ...])
    except msgspec.ValidationError as error:
        raise CodecError(
            f"{where}: the labels are neither a string nor a list of strings"
        ) from error
    return tuple(dict.fromkeys(listed))


def _weight(value: object, where: str) -> float:
    try:
        weight = msgspec.convert(value, float, strict=False)
    except msgspec.ValidationError as error:
        raise CodecError(f"{where}: the weight is not a number") from error
    if not 0 < weight < float("inf"):
        raise CodecError(f"{where}: the weight is {weight:g}; it must be above 0")
    return weight
