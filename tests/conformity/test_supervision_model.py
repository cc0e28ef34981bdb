"""The core of a supervisor in a simulated world: any events, in any order.

The world keeps the lives that the core asked for and lets them end as a tape of
numbers says, which also decides when the core hears of it.  What must hold is
checked at each action, without looking into the core.
"""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from understudy_actors.lineage import Lineage
from understudy_actors.supervision import Phase, Supervision
from understudy_actors.supervision_messages import (
    Action,
    Add,
    Answer,
    Arm,
    BecameReady,
    Begin,
    Delete,
    Disarm,
    Due,
    End,
    Ended,
    Event,
    Refuse,
    Report,
    StartAgain,
    StartLife,
    StopAsked,
    StopLife,
    TellGone,
    Terminate,
    Up,
    Withdraw,
)
from understudy_protocols.restart_policy import Backoff
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
from understudy_protocols.supervision_records import Decision


async def never_run(life: Life) -> None:
    """The code of every child here: the world only pretends to run it."""


def nobody_told(path: str, end: Exit | None) -> None:
    """The owner of every child here: the world takes note of what it is told."""


class CountedReply:
    """A reply that must come at most once."""

    def __init__(self, child: str) -> None:
        self.child = child
        self.times = 0

    def answer(self, value: object) -> None:
        self.times += 1

    def refuse(self, error: Exception) -> None:
        self.times += 1


class OneLife:
    """A life as the world sees it."""

    def __init__(self, action: StartLife) -> None:
        self.id = action.id
        self.number = action.number
        self.ready = False
        self.asked = False


