"""What everybody in one run shares: randomness, books, refs, and the system."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Iterator
from random import Random

import trio
import trio.testing
from book import Book
from chaos import Broken, Chaos, Fault
from cores import Cores
from ledger import Ledger
from lives import Lives
from parcels import Done, Parcel, Player, Work
from posting import Posting
from tokens import Tokens
from watches import Watches

from understudy_actors.alarms import Alarm
from understudy_actors.behaviour import Actor, Answer
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.names import Name
from understudy_actors.notices import Notice
from understudy_actors.reply import Reply
from understudy_actors.supervisor import Supervisor
from understudy_actors.system import ActorSystem
from understudy_protocols.supervision_records import SupervisionEvent


class CallbackError(Exception):
    """What a stop callback raises when that fault strikes."""


class OwnerError(Exception):
    """What an owner raises when that fault strikes."""


class Letters(DeadLetters):
    """The dead letters of one run, all of them in the ledger too."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.sink, most=stage.random.choice((3, 1000)))
        self._ledger = stage.ledger

    def add(self, letter: DeadLetter) -> None:
        """As the base does."""
        self._ledger.buried(letter)
        super().add(letter)


class Stage:
    """One run's world, without those who act in it.

    Args:
      seed: decides everything but the schedule.

    Attributes:
      random: the source of all decisions; drawn from as things happen.
      quiet: nobody begins anything new any more.
      refs: of all actors there are or may be.
      taken: those of them whose child a supervisor has, or had.
      names: what they are called, if only one is called so.
      alarms: messages that actors have ordered for later.
      kept: replies that are owed to somebody, with the right answers.
      system: the tree; None before there is one.
      patience: long enough for every child to be started or stopped; seconds.
      root_ended_at: when the root did; on trio's clock.
      observer_errors: how often the observer raised; a count.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.book = Book()
        self.chaos = Chaos(self.random, self.book)
        self.kill_timeout = self.random.choice((0.5, 1.0))
        self.stop_timeout = self.random.choice((0.0, 2.0, 10.0))
        self.watches = Watches(self.book)
        self.ledger = Ledger(self.book, self.watches)
        self.post = Posting(self.book, self.ledger)
        self.lives = Lives(self.book, self.kill_timeout)
        self.cores = Cores(self.book, self.lives, (CallbackError, OwnerError))
        self.tokens = Tokens(self.random, self.book, self.pause)
        self.quiet = False
        self.refs: list[Player] = []
        self.taken = set[Player]()
        self.names: dict[Player, Name[Work, Done]] = {}
        self.alarms: list[tuple[Alarm, Parcel]] = []
        self.kept: list[tuple[Reply[Done], Done]] = []
        self.system: ActorSystem | None = None
        self.patience = 0.0
        self.observer_errors = 0
        self.root_ended_at = -math.inf
        self.letters = Letters(self)
        self._switches = self.random.choice((0.0, 0.2, 0.5))
        self._serial = 0

    def serial(self) -> int:
        """Return a number that no other call returns."""
        self._serial += 1
        return self._serial

    async def pause(self) -> None:
        """Let others run, sometimes: one checkpoint more than the code has."""
        if not self.quiet and self.random.random() < self._switches:
            await trio.lowlevel.checkpoint()

    async def sleep(self, *choices: float) -> None:
        """Sleep for one of these lengths; seconds."""
        await trio.sleep(self.random.choice(choices))

    def jump(self) -> None:
        """Let the clock jump ahead."""
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock), "time is virtual here"
        clock.jump(self.random.choice((0.3, 3.0, 1000.0)))
        self.book.jumped_at = trio.current_time()
        self.book.note("jumped")

    def any_ref(self) -> Player:
        """Return a ref: mostly one whose actor is there."""
        there = [ref for ref in self.refs if not ref.closed and ref in self.taken]
        some = there if self.random.random() < 0.8 else ()
        return self.random.choice(some or self.refs)

    # Whom others tell

    def observe(self, event: SupervisionEvent) -> None:
        """Be the observer of the system; it may fail."""
        kind = None if event.kind is None else event.kind.value
        decision = None if event.decision is None else event.decision.value
        state = event.state.value
        at = event.path, event.incarnation
        self.book.note(state, *at, kind, decision, event.restarts, event.due)
        self.book.count("state", state)
        if decision is not None:
            self.book.count("exit", kind)
            self.book.count("decision", decision)
            if event.restarts and decision == "restart":
                self.book.count("restart")
        if event.path == "root" and event.kind is not None:
            self.root_ended_at = trio.current_time()
        late = self.lives.event(event)
        self.cores.event(event, late=late)
        self.ledger.check()
        self.tokens.check()
        if self.chaos.strikes(Fault.OBSERVER_RAISES):
            self.observer_errors += 1
            raise Broken("the observer")

    def sink(self, letter: DeadLetter) -> None:
        """Be the sink of the dead letters; it may fail, or make more of them."""
        if self.refs and self.chaos.strikes(Fault.SINK_SENDS):
            self.post.tell_nowait("sink", self.random.choice(self.refs))
        if self.chaos.strikes(Fault.SINK_RAISES):
            raise Broken(letter.reason)

    # What every behaviour does through it

    async def handled(
        self,
        behaviour: object,
        work: Work,
        actor: Actor[Work, Done],
        act: Awaitable[Done | Answer],
    ) -> Done | Answer:
        """Do *act* for *work*, which *behaviour* has in hand, and take note."""
        reply, ledger = actor.reply, self.ledger
        self.lives.handles(actor.life)
        ledger.begun(work, actor.ref, reply, behaviour)
        try:
            answer = await act
            await self.pause()
        except BaseException as error:
            self.lives.handled(actor.life)
            ledger.raised(work, reply, behaviour, error)
            raise
        self.lives.handled(actor.life)
        ledger.returned(work, reply, behaviour, answer)
        return answer

    async def notified(
        self, notice: Notice, actor: Actor[Work, Done], act: Awaitable[None]
    ) -> None:
        """Do *act* for *notice*, and take note."""
        self.lives.handles(actor.life)
        self.watches.begun(actor.ref, notice)
        try:
            await act
            await self.pause()
        except BaseException as error:
            self.lives.handled(actor.life)
            self.watches.raised(actor.ref, notice, error)
            raise
        self.lives.handled(actor.life)
        self.watches.returned(actor.ref, notice)

    # Who there is

    def supervisors(self) -> list[Supervisor]:
        """Return the live supervisors that are up, the root first."""
        root = getattr(self.system, "root", None)
        return [] if root is None else list(_below(root))

    def supervisor_of(self, path: str) -> Supervisor | None:
        """Return the live supervisor of the child at *path*."""
        above = path.rpartition("/")[0]
        return next((s for s in self.supervisors() if s.path == above), None)


def _below(supervisor: Supervisor) -> Iterator[Supervisor]:
    yield supervisor
    for child in supervisor.children():
        if isinstance(child.value, Supervisor):
            yield from _below(child.value)
