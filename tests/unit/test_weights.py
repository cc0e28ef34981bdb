"""Weight files: what is written is read, and what is damaged is refused."""

from __future__ import annotations

import base64
from typing import cast

import msgspec
import pytest

from understudy.models.weights import (
    LinearWeights,
    read_weights,
    whole_numbers,
    write_weights,
)
from understudy_protocols.errors import CodecError

WEIGHTS = LinearWeights(
    labels=("a", "b"),
    one_label=False,
    pairs=True,
    bias=(0.5, -1.0),
    scale=(0.001, 0.01),
    rows={"card": (1, -32_767), "lost card": (32_767, 0), "#words": (0, 5)},
    fitted={"texts": 3, "seed": 0},
)


def changed(**fields: object) -> bytes:
    file = cast(dict[str, object], msgspec.json.decode(write_weights(WEIGHTS)))
    return msgspec.json.encode(file | fields)


def test_what_is_written_is_read_back() -> None:
    assert read_weights(write_weights(WEIGHTS), "w.json") == WEIGHTS


def test_the_format_does_not_change_unnoticed() -> None:
    assert msgspec.json.decode(write_weights(WEIGHTS)) == {
        "format": "understudy.linear",
        "version": 1,
        "features_version": 1,
        "fitted": {"texts": 3, "seed": 0},
        "labels": ["a", "b"],
        "one_label": False,
        "pairs": True,
        "bias": [0.5, -1.0],
        "scale": [0.001, 0.01],
        "vocabulary": ["card", "lost card", "#words"],
        "weights": base64.b64encode(
            b"\x01\x00\x01\x80" + b"\xff\x7f\x00\x00" + b"\x00\x00\x05\x00"
        ).decode(),
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "w.json is not a weight file"),
        (b"\xff\xfe\x00", "w.json is not a weight file"),
        (b"[1, 2]", "w.json is not a weight file"),
        (b'{"format": "x"}', "w.json is not a weight file"),
        (changed(format="pickle"), "format 'pickle', not 'understudy.linear'"),
        (changed(version=2), "version 2, and only version 1 can be read"),
        (changed(features_version=9), "features of version 9"),
        (changed(surprise=1), "unknown field `surprise`"),
        (changed(bias=["a"]), r"`\$\.bias\[0\]`"),
        (changed(bias=[1.0]), "a bias and a scale for each of its 2 labels"),
        (changed(labels=["a", "a"]), "names a label twice"),
        (changed(labels=[]), "has no labels"),
        (changed(vocabulary=["a", "a", "b"]), "names a feature twice"),
        (changed(vocabulary=["a", "b"]), "6 weights where 4 belong"),
        (changed(vocabulary=["a", "b", "c", "d"]), "6 weights where 8 belong"),
        (changed(weights="no base64"), "w.json is not a weight file"),
        (changed(weights="AAAA"), "end inside a number"),
        (changed(weights="\u00e9"), "w.json is not a weight file"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(content: bytes, said: str) -> None:
    with pytest.raises(CodecError, match=said):
        read_weights(content, "w.json")


def test_a_bias_that_is_not_finite_is_refused() -> None:
    content = write_weights(WEIGHTS).replace(b'"bias":[0.5', b'"bias":[1e999')
    with pytest.raises(CodecError):
        read_weights(content, "w.json")


def test_a_file_of_a_newer_version_with_new_fields_is_refused_by_its_version() -> None:
    with pytest.raises(CodecError, match="version 2"):
        read_weights(changed(version=2, more={"x": 1}), "w.json")


def test_weights_are_rounded_to_whole_numbers_of_their_label() -> None:
    scale, rows = whole_numbers([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0]])
    assert [row[0] * scale[0] for row in rows] == pytest.approx([1, -2, 0], abs=1e-4)
    assert [row[1] for row in rows] == [0, 0, 0]
    assert rows[1][0] == -32_767
