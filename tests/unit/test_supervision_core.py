"""The core of a supervisor, event by event: what no tree brings about easily."""

from __future__ import annotations

from understudy_actors.lineage import Lineage
from understudy_actors.supervision import Phase, Supervision
from understudy_actors.supervision_messages import (
    Action,
    Add,
    Answer,
    Arm,
    BecameReady,
    Begin,
    Disarm,
    Due,
    End,
    Ended,
    GaveUp,
    Refuse,
    StartAgain,
    StartLife,
    StopAsked,
    StopLife,
    Terminate,
    Up,
    Withdraw,
)
from understudy_protocols.errors import ChildEscalatedError
from understudy_protocols.restart_policy import NO_BACKOFF, Backoff
from understudy_protocols.supervision import (
    ChildKind,
    ChildSpec,
    Escalate,
    Exit,
    ExitKind,
    Life,
    Restart,
    Strategy,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import ChildState, ChildStatus

CRASH = Exit(ExitKind.CRASH, ValueError())


async def never_run(life: Life) -> None:
    """The code of the children here: nothing runs it."""


class Nobody:
    """A reply that nobody waits for."""

    child = "a"

    def answer(self, value: object) -> None: ...

    def refuse(self, error: Exception) -> None: ...


def running(
    *names: str,
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    backoff: Backoff = NO_BACKOFF,
) -> Supervision:
    """Return a core whose children are all ready."""
    children = tuple(ChildSpec(name, never_run) for name in names)
    spec = SupervisorSpec(children, strategy=strategy, backoff=backoff)
    core = Supervision(spec, "root", lambda: 0.5, Lineage(), observed=False)
    core.handle(Begin(), 0.0)
    for name in names:
        core.handle(BecameReady(name, 1, None), 0.0)
    assert core.phase is Phase.UP
    return core


def started(actions: list[Action]) -> list[tuple[str, int]]:
    return [(a.id, a.number) for a in actions if isinstance(a, StartLife)]


def test_an_empty_supervisor_is_up_at_once_and_ends_at_once() -> None:
    core = Supervision(SupervisorSpec(), "root", lambda: 0.5, Lineage(), observed=False)
    assert core.handle(Begin(), 0.0) == [Up()]
    assert core.handle(StopAsked(), 0.0) == [End(None)]
    assert core.handle(StopAsked(), 0.0) == []


def test_the_second_child_starts_when_the_first_is_ready() -> None:
    children = (ChildSpec("a", never_run), ChildSpec("b", never_run))
    core = Supervision(
        SupervisorSpec(children), "root", lambda: 0.5, Lineage(), observed=False
    )
    assert started(core.handle(Begin(), 0.0)) == [("a", 1)]
    assert started(core.handle(BecameReady("a", 1, None), 0.0)) == [("b", 1)]


def test_what_is_said_of_an_earlier_life_is_ignored() -> None:
    core = running("a")
    assert started(core.handle(Ended("a", 1, CRASH), 0.0)) == [("a", 2)]
    assert core.handle(Ended("a", 1, CRASH), 0.0) == []
    assert core.handle(BecameReady("a", 1, None), 0.0) == []
    assert core.handle(Ended("gone", 1, CRASH), 0.0) == []


def test_an_end_that_is_told_twice_counts_once() -> None:
    core = running("a")
    core.handle(Terminate("a", Nobody()), 0.0)
    assert core.handle(Ended("a", 1, CRASH), 0.0) != []
    assert core.handle(Ended("a", 1, CRASH), 0.0) == []


def test_a_child_that_has_not_begun_is_listed_with_what_is_known_of_it() -> None:
    spec = SupervisorSpec((ChildSpec("a", never_run),))
    core = Supervision(spec, "root", lambda: 0.5, Lineage(), observed=False)
    worker, permanent = ChildKind.WORKER, Restart.PERMANENT
    (status,) = core.children.statuses()
    assert status == ChildStatus(
        "a", "root/a", worker, permanent, ChildState.PENDING, 0, None, None, None
    )


def test_a_time_that_came_after_it_was_taken_back_is_ignored() -> None:
    core = running("a", backoff=Backoff(1.0, 1.0))
    (arm,) = core.handle(Ended("a", 1, CRASH), 0.0)
    assert isinstance(arm, Arm)
    core.handle(Terminate("a", Nobody()), 0.5)
    assert core.handle(Due(arm.token), 1.0) == []


def test_a_restart_that_has_begun_or_was_taken_back_is_not_due() -> None:
    core = running("a", "b", backoff=Backoff(1.0, 1.0))
    for name in "ab":
        core.handle(Ended(name, 1, CRASH), 0.0)
    core.handle(Due(1), 1.0)
    core.handle(Terminate("b", Nobody()), 1.0)
    assert [status.due for status in core.children.statuses()] == [None, None]


def test_a_life_that_was_never_ready_does_not_end_a_row_of_failures() -> None:
    core = running("a", backoff=Backoff(1.0, 9.0, jitter=0.0, reset_after=5.0))
    assert core.handle(Ended("a", 1, CRASH), 0.0) == [Arm(1, 1.0)]
    core.handle(Due(1), 1.0)
    failed = Exit(ExitKind.START_FAILED, ValueError())
    assert core.handle(Ended("a", 2, failed), 7.0) == [Arm(2, 9.0)]


def test_a_start_by_hand_that_was_taken_back_is_not_answered_by_a_later_one() -> None:
    core, first, second = running("a"), Nobody(), Nobody()
    core.handle(Terminate("a", Nobody()), 0.0)
    core.handle(Ended("a", 1, DOWN), 0.0)
    core.handle(StartAgain("a", first), 0.0)
    core.handle(Terminate("a", Nobody()), 0.0)
    core.handle(Ended("a", 2, DOWN), 0.0)
    core.handle(StartAgain("a", second), 0.0)
    assert core.handle(BecameReady("a", 3, "it"), 0.0) == [Answer(second, "it")]


def test_a_refused_start_that_nobody_waits_for_leaves_the_child_of_that_id_alone() -> (
    None
):
    core, reply = running("a"), Nobody()
    (refuse,) = core.handle(Add(ChildSpec("a", never_run), reply), 0.0)
    assert isinstance(refuse, Refuse)
    assert core.handle(Withdraw("a", reply), 0.0) == []


def test_readiness_that_arrives_during_a_stop_changes_nothing() -> None:
    core = running("a", "b", strategy=Strategy.ONE_FOR_ALL)
    core.handle(Ended("b", 1, CRASH), 0.0)
    core.handle(Ended("a", 1, Exit(ExitKind.SHUTDOWN)), 0.0)
    actions = core.handle(StopAsked(), 0.0)
    assert [a.id for a in actions if isinstance(a, StopLife)] == ["a"]
    assert core.handle(BecameReady("a", 2, None), 0.0) == []


def test_an_escalation_from_a_restarting_child_is_heard() -> None:
    core = running("a")
    core.handle(Ended("a", 1, CRASH), 0.0)
    end = Exit(ExitKind.START_FAILED, Escalate())
    gave_up, ended = core.handle(Ended("a", 2, end), 0.0)
    assert isinstance(gave_up, GaveUp)
    assert isinstance(gave_up.error, ChildEscalatedError)
    assert ended == End(gave_up.error)


def test_the_numbers_of_lives_go_on_in_a_later_life_of_the_supervisor() -> None:
    lineage = Lineage()
    spec = SupervisorSpec((ChildSpec("a", never_run),))
    first = Supervision(spec, "root", lambda: 0.5, lineage, observed=False)
    assert started(first.handle(Begin(), 0.0)) == [("a", 1)]
    second = Supervision(spec, "root", lambda: 0.5, lineage, observed=False)
    assert started(second.handle(Begin(), 0.0)) == [("a", 2)]


def test_children_added_by_hand_are_forgotten_with_the_life_of_the_supervisor() -> None:
    lineage = Lineage()
    spec = SupervisorSpec((ChildSpec("a", never_run),))
    first = Supervision(spec, "root", lambda: 0.5, lineage, observed=False)
    first.handle(Begin(), 0.0)
    first.handle(Add(ChildSpec("b", never_run), Nobody()), 0.0)
    Supervision(spec, "root", lambda: 0.5, lineage, observed=False)
    assert list(lineage.below) == ["a"]


DOWN = Exit(ExitKind.SHUTDOWN)


def test_a_child_terminated_while_its_group_restarts_stays_stopped() -> None:
    core = running("a", "b", strategy=Strategy.ONE_FOR_ALL)
    core.handle(Ended("b", 1, CRASH), 0.0)
    core.handle(Terminate("a", Nobody()), 0.0)
    assert started(core.handle(Ended("a", 1, DOWN), 0.0)) == [("b", 2)]


def test_a_child_being_terminated_is_not_brought_back_by_its_group() -> None:
    core = running("a", "b", strategy=Strategy.ONE_FOR_ALL)
    core.handle(Terminate("a", Nobody()), 0.0)
    core.handle(Ended("b", 1, CRASH), 0.0)
    assert started(core.handle(Ended("a", 1, DOWN), 0.0)) == [("b", 2)]


def test_a_newer_group_restart_takes_the_time_of_the_older_back() -> None:
    strategy, backoff = Strategy.REST_FOR_ONE, Backoff(1.0, 1.0, jitter=0.0)
    core = running("a", "b", strategy=strategy, backoff=backoff)
    assert core.handle(Ended("b", 1, CRASH), 0.0) == [Arm(1, 1.0)]
    actions = core.handle(Ended("a", 1, CRASH), 0.5)
    assert actions == [Disarm(1), Arm(2, 1.5)]
    assert core.handle(Due(1), 1.0) == []
    assert started(core.handle(Due(2), 1.5)) == [("a", 2)]


def test_a_stop_during_a_group_restart_leaves_all_stopped() -> None:
    core = running("a", "b", strategy=Strategy.ONE_FOR_ALL)
    core.handle(Ended("b", 1, CRASH), 0.0)
    assert core.handle(StopAsked(), 0.0) == []
    assert core.handle(Ended("a", 1, DOWN), 0.0) == [End(None)]
    states = [status.state for status in core.children.statuses()]
    assert states == [ChildState.STOPPED, ChildState.STOPPED]


def test_a_stop_takes_the_time_of_a_group_restart_back() -> None:
    strategy, backoff = Strategy.ONE_FOR_ALL, Backoff(1.0, 1.0, jitter=0.0)
    core = running("a", strategy=strategy, backoff=backoff)
    assert core.handle(Ended("a", 1, CRASH), 0.0) == [Arm(1, 1.0)]
    assert core.handle(StopAsked(), 0.5) == [Disarm(1), End(None)]


def test_a_restart_that_fails_during_the_first_start_spends_budget() -> None:
    children = (ChildSpec("a", never_run), ChildSpec("b", never_run))
    spec = SupervisorSpec(children, backoff=NO_BACKOFF)
    core = Supervision(spec, "root", lambda: 0.5, Lineage(), observed=False)
    core.handle(Begin(), 0.0)
    core.handle(BecameReady("a", 1, None), 0.0)
    assert started(core.handle(Ended("a", 1, CRASH), 0.0)) == [("a", 2)]
    failed = Exit(ExitKind.START_FAILED, ValueError())
    assert started(core.handle(Ended("a", 2, failed), 0.0)) == [("a", 3)]
    assert core.handle(BecameReady("b", 1, None), 0.0) == [Up()]


def test_a_child_stopped_with_its_group_and_started_by_hand_is_restarted_again() -> (
    None
):
    core = running("a", "b", strategy=Strategy.ONE_FOR_ALL)
    core.handle(Ended("b", 1, CRASH), 0.0)
    core.handle(Terminate("a", Nobody()), 0.0)
    core.handle(Ended("a", 1, DOWN), 0.0)
    core.handle(BecameReady("b", 2, None), 0.0)
    assert started(core.handle(StartAgain("a", Nobody()), 0.0)) == [("a", 2)]
    core.handle(BecameReady("a", 2, None), 0.0)
    core.handle(Ended("a", 2, CRASH), 0.0)
    assert started(core.handle(Ended("b", 2, DOWN), 0.0)) == [("a", 3)]


def test_a_child_is_asked_to_stop_once() -> None:
    core = running("a")
    assert core.handle(Terminate("a", Nobody()), 0.0) == [StopLife("a", 5.0)]
    assert core.handle(Terminate("a", Nobody()), 0.0) == []
    assert core.handle(StopAsked(), 0.0) == []


def test_a_child_of_a_dynamic_supervisor_is_asked_to_stop_once() -> None:
    template = ChildSpec("t", never_run)
    spec = SupervisorSpec((template,), strategy=Strategy.DYNAMIC)
    core = Supervision(spec, "root", lambda: 0.5, Lineage(), observed=False)
    core.handle(Begin(), 0.0)
    core.handle(Add(template.named("a"), Nobody()), 0.0)
    assert core.handle(Terminate("a", Nobody()), 0.0) == [StopLife("a", 5.0)]
    assert core.handle(StopAsked(), 0.0) == []


def test_a_first_life_that_begins_with_its_group_may_fail_like_a_later_one() -> None:
    children = (ChildSpec("a", never_run), ChildSpec("b", never_run))
    spec = SupervisorSpec(
        children, strategy=Strategy.ONE_FOR_ALL, revive=True, backoff=NO_BACKOFF
    )
    core = Supervision(spec, "root", lambda: 0.5, Lineage(), observed=False)
    core.handle(Begin(), 0.0)
    core.handle(Terminate("b", Nobody()), 0.0)
    assert core.handle(BecameReady("a", 1, None), 0.0) == [Up()]
    core.handle(Ended("a", 1, CRASH), 0.0)
    assert started(core.handle(BecameReady("a", 2, None), 0.0)) == [("b", 1)]
    core.handle(Ended("b", 1, Exit(ExitKind.START_FAILED, ValueError())), 0.0)
    assert started(core.handle(Ended("a", 2, DOWN), 0.0)) == [("a", 3)]


def test_a_child_started_by_hand_while_its_group_comes_down_goes_on() -> None:
    core = running("a", "b", "c", strategy=Strategy.ONE_FOR_ALL)
    core.handle(Terminate("a", Nobody()), 0.0)
    core.handle(Ended("a", 1, DOWN), 0.0)
    assert core.handle(Ended("c", 1, CRASH), 0.0) == [StopLife("b", 5.0)]
    assert started(core.handle(StartAgain("a", Nobody()), 0.0)) == [("a", 2)]
    assert core.handle(Ended("b", 1, DOWN), 0.0) == []
    assert started(core.handle(BecameReady("a", 2, None), 0.0)) == [("b", 2)]


def test_a_child_whose_turn_has_not_come_stays_pending_when_its_group_restarts() -> (
    None
):
    children = tuple(ChildSpec(name, never_run) for name in "abc")
    spec = SupervisorSpec(
        children, strategy=Strategy.ONE_FOR_ALL, revive=True, backoff=NO_BACKOFF
    )
    core = Supervision(spec, "root", lambda: 0.5, Lineage(), observed=False)
    core.handle(Begin(), 0.0)
    core.handle(BecameReady("a", 1, None), 0.0)
    core.handle(Ended("a", 1, CRASH), 0.0)
    states = [status.state for status in core.children.statuses()]
    assert states == [
        ChildState.RESTARTING,
        ChildState.STOPPING,
        ChildState.PENDING,
    ]


def test_a_stop_that_is_asked_for_late_does_not_hide_why_the_supervisor_ends() -> None:
    core = running("a", "b")
    core.handle(Ended("a", 1, Exit(ExitKind.CRASH, Escalate())), 0.0)
    assert core.handle(StopAsked(), 0.0) == []
    (end,) = core.handle(Ended("b", 1, DOWN), 0.0)
    assert isinstance(end, End)
    assert isinstance(end.error, ChildEscalatedError)
