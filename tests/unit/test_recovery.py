"""The cell of a run that is brought back: as it was accepted, and as old as it was."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from understudy.budgets import RunBudget
from understudy.engine.book import Book
from understudy.engine.flow import Flow
from understudy.engine.hosting import Hosted
from understudy.engine.recovery import Recovery
from understudy.engine.shapes import Shapes
from understudy.engine.strand import Run
from understudy.journal.memory import MemoryStore
from understudy.journal.recorder import Recorder
from understudy.journal.sealing import VARIABLE, Keys, new_key
from understudy.journal.values import stored_sealed
from understudy_actors.watchdog import Watchdog
from understudy_protocols.budget import Budget
from understudy_protocols.codec import to_plain
from understudy_protocols.frozen import FrozenMap
from understudy_protocols.journal import Batch, StoredRun
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import (
    Accepted,
    Called,
    Passed,
    Record,
    Released,
    Reshaped,
    Skipped,
    decode_record,
)

NOW = 1000.0
KEYS = Keys({VARIABLE: new_key()})
TODAY = datetime(2026, 1, 2, tzinfo=UTC)
CREATED = datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC)
ACCOUNT = RunBudget(Budget(calls=100))


def micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


async def _write(batch: Batch) -> None:
    """Nobody writes here."""


RECORDER = Recorder(_write, "step")


def cell(*records: Record, **terms: object) -> Run:
    """Return the cell of a run with these terms, and with these records after them."""
    store = MemoryStore()
    batch = Batch()
    batch.blobs[b"digest"] = b"\xa5large"
    store.open()
    store.write(batch)
    flow = Flow(
        Watchdog(lambda: NOW, 1.0), lambda _: None, lambda _: None, lambda _: False
    )
    book = Book(RECORDER, KEYS, lambda: NOW, lambda: TODAY)
    shapes = SimpleNamespace(nodes={"w": {"a": 4}}, now={"w": 9})
    recovery = Recovery(store, book, flow, ACCOUNT, cast("Shapes", shapes))
    return recovery.cell(
        StoredRun(7, "the run", "w", 3, RunStatus.RUNNING, 0, 0),
        Accepted(created_at=micros(CREATED), **{"inputs": "input"} | terms),  # type: ignore[arg-type]
        list(records),
        cast("Hosted", SimpleNamespace(name="w")),
    )


def test_a_run_is_what_it_was_accepted_as() -> None:
    metadata = FrozenMap({"who": "me"})
    run = cell(metadata=to_plain(metadata), priority=3, tenant="t")
    assert (run.id, run.workflow, run.status) == ("the run", "w", RunStatus.QUEUED)
    assert (run.priority, run.tenant) == (3, "t")
    state = run.state
    assert (state.task_id, state.inputs, state.metadata) == (
        "the run",
        "input",
        metadata,
    )
    assert state.created_at == CREATED
    bare = cell()
    assert (bare.priority, bare.tenant, bare.state.metadata) == (0, "", FrozenMap())
    assert bare.created == NOW


def test_a_large_input_is_fetched_and_a_sealed_one_opened() -> None:
    assert cell(inputs={"$blob": b"digest"}).state.inputs == "large"
    sealed = stored_sealed("secret", lambda digest, content: None, KEYS)
    inputs: object = msgspec.msgpack.decode(msgspec.msgpack.encode(sealed))
    assert inputs != "secret"
    assert cell(inputs=inputs).state.inputs == "secret"


def test_a_run_is_as_old_as_its_last_record_says() -> None:
    called = Called(4, "", 7_500_000, 1, "f", "key", "1/1", "")
    skipped, passed = Skipped(4, "", 2_000_000), Passed(4, "", 7_000_000)
    run = cell(skipped, called, passed, Released(), deadline=20_500_000)
    assert run.created == NOW - 7.5
    assert run.deadline == NOW + 13.0
    journal = run.journal
    assert journal is not None
    assert (journal.row, journal.created) == (7, run.created)
    assert cell().deadline == math.inf
    # What somebody did to it is of no age.
    assert cell(Released()).created == NOW


def test_the_next_record_has_the_next_number_and_the_age_of_the_run() -> None:
    journal = cell(Passed(4, "", 2_000_000)).journal
    assert journal is not None
    RECORDER.batch = Batch()
    journal.passed(cell(), "a", lambda: None)
    [(row, number, content)] = RECORDER.batch.records
    assert (row, number) == (7, 2)
    assert decode_record(content) == Passed(4, "", 2_000_000)
    # What is on record is safe.
    assert journal.safe.is_set()


@pytest.mark.parametrize(("records", "shape"), [([], 3), ([Reshaped(8)], 8)])
def test_the_records_count_as_made_under_the_last_shape(
    records: list[Record], shape: int
) -> None:
    journal = cell(*records).journal
    assert journal is not None
    assert journal.shape == shape


def test_a_run_expires_on_the_calendar_however_old_it_is() -> None:
    tomorrow = micros(datetime(2026, 1, 2, 0, 0, 30, tzinfo=UTC))
    run = cell(Passed(4, "", 7_000_000), expires_at=tomorrow)
    assert run.hard_deadline == NOW + 30
    assert cell().hard_deadline == math.inf


@pytest.mark.parametrize(
    ("terms", "budget"),
    [
        ({"usd": 2_500_001}, Budget(usd=Decimal("2.500001"))),
        ({"tokens": 7}, Budget(tokens=7)),
        ({"calls": 0}, Budget(calls=0)),
        (
            {"usd": 0, "tokens": 7, "calls": 3},
            Budget(usd=Decimal(0), tokens=7, calls=3),
        ),
        ({"usd": 7, "tokens": 7}, Budget(usd=Decimal("0.000007"), tokens=7)),
        (
            {"usd": 0, "tokens": 0, "calls": 0},
            Budget(usd=Decimal(0), tokens=0, calls=0),
        ),
        ({}, Budget()),
    ],
)
def test_a_run_has_the_caps_that_it_was_accepted_with(
    terms: dict[str, int], budget: Budget
) -> None:
    account = cell(**terms).budget
    assert account.ledger.budget == budget
    assert account.parent is ACCOUNT
