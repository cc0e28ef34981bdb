"""The door against plain sets: places, who stands aside, who comes in first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from understudy.budgets import RunBudget
from understudy.engine.admission import Door
from understudy.engine.strand import Run
from understudy_protocols.errors import AdmissionError
from understudy_protocols.frozen import FrozenMap
from understudy_protocols.outcomes import RunStatus
from understudy_protocols.state import OrchestrationState

NOW = datetime(2026, 1, 1, tzinfo=UTC)

NEXT = st.lists(st.sampled_from(["works", "pauses", "ends", "is replaced"]), max_size=4)
"""What becomes of a run each time that it is let in, in the same breath."""


@pytest.fixture(autouse=True)
def _one_place_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.engine.admission.PLACES_AT_ONCE", 1)


class DoorMachine(RuleBasedStateMachine):
    """One door, and where each run is that came to it."""

    @initialize(
        max_runs=st.integers(1, 3),
        max_waiting=st.integers(0, 3),
        max_paused=st.integers(0, 3),
        held=st.booleans(),
    )
    def make(
        self, max_runs: int, max_waiting: int, max_paused: int, held: bool
    ) -> None:
        self.places = 0 if held else max_runs
        self.more: list[Callable[[], None]] = []
        self.door = Door(max_runs, max_waiting, max_paused, self.goes_on)
        self.door.shut = None
        if held:
            self.door.hold()
        self.at_work: list[Run] = []
        self.paused: list[Run] = []
        self.line: list[Run] = []
        self.back: list[Run] = []
        self.fates: dict[str, list[str]] = {}
        self.count = 0
        self.alone: Run | None = None

    # --- what happens ---------------------------------------------------------

    @rule(priority=st.integers(0, 1), tenant=st.sampled_from(["", "a"]), fates=NEXT)
    def comes(self, priority: int, tenant: str, fates: list[str]) -> None:
        full = len(self.line) >= self.door.max_waiting
        if full and self.inside() >= self.places:
            with pytest.raises(AdmissionError):
                self.door.enter(self.cell(priority, tenant, fates))
        else:
            run = self.cell(priority, tenant, fates)
            self.line.append(run)
            self.door.enter(run)

    @rule(priority=st.integers(0, 1), fates=NEXT)
    def comes_again(self, priority: int, fates: list[str]) -> None:
        run = self.cell(priority, "", fates)
        self.line.append(run)
        self.door.enter_again(run)

    @rule(fates=NEXT)
    def comes_and_pauses_at_once(self, fates: list[str]) -> None:
        run = self.cell(0, "", [*fates, "pauses"])
        self.line.append(run)
        self.alone = run
        aside = len(self.paused) - len(self.door._staying) + len(self.back)
        self.door.enter_again(run, steps_aside=True)
        self.alone = None
        if aside < self.door.max_paused and self.places == 0:
            assert run in self.paused, "it has to wait for nobody"

    @precondition(lambda self: self.places == 0)
    @rule()
    def opens(self) -> None:
        self.gets_places(lambda: self.door.open(self.more.append))

    @precondition(lambda self: self.more)
    @rule()
    def opens_further(self) -> None:
        self.gets_places(self.more.pop())

    def gets_places(self, opens: Callable[[], None]) -> None:
        waits = self.line or self.back
        self.places = min(self.places + 1, self.door.max_runs)
        if not waits:
            self.places = self.door.max_runs
        opens()
        assert bool(self.more) is (self.places < self.door.max_runs)

    @rule(which=st.integers(0))
    def one_pauses(self, which: int) -> None:
        if self.at_work:
            self.pauses(self.at_work[which % len(self.at_work)])

    @rule(which=st.integers(0), fates=NEXT)
    def one_is_answered(self, which: int, fates: list[str]) -> None:
        if self.paused:
            run = self.paused.pop(which % len(self.paused))
            self.fates[run.id] = list(fates)
            self.back.append(run)
            run.returning = []
            run.become(RunStatus.QUEUED)
            self.door.come_back(run)

    @rule(which=st.integers(0))
    def one_ends(self, which: int) -> None:
        there = [*self.at_work, *self.paused, *self.line, *self.back]
        if there:
            self.ends(there[which % len(there)])

    # --- what the door leads to -------------------------------------------------

    def begins(self, run: Run) -> None:
        if run is self.alone:
            self.line.remove(run)
            self.let_in(run)
            return
        assert not self.back, "those that come back go first"
        urgent = max(one.priority for one in self.line)
        assert run.priority == urgent
        peers = [one for one in self.line if one.priority == urgent]
        assert run is next(one for one in peers if one.tenant == run.tenant)
        self.line.remove(run)
        self.let_in(run)

    def goes_on(self, run: Run) -> None:
        assert run.priority == max(one.priority for one in self.back)
        self.back.remove(run)
        run.returning = None
        self.let_in(run)

    def let_in(self, run: Run) -> None:
        run.become(RunStatus.RUNNING)
        self.at_work.append(run)
        limit = self.door.max_runs if run is self.alone else self.places
        assert len(self.at_work) <= limit
        fates = self.fates[run.id]
        match fates.pop() if fates else "works":
            case "pauses":
                self.pauses(run)
            case "ends":
                self.ends(run)
            case "is replaced":
                self.ends(run)
                self.comes_again(run.priority, [])
            case _:
                pass

    def pauses(self, run: Run) -> None:
        self.at_work.remove(run)
        self.paused.append(run)
        run.become(RunStatus.PAUSED)
        self.door.step_aside(run)

    def ends(self, run: Run) -> None:
        for where in (self.at_work, self.paused, self.line, self.back):
            if run in where:
                where.remove(run)
        self.door.leave(run)

    # --- what is true ------------------------------------------------------------

    @invariant()
    def nobody_is_lost_and_nobody_is_in_two_places(self) -> None:
        everybody = [*self.at_work, *self.paused, *self.line, *self.back]
        assert set(self.door.unfinished()) == set(everybody)
        assert len(set(everybody)) == len(everybody)
        assert self.door.waiting == len(self.line)

    @invariant()
    def no_place_leaks_and_none_stands_empty_while_somebody_waits(self) -> None:
        assert self.door._inside == self.inside() <= self.places
        if self.line or self.back:
            assert self.inside() == self.places

    @invariant()
    def paused_runs_keep_places_only_when_too_many_stand_aside(self) -> None:
        outside = len(self.paused) - len(self.door._staying)
        assert outside + len(self.back) <= self.door.max_paused
        if self.door._staying:
            assert outside == self.door.max_paused
            assert not self.back, "one that was answered waits for nobody's answer"

    @invariant()
    def is_at_rest_when_all_that_began_wait_for_somebody(self) -> None:
        soon = self.places < self.door.max_runs and self.line
        assert self.door.at_rest() is not bool(self.at_work or self.back or soon)

    # --- inside -----------------------------------------------------------------

    def inside(self) -> int:
        return len(self.at_work) + len(self.door._staying)

    def cell(self, priority: int, tenant: str, fates: list[str]) -> Run:
        self.count += 1
        nothing = FrozenMap[str, object]()
        state = OrchestrationState.accepted(f"r{self.count}", None, nothing, NOW)
        run = Run(state.task_id, "flow", RunBudget(None), state, 0.0)
        run.priority, run.tenant = priority, tenant
        run.begin = self.begins
        self.fates[run.id] = list(fates)
        return run


TestDoor = DoorMachine.TestCase


def test_nobody_begins_once_the_door_is_closed_for_good() -> None:
    begun: list[Run] = []
    door = Door(2, 0, 0, begun.append)
    nothing = FrozenMap[str, object]()
    state = OrchestrationState.accepted("late", None, nothing, NOW)
    late = Run("late", "flow", RunBudget(None), state, 0.0)
    late.begin = begun.append
    door.close()
    door.enter_again(late)
    assert begun == []
    assert (door.waiting, door.unfinished()) == (1, (late,))
    door.leave(late)
    assert (door.waiting, door.unfinished()) == (0, ())
