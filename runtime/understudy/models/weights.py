"""The weight file of a linear classifier: one JSON object, small and versioned.

``vocabulary`` names the features and ``labels`` the labels.  ``weights`` holds a
row for each feature with a whole number for each label, as base64 of 16-bit
little-endian integers; times the label's ``scale`` they are the weights.  Decimal
fractions would be several times the size; what matters to a reader (labels,
features, how it was fitted) stays readable.
"""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Mapping, Sequence
from math import isfinite

import attrs
import msgspec

from understudy.models.features import VERSION as FEATURES_VERSION
from understudy_protocols.errors import CodecError

FORMAT = "understudy.linear"
VERSION = 1

_LARGEST = 32_767


@attrs.frozen
class LinearWeights:
    """What a linear classifier knows.

    Args:
      labels: what it tells apart, each once, at least one.
      one_label: whether every text has exactly one of the labels; otherwise a
        text may have any number of them, and none too.
      pairs: whether pairs of words are features.
      bias: the score of each label before any feature is seen.
      scale: what a whole-number weight of each label stands for.
      rows: for each feature its whole-number weights, in the order of labels.
      fitted: how it was fitted, for people: not read by the classifier.
    """

    labels: tuple[str, ...]
    one_label: bool
    pairs: bool
    bias: tuple[float, ...]
    scale: tuple[float, ...]
    rows: Mapping[str, tuple[int, ...]] = attrs.field(repr=False)
    fitted: Mapping[str, str | int | float]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    version: int
    features_version: int
    fitted: dict[str, str | int | float]
    labels: tuple[str, ...]
    one_label: bool
    pairs: bool
    bias: tuple[float, ...]
    scale: tuple[float, ...]
    vocabulary: tuple[str, ...]
    weights: str


class _Header(msgspec.Struct, frozen=True):
    format: str
    version: int
    features_version: int


def read_weights(content: bytes, source: str) -> LinearWeights:
    """Return the weights in *content*, the bytes of a weight file.

    Args:
      source: where they come from, for the error's sentence.

    Raises:
      CodecError: *content* is not a weight file, or one of a version that this
        one cannot read, or its parts do not fit together.
    """
    try:
        header = msgspec.json.decode(content, type=_Header)
        if problem := _header_problem(header):
            raise CodecError(f"{source}: {problem}")
        file = msgspec.json.decode(content, type=_File)
        numbers = _unpack(file.weights)
    except (msgspec.DecodeError, ValueError) as error:
        raise CodecError(
            f"{source} is not a weight file of a linear classifier: {error}; "
            "write one with python -m understudy.models.fit_linear"
        ) from error
    if problem := _shape_problem(file, len(numbers)):
        raise CodecError(f"{source}: {problem}; the file is damaged, fit it again")
    width = len(file.labels)
    rows = {
        feature: tuple(numbers[at * width : (at + 1) * width])
        for at, feature in enumerate(file.vocabulary)
    }
    return LinearWeights(
        labels=file.labels,
        one_label=file.one_label,
        pairs=file.pairs,
        bias=file.bias,
        scale=file.scale,
        rows=rows,
        fitted=file.fitted,
    )


def write_weights(weights: LinearWeights) -> bytes:
    """Return the bytes of the weight file for *weights*."""
    numbers = array("h", [each for row in weights.rows.values() for each in row])
    if sys.byteorder == "big":
        numbers.byteswap()
    file = _File(
        format=FORMAT,
        version=VERSION,
        features_version=FEATURES_VERSION,
        fitted=dict(weights.fitted),
        labels=weights.labels,
        one_label=weights.one_label,
        pairs=weights.pairs,
        bias=weights.bias,
        scale=weights.scale,
        vocabulary=tuple(weights.rows),
        weights=base64.b64encode(numbers.tobytes()).decode("ascii"),
    )
    return msgspec.json.encode(file) + b"\n"


def whole_numbers(
    columns: Sequence[Sequence[float]],
) -> tuple[tuple[float, ...], list[tuple[int, ...]]]:
    """Return the scale of each label, and a row of whole numbers per feature.

    Args:
      columns: for each label its weights, one for each feature.
    """
    scales = tuple(
        max((abs(each) for each in column), default=0.0) / _LARGEST or 1.0
        for column in columns
    )
    rounded = [
        [round(each / scale) for each in column]
        for column, scale in zip(columns, scales, strict=True)
    ]
    return scales, list(zip(*rounded, strict=True))


def _unpack(text: str) -> array[int]:
    numbers = array("h")
    content = base64.b64decode(text, validate=True)
    if len(content) % numbers.itemsize:
        raise ValueError("the weights end inside a number")
    numbers.frombytes(content)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _header_problem(header: _Header) -> str | None:
    if header.format != FORMAT:
        return f"this is a file of format {header.format!r}, not {FORMAT!r}"
    if header.version != VERSION:
        return (
            f"this weight file has version {header.version}, and only version "
            f"{VERSION} can be read; fit it again with this release"
        )
    if header.features_version != FEATURES_VERSION:
        return (
            f"it was fitted on features of version {header.features_version}, and "
            f"texts have those of version {FEATURES_VERSION} here; fit it again"
        )
    return None


def _shape_problem(file: _File, numbers: int) -> str | None:
    labels, features = len(file.labels), len(file.vocabulary)
    if not labels:
        return "it has no labels"
    if len(set(file.labels)) != labels:
        return "it names a label twice"
    if len(set(file.vocabulary)) != features:
        return "it names a feature twice"
    if len(file.bias) != labels or len(file.scale) != labels:
        return f"it needs a bias and a scale for each of its {labels} labels"
    if not all(isfinite(each) for each in (*file.bias, *file.scale)):
        return "it has a bias or scale that is not a finite number"
    if numbers != labels * features:
        return f"it has {numbers} weights where {labels * features} belong"
    return None
