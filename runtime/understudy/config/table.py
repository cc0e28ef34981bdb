"""A table of a TOML file, read key by key; what is wrong is told with its place.

No value is ever repeated in an error: it may be a key that was put into the
wrong line.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar, cast

import attrs

from understudy.config.lines import Path, line_of
from understudy_protocols.errors import ConfigError

T = TypeVar("T")

_WORDS: Mapping[type[object], str] = {
    str: "a text",
    bool: "true or false",
    list: "an array",
    dict: "a table",
}


class ConfigFileError(ConfigError):
    """A configuration file says what cannot be meant.

    Attributes:
      file: its path, as it was given.
      line: where; from 1, or 0 if it is no single line.
      key: the path of the key, as ``models.fast.price``; empty if there is none.
      problem: what is wrong and what to do, as a clause.
    """

    def __init__(self, file: str, line: int, key: str, problem: str) -> None:
        super().__init__(file, line, key, problem)
        self.file = file
        self.line = line
        self.key = key
        self.problem = problem

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return (
            f"{place}: {self.key} {self.problem}"
            if self.key
            else (f"{place}: {self.problem}")
        )


@attrs.frozen
class Source:
    """The text that tables come from.

    Args:
      file: what to call it.
    """

    file: str
    text: str = attrs.field(repr=False)

    def refusal(self, path: Path, problem: str) -> ConfigFileError:
        """Return the error that says what is wrong at *path*."""
        line = line_of(self.text, path)
        return ConfigFileError(self.file, line, ".".join(path), problem)


class Table:
    """One table.

    Args:
      source: the text that it stands in.
      path: where.
      values: what is in it.
    """

    def __init__(self, source: Source, path: Path, values: Mapping[str, object]):
        self._source = source
        self._path = path
        self._values = values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def allow(self, keys: Iterable[str]) -> None:
        """Refuse every key but these."""
        known = list(keys)
        for key in self._values:
            if key not in known:
                raise self.refusal(f"is not known; {_hint(key, known)}", key)

    def refusal(self, problem: str, key: str | None = None) -> ConfigFileError:
        """Return the error that says what is wrong with the table, or one key."""
        path = self._path if key is None else (*self._path, key)
        return self._source.refusal(path, problem)

    def text(self, key: str) -> str | None:
        """Return a text; None if there is none."""
        found = self._one(key, str)
        if found is not None and not found.strip():
            raise self.refusal("is empty; give a text, or leave it out", key)
        return found

    def needed(self, key: str, what: str) -> str:
        """Return a text that has to be there.

        Args:
          what: what it is, for the error.
        """
        found = self.text(key)
        if found is None:
            raise self.refusal(f"has no {key}; give {what}")
        return found

    def word(
        self, key: str, words: Callable[[str], T], known: Iterable[str]
    ) -> T | None:
        """Return one of some words, as what *words* makes of it."""
        found = self._one(key, str)
        if found is None:
            return None
        listed = list(known)
        if found not in listed:
            raise self.refusal(
                f"is none of {', '.join(listed)}; give one of these", key
            )
        return words(found)

    def flag(self, key: str) -> bool | None:
        """Return true or false; None if it is not there."""
        return self._one(key, bool)

    def number(self, key: str, *, above: float = -math.inf) -> float | None:
        """Return a number from 0, or one above *above*; None if it is not there."""
        found = self._values.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self._wrong(key, found, "a number")
        if not math.isfinite(found) or found < 0 or found <= above:
            least = "above 0" if above == 0 else "from 0"
            raise self.refusal(f"is out of range; give a number {least}", key)
        return found

    def count(self, key: str) -> int | None:
        """Return a whole number from 1; None if it is not there."""
        found = self._values.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int):
            raise self._wrong(key, found, "a whole number")
        if found < 1:
            raise self.refusal("is out of range; give a whole number from 1", key)
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """Return an array of texts; empty if it is not there."""
        found = cast("list[object]", self._one(key, list) or [])
        for one in found:
            if not isinstance(one, str):
                raise self.refusal(f"has {_kind(one)} in it; give texts alone", key)
        return tuple(cast("list[str]", found))

    def table(self, key: str) -> Table:
        """Return a table; an empty one if it is not there."""
        return Table(self._source, (*self._path, key), self.values(key))

    def values(self, key: str) -> dict[str, object]:
        """Return what is in a table, as it is."""
        return cast("dict[str, object]", self._one(key, dict) or {})

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Yield all that is here, which must be tables, by its name."""
        for key in self._values:
            yield key, self.table(key)

    def _one(self, key: str, kind: type[T]) -> T | None:
        found = self._values.get(key)
        if found is None or isinstance(found, kind):
            return found
        raise self._wrong(key, found, _WORDS[kind])

    def _wrong(self, key: str, found: object, wanted: str) -> ConfigFileError:
        return self.refusal(f"is {_kind(found)}; give {wanted}", key)


def _hint(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    close += [one for one in known if one.startswith(key)]
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"


def _kind(value: object) -> str:
    for kind, word in _WORDS.items():
        if isinstance(value, kind):
            return word
    return "a number" if isinstance(value, int | float) else "a date or time"
