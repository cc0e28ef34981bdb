"""A run that is brought back: led through its records, and let go on, or held."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from understudy.budgets import RunBudget
from understudy.engine.book import Book
from understudy.engine.flow import Flow
from understudy.engine.hosting import Hosted
from understudy.engine.places import StepEntry
from understudy.engine.recovery import Recovery
from understudy.engine.replay import Replay
from understudy.engine.shapes import ChangedError, Shapes
from understudy.engine.strand import Run
from understudy.journal.memory import MemoryStore
from understudy.journal.recorder import Recorder
from understudy.journal.sealing import VARIABLE, Keys, new_key
from understudy.journal.values import stored_sealed
from understudy_actors.watchdog import Watchdog
from understudy_protocols.budget import Budget
from understudy_protocols.codec import to_plain
from understudy_protocols.errors import CodecError, JournalError, RunHeldError
from understudy_protocols.failures import AttemptRecord, Cause, Failure
from understudy_protocols.journal import Batch, StoredRun
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.records import (
    Accepted,
    Begun,
    Called,
    Ended,
    Finished,
    Held,
    Paused,
    Placed,
    Record,
    Reserved,
    Reshaped,
    Retrying,
    decode_record,
)
from understudy_protocols.state import OrchestrationState
from understudy_protocols.usage import Usage

FAILURE = Failure.of(Cause.SERVER, "no", where="a")
KEYS = Keys({VARIABLE: new_key()})
TODAY = datetime(2026, 1, 2, tzinfo=UTC)
DONE = Finished(4, "", 2_000_000, 1_000_000, "A")


class Standing:
    """A place where the run stands: it takes what comes, and ends with a value."""

    def __init__(self, scene: Scene) -> None:
        self.strand = scene.run
        self._scene = scene

    def take(self, record: Placed, replay: Replay) -> bool:
        if isinstance(record, Paused):
            self.strand.paused += 1
            return False
        if isinstance(record, Finished):
            entry = replay.entry("a", record)
            self._scene.run.log.append(entry)
            self._scene.then()
            return True
        return False

    def go(self, replay: Replay) -> None:
        self._scene.gone_on.append(replay)


class Scene:
    """A workflow of one step ``a``, a run of it, and what else is asked for."""

    def __init__(self, *records: Record, **terms: object) -> None:
        self.now = 1000.0
        self.records = list(records)
        self.gone_on: list[Replay] = []
        self.settled: list[Run] = []
        self.compared: list[tuple[str, int | None, list[str]]] = []
        self.told: Exception | None = None
        self.then: Callable[[], None] = self.complete
        self.changes = ""
        watchdog = Watchdog(lambda: self.now, 1.0)
        self.watchdog = watchdog
        self.flow = Flow(watchdog, self.settled.append, lambda _: None, lambda _: True)
        self.recorder = Recorder(self._write, "step")
        book = Book(self.recorder, KEYS, lambda: self.now, lambda: TODAY)
        self.shapes = SimpleNamespace(
            nodes={"w": {"a": 4}},
            now={"w": 3},
            accept_changes=False,
            path_of={4: "a"}.__getitem__,
            places=self._places,
            compare=self._compare,
            all_changes=self._all_changes,
        )
        store = MemoryStore()
        self.account = RunBudget(None)
        self.recovery = Recovery(
            store, book, self.flow, self.account, cast("Shapes", self.shapes)
        )
        self.hosted = cast("Hosted", SimpleNamespace(name="w", enter=self._enter))
        stored = StoredRun(7, "the run", "w", 3, RunStatus.QUEUED, 0, 0)
        accepted = Accepted("input", 0, **terms)  # type: ignore[arg-type]
        self.run = self.recovery.cell(stored, accepted, self.records, self.hosted)

    async def _write(self, batch: Batch) -> None:
        """Nobody writes here."""

    def _enter(self, run: Run) -> None:
        assert run.replay is not None
        run.replay.arrive("a", Standing(self))

    def _places(self, records: Iterable[Record]) -> list[str]:
        assert list(records) == self.records
        return ["the places of the records"]

    def _all_changes(self, workflow: str, before: int) -> str:
        return self.changes and f"{self.changes} {workflow} since {before}"

    def _compare(
        self, workflow: str, before: int | None, paths: Callable[[], Iterable[str]]
    ) -> None:
        self.compared.append((workflow, before, list(paths())))
        if self.told is not None:
            raise self.told

    def complete(self) -> None:
        self.run.state = OrchestrationState("t", "more")
        self.flow.finish(self.run, RunStatus.COMPLETED, value="A")

    def go_on(self, held: Held | None = None) -> None:
        self.recovery.go_on(self.run, self.hosted, self.records, held)

    def held(self, held: Held | None = None) -> tuple[str, str]:
        """Return what the run is held for, and with which words."""
        with pytest.raises(RunHeldError) as caught:
            self.go_on(held)
        assert caught.value.run_id == "the run"
        return caught.value.reason, caught.value.detail

    def written(self) -> list[Record]:
        return [decode_record(one) for _, _, one in self.recorder.batch.records]

    def statuses(self) -> list[RunStatus]:
        return [status for status, _ in self.recorder.batch.statuses.values()]


def test_what_stands_goes_on_when_all_records_are_followed() -> None:
    scene = Scene(Paused(4, "", 1))
    scene.run.leaves = 2
    scene.go_on()
    assert len(scene.gone_on) == 1
    assert (scene.run.status, scene.run.replay) == (RunStatus.RUNNING, None)
    assert (scene.written(), scene.statuses()) == ([], [RunStatus.RUNNING])
    assert scene.run.journal is not None
    scene.recorder.batch = Batch()
    scene.run.journal.status(RunStatus.RUNNING)
    assert scene.statuses() == [], "others can see that already"
    assert scene.compared == [
        ("w", 3, ["the places of the records"]),
        ("w", 3, ["a"]),
    ]


def test_a_run_that_comes_to_its_end_by_its_records_ends_when_that_is_written() -> None:
    scene = Scene(DONE)
    scene.go_on()
    assert (scene.gone_on, scene.settled) == ([], [])
    assert scene.written() == [Ended("completed", 2_000_000)]
    assert scene.statuses() == [RunStatus.COMPLETED]
    assert scene.run.value == "A"
    scene = Scene(DONE)
    scene.then = lambda: scene.flow.finish(scene.run, RunStatus.FAILED, failure=FAILURE)
    scene.go_on()
    (ended,) = scene.written()
    assert ended == Ended("failed", 2_000_000, to_plain(FAILURE))


# --- time ----------------------------------------------------------------------------


def test_time_in_line_and_in_pauses_is_not_that_of_the_deadline() -> None:
    pause, more = Paused(4, "", 2_000_000), Begun(4, "", 7_000_000, 1)
    end = Retrying(4, "", 8_000_000, 2, None)
    scene = Scene(pause, more, end, deadline=30_000_000)
    scene.now += 100
    scene.go_on()
    run = scene.run
    assert run.journal is not None
    assert run.created == run.journal.created == scene.now - 8
    # Of 30 seconds 8 are over, in 6 of which all waited.
    assert run.deadline == scene.now + 30 - 8 + 6
    assert run.expiry is not None
    assert len(scene.watchdog) == 1


def test_without_a_deadline_nothing_is_armed() -> None:
    scene = Scene(Begun(4, "", 1, 1), Retrying(4, "", 2, 2, None))
    scene.go_on()
    assert len(scene.watchdog) == 0
    assert scene.run.deadline == scene.run.hard_deadline == math.inf


@pytest.mark.parametrize(
    "terms",
    [
        {"deadline": 2_000_000},
        {"expires_at": 1},
        {"expires_at": 1, "deadline": 30_000_000},
    ],
)
def test_a_run_whose_time_is_over_is_not_let_go_on(terms: dict[str, int]) -> None:
    scene = Scene(Retrying(4, "", 2_000_000, 2, None), **terms)
    scene.go_on()
    assert scene.run.status is RunStatus.EXPIRED
    assert scene.gone_on == []
    assert [type(one) for one in scene.written()] == [Ended]
    assert scene.statuses() == [RunStatus.EXPIRED]
    assert len(scene.watchdog) == 0


def test_a_time_on_the_calendar_is_armed_besides_the_deadline() -> None:
    at = round(TODAY.timestamp() * 1_000_000) + 60_000_000
    scene = Scene(expires_at=at, deadline=30_000_000)
    scene.go_on()
    assert scene.run.hard_deadline == scene.now + 60
    assert (scene.run.expiry is None, scene.run.hard_expiry is None) == (False, False)


# --- what is in the way ------------------------------------------------------------------


def test_an_attempt_in_doubt_holds_the_run_until_that_is_settled() -> None:
    begun = Begun(4, "", 1, 2)
    reason, detail = Scene(begun).held()
    assert reason == "unknown_outcome"
    assert detail == (
        "attempt 2 of a had begun when its process ended; the step may or may not have "
        "had its effect, and is declared not to be repeated"
    )
    assert Scene(begun).held(Held("changed_code", ""))[0] == "unknown_outcome"
    scene = Scene(begun)
    scene.go_on(Held("unknown_outcome", ""))
    assert len(scene.gone_on) == 1


def test_a_change_of_the_code_holds_the_run_and_says_which() -> None:
    scene = Scene()
    scene.told = ChangedError("a: version is now 2")
    assert scene.held() == ("changed_code", "a: version is now 2")
    scene = Scene()
    scene.told = CodecError("of another release")
    assert scene.held() == ("unreadable", "of another release")
    scene.told = JournalError("it is damaged")
    assert scene.held() == ("unreadable", "it is damaged")


def test_records_that_lead_elsewhere_hold_the_run_with_all_that_has_changed() -> None:
    elsewhere = Paused(4, "left", 1)
    lost = "record 1 is of a (left), which the run does not come to"
    assert Scene(elsewhere).held() == ("changed_code", lost)
    scene = Scene(elsewhere)
    scene.changes = "all is new in"
    assert scene.held() == ("changed_code", f"{lost} (all is new in w since 3)")


@pytest.mark.parametrize("accept_changes", [False, True])
def test_changes_that_are_accepted_are_not_looked_for(accept_changes: bool) -> None:
    for held, before in [
        (None, None if accept_changes else 3),
        (Held("poisoned", ""), None if accept_changes else 3),
        (Held("changed_code", ""), None),
    ]:
        scene = Scene()
        scene.shapes.accept_changes = accept_changes
        scene.go_on(held)
        assert [shape for _, shape, _ in scene.compared] == [before, before]


def test_the_shape_that_a_run_goes_on_under_is_on_record_once() -> None:
    for records in ([], [Reshaped(8)]):
        scene = Scene(*records)
        scene.shapes.now["w"] = 8
        scene.go_on()
        assert scene.written() == ([] if records else [Reshaped(8)])


# --- what was over ---------------------------------------------------------------------------


def follow(scene: Scene) -> Run:
    scene.now += 50  # to bring it back takes a while
    scene.recovery.follow(scene.run, scene.hosted, scene.records, None)
    return scene.run


def test_a_run_that_is_over_is_as_it_was() -> None:
    run = follow(Scene(DONE, Ended("completed", 3_000_000)))
    assert (run.status, run.value, run.failure) == (RunStatus.COMPLETED, "A", None)
    assert (run.finished, run.state.inputs) == (1000.0, "more")
    failed = Ended("failed", 5_000_000, to_plain(FAILURE))
    run = follow(Scene(Retrying(4, "", 2, 2, None), failed))
    assert (run.status, run.failure) == (RunStatus.FAILED, FAILURE)
    assert run.finished == 1000.0


def test_a_run_that_was_cancelled_is_not_what_its_last_record_leads_to() -> None:
    run = follow(Scene(DONE, Ended("cancelled", 3_000_000, to_plain(FAILURE))))
    assert (run.status, run.value, run.failure) == (RunStatus.CANCELLED, None, FAILURE)
    assert run.state.inputs == "input"


def test_a_run_that_has_completed_and_would_not_now_is_held() -> None:
    completed = Ended("completed", 3_000_000)
    assert Scene(Retrying(4, "", 2, 2, None), completed).held() == (
        "changed_code",
        "the run has completed, and would now have more to do",
    )
    scene = Scene(DONE, completed)
    scene.then = lambda: scene.flow.finish(scene.run, RunStatus.FAILED)
    assert scene.held() == (
        "changed_code",
        "the run has completed, and would now be failed",
    )


# --- what it has used ----------------------------------------------------------------------------


def test_all_that_was_used_before_counts_for_the_run_and_not_for_the_runtime() -> None:
    attempt = AttemptRecord(1, 0.0, 1.0, FAILURE, Usage(calls=4))
    finished = Finished(
        *(4, "", 2, 1, "A", 2, to_plain((attempt,)), to_plain(Usage(calls=8)))
    )
    scene = Scene(finished, calls=100)
    follow(scene)
    assert scene.run.budget.spent == Usage(calls=12)
    assert scene.account.spent == Usage()
    retrying = Retrying(4, "", 1, 2, to_plain((attempt,)))
    reserved = Reserved(4, "", 2, 2, to_plain(Usage(calls=1)))
    scene = Scene(retrying, reserved, calls=100)
    follow(scene)
    assert scene.run.budget.spent == Usage(calls=5, estimated=True)
    assert scene.run.budget.ledger.budget == Budget(calls=100)


def test_functions_that_must_not_run_twice_are_remembered() -> None:
    sealed = stored_sealed("said", lambda digest, content: None, KEYS)
    text = msgspec.msgpack.decode(msgspec.msgpack.encode(sealed))
    scene = Scene(Called(4, "", 2, 1, "f", "key", "1/1", text))
    follow(scene)
    assert scene.run.functions["key"].text == "said"
    assert [type(one) for one in scene.run.log] == [StepEntry]