class World:
    """Carries out a core's actions, and checks them."""

    def __init__(self, spec: SupervisorSpec) -> None:
        self.spec = spec
        self.core = Supervision(spec, "root", lambda: 0.5, Lineage(), observed=True)
        self.now = 0.0
        self.lives: dict[str, OneLife] = {}
        self.numbers: dict[str, int] = {}
        self.pending = deque[Event]()
        self.timers: dict[int, float] = {}
        self.replies: list[CountedReply] = []
        self.restarts: list[float] = []
        self.by_hand = False
        self.up = 0
        self.ends: list[End] = []
        self.startable = {child.id for child in spec.children}
        if spec.strategy is Strategy.DYNAMIC:
            self.startable.clear()

    def hear(self, event: Event) -> None:
        """Let the core handle *event*, and do what it says."""
        stopping = self.core.phase in (Phase.STOPPING, Phase.ENDED)
        for action in self.core.handle(event, self.now):
            assert not self.ends, "an action after the end"
            self.do(action, stopping)

    def do(self, action: Action, stopping: bool) -> None:
        match action:
            case StartLife():
                assert not stopping, "a child started although the stop had begun"
                assert action.id not in self.lives, "two lives at a time"
                self.lives[action.id] = OneLife(action)
                returns = self.by_hand or self.spec.revive
                assert action.id in self.startable or returns, "it was gone"
                self.startable.add(action.id)
            case TellGone():
                assert action.id not in self.lives, "said to be gone, and lives"
                assert action.id in self.startable, "said to be gone twice"
                self.startable.remove(action.id)
            case StopLife():
                self.stop(action.id)
            case Arm():
                assert action.due > self.now, "armed for no wait at all"
                self.timers[action.token] = action.due
            case Disarm():
                # Its time may have come already, and wait to be told.
                told = Due(action.token) in self.pending
                assert told or action.token in self.timers, "never armed"
                self.timers.pop(action.token, None)
            case Answer() | Refuse():
                assert isinstance(action.reply, CountedReply)
                action.reply.answer(None)
                assert action.reply.times == 1, "a second answer"
            case Report():
                if action.decision is Decision.RESTART and action.restarts:
                    self.restarts.append(self.now)
            case Up():
                self.up += 1
            case End():
                assert not self.lives, "ended before its children"
                assert not self.timers, "ended with a time still armed"
                assert not self.startable, "ended, and an owner was not told"
                self.ends.append(action)
            case _:
                pass

    def stop(self, child_id: str) -> None:
        life = self.lives.get(child_id)
        assert life is not None, "stopped what does not live"
        assert not life.asked, "asked to stop twice"
        one_by_one = self.spec.strategy is not Strategy.DYNAMIC
        if one_by_one and not self.by_hand:
            others = [other for other in self.lives.values() if other.asked]
            assert not others, "the one before is not gone yet"
        life.asked = True

    # What can happen

    def step(self, choice: int) -> None:
        """Let one thing happen, whichever *choice* says."""
        kind, rest = choice % 8, choice // 8
        if kind <= 2 and self.pending:
            self.deliver()
        elif kind <= 5:
            self.live(rest)
        elif kind == 6:
            self.admin(rest)
        else:
            self.pass_time(float(rest % 4))

    def deliver(self) -> None:
        event = self.pending.popleft()
        if isinstance(event, Ended):
            del self.lives[event.id]
        self.hear(event)

    def told(self) -> set[str]:
        return {event.id for event in self.pending if isinstance(event, Ended)}

    def live(self, choice: int) -> None:
        told = self.told()
        going = [life for life in self.lives.values() if life.id not in told]
        if not going:
            return
        life = going[choice % len(going)]
        choice //= len(going)
        if not life.ready and choice % 3:
            life.ready = True
            self.pending.append(BecameReady(life.id, life.number, life.number))
            return
        kinds = [ExitKind.CRASH, ExitKind.NORMAL, ExitKind.SHUTDOWN, ExitKind.KILLED]
        if life.asked:
            kinds = [ExitKind.SHUTDOWN, ExitKind.KILLED, ExitKind.CRASH]
        elif not life.ready:
            kinds = [ExitKind.START_FAILED, ExitKind.TIMEOUT, ExitKind.SHUTDOWN]
        kind = kinds[choice // 3 % len(kinds)]
        cause = Escalate() if choice % 41 == 40 else ValueError()
        end = Exit(kind, cause if kind is ExitKind.CRASH else None)
        self.pending.append(Ended(life.id, life.number, end))

    def admin(self, choice: int) -> None:
        self.by_hand = True
        name = f"c{choice % 6}"
        choice //= 6
        reply = CountedReply(name)
        self.replies.append(reply)
        restart = list(Restart)[choice // 6 % 3]
        spec = ChildSpec(name, never_run, restart=restart, on_gone=nobody_told)
        if self.spec.strategy is Strategy.DYNAMIC:
            spec = self.spec.children[0].named(name)
        asked = self.replies[choice % len(self.replies)]
        events: list[Event] = [
            Add(spec, reply),
            StartAgain(name, reply),
            Terminate(name, reply),
            Delete(name, reply),
            Withdraw(asked.child, asked),
            StopAsked() if choice % 5 == 0 else Terminate(name, reply),
        ]
        self.pending.append(events[choice % 6])

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for token in [token for token, due in self.timers.items() if due <= self.now]:
            del self.timers[token]
            self.pending.append(Due(token))

    def wind_up(self) -> None:
        """Ask for the stop; let every life end; hear of everything."""
        self.pending.append(StopAsked())
        for _ in range(1_000):
            if self.ends:
                return
            told = self.told()
            for life in self.lives.values():
                if life.id not in told:
                    end = Exit(ExitKind.SHUTDOWN)
                    self.pending.append(Ended(life.id, life.number, end))
            while self.pending:
                self.deliver()
        raise AssertionError("it does not end")


specs = st.builds(
    SupervisorSpec,
    st.lists(
        st.builds(
            ChildSpec,
            st.sampled_from(["c0", "c1", "c2", "c3"]),
            st.just(never_run),
            restart=st.sampled_from(Restart),
            escalates=st.booleans(),
            on_gone=st.just(nobody_told),
        ),
        max_size=4,
        unique_by=lambda child: child.id,
    ),
    strategy=st.sampled_from(list(Strategy)[:3]),
    intensity=st.integers(0, 4),
    period=st.sampled_from([1.0, 3.0, 10.0]),
    backoff=st.sampled_from([Backoff(0.0, 0.0), Backoff(1.0, 4.0)]),
    revive=st.booleans(),
    max_children=st.sampled_from([None, 5]),
)
template = ChildSpec("t", never_run, restart=Restart.TRANSIENT, on_gone=nobody_told)
dynamic = st.just(SupervisorSpec((template,), strategy=Strategy.DYNAMIC))
ending = ChildSpec(
    "c1",
    never_run,
    restart=Restart.TRANSIENT,
    significant=True,
    on_gone=nobody_told,
)
significant = st.builds(
    SupervisorSpec,
    st.just((ChildSpec("c0", never_run, on_gone=nobody_told), ending)),
    auto_shutdown=st.sampled_from(list(AutoShutdown)[1:]),
)


@settings(max_examples=400, deadline=None)
@given(
    spec=st.one_of(specs, specs, dynamic, significant),
    tape=st.lists(st.integers(0, 2**20), max_size=120),
)
def test_s037_s050_s060_s088_what_must_hold_holds_whatever_happens(
    spec: SupervisorSpec, tape: list[int]
) -> None:
    world = World(spec)
    world.hear(Begin())
    for choice in tape:
        world.step(choice)
    world.wind_up()
    assert len(world.ends) == 1
    assert world.up <= 1
    for first in world.restarts:
        inside = [at for at in world.restarts if 0 <= at - first < spec.period]
        assert len(inside) <= spec.intensity
    assert not world.core.handle(StopAsked(), world.now), "it lives on after its end"


@settings(max_examples=100, deadline=None)
@given(tape=st.lists(st.integers(0, 2**20), max_size=80), spec=specs)
def test_the_same_events_give_the_same_actions(
    spec: SupervisorSpec, tape: list[int]
) -> None:
    def kinds() -> list[str]:
        world = World(spec)
        seen = list[str]()
        hear = world.core.handle

        def noting(event: Event, now: float) -> list[Action]:
            actions = hear(event, now)
            seen.extend(type(action).__name__ for action in actions)
            return actions

        world.core.handle = noting  # type: ignore[method-assign] # watched, not changed
        world.hear(Begin())
        for choice in tape:
            world.step(choice)
        return seen

    assert kinds() == kinds()
