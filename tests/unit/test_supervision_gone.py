"""Who is told by the core that a child is started no more, and when."""

from __future__ import annotations

import pytest

from understudy_actors.lineage import Lineage
from understudy_actors.supervision import Phase, Supervision
from understudy_actors.supervision_messages import (
    Action,
    Add,
    BecameReady,
    Begin,
    Delete,
    Due,
    End,
    Ended,
    Event,
    StartAgain,
    StopAsked,
    TellGone,
    Terminate,
    Withdraw,
)
from understudy_protocols.restart_policy import NO_BACKOFF, Backoff, RestartBudget
from understudy_protocols.supervision import (
    AutoShutdown,
    ChildSpec,
    Escalate,
    Exit,
    ExitKind,
    Life,
    Restart,
    Strategy,
    SupervisorSpec,
)

CRASH = Exit(ExitKind.CRASH, ValueError())
NORMAL = Exit(ExitKind.NORMAL)
SHUTDOWN = Exit(ExitKind.SHUTDOWN)
FAILED = Exit(ExitKind.START_FAILED, ValueError())
ESCALATES = Exit(ExitKind.CRASH, Escalate())
FATAL = Exit(ExitKind.CRASH, KeyboardInterrupt())
SLOW = Backoff(1.0, 1.0)


async def never_run(life: Life) -> None:
    """The code of the children here: nothing runs it."""


def nobody_told(path: str, end: Exit | None) -> None:
    """The owner of the children here: the actions are looked at instead."""


class Nobody:
    """A reply that nobody waits for."""

    child = "a"

    def answer(self, value: object) -> None: ...

    def refuse(self, error: Exception) -> None: ...


REPLY = Nobody()


def owned(
    name: str,
    restart: Restart = Restart.PERMANENT,
    *,
    significant: bool = False,
    budget: RestartBudget | None = None,
) -> ChildSpec:
    return ChildSpec(
        name,
        never_run,
        restart=restart,
        significant=significant,
        budget=budget,
        on_gone=nobody_told,
    )


def core_of(*events: Event, spec: SupervisorSpec) -> Supervision:
    """Return a core that has handled these."""
    core = Supervision(spec, "root", lambda: 0.5, Lineage(), observed=False)
    for event in events:
        assert not gone(core.handle(event, 0.0))
    return core


def one(
    restart: Restart = Restart.PERMANENT, *, backoff: Backoff = NO_BACKOFF
) -> Supervision:
    """Return a core with a child that is ready."""
    spec = SupervisorSpec((owned("a", restart),), backoff=backoff)
    return core_of(Begin(), BecameReady("a", 1, None), spec=spec)


def gone(actions: list[Action]) -> list[tuple[str, Exit | None]]:
    """Return who is told what, in order."""
    return [(it.id, it.exit) for it in actions if isinstance(it, TellGone)]


def test_a_child_that_is_restarted_is_not_gone() -> None:
    core = one()
    assert not gone(core.handle(Ended("a", 1, CRASH), 0.0))
    assert not gone(core.handle(Ended("a", 2, FAILED), 0.0))


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_of_a_group_that_is_restarted_only_the_temporary_are_gone(
    strategy: Strategy,
) -> None:
    children = (owned("a"), owned("b"), owned("c", Restart.TEMPORARY))
    ready = [BecameReady(name, 1, None) for name in "abc"]
    spec = SupervisorSpec(children, strategy=strategy, backoff=NO_BACKOFF)
    core = core_of(Begin(), *ready, spec=spec)
    assert not gone(core.handle(Ended("a", 1, CRASH), 0.0))
    assert gone(core.handle(Ended("c", 1, SHUTDOWN), 0.0)) == [("c", SHUTDOWN)]
    assert not gone(core.handle(Ended("b", 1, SHUTDOWN), 0.0))
    assert not gone(core.handle(BecameReady("a", 2, None), 0.0))
    assert not gone(core.handle(BecameReady("b", 2, None), 0.0))


