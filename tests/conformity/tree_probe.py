"""Children that can be told how to fail, and a log of what they did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

import trio
import trio.testing

from understudy.testing import run_seeded
from understudy_actors.supervisor import Supervisor
from understudy_actors.system import ActorSystem
from understudy_protocols.restart_policy import (
    NO_BACKOFF,
    Backoff,
    RestartBudget,
)
from understudy_protocols.supervision import (
    AutoShutdown,
    ChildSpec,
    Kill,
    Life,
    Restart,
    Strategy,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import (
    LIFE_AUTOMATON,
    LifeState,
    SupervisionEvent,
)

_T = TypeVar("_T")
SEEDS = range(5)


class Boom(Exception):
    """What a child raises when it is told to."""


class Probe:
    """Makes children, and remembers what they did and what was reported.

    Attributes:
      log: "init A", "stop A", "end A", in order; a stop is logged when it is done.
      events: what the system emitted.
      lives: the latest life of each child, by id.
      init_faults: errors that the next inits of a child raise, first one first;
        None lets one pass.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.events: list[SupervisionEvent] = []
        self.lives: dict[str, Life] = {}
        self.init_faults: dict[str, list[BaseException | None]] = {}
        self._wake: dict[str, trio.Event] = {}
        self._faults: dict[str, BaseException] = {}

    def child(
        self,
        child_id: str,
        *,
        stop_takes: float = 0.0,
        init_takes: float = 0.0,
        always_crashes: bool = False,
        restart: Restart = Restart.PERMANENT,
        shutdown: float | Kill = 5.0,
        start_timeout: float = 30.0,
        significant: bool = False,
        escalates: bool = False,
        budget: RestartBudget | None = None,
        backoff: Backoff | None = None,
    ) -> ChildSpec:
        """Return the spec of a child that serves until told otherwise."""
        start = partial(self._live, child_id, stop_takes, init_takes, always_crashes)
        return ChildSpec(
            child_id,
            start,
            restart=restart,
            shutdown=shutdown,
            start_timeout=start_timeout,
            significant=significant,
            escalates=escalates,
            budget=budget,
            backoff=backoff,
        )

    async def _live(
        self,
        child_id: str,
        stop_takes: float,
        init_takes: float,
        always_crashes: bool,
        life: Life,
    ) -> None:
        self.lives[child_id] = life
        self.log.append(f"init {child_id}")
        await trio.sleep(init_takes)
        faults = self.init_faults.get(child_id)
        if faults and (fault := faults.pop(0)) is not None:
            raise fault
        wake = self._wake[child_id] = trio.Event()
        life.on_stop(wake.set)
        life.ready(f"{child_id}#{life.number}")
        if always_crashes:
            raise Boom(child_id)
        await wake.wait()
        if not life.stopping:
            self.log.append(f"end {child_id}")
            if child_id in self._faults:
                raise self._faults.pop(child_id)
            return
        if stop_takes:
            await trio.sleep(stop_takes)
        self.log.append(f"stop {child_id}")

    def crash(self, child_id: str, error: BaseException | None = None) -> None:
        """Let a running child raise *error*."""
        self._faults[child_id] = error or Boom(child_id)
        self._wake[child_id].set()

    def finish(self, child_id: str) -> None:
        """Let a running child return."""
        self._wake[child_id].set()

    async def crash_and_settle(self, child_id: str) -> list[str]:
        """Crash a child; return what was logged until nothing moves any more."""
        before = len(self.log)
        self.crash(child_id)
        await settle()
        return self.log[before:]

    def number(self, child_id: str) -> int:
        """Return the number of a child's latest life."""
        return self.lives[child_id].number

    def system(
        self,
        spec: SupervisorSpec | Iterable[ChildSpec],
        *,
        kill_timeout: float = 1.0,
        stop_timeout: float = 10.0,
    ) -> ActorSystem:
        """Return a system whose events are remembered."""
        if not isinstance(spec, SupervisorSpec):
            spec = supervising(*spec)
        return ActorSystem(
            spec,
            on_event=self.events.append,
            kill_timeout=kill_timeout,
            stop_timeout=stop_timeout,
        )

    def ends(self, path: str) -> list[SupervisionEvent]:
        """Return the events that say how lives of *path* ended."""
        return [
            event
            for event in self.events
            if event.path == path
            and event.state in (LifeState.STOPPED, LifeState.CRASHED)
        ]


def supervising(
    *children: ChildSpec,
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    intensity: int = 3,
    period: float = 5.0,
    backoff: Backoff = NO_BACKOFF,
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
    max_children: int | None = None,
    revive: bool = False,
) -> SupervisorSpec:
    """Return a supervisor's spec; it restarts without a wait."""
    return SupervisorSpec(
        children,
        strategy=strategy,
        intensity=intensity,
        period=period,
        backoff=backoff,
        auto_shutdown=auto_shutdown,
        max_children=max_children,
        revive=revive,
    )


def supervisor_of(children_of: Supervisor, child_id: str = "S") -> Supervisor:
    """Return the live supervisor that is a child of another one."""
    value = next(c.value for c in children_of.children() if c.id == child_id)
    assert isinstance(value, Supervisor)
    return value


def assert_accepted(events: list[SupervisionEvent]) -> None:
    """Each life's events are a path of the published automaton, times in order."""
    states: dict[tuple[str, int], LifeState | None] = {}
    for event in events:
        life = (event.path, event.incarnation)
        before = states.get(life)
        assert event.state in LIFE_AUTOMATON[before], (life, before, event.state)
        states[life] = event.state
    times = [event.time for event in events]
    assert times == sorted(times)
    ended = {LifeState.STOPPED, LifeState.CRASHED, LifeState.BACKING_OFF}
    assert set(states.values()) <= ended


async def settle() -> None:
    """Wait until every task waits for something, without letting time pass."""
    await trio.testing.wait_all_tasks_blocked()


def run(main: Callable[[], Awaitable[_T]], seed: int = 0) -> _T:
    """Run *main* under virtual time and the schedule of *seed*."""
    return run_seeded(main, seed=seed)
