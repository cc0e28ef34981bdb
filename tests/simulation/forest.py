"""Random supervision trees."""

from __future__ import annotations

import math

import attrs
from acts import HANG
from chaos import Declared, Fault, Finished, Hopeless
from parcels import Done, Player, Work
from players import Part, Plain, Tidy, serve
from stage import OwnerError, Stage

from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Conduct, OnError, OnStop
from understudy_actors.mailbox import Overflow
from understudy_actors.names import Name
from understudy_actors.ref import Ref
from understudy_actors.router import Leftovers, Routees, router_child
from understudy_actors.routing import ConsistentHash, LeastBusy, RoundRobin
from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_protocols.restart_policy import NO_BACKOFF, Backoff, RestartBudget
from understudy_protocols.supervision import (
    AutoShutdown,
    ChildKind,
    ChildSpec,
    Exit,
    Kill,
    Life,
    Restart,
    Strategy,
    SupervisorSpec,
)

_BACKOFFS = (
    NO_BACKOFF,
    NO_BACKOFF,
    Backoff(0.1, 2.0, jitter=0.5, reset_after=2.0),
    Backoff(0.5, 1.0, jitter=0.0),
)
_STATIC = (Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE)
_GUESTS = 4  # names that children of a supervisor may be given by hand


class Forest:
    """Makes the trees of one run.

    Args:
      stage: what the children act in.

    Attributes:
      routers: those of the refs that are of routers.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._random = stage.random
        self._count = 0
        self._parts: dict[str, Part] = {}
        self.routers = set[Player]()

    def root(self, path: str) -> SupervisorSpec:
        """Return the spec of a whole tree."""
        return self._supervisor(path, depth=2)

    def guest(self, supervisor: Supervisor) -> ChildSpec:
        """Return the spec of one child more for a live supervisor."""
        name = f"g{self._random.randrange(_GUESTS)}"
        path = f"{supervisor.path}/{name}"
        spec = supervisor.spec
        if spec.strategy is not Strategy.DYNAMIC:
            return self._leaf(path, spec.auto_shutdown)
        template = spec.children[0]
        leaf = self._code(path, template)
        return attrs.evolve(template, id=name, start=leaf.start, on_gone=leaf.on_gone)

    def _supervisor(self, path: str, depth: int) -> SupervisorSpec:
        draw = self._random
        strategy = draw.choice((*_STATIC, *_STATIC, Strategy.DYNAMIC))
        auto = draw.choice((*[AutoShutdown.NEVER] * 4, *AutoShutdown))
        children = list[ChildSpec]()
        if strategy is Strategy.DYNAMIC:
            children.append(self._terms(f"{path}/template", auto))
        else:
            for _ in range(draw.choice((1, 2, 3, 3, 4))):
                self._count += 1
                child = f"{path}/c{self._count}"
                below = depth > 0 and draw.random() < 0.4
                make = self._subtree if below else self._leaf
                children.append(make(child, auto, depth))
        return SupervisorSpec(
            children,
            strategy=strategy,
            intensity=draw.choice((0, 1, 3, 10, 10, 30, 30)),
            period=draw.choice((1.0, 5.0)),
            backoff=draw.choice(_BACKOFFS),
            auto_shutdown=auto,
            max_children=draw.choice((None, None, 5)),
            revive=draw.random() < 0.2,
        )

    def _subtree(self, path: str, auto: AutoShutdown, depth: int) -> ChildSpec:
        restart, significant = self._fate(auto)
        spec = supervisor_child(
            path.rpartition("/")[2],
            self._supervisor(path, depth - 1),
            restart=restart,
            shutdown=self._random.choice((math.inf, math.inf, 0.5, 3.0)),
            significant=significant,
            budget=self._budget(),
            escalates=self._random.random() < 0.05,
        )
        self._stage.patience += _patience(self._stage, spec)
        return self._watched(spec)

    def _leaf(self, path: str, auto: AutoShutdown, depth: int = 0) -> ChildSpec:
        terms = self._terms(path, auto)
        leaf = self._code(path, terms)
        return attrs.evolve(terms, start=leaf.start, on_gone=leaf.on_gone)

    def _terms(self, path: str, auto: AutoShutdown) -> ChildSpec:
        restart, significant = self._fate(auto)
        return ChildSpec(
            path.rpartition("/")[2],
            _nothing,
            restart=restart,
            shutdown=self._random.choice((0.0, 0.5, 2.0, 2.0, 2.0, Kill.AT_ONCE)),
            start_timeout=self._random.choice((0.3, 2.0)),
            significant=significant,
            budget=self._budget(),
            backoff=self._random.choice((None, None, *_BACKOFFS)),
            escalates=self._random.random() < 0.05,
        )

    def _code(self, path: str, terms: ChildSpec) -> ChildSpec:
        """Return a spec whose code is that of an actor or a worker."""
        make = self._random.choice(
            (*[self._actor] * 4, *[self._worker] * 2, self._router)
        )
        self._stage.patience += _patience(self._stage, terms)
        return make(path, terms)

    def _actor(self, path: str, terms: ChildSpec) -> ChildSpec:
        kind = self._random.choice((Plain, Tidy))
        part = self._part(path)
        spec = actor_child(
            part.ref, lambda: kind(part), conduct=part.conduct, name=part.name
        )
        return self._watched(spec, terms, part.ref)

    def _router(self, path: str, terms: ChildSpec) -> ChildSpec:
        # Of routers to routers a circle could be made, in which nothing ends.
        among = [ref for ref in self._stage.refs if ref not in self.routers]
        if not among:
            return self._actor(path, terms)
        draw = self._random
        chosen = draw.sample(among, min(len(among), draw.choice((1, 2, 3))))
        routees = Routees(
            {ref.path: ref for ref in chosen},
            leftovers=draw.choice(list(Leftovers)),
        )
        strategies = RoundRobin(), LeastBusy(), ConsistentHash[Work](_key)
        part = self._part(f"{path}-router")
        self.routers.add(part.ref)
        spec = router_child(part.ref, routees, draw.choice(strategies), name=part.name)
        return self._watched(spec, terms, part.ref)

    def _worker(self, path: str, terms: ChildSpec) -> ChildSpec:
        async def start(life: Life) -> None:
            await serve(self._stage, life)

        return self._watched(ChildSpec(terms.id, start), terms)

    def _part(self, path: str) -> Part:
        part = self._parts.get(path)
        if part is None:
            part = self._parts[path] = self._new_part(path)
        return part

    def _new_part(self, path: str) -> Part:
        draw = self._random
        conduct = self._conduct()
        ref = Ref[Work, Done](
            path,
            capacity=draw.choice((1, 2, 5, math.inf)),
            overflow=draw.choice(list(Overflow)),
            dead_letters=self._stage.letters,
        )
        self._stage.ledger.open(ref, conduct.redeliver)
        self._stage.refs.append(ref)
        # One that several want fails all starts but one: by hand, that is the end.
        by_hand = path.rpartition("/")[2].startswith("g")
        text = draw.choices((None, path, "common"), (10, 9, 2 if by_hand else 0))[0]
        name = None if text is None else Name[Work, Done](text)
        if name is not None and text == path:
            self._stage.names[ref] = name
        return Part(self._stage, ref, conduct, name)

    def _conduct(self) -> Conduct:
        draw = self._random
        rules: dict[type[Exception], OnError] = {Declared: OnError.RESUME}
        if draw.random() < 0.5:
            rules[Finished] = OnError.STOP
            rules[Hopeless] = OnError.ESCALATE
        if draw.random() < 0.2:
            rules[TimeoutError] = OnError.RESUME
        return Conduct(
            on_error=rules,
            on_stop=draw.choice(list(OnStop)),
            redeliver=draw.choice((0, 0, 1, 2, math.inf)),
            handler_timeout=draw.choice((math.inf, 0.5, 2.0)),
            teardown_timeout=draw.choice((0.5, 5.0)),
            receive_timeout=draw.choice((math.inf, math.inf, 5.0)),
            stash_capacity=draw.choice((1, 3)),
            stash_survives=draw.choice((True, False)),
        )

    def _fate(self, auto: AutoShutdown) -> tuple[Restart, bool]:
        restart = self._random.choice((Restart.PERMANENT, *Restart))
        can = auto is not AutoShutdown.NEVER and restart is not Restart.PERMANENT
        return restart, can and self._random.random() < 0.5

    def _budget(self) -> RestartBudget | None:
        if self._random.random() < 0.85:
            return None
        return RestartBudget(self._random.choice((0, 1, 3, 10)), 5.0)

    def _watched(
        self,
        spec: ChildSpec,
        terms: ChildSpec | None = None,
        ref: Player | None = None,
    ) -> ChildSpec:
        """Return the same child, whose code and owner tell what happens."""
        stage, start, gone = self._stage, spec.start, spec.on_gone
        taken = set[Player]() if ref is None else {ref}

        async def watched(life: Life) -> None:
            stage.taken |= taken
            stage.lives.began(life, terms)
            try:
                await stage.pause()
                await start(life)
                await stage.pause()
            finally:
                stage.lives.ended(life)

        def told(path: str, end: Exit | None) -> None:
            stage.taken |= taken
            stage.cores.gone(path, end)
            if gone is not None:
                gone(path, end)
            if stage.chaos.strikes(Fault.OWNER_RAISES):
                raise OwnerError(path)

        return attrs.evolve(spec, start=watched, on_gone=told)


def _patience(stage: Stage, spec: ChildSpec) -> float:
    """Return how long a child may be on its way, twice over; seconds."""
    wait = 2.0 if spec.backoff is None else spec.backoff.max_delay
    once = 2 * wait + HANG + 2 * stage.kill_timeout
    if spec.kind is ChildKind.WORKER:
        once += spec.start_timeout + 2.0
    return 2 * once


def _key(work: Work) -> str:
    return str(work.number % 3)


async def _nothing(life: Life) -> None:
    """Stand in for code that is chosen later."""