@pytest.mark.parametrize(
    ("restart", "end"),
    [
        (Restart.TRANSIENT, NORMAL),
        (Restart.TRANSIENT, SHUTDOWN),
        (Restart.TEMPORARY, NORMAL),
        (Restart.TEMPORARY, CRASH),
    ],
)
def test_a_child_that_ended_and_is_not_restarted_is_gone(
    restart: Restart, end: Exit
) -> None:
    core = one(restart)
    assert gone(core.handle(Ended("a", 1, end), 0.0)) == [("a", end)]
    assert not gone(core.handle(StopAsked(), 0.0)), "told twice"


def test_it_is_told_which_life_was_the_last() -> None:
    core = one(Restart.TRANSIENT)
    core.handle(Ended("a", 1, CRASH), 0.0)
    core.handle(BecameReady("a", 2, None), 0.0)
    actions = core.handle(Ended("a", 2, NORMAL), 0.0)
    assert actions == [TellGone("a", 2, nobody_told, NORMAL)]


def test_the_error_of_a_life_is_let_go_when_the_next_begins_or_none_will() -> None:
    core = one()
    core.handle(Ended("a", 1, CRASH), 0.0)
    (child,) = core.children
    assert child.end is None
    core.handle(Ended("a", 2, ESCALATES), 0.0)
    assert child.end is None


def test_a_child_that_is_terminated_is_gone_when_it_has_ended_and_only_once() -> None:
    core = one()
    assert not gone(core.handle(Terminate("a", REPLY), 0.0))
    assert gone(core.handle(Ended("a", 1, SHUTDOWN), 0.0)) == [("a", SHUTDOWN)]
    assert not gone(core.handle(Terminate("a", REPLY), 0.0))
    assert not gone(core.handle(Delete("a", REPLY), 0.0))
    assert not gone(core.handle(StopAsked(), 0.0))


def test_a_child_that_is_started_by_hand_can_be_gone_again() -> None:
    core = one()
    core.handle(Terminate("a", REPLY), 0.0)
    core.handle(Ended("a", 1, SHUTDOWN), 0.0)
    assert not gone(core.handle(StartAgain("a", REPLY), 0.0))
    assert gone(core.handle(Ended("a", 2, FAILED), 0.0)) == [("a", FAILED)]


@pytest.mark.parametrize("last", [Terminate("a", REPLY), StopAsked()])
def test_a_child_that_is_stopped_while_it_waits_for_its_restart_is_gone(
    last: Event,
) -> None:
    core = one(backoff=SLOW)
    assert not gone(core.handle(Ended("a", 1, CRASH), 0.0))
    assert gone(core.handle(last, 0.5)) == [("a", CRASH)]
    assert not gone(core.handle(Due(1), 1.0))


def test_a_child_of_a_group_that_waits_for_its_restart_is_gone_by_a_stop() -> None:
    children = (owned("a"), owned("b"))
    spec = SupervisorSpec(children, strategy=Strategy.ONE_FOR_ALL, backoff=SLOW)
    ready = [BecameReady(name, 1, None) for name in "ab"]
    core = core_of(Begin(), *ready, Ended("a", 1, CRASH), spec=spec)
    assert not gone(core.handle(Ended("b", 1, SHUTDOWN), 0.0))
    told = gone(core.handle(StopAsked(), 0.5))
    assert told == [("a", CRASH), ("b", SHUTDOWN)]


def test_a_group_is_terminated_in_the_midst_of_its_restart() -> None:
    children = (owned("a"), owned("b"))
    spec = SupervisorSpec(children, strategy=Strategy.ONE_FOR_ALL, backoff=NO_BACKOFF)
    ready = [BecameReady(name, 1, None) for name in "ab"]
    core = core_of(Begin(), *ready, Ended("a", 1, CRASH), spec=spec)
    assert not gone(core.handle(Terminate("b", REPLY), 0.0))
    assert gone(core.handle(Ended("b", 1, SHUTDOWN), 0.0)) == [("b", SHUTDOWN)]


