"""Cutting bytes into records, and records into inputs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.cli.inputs import Fit
from understudy.cli.records import (
    MAX_RECORD,
    CsvRows,
    JsonLines,
    Record,
    RecordParser,
)
from understudy.workflows.hints import UNDECLARED
from understudy.workflows.inputs import InputError
from understudy_protocols.errors import SetupError


def records(parser: RecordParser, content: bytes, cuts: list[int]) -> list[Record]:
    """Feed *content* in pieces."""
    return list(_fed(parser, content, cuts))


def _fed(parser: RecordParser, content: bytes, cuts: list[int]) -> Iterator[Record]:
    ends = sorted({min(cut, len(content)) for cut in cuts} | {len(content)})
    begin = 0
    for end in ends:
        yield from parser.feed(content[begin:end])
        begin = end
    yield from parser.end()


cuts = st.lists(st.integers(0, 200), max_size=8)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
cells = st.lists(
    st.sampled_from(['"', ",", "\n", "a", "é", " ", "\r\n", "x"]), max_size=6
).map("".join)


@given(values=st.lists(st.dictionaries(texts, st.integers())), cuts=cuts)
def test_json_lines_come_back_wherever_the_chunks_are_cut(
    values: list[dict[str, int]], cuts: list[int]
) -> None:
    content = "\n".join(json.dumps(value, ensure_ascii=False) for value in values)

    found = records(JsonLines(), content.encode(), cuts)

    # json keeps what U+2028 and the like are: no ends of lines.
    assert [record.value for record in found] == values
    assert [record.line for record in found] == list(range(1, len(values) + 1))


@given(rows=st.lists(st.lists(cells, min_size=3, max_size=3), max_size=6), cuts=cuts)
def test_rows_of_csv_come_back_wherever_the_chunks_are_cut(
    rows: list[list[str]], cuts: list[int]
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b", "c"], *rows])

    found = records(CsvRows(), file.getvalue().encode(), cuts)

    # A line break within a cell is taken as one, however it is written.
    expected = [[cell.replace("\r\n", "\n") for cell in row] for row in rows]
    assert [list(_mapping(r).values()) for r in found] == expected


def _mapping(record: Record) -> dict[str, str]:
    assert not record.problem
    return cast("dict[str, str]", record.value)


def test_a_quote_inside_an_open_cell_is_just_a_quote() -> None:
    found = records(CsvRows(), b'a,b\n5" pipe,2\nx,y\n', [])

    assert [record.value for record in found] == [
        {"a": '5" pipe', "b": "2"},
        {"a": "x", "b": "y"},
    ]


def test_a_quote_that_is_never_closed_is_told_at_its_line() -> None:
    found = records(CsvRows(), b'a\nx\n"never\nclosed\n', [])

    assert found[0].value == {"a": "x"}
    assert found[1].line == 3
    assert "never closed" in found[1].problem


def test_what_is_no_utf8_spoils_one_line_only() -> None:
    rows = records(CsvRows(), b"a\n\xff\nx\n", [])
    lines = records(JsonLines(), b'"\xff"\n"x"\n', [])

    assert ["UTF-8" in rows[0].problem, rows[1].value] == [True, {"a": "x"}]
    assert [bool(lines[0].problem), lines[1].value] == [True, "x"]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert records(JsonLines(), b'\xef\xbb\xbf{"a": 1}', [1, 2])[0].value == {"a": 1}
    assert records(CsvRows(), b"\xef\xbb\xbfa\r\n1\r\n", [2])[0].value == {"a": "1"}


def test_a_line_beyond_the_bound_is_told_and_not_kept() -> None:
    parser = JsonLines()
    chunk = b"x" * (1024 * 1024)

    for _ in range(MAX_RECORD // len(chunk) * 2):
        assert not list(parser.feed(chunk))
    found = [*parser.feed(b"\n3\n")]

    assert found[0].problem == "is longer than 16 MiB"
    assert found[1] == Record(2, 3)


def test_json_nested_without_end_is_told() -> None:
    (found,) = records(JsonLines(), b"[" * 100_000, [])

    assert found.problem.startswith("is no JSON")


def test_a_column_twice_is_refused() -> None:
    with pytest.raises(SetupError, match="two columns called 'a'"):
        records(CsvRows(), b"a, a\n1,2\n", [])


# --- inputs -----------------------------------------------------------------


@attrs.frozen
class Point:
    x: int
    y: float = 0.5


@attrs.frozen
class Name:
    name: str


def test_plain_data_becomes_the_declared_type() -> None:
    assert Fit(Point, text=False).value(Record(1, {"x": 3, "y": 1})) == Point(3, 1.0)
    assert Fit(Name, text=False).value(Record(1, "me")) == Name("me")
    assert Fit(int, text=False).value(Record(1, {"any": 3})) == 3
    assert Fit(UNDECLARED, text=False).value(Record(1, [1])) == [1]
    assert Fit(dict, text=False).value(Record(1, {"a": 1, "b": 2})) == {"a": 1, "b": 2}


def test_texts_of_csv_become_numbers_and_empty_cells_the_default() -> None:
    fit = Fit(Point, text=True)

    assert fit.value(Record(2, {"x": "3", "y": "", "more": ""})) == Point(3)
    with pytest.raises(InputError, match=r"line 2: does not fit Point: .*x"):
        fit.value(Record(2, {"x": "", "y": ""}))


def test_json_texts_are_no_numbers() -> None:
    with pytest.raises(InputError, match=r"line 4: .*Expected `int`, got `str`"):
        Fit(Point, text=False).value(Record(4, {"x": "3"}))


def test_a_plain_text_among_several_fields_is_not_guessed() -> None:
    with pytest.raises(InputError, match="has the fields a, b, and the workflow takes"):
        Fit(str, text=True).value(Record(2, {"a": "x", "b": "y"}))
