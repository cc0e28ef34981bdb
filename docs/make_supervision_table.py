"""Write the table of ``supervision.md``: each line of the checklist, and its tests.

``python docs/make_supervision_table.py`` writes it.  With ``--check`` it writes
nothing and fails if the page is out of date, if a line has no test, or if a
test names a line that does not exist.  Tests are read, not imported.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "supervision.md"
CHECKLIST = ROOT / "docs" / "checklist.toml"
TESTS = ROOT / "tests" / "conformity", ROOT / "tests" / "simulation"

BEGIN, END = "<!-- checklist: begin -->", "<!-- checklist: end -->"

SHOWN = 3
"""Tests shown for a line; the number of the others follows."""

_TAGGED = re.compile(r"(?:\[([A-Z, ]+)\] )?(.+)")
_NAME = re.compile(r"test_((?:s\d{3}[a-z]?_)+)(.+)")
_NUMBER = re.compile(r"s0*(\d+[a-z]?)_")


@attrs.frozen
class Line:
    """One line of the checklist.

    Attributes:
      number: as ``S40``.
      tags: where it comes from, as ``OTP``; empty if it is our own.
      text: what holds.
      section: the heading that it stands under.
    """

    number: str
    tags: str
    text: str
    section: str


@attrs.frozen
class Test:
    """One test function, and the lines that its name says it proves."""

    name: str
    file: Path
    lines: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What it proves, in words."""
        match = _NAME.fullmatch(self.name)
        assert match is not None, "only numbered tests are collected"
        return match[2].replace("_", " ")


def checklist() -> Iterator[Line]:
    """Yield the lines, in order."""
    sections = tomllib.loads(CHECKLIST.read_text(encoding="utf-8"))
    for section, lines in sections.items():
        for number, said in lines.items():
            match = _TAGGED.fullmatch(said)
            assert match is not None, f"{number} says nothing"
            yield Line(number, match[1] or "", match[2], section)


def tests() -> Iterator[Test]:
    """Yield the tests with a number in their names, file by file."""
    for file in (one for folder in TESTS for one in sorted(folder.glob("test_*.py"))):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (match := _NAME.match(node.name)):
                numbers = tuple(f"S{number}" for number in _NUMBER.findall(match[1]))
                yield Test(node.name, file, numbers)


def tests_by_line() -> Mapping[str, Sequence[Test]]:
    """Return the tests of each line that any test names."""
    found: dict[str, list[Test]] = {}
    for test in tests():
        for number in test.lines:
            found.setdefault(number, []).append(test)
    return found


def without_test() -> tuple[str, ...]:
    """Return the lines that no test names."""
    tested = tests_by_line()
    return tuple(line.number for line in checklist() if line.number not in tested)


def unknown() -> tuple[str, ...]:
    """Return the names of tests that name a line which does not exist."""
    known = {line.number for line in checklist()}
    return tuple(test.name for test in tests() if not known.issuperset(test.lines))


def page() -> str:
    """Return the page with the table as it should be now."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(_table())
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _table() -> Iterator[str]:
    tested = tests_by_line()
    section = ""
    for line in checklist():
        if line.section != section:
            section = line.section
            yield f"\n### {section}\n\n| line | tag | what holds | tests |"
            yield "| --- | --- | --- | --- |"
        shown = _shown(tested.get(line.number, ()))
        yield f"| {line.number} | {line.tags} | {line.text} | {shown} |"


def _shown(some: Sequence[Test]) -> str:
    links = [
        f"[{test.sentence}](../{test.file.relative_to(ROOT).as_posix()})"
        for test in some[:SHOWN]
    ]
    if len(some) > SHOWN:
        links.append(f"and {len(some) - SHOWN} more")
    return " · ".join(links)


def problems() -> Iterator[str]:
    """Yield what is wrong, in sentences."""
    if page() != PAGE.read_text(encoding="utf-8"):
        yield "docs/supervision.md is out of date: run docs/make_supervision_table.py"
    for number in without_test():
        yield f"{number} has no test in tests/conformity"
    for name in unknown():
        yield f"{name} names a line that is not in docs/checklist.toml"


def main(arguments: Sequence[str]) -> None:
    """Write the page, or check it."""
    if "--check" not in arguments:
        PAGE.write_text(page(), encoding="utf-8")
    elif found := "\n".join(problems()):
        sys.exit(found)


if __name__ == "__main__":
    main(sys.argv[1:])