@pytest.mark.parametrize(("end", "intensity"), [(CRASH, 0), (ESCALATES, 3), (FATAL, 3)])
def test_all_children_of_a_supervisor_that_gives_up_are_gone(
    end: Exit, intensity: int
) -> None:
    spec = SupervisorSpec((owned("a"), owned("b")), intensity=intensity)
    ready = [BecameReady(name, 1, None) for name in "ab"]
    core = core_of(Begin(), *ready, spec=spec)
    assert gone(core.handle(Ended("a", 1, end), 0.0)) == [("a", end)]
    last = core.handle(Ended("b", 1, SHUTDOWN), 0.0)
    assert gone(last) == [("b", SHUTDOWN)]
    assert isinstance(last[-1], End)


def test_a_child_over_its_own_budget_is_gone() -> None:
    child = owned("a", budget=RestartBudget(0, 5.0))
    core = core_of(Begin(), BecameReady("a", 1, None), spec=SupervisorSpec((child,)))
    assert gone(core.handle(Ended("a", 1, CRASH), 0.0)) == [("a", CRASH)]
    assert core.phase is Phase.UP


def test_the_end_of_a_significant_child_makes_all_gone() -> None:
    significant = owned("a", Restart.TRANSIENT, significant=True)
    spec = SupervisorSpec(
        (significant, owned("b")), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT
    )
    ready = [BecameReady(name, 1, None) for name in "ab"]
    core = core_of(Begin(), *ready, spec=spec)
    assert gone(core.handle(Ended("a", 1, NORMAL), 0.0)) == [("a", NORMAL)]
    assert gone(core.handle(Ended("b", 1, SHUTDOWN), 0.0)) == [("b", SHUTDOWN)]


def test_children_whose_turn_never_came_are_gone_with_their_supervisor() -> None:
    spec = SupervisorSpec((owned("a"), owned("b")))
    core = core_of(Begin(), spec=spec)
    assert gone(core.handle(Ended("a", 1, FAILED), 0.0)) == [
        ("a", FAILED),
        ("b", None),
    ]
    core = core_of(spec=spec)
    actions = core.handle(StopAsked(), 0.0)
    assert gone(actions) == [("a", None), ("b", None)]
    assert isinstance(actions[-1], End)


def test_a_child_that_declines_to_start_is_gone() -> None:
    core = core_of(Begin(), spec=SupervisorSpec((owned("a"),)))
    assert gone(core.handle(Ended("a", 1, SHUTDOWN), 0.0)) == [("a", SHUTDOWN)]


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ONE, Strategy.DYNAMIC])
def test_a_child_whose_start_by_hand_failed_or_is_not_wanted_is_gone(
    strategy: Strategy,
) -> None:
    dynamic = strategy is Strategy.DYNAMIC
    spec = SupervisorSpec((owned("t"),) if dynamic else (), strategy=strategy)
    core = core_of(Begin(), Add(owned("a"), REPLY), spec=spec)
    assert gone(core.handle(Ended("a", 1, FAILED), 0.0)) == [("a", FAILED)]
    core = core_of(Begin(), Add(owned("a"), REPLY), Withdraw("a", REPLY), spec=spec)
    assert gone(core.handle(Ended("a", 1, SHUTDOWN), 0.0)) == [("a", SHUTDOWN)]


def test_a_spec_that_was_refused_was_never_a_child() -> None:
    core = one()
    assert not gone(core.handle(Add(owned("a"), REPLY), 0.0))
    core.handle(StopAsked(), 0.0)
    assert not gone(core.handle(Add(owned("b"), REPLY), 0.0))


def test_of_a_supervisor_that_is_cut_all_are_told_that_were_not() -> None:
    children = (owned("a"), owned("b"), owned("c"), owned("d", Restart.TEMPORARY))
    ready = [BecameReady(name, 1, None) for name in "abcd"]
    spec = SupervisorSpec((*children, owned("e")), backoff=SLOW)
    core = core_of(Begin(), *ready, Ended("c", 1, CRASH), spec=spec)
    core.handle(Terminate("b", REPLY), 0.0)
    core.handle(Ended("b", 1, SHUTDOWN), 0.0)
    killed = Exit(ExitKind.KILLED)
    told = gone(core.abandon({"a": killed, "d": killed, "e": killed}))
    assert told == [("a", killed), ("c", CRASH), ("d", killed), ("e", killed)]
    assert not core.handle(StopAsked(), 0.0)
