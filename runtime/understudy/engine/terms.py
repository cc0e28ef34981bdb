"""Looking at what is asked for one run, before any of it is written down.

In a journal these stand in columns and records that are read again by their types:
what is not of its type could be written, and never be read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NoReturn

from understudy.engine.reception import Terms
from understudy_protocols.errors import ConfigError

_LONGEST: Final = 10**12
"""Of a deadline; seconds.  In microseconds it still is a number of 64 bits."""

_PRIORITIES: Final = range(-(2**63), 2**63)


def checked_terms(terms: Terms) -> Terms:
    """Return *terms* with texts and numbers that are plain, where they are of a subclass.

    Raises:
      ConfigError: one is not of its type.
    """
    if _says_little(terms):
        return terms
    _check_times(terms.deadline, terms.expires_at)
    _check_metadata(terms.metadata)
    return Terms(
        None if terms.run_id is None else checked_id("run_id", terms.run_id),
        terms.deadline,
        terms.expires_at,
        terms.budget,
        _checked_priority(terms.priority),
        checked_text("tenant", terms.tenant),
        terms.metadata,
    )


def _says_little(terms: Terms) -> bool:
    """Whether no more than a deadline is said, as for most runs: looked at quickly."""
    deadline = terms.deadline
    return (
        terms.run_id is None
        and terms.expires_at is None
        and terms.metadata is None
        and type(terms.tenant) is str
        and not terms.tenant
        and type(terms.priority) is int
        and not terms.priority
        and (deadline is None or (type(deadline) is float and deadline <= _LONGEST))
    )


def checked_id(what: str, value: object) -> str:
    """Return the id that *value* is.

    Raises:
      ConfigError: it is none, or one that cannot be written down.
    """
    text = checked_text(what, value)
    if not text:
        _refuse(what, value, "a text that is not empty")
    return text


def checked_text(what: str, value: object) -> str:
    """Return the text that *value* is.

    Raises:
      ConfigError: it is none, or one that cannot be written down.
    """
    if not isinstance(value, str):
        _refuse(what, value, "a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(what, value, "a text without halves of surrogate pairs")
    return str.__str__(value)


def _checked_priority(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse("priority", value, "a whole number")
    plain = int.__index__(value)
    if plain not in _PRIORITIES:
        _refuse("priority", plain, "a whole number of 64 bits")
    return plain


def _check_times(deadline: object, expires_at: object) -> None:
    if deadline is not None:
        if isinstance(deadline, bool) or not isinstance(deadline, int | float):
            _refuse("deadline", deadline, "seconds, 0 or more")
        if _LONGEST < deadline < math.inf:
            _refuse("deadline", deadline, f"seconds, {_LONGEST:,} at most, or none")
    if expires_at is not None and not isinstance(expires_at, datetime):
        _refuse("expires_at", expires_at, "a datetime with a time zone")


def _check_metadata(value: object) -> None:
    if value is not None and not isinstance(value, Mapping):
        _refuse("metadata", value, "a mapping of names to values")


def _refuse(what: str, value: object, wanted: str) -> NoReturn:
    raise ConfigError(f"{what} is {value!r}; give {wanted}")
