"""Which line of a TOML text says what: its parser does not tell.

The text is cut into statements by the parser itself: lines are put together
until they are a text by themselves.  Only what is wrong is ever looked up.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import cast

Path = tuple[str, ...]


def line_of(text: str, path: Path) -> int:
    """Return where the statement begins that gives what is at *path*; from 1.

    What is not there has the line of the nearest table around it.

    Args:
      text: TOML without mistakes.
    """
    header: Path = ()
    line, depth = 1, 0
    for number, statement in _statements(text):
        given = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            header = _only_path(given)
            found = _common(given, path)
        elif header == path[: len(header)]:
            found = len(header) + _common(given, path[len(header) :])
        else:
            found = 0
        if found > depth:
            line, depth = number, found
    return line


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield the statements, each with its first line."""
    statement, first = "", 1
    # A line ends here and nowhere else; a CR before it is white space.
    for number, line in enumerate(text.split("\n"), start=1):
        statement += f"{line}\n"
        try:
            given = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # it goes on in the next line
        if given:
            yield first, statement
        statement, first = "", number + 1


def _only_path(given: Mapping[str, object]) -> Path:
    """Return the path of the table that a header opens."""
    path: Path = ()
    while given:
        ((key, inside),) = given.items()
        path = (*path, key)
        given = _as_table(inside)
    return path


def _common(given: Mapping[str, object], path: Path) -> int:
    """Return how much of *path* is in *given*; a count of keys."""
    for depth, key in enumerate(path):
        if key not in given:
            return depth
        given = _as_table(given[key])
    return len(path)


def _as_table(value: object) -> Mapping[str, object]:
    if isinstance(value, list):  # of tables: a header opens one more
        value = cast("list[object]", value)[-1] if value else None
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
