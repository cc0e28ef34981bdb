"""What the core tells observers to follow from the end of a life."""

from __future__ import annotations

import msgspec
import pytest

from understudy_actors.lineage import Lineage
from understudy_actors.supervision import Supervision
from understudy_actors.supervision_messages import (
    Action,
    BecameReady,
    Begin,
    Ended,
    Report,
    StartLife,
    StopAsked,
)
from understudy_protocols.restart_policy import NO_BACKOFF, Backoff
from understudy_protocols.supervision import (
    ChildSpec,
    Exit,
    ExitKind,
    Kill,
    Life,
    Strategy,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import Decision, LifeState

CRASH = Exit(ExitKind.CRASH, ValueError())
KILLED = Exit(ExitKind.KILLED)
DOWN = Exit(ExitKind.SHUTDOWN)
FAILED = Exit(ExitKind.START_FAILED, ValueError())
FATAL = Exit(ExitKind.CRASH, KeyboardInterrupt())


async def never_run(life: Life) -> None:
    """The code of the children here: nothing runs it."""


def core_of(
    *names: str,
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    backoff: Backoff = NO_BACKOFF,
) -> Supervision:
    """Return a core that has begun."""
    children = tuple(ChildSpec(name, never_run) for name in names)
    spec = SupervisorSpec(children, strategy=strategy, backoff=backoff)
    core = Supervision(spec, "root", lambda: 0.5, Lineage(), observed=True)
    core.handle(Begin(), 0.0)
    return core


def decisions(actions: list[Action]) -> list[tuple[str, Decision | None]]:
    """Return whose end is reported, and what is said to follow."""
    reports = [it for it in actions if isinstance(it, Report) and it.exit is not None]
    return [(report.id, report.decision) for report in reports]


def test_a_first_start_that_fails_makes_the_supervisor_give_up() -> None:
    actions = core_of("a").handle(Ended("a", 1, FAILED), 0.0)
    assert decisions(actions) == [("a", Decision.GIVE_UP)]


def test_the_end_of_a_child_that_never_failed_is_not_critical() -> None:
    (report, *_) = core_of("a").handle(Ended("a", 1, DOWN), 0.0)
    assert report == Report("a", 1, LifeState.STOPPED, DOWN, Decision.KEEP)


@pytest.mark.parametrize(
    ("shutdown", "end", "state"),
    [
        (Kill.AT_ONCE, KILLED, LifeState.STOPPED),
        (Kill.AT_ONCE, CRASH, LifeState.CRASHED),
        (5.0, KILLED, LifeState.CRASHED),
    ],
)
def test_only_a_kill_that_was_meant_is_a_stop(
    shutdown: float | Kill, end: Exit, state: LifeState
) -> None:
    spec = SupervisorSpec((ChildSpec("a", never_run, shutdown=shutdown),))
    core = Supervision(spec, "root", lambda: 0.5, Lineage(), observed=True)
    core.handle(Begin(), 0.0)
    core.handle(StopAsked(), 0.0)
    report, *_ = core.handle(Ended("a", 1, end), 0.0)
    assert isinstance(report, Report)
    assert report.state is state


def test_a_failure_is_critical_and_the_life_that_follows_is_not() -> None:
    core = core_of("a", backoff=msgspec.structs.replace(NO_BACKOFF, critical_after=0))
    core.handle(BecameReady("a", 1, None), 0.0)
    crashed, starting, start = core.handle(Ended("a", 1, CRASH), 0.0)
    assert isinstance(crashed, Report)
    assert crashed.critical
    assert starting == Report("a", 2, LifeState.STARTING)
    assert isinstance(start, StartLife)


def test_an_end_that_ends_the_process_makes_the_supervisor_give_up() -> None:
    core = core_of("a")
    core.handle(BecameReady("a", 1, None), 0.0)
    assert decisions(core.handle(Ended("a", 1, FATAL), 0.0)) == [
        ("a", Decision.GIVE_UP)
    ]


def test_a_child_that_is_stopped_with_its_group_is_restarted_with_it() -> None:
    core = core_of("a", "b", strategy=Strategy.ONE_FOR_ALL)
    core.handle(BecameReady("a", 1, None), 0.0)
    core.handle(BecameReady("b", 1, None), 0.0)
    core.handle(Ended("a", 1, CRASH), 0.0)
    assert decisions(core.handle(Ended("b", 1, DOWN), 0.0)) == [("b", Decision.RESTART)]
