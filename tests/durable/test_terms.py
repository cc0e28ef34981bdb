"""What is asked for a run is of its type, or nothing of the run is written down."""

from __future__ import annotations

import enum
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from understudy import Context, RunStatus, Runtime, step
from understudy.journal.verifying import verify
from understudy_protocols.errors import ConfigError


@step
async def greet(context: Context[str]) -> str:
    return f"Hello {context.input}"


class Urgency(enum.IntEnum):
    LOW = 1


class Number(int):
    """A number of somebody's own."""


class Named(str):
    """A text of somebody's own."""

    __slots__ = ()


MISTAKES: dict[str, tuple[dict[str, object], str]] = {
    "an id that is a number": ({"run_id": 7}, "run_id is 7; give a text"),
    "an id that is no Unicode": ({"run_id": "\ud800"}, "run_id is '\\ud800'; give a"),
    "an empty id": ({"run_id": ""}, "run_id is ''; give a text that is not empty"),
    "a tenant that is a number": ({"tenant": 7}, "tenant is 7; give a text"),
    "no tenant": ({"tenant": None}, "tenant is None; give a text"),
    "a priority in words": ({"priority": "high"}, "priority is 'high'; give a whole"),
    "a priority in between": ({"priority": 1.5}, "priority is 1.5; give a whole"),
    "a priority that is a flag": ({"priority": True}, "priority is True; give a whole"),
    "a priority beyond all": ({"priority": 2**70}, "give a whole number of 64 bits"),
    "a deadline in words": ({"deadline": "5"}, "deadline is '5'; give seconds"),
    "a deadline beyond all": ({"deadline": 1e300}, "give seconds, 1,000,000,000,000"),
    "an end in words": ({"expires_at": "soon"}, "expires_at is 'soon'; give a date"),
    "facts without names": ({"metadata": 5}, "metadata is 5; give a mapping"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_term_of_another_type_is_refused_and_leaves_nothing_in_the_journal(
    mistake: str, tmp_path: Path
) -> None:
    terms, words = MISTAKES[mistake]
    file = tmp_path / "runs.db"

    async def main() -> None:
        async with Runtime(greet, journal=file) as runtime:
            with pytest.raises(ConfigError) as caught:
                await runtime.run(greet, "Ada", **terms)  # type: ignore[arg-type]
            assert words in str(caught.value)
            assert (await runtime.run(greet, "Bob")).ok

    trio.run(main)
    checked = verify(file)
    assert (checked.runs, checked.problems) == (1, ())


@pytest.mark.parametrize(
    "terms",
    [
        {"deadline": math.inf, "priority": Urgency.LOW, "tenant": "acme"},
        {"deadline": 10**12, "priority": Number(-(2**63)), "run_id": Named("order-1")},
        {"expires_at": datetime(2100, 1, 1, tzinfo=UTC), "metadata": {"by": "Ada"}},
    ],
)
def test_terms_at_the_edge_of_what_can_be_meant_are_written_and_read(
    terms: dict[str, object], tmp_path: Path
) -> None:
    file = tmp_path / "runs.db"

    async def main() -> None:
        async with Runtime(greet, journal=file) as runtime:
            result = await runtime.run(greet, "Ada", **terms)  # type: ignore[arg-type]
            assert result.status is RunStatus.COMPLETED

    trio.run(main)
    assert verify(file).problems == ()


def test_a_fork_under_an_id_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    async def main() -> None:
        async with Runtime(greet, journal=file) as runtime:
            await runtime.run(greet, "Ada", run_id="first")
            with pytest.raises(ConfigError, match="new_id is 7; give a text"):
                runtime.fork("first", "greet", new_id=7)  # type: ignore[arg-type]

    trio.run(main)
    assert verify(file).problems == ()


def test_a_way_to_resume_or_a_time_to_drain_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="resume is 'never'; give 'auto' or 'manual'"):
        Runtime(greet, resume="never")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="drain_timeout is -1; give seconds"):
        Runtime(greet, drain_timeout=-1)


@pytest.mark.parametrize("journal", [7, True, b"runs.db"])
def test_a_journal_that_is_neither_a_file_nor_a_store_is_refused(
    journal: object,
) -> None:
    with pytest.raises(ConfigError, match="give the name of a file, or a store"):
        Runtime(greet, journal=journal)  # type: ignore[arg-type]
