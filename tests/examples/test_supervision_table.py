"""The checklist in ``supervision.md`` is up to date, and every line of it is proved."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs"), *sys.path])
    return importlib.import_module("make_supervision_table")


def test_the_checklist_has_all_lines_in_order(table: ModuleType) -> None:
    numbers = [line.number for line in table.checklist()]
    assert [n for n in numbers if n not in ("S122b", "S152b")] == [
        f"S{number}" for number in range(1, 169)
    ]
    assert len(numbers) == 170


def test_the_table_is_up_to_date(table: ModuleType) -> None:
    assert table.page() == table.PAGE.read_text("utf-8"), (
        "run python docs/make_supervision_table.py"
    )


def test_every_test_with_a_number_proves_a_line(table: ModuleType) -> None:
    assert table.unknown() == ()


def test_every_line_has_a_test(table: ModuleType) -> None:
    assert table.without_test() == ()


def test_no_line_is_passed_over_but_for_want_of_erlang() -> None:
    passing_over = ("skip", "skipif", "xfail", "importorskip")
    found = [
        file.name
        for folder in ("conformity", "simulation")
        for file in sorted((ROOT / "tests" / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in passing_over
    ]
    assert found == ["test_otp.py"]


def test_a_check_names_what_is_wrong(
    table: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "test_it.py").write_text("def test_s001_s999_it_holds() -> None: ...\n")
    monkeypatch.setattr(table, "TESTS", (tmp_path,))
    monkeypatch.setattr(table, "ROOT", tmp_path)
    with pytest.raises(SystemExit) as caught:
        table.main(["--check"])
    said = str(caught.value).splitlines()
    assert said[0].startswith("docs/supervision.md is out of date")
    assert "S2 has no test in tests/conformity" in said
    assert "S1 has no test in tests/conformity" not in said
    assert said[-1].startswith("test_s001_s999_it_holds names a line that is not in")
