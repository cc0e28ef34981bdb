"""Labelled texts from CSV and JSON Lines, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.models.examples import Columns, Example, read_examples
from understudy_protocols.errors import CodecError, ConfigError


def write(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_bytes(content.encode())
    return path


def test_csv_and_json_lines_give_the_same_examples(tmp_path: Path) -> None:
    table = write(
        tmp_path,
        "a.csv",
        '\ufefftext,labels,w\r\n"a, b",x|y,2\r\n"c\nd",z,1\r\ne,,1\r\n',
    )
    lines = write(
        tmp_path,
        "a.jsonl",
        '{"text": "a, b", "labels": ["x", "y"], "w": 2}\n\n'
        '{"text": "c\\nd", "labels": "z", "w": 1.0}\n'
        '{"text": "e", "labels": [], "w": 1}\n',
    )
    wanted = [
        Example("a, b", ("x", "y"), 2.0),
        Example("c\nd", ("z",)),
        Example("e", ()),
    ]
    assert read_examples(table, Columns(weight="w")) == wanted
    assert read_examples(lines, Columns(weight="w")) == wanted


def test_without_a_separator_a_string_is_one_label(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "t,l\nhello,a|b\n")
    columns = Columns("t", "l", separator="")
    assert read_examples(path, columns) == [Example("hello", ("a|b",))]


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("a.txt", "x", ConfigError, r"neither \.csv nor \.jsonl"),
        ("a.csv", "", ConfigError, "has no examples"),
        ("a.jsonl", "\n\n", ConfigError, "has no examples"),
        ("a.csv", "txt,labels\na,b\n", ConfigError, "line 2: nothing in column 'text'"),
        ("a.csv", "text,labels\na\n", ConfigError, "nothing in column 'labels'"),
        ("a.jsonl", '{"text": "a"\n', CodecError, "line 1: .*must be a JSON object"),
        ("a.jsonl", "[1]\n", CodecError, "line 1: .*must be a JSON object"),
        ("a.jsonl", '{"text": 1, "labels": "a"}', CodecError, "text is not a string"),
        ("a.jsonl", '\n{"text": "a", "labels": [1]}', CodecError, "line 2: the labels"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read_examples(write(tmp_path, name, content), Columns())


@pytest.mark.parametrize("weight", ["none", "0", "-1", "nan", "inf"])
def test_a_weight_that_cannot_be_meant_is_refused(tmp_path: Path, weight: str) -> None:
    path = write(tmp_path, "a.csv", f"text,labels,w\na,b,{weight}\n")
    with pytest.raises(CodecError, match="line 2: the weight"):
        read_examples(path, Columns(weight="w"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.csv cannot be read"):
        read_examples(tmp_path / "none.csv", Columns())
    path = tmp_path / "latin.csv"
    path.write_bytes(b"text,labels\ncaf\xe9,a\n")
    with pytest.raises(CodecError, match="not UTF-8"):
        read_examples(path, Columns())
