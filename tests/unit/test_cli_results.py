"""Result lines as plain JSON, their order, and how they get into a file."""

from __future__ import annotations

import enum
import json
import os
import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePosixPath

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.cli.plain import json_line, plain
from understudy.cli.reorder import Reorder
from understudy.cli.tally import Tally
from understudy.cli.writing import write_lines
from understudy_protocols.failures import Cause, Failure
from understudy_protocols.frozen import FrozenMap
from understudy_protocols.outcomes import Outcome
from understudy_protocols.usage import Usage


class Colour(enum.Enum):
    RED = "red"


@attrs.frozen
class Issue:
    text: str
    tags: frozenset[str]
    facts: FrozenMap[str, object]


def round_trip(value: object) -> object:
    return json.loads(json_line(plain(value)))


def test_frozen_values_become_plain_json() -> None:
    issue = Issue("é", frozenset({"b", "a"}), FrozenMap({"n": (1, None)}))

    assert round_trip(FrozenMap({"issues": (issue,)})) == {
        "issues": [{"text": "é", "tags": ["a", "b"], "facts": {"n": [1, None]}}]
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (Decimal("1.10"), "1.10"),
        (PurePosixPath("/a"), "/a"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (b"ab", "YWI="),
        (FrozenMap({1: "a", (1, 2): "b"}), {"1": "a", "[1, 2]": "b"}),
        (Outcome(value=(1,)), {"value": [1]}),
        (2**80, 2**80),
        ("\ud800", "\ud800"),
        ((2**80, Decimal(1), b"a"), [2**80, "1", "YQ=="]),
        (1j, "1j"),
    ],
)
def test_odd_values_have_a_form_too(value: object, expected: object) -> None:
    assert round_trip(value) == expected


def test_a_failure_tells_what_brought_it_about() -> None:
    inner = Failure.of(Cause.TIMEOUT, "no answer in 3 s", "fast")
    outer = Failure.of(Cause.STEP_ERROR, "no tier succeeded", "tiers", (inner,))

    assert round_trip(Outcome[int](failure=outer)) == {
        "failure": {
            "mode": "unexpected",
            "cause": "step_error",
            "message": "no tier succeeded",
            "where": "tiers",
            "causes": [
                {
                    "mode": "timeout",
                    "cause": "timeout",
                    "message": "no answer in 3 s",
                    "where": "fast",
                }
            ],
        }
    }


@given(order=st.permutations(range(12)), last=st.integers(0, 12))
def test_lines_leave_in_order_and_none_is_lost_or_twice(
    order: list[int], last: int
) -> None:
    reorder = Reorder(ordered=True)
    left: list[bytes] = []
    for index in order[:last]:
        left += reorder.put(index, b"%d" % index)
        assert left == [b"%d" % n for n in range(len(left))]
        assert reorder.oldest == len(left)

    left += reorder.rest()

    assert [int(line) for line in left] == sorted(order[:last])


def test_without_an_order_each_line_leaves_at_once() -> None:
    reorder = Reorder(ordered=False)

    assert reorder.put(7, b"x") == [b"x"]
    assert reorder.rest() == []


@given(
    lines=st.lists(st.binary(max_size=9).map(lambda b: b.replace(b"\n", b"") + b"\n")),
    room=st.integers(0, 60),
    piece=st.integers(1, 7),
)
def test_a_disk_that_fills_up_keeps_whole_lines_and_the_count_says_which(
    lines: list[bytes], room: int, piece: int
) -> None:
    left = room
    real = os.write

    def scarce(fd: int, data: memoryview) -> int:
        nonlocal left
        if not left:
            raise OSError(28, "No space left on device")
        count = real(fd, data[: min(piece, left)])
        left -= count
        return count

    with tempfile.TemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", scarce)
        count, error = write_lines(file.fileno(), lines)
        file.seek(0)
        content = file.read()

    whole = 0
    while whole < len(lines) and len(b"".join(lines[: whole + 1])) <= room:
        whole += 1
    assert count == whole
    assert content == b"".join(lines[:whole])
    assert (error is None) == (whole == len(lines))


def test_the_closing_sentence_counts_what_there_was() -> None:
    tally = Tally(read=5)
    tally.add(None, Usage(calls=2, cost_micros=1_500, estimated=True))
    tally.add("timeout", Usage(calls=1))
    tally.add("timeout", None)

    assert tally.sentence(1.25, "out.jsonl") == (
        "1 of 3 runs completed, 2 did not (2 timeout); "
        "1.2 s, 3 model calls, about $0.0015; results in out.jsonl"
    )
    assert tally.stopped_sentence("interrupted", "kept in o") == (
        "interrupted: 3 runs finished (kept in o), 2 not run"
    )
    tally.not_read, tally.counted_all = 10, False
    assert tally.stopped_sentence("x", "y").endswith(
        ", 12 not run, the rest of the input not read"
    )
