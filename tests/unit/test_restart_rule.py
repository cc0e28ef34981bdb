"""The error that says why a child did not become ready."""

from __future__ import annotations

import pytest

from understudy_actors.restart_rule import start_error
from understudy_protocols.errors import StartFailedError
from understudy_protocols.supervision import Exit, ExitKind

PATH = "root/a"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (Exit(ExitKind.TIMEOUT), "its start was over its time"),
        (Exit(ExitKind.TIMEOUT, OSError("no")), "its start was over its time"),
        (Exit(ExitKind.START_FAILED, OSError("no")), "OSError: no"),
        (Exit(ExitKind.KILLED), "killed"),
    ],
)
def test_a_start_that_failed_says_where_and_why(end: Exit, reason: str) -> None:
    error = start_error(PATH, end)
    assert (error.child, error.reason) == (PATH, reason)
    assert error.__cause__ is end.cause


def test_of_starts_that_failed_one_below_the_other_the_lowest_is_named() -> None:
    below = StartFailedError("root/a/b", "OSError: no")
    assert start_error(PATH, Exit(ExitKind.START_FAILED, below)) is below
