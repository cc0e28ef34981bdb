"""What the records of a run tell, and the bars that are drawn of it."""

from __future__ import annotations

import pytest

from understudy.cli.runs.ages import age_micros, length, rough_age
from understudy.cli.runs.bars import bar, rows_of
from understudy.cli.runs.story import Story, story_of
from understudy_protocols.codec import to_plain
from understudy_protocols.errors import SetupError
from understudy_protocols.failures import AttemptRecord, Cause, Failure
from understudy_protocols.records import (
    Accepted,
    Answered,
    Begun,
    Called,
    Decided,
    Ended,
    Failed,
    Finished,
    Held,
    Paused,
    Record,
    Released,
    Reserved,
    Reshaped,
    Retrying,
    Skipped,
)
from understudy_protocols.usage import Usage

S = 1_000_000
FAILURE = Failure.of(Cause.TRANSPORT, "no line", where="a")


def told(*records: Record) -> Story:
    paths = ("a", "b", "c")
    return story_of(Accepted("in", 0), records, paths.__getitem__, lambda _: b"", 10)


def attempts(*lengths: float) -> object:
    # On the clock of a process that is gone: only their lengths mean anything.
    return to_plain(
        tuple(
            AttemptRecord(n + 1, 500.0, 500.0 + one, FAILURE)
            for n, one in enumerate(lengths)
        )
    )


def bars(story: Story, width: int = 10) -> list[str]:
    return [bar(row, story.last, width) for row in rows_of(story.events)]


def test_a_step_after_the_other_is_a_bar_after_the_other() -> None:
    story = told(
        Finished(0, "", 5 * S, 5 * S, "x"), Finished(1, "", 10 * S, 4 * S, "y")
    )

    assert [(one.path, one.begin, one.end) for one in story.events] == [
        ("a", 0.0, 5.0),
        ("b", 6.0, 10.0),
    ]
    assert bars(story) == ["█████", "      ████"]


def test_attempts_that_failed_and_the_waits_between_are_seen() -> None:
    story = told(
        Retrying(0, "", 2 * S, 2, attempts(2)),
        Retrying(0, "", 6 * S, 3, attempts(2, 1), due=8 * S),
        Finished(0, "", 10 * S, 2 * S, "x", 3, attempts(2, 1)),
    )

    (event,) = story.events
    assert (event.status, event.number, event.value) == ("completed", 3, "x")
    assert [(one.begin, one.end) for one in event.tries] == [(0, 2), (5, 6), (8, 10)]
    assert bars(story) == ["░░···░··██"]


def test_a_step_that_waits_for_another_attempt_or_is_in_hand_is_open() -> None:
    waits = told(
        Retrying(0, "", 4 * S, 2, attempts(4), due=99), Reserved(1, "", 8 * S, 1, None)
    )
    held = told(Begun(0, "", 4 * S, 1), Held("unknown_outcome", "it had begun"))

    assert [(one.status, one.end) for one in waits.events] == [
        ("retrying", None),
        ("in hand", None),
    ]
    assert waits.events[0].until == 99
    assert bars(waits) == ["░░░░░▒▒▒▒▒", "         ▒"]
    assert held.held is not None
    assert held.events[0].status == "in hand"


def test_a_pause_is_open_until_it_is_answered() -> None:
    open_ = told(Paused(1, "", 2 * S, until=7), Finished(0, "", 4 * S, 4 * S, "x"))
    answered = told(
        Paused(1, "", 2 * S), Answered(1, "", 8 * S, {"@Approval": {"by": "me"}})
    )

    assert [(one.path, one.until) for one in open_.open_pauses] == [("b", 7)]
    assert answered.open_pauses == ()
    (event,) = answered.events
    assert (event.status, event.value, event.end) == ("answered", {"by": "me"}, 8.0)


def test_a_step_that_comes_again_in_another_round_is_told_twice() -> None:
    story = told(
        Finished(0, "0", S, S, 1),
        Decided(1, "", S, 0, False),
        Finished(0, "1", 2 * S, S, 2),
        Decided(1, "", 2 * S, 1, True),
        Finished(0, "1", 3 * S, S, 3),
    )

    assert [(one.name, one.kind, one.value) for one in story.events] == [
        ("a [0]", "step", 1),
        ("b", "decision", False),
        ("a [1]", "step", 2),
        ("b", "decision", True),
        ("a [1]", "step", 3),
    ]


def test_how_it_ended_is_told_and_what_was_done_to_it() -> None:
    story = told(
        Held("poisoned", "five have died"),
        Reshaped(3),
        Released(),
        Skipped(1, "", S),
        Failed(0, "", 2 * S, S, to_plain(FAILURE), 1, None, to_plain(Usage(calls=2))),
        Ended("failed", 3 * S, to_plain(FAILURE)),
    )

    assert story.held is None
    assert story.failure == FAILURE
    assert story.last == 3.0
    assert story.usage.calls == 2
    assert story.records == 7
    assert [(one.status, one.failure) for one in story.events] == [
        ("skipped", None),
        ("failed", FAILURE),
    ]


def test_a_function_of_a_model_is_told_by_its_name() -> None:
    story = told(Called(0, "", 3 * S, S, "refund", "key", "1/1", "done"))

    (event,) = story.events
    assert (event.name, event.kind, event.begin) == ("a refund()", "function", 2.0)


def test_many_of_a_node_are_one_row_with_those_that_failed() -> None:
    records = [Finished(0, str(n), S, S, n) for n in range(100)]
    failed = [Failed(0, str(n), S, S, to_plain(FAILURE)) for n in range(100, 110)]

    rows = rows_of(told(*records, *failed).events)

    assert [(row.name, row.note) for row in rows] == [
        ("a", "100 completed, 10 failed; 3 of 10 are shown (--all)"),
        *((f"a [{n}]", "a: no line (transport)") for n in (100, 101, 102)),
    ]
    assert rows[0].number == 100
    assert len(rows_of(told(*records).events, folded=False)) == 100


@pytest.mark.parametrize(
    ("text", "micros"),
    [("90s", 90 * S), ("15m", 900 * S), ("12h", 43_200 * S), ("2w", 1_209_600 * S)],
)
def test_an_age_is_read(text: str, micros: int) -> None:
    assert age_micros("--older-than", text) == micros
    with pytest.raises(SetupError, match="give a number and its unit"):
        age_micros("--older-than", text[:-1])


def test_lengths_of_time_are_short() -> None:
    given = (0.0, 0.00001, 0.0123, 0.5, 59.5, 61, 3_700, 100_000)
    assert [length(one) for one in given] == [
        *("0 s", "0 s", "12.3 ms", "0.50 s", "59.50 s"),
        *("1 min 1 s", "1 h 1 min", "1 d 3 h"),
    ]
    assert [rough_age(one) for one in (-1, 59, 60, 7_300, 90_000)] == [
        *("0 s", "59 s", "1 min", "2 h", "1 d"),
    ]
