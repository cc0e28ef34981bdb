"""The children of a scenario on our side, and what they tell."""

from __future__ import annotations

from collections import Counter
from functools import partial

import attrs
import trio
from otp_scenarios import PERIOD, Finish, Group, Init, Node

from understudy_actors.incarnation import Incarnation
from understudy_actors.supervisor import supervisor_child
from understudy_protocols.restart_policy import NO_BACKOFF
from understudy_protocols.supervision import (
    ChildSpec,
    Life,
    Restart,
    Shutdown,
    Start,
    Strategy,
    SupervisorSpec,
)
from understudy_protocols.supervision_records import (
    Decision,
    LifeState,
    SupervisionEvent,
)


class Planned(Exception):
    """What a child raises because the scenario says so."""


class _Worker:
    """One life of a worker, as the scenario reaches it."""

    def __init__(self, life: Life) -> None:
        assert isinstance(life, Incarnation), "started by a system"
        self._life = life
        self.how: Finish | None = None
        self.woken = trio.Event()

    def finish(self, how: Finish) -> None:
        if how is Finish.KILL:
            self._life.kill()
        else:
            self.how = how
            self.woken.set()


class Cast:
    """The children of a scenario, and what is told of them.

    Attributes:
      steps, counts, s032: see `Told`.
      gone: which supervisors ended, each with the step.
    """

    def __init__(self) -> None:
        self.steps: list[list[str]] = []
        self.counts: list[Counter[str]] = []
        self.gone: set[tuple[int, str]] = set()
        self.s032: tuple[int, int] | None = None
        self._inits = Counter[str]()
        self._workers: dict[str, _Worker] = {}
        self._supervisors: dict[str, Node] = {}  # as they were last begun

    def begin_step(self) -> int:
        """Begin the next step; return its number."""
        self.steps.append([])
        self.counts.append(Counter())
        return len(self.steps) - 1

    def say(self, line: str) -> None:
        self.steps[-1].append(line)

    def count(self, what: str) -> None:
        self.counts[-1][what] += 1

    def finish(self, path: str, how: Finish) -> None:
        self._workers[path].finish(how)

    def on_event(self, event: SupervisionEvent) -> None:
        step, path = len(self.steps) - 1, event.path
        if event.state is LifeState.GAVE_UP:
            if self._supervisors[path].restart is Restart.TRANSIENT and not self.s032:
                self.s032 = step, len(self.steps[-1])
            self.say(f"gave_up {path}")
            self.count("the root gave up" if path == "root" else "supervisors gave up")
        if event.state in (LifeState.STOPPED, LifeState.CRASHED):
            self.gone.add((step, path))
        if event.decision is Decision.SHUT_DOWN:
            self.count("automatic shutdowns")
        if event.decision is Decision.RESTART and event.restarts:
            self.count("restarts")
            above = self._supervisors[path.rpartition("/")[0]]
            assert above.group is not None, "it has children"
            if above.group.strategy is not Strategy.ONE_FOR_ONE:
                self.count("of them group restarts")

    def flags(self, path: str, group: Group) -> SupervisorSpec:
        return SupervisorSpec(
            tuple(self.child(f"{path}/{child.id}", child) for child in group.children),
            strategy=group.strategy,
            intensity=group.intensity,
            period=PERIOD,
            backoff=NO_BACKOFF,  # S62
            auto_shutdown=group.auto_shutdown,
            revive=True,  # S48
        )

    def child(self, path: str, node: Node) -> ChildSpec:
        if node.group is None:
            return ChildSpec(
                node.id,
                partial(self._work, path, node),
                restart=node.restart,
                shutdown=node.shutdown,
                significant=node.significant,
            )
        made = supervisor_child(
            node.id,
            self.flags(path, node.group),
            restart=node.restart,
            shutdown=node.shutdown,
            significant=node.significant,
        )
        start = partial(self._supervise, path, node, made.start)
        return attrs.evolve(made, start=start)

    async def _supervise(self, path: str, node: Node, start: Start, life: Life) -> None:
        self.init(path, node)
        await start(life)

    async def _work(self, path: str, node: Node, life: Life) -> None:
        self.init(path, node)
        worker = self._workers[path] = _Worker(life)
        life.on_stop(worker.woken.set)
        life.ready(path)
        await worker.woken.wait()
        if worker.how is None:
            await trio.lowlevel.checkpoint()  # it has a right to some time
            self.say(f"stop {path}")
            if node.stops_badly:
                self.count("stops that fail")
                raise Planned
            return
        self.say(f"end {path}")
        match worker.how:
            case Finish.CRASH:
                raise Planned
            case Finish.SHUT_DOWN | Finish.SHUT_DOWN_WITH_DETAIL:
                raise Shutdown
            case Finish.RETURN | Finish.KILL:
                return

    def init(self, path: str, node: Node) -> None:
        """Tell that a start is tried, and let it fail if it is to."""
        if node.group is not None:
            self._supervisors[path] = node
        number = self._inits[path]
        self._inits[path] += 1
        self.count("inits")
        match node.inits[number] if number < len(node.inits) else Init.READY:
            case Init.READY:
                self.say(f"init {path}")
            case Init.FAILS:
                self.say(f"init {path} fails")
                self.count("inits that fail")
                raise Planned
            case Init.DECLINES:
                self.say(f"init {path} declines")
                self.count("inits that decline")
                raise Shutdown
