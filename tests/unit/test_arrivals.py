"""Questions to the user's code and nodes that are done at once: recorded, and followed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import attrs
import pytest

from understudy.budgets import RunBudget
from understudy.engine.arrivals import Passage, Question
from understudy.engine.book import Book
from understudy.engine.replay import DivergedError, Replay
from understudy.engine.run_journal import RunJournal
from understudy.engine.strand import Fork, Run, Strand
from understudy.journal.recorder import Recorder
from understudy.journal.sealing import Keys
from understudy_protocols.codec import from_plain
from understudy_protocols.failures import Cause, Failure
from understudy_protocols.journal import Batch
from understudy_protocols.records import (
    Decided,
    Failed,
    Passed,
    Placed,
    Skipped,
    decode_record,
)
from understudy_protocols.state import OrchestrationState

FAILURE = Failure.of(Cause.STEP_ERROR, "no", where="a")
FORK = cast("Fork", object())


@attrs.frozen
class Untold:
    """A class that no journal has heard of."""


class Desk:
    """A run whose records are safe when a test says so."""

    def __init__(self, *, journal: bool = True) -> None:
        self.followed: list[object] = []
        self.run = Run("id", "w", RunBudget(None), OrchestrationState("t", None), 0.0)
        self._recorder = Recorder(self._write, "step")
        if journal:
            moment = datetime(2026, 1, 1, tzinfo=UTC)
            book = Book(self._recorder, Keys(), lambda: 2.0, lambda: moment)
            self.run.journal = RunJournal(book, {"a": 7}, 1, 0.0, 0)

    async def _write(self, batch: Batch) -> None:
        """Nobody writes here."""

    def records(self) -> list[object]:
        return [decode_record(one) for _, _, one in self._recorder.batch.records]

    def safe(self) -> None:
        """Let all that was recorded be safe."""
        calls, self._recorder._follow = self._recorder._follow, []
        for call in calls:
            call()

    def question(self, ask: Callable[[], object], turn: int = 3) -> Question:
        return Question(self.run, "a", turn, ask, self.followed.append)

    def passage(self, failure: Failure | None = None) -> Passage:
        return Passage(
            self.run, "a", failure, lambda: self.followed.append("on"), self._later
        )

    def _later(self, strand: Strand, delay: float, call: Callable[[], None]) -> None:
        assert strand is self.run
        self.followed.append(delay)
        call()


def replay() -> Replay:
    """Return a replay that only knows what stands in a record."""
    return Replay(
        [],
        str,
        0.0,
        lambda _: b"",
        Keys(),
        lambda: False,
        lambda _, __, ___: None,
    )


def test_an_answer_is_followed_when_it_is_on_record() -> None:
    desk = Desk()
    desk.run.fork = FORK
    question = desk.question(lambda: "yes")
    # Between two branches the strand is in one place.
    assert desk.run.fork is None
    question.go()
    assert desk.records() == [Decided(7, "", 2_000_000, 3, "yes")]
    assert (desk.followed, desk.run.fork) == ([], None)
    desk.safe()
    assert (desk.followed, desk.run.fork) == (["yes"], FORK)


def test_who_is_called_off_by_the_answer_has_none_on_record() -> None:
    desk = Desk()

    def ask() -> str:
        desk.run.ended = True
        return "yes"

    desk.question(ask).go()
    assert desk.records() == []
    desk.safe()
    assert desk.followed == []


def test_an_answer_that_cannot_be_written_down_is_a_failure_of_its_node() -> None:
    desk = Desk()
    desk.question(Untold).go()
    desk.safe()
    (failure,) = desk.followed
    assert isinstance(failure, Failure)
    assert failure.where == "a"
    assert "Untold" in failure.message
    (record,) = desk.records()
    assert isinstance(record, Decided)
    assert (record.turn, from_plain(record.answer)) == (3, failure)


def test_an_answer_on_record_is_followed_and_not_asked_for() -> None:
    desk = Desk()
    desk.run.fork = FORK
    question = desk.question(lambda: pytest.fail("it was answered before"))
    assert question.take(Decided(7, "", 1, 3, "yes"), replay())
    assert (desk.followed, desk.run.fork) == (["yes"], FORK)
    assert desk.records() == []


@pytest.mark.parametrize(
    "record", [Decided(7, "", 1, 2, "yes"), Passed(7, "", 1), Skipped(7, "", 1)]
)
def test_a_question_takes_no_record_but_its_answer_of_the_same_turn(
    record: Placed,
) -> None:
    kind = type(record).__name__.lower()
    desk = Desk()
    with pytest.raises(DivergedError, match=f"^a has a record '{kind}', which"):
        desk.question(lambda: "yes").take(record, replay())
    assert desk.followed == []


@pytest.mark.parametrize("failure", [None, FAILURE])
def test_without_a_journal_what_is_done_at_once_goes_on_soon(
    failure: Failure | None,
) -> None:
    desk = Desk(journal=False)
    desk.passage(failure).go()
    assert desk.followed == [0.0, "on"]


@pytest.mark.parametrize("failure", [None, FAILURE])
def test_what_is_done_at_once_goes_on_when_that_is_on_record(
    failure: Failure | None,
) -> None:
    desk = Desk()
    desk.passage(failure).go()
    assert desk.followed == []
    desk.safe()
    assert desk.followed == ["on"]
    (record,) = desk.records()
    if failure is None:
        assert record == Passed(7, "", 2_000_000)
    else:
        assert isinstance(record, Failed)
        assert from_plain(record.failure) == failure


def test_what_was_done_at_once_is_followed_by_its_record_and_by_no_other() -> None:
    desk = Desk()
    passage = desk.passage()
    for record in (Passed(7, "", 1), Failed(7, "", 1, 0, None)):
        assert passage.take(record, replay())
    assert desk.followed == ["on", "on"]
    with pytest.raises(DivergedError, match=r"^a has a record 'skipped', which"):
        passage.take(Skipped(7, "", 1), replay())
    assert desk.followed == ["on", "on"]
    assert desk.records() == []
