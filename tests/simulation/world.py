"""One run: a tree, its visitors, faults; then how it ends, and what must hold then."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from random import Random

import attrs
import trio
from acts import HANG
from book import TOLERANCE, ViolationError
from chaos import Trouble
from checkpoints import hooked
from forest import Forest
from parcels import Player
from stage import Stage
from visitors import Visitors

from understudy.testing import run_seeded
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import (
    DeliveryError,
    RuntimeFailed,
    StartFailedError,
)
from understudy_protocols.supervision import Restart
from understudy_protocols.supervision_records import (
    ChildState,
    StopReport,
    TreeSnapshot,
)

HORIZON = 100_000.0
"""No run takes longer; virtual seconds."""

MAX_ROUNDS = 100_000
"""None takes more rounds of the scheduler; a count."""

ROUNDS = 40
"""Rounds of the scheduler in which what need not wait is done."""


class Ending(enum.Enum):
    """How the run is brought to its end."""

    LIVENESS = "liveness"  # no more faults; all must come up; then leave
    LEAVE = "left"  # leave the block amid faults
    RAISE = "body raised"
    CANCEL = "cancelled from outside"
    STOP = "stopped by several at once"


class Left(Exception):
    """What the body raises."""


@attrs.frozen
class Outcome:
    """What came of one run.

    Args:
      digest: of the log.
      figures: how often each kind of thing happened.
    """

    digest: str
    figures: Mapping[str, int]


def simulate(
    seed: int,
    schedule: int | None = None,
    *,
    ending: Ending | None = None,
    log: list[tuple[object, ...]] | None = None,
) -> Outcome:
    """Run one seed.

    Args:
      seed: decides the tree, the faults, and what everybody does.
      schedule: decides who goes first; by default, that follows from *seed*.
      ending: how the run is brought to its end; by default, that does too.
      log: gets what happened, in order.

    Raises:
      ViolationError: something was not as it must be; it says how to replay it.
    """
    world = World(seed, ending)
    book = world.stage.book
    error: Exception | None = None
    try:
        run_seeded(
            world.run,
            seed=seed if schedule is None else schedule,
            defer=(0.0, 0.1, 0.3)[seed % 3],
            horizon=HORIZON,
            max_rounds=MAX_ROUNDS,
        )
    except Exception as raised:  # noqa: BLE001 # what was wrong before says more
        error = raised
    if log is not None:
        log.extend(book.log)
    if error is None and not book.violations:
        return Outcome(book.digest(), book.figures)
    replay = f"python tests/simulation/simulate.py --seed {seed}"
    replay += "" if schedule is None else f" --schedule {schedule}"
    replay += "" if ending is None else f" --ending {ending.name}"
    wrong = book.violations[:5] or [repr(error)]
    raise ViolationError("\n  ".join((replay, *wrong))) from error


class World:
    """One run, from before its system to after it."""

    def __init__(self, seed: int, ending: Ending | None) -> None:
        self.stage = stage = Stage(seed)
        self._forest = Forest(stage)
        self._spec = self._forest.root("root")
        self._visitors = Visitors(stage, self._forest)
        drawn = stage.random.choice((Ending.LIVENESS, *Ending))
        self._ending = ending or drawn
        self._length = stage.random.choice((1.0, 4.0, 10.0, 20.0))
        self._before: StopReport | None = None
        self._left_at = math.inf  # when a stop began that has an overall deadline

    async def run(self) -> None:
        """Let everything happen, and check what must hold."""
        stage = self.stage
        tasks = trio.lowlevel.current_statistics().tasks_living
        with hooked(stage):
            async with trio.open_nursery() as around:
                self._visitors.start(around)
                with trio.CancelScope() as outer:
                    if self._ending is Ending.CANCEL:
                        around.start_soon(self._cancel_later, outer)
                    how = await self._live(around)
                    stage.book.count("end", how)
                    stage.book.note("end", how)
                await self._check_after_exit()
                stage.quiet = True
        self._check_at_rest(tasks)

    async def _live(self, around: trio.Nursery) -> str:
        """Live through one system; return what left its block."""
        stage = self.stage
        stage.system = system = ActorSystem(
            self._spec,
            random=Random(stage.seed),
            on_event=stage.observe,
            kill_timeout=stage.kill_timeout,
            stop_timeout=stage.stop_timeout,
        )
        try:
            async with system:
                await self._body(system, around)
        except RuntimeFailed as failure:
            self._require(failure.__cause__ is not None, "S75 no cause")
            return "failed"
        except StartFailedError:
            return "not started"
        except Left:
            return "body raised"
        except SystemExit:
            return "exited"
        except trio.Cancelled:
            stage.book.count("end", "cancelled")
            raise
        return "clean"

    async def _body(self, system: ActorSystem, around: trio.Nursery) -> None:
        self.stage.chaos.on = True
        match self._ending:
            case Ending.LIVENESS:
                await trio.sleep(self._length)
                await self._recover(system)
                self._before = system.report()
            case Ending.LEAVE:
                await trio.sleep(self._length)
            case Ending.RAISE:
                await trio.sleep(self._length)
                self._left_at = trio.current_time()
                raise Left
            case Ending.CANCEL:
                await trio.sleep_forever()
            case Ending.STOP:
                await trio.sleep(self._length)
                for _ in range(3):
                    around.start_soon(system.stop)

    async def _cancel_later(self, outer: trio.CancelScope) -> None:
        await trio.sleep(self._length)
        self.stage.book.note("cancelled from outside")
        self._left_at = trio.current_time()
        outer.cancel()

    # Liveness

    async def _recover(self, system: ActorSystem) -> None:
        """See that all is well again in good time once nothing more goes wrong."""
        stage = self.stage
        stage.chaos.on = False
        stage.quiet = True
        stage.book.note("no more faults")
        await trio.sleep(HANG + 1)  # what hangs now ends by itself
        with trio.move_on_after(stage.patience):
            while not _settled(system.root.tree()):
                await trio.sleep(1)
        up = self._check_up(system.root.tree())
        stage.book.count("recovered")
        stage.ledger.check_alarms(stage.lives.runs)
        self._check_idle(up)
        for ref in self._actors(up):
            await self._probe(ref)
        await self._stop_one(up)
        self._check_idle(up)

    def _actors(self, up: Iterable[object]) -> list[Player]:
        """Return the refs of the actors, routers aside, among what runs."""
        known = {id(value) for value in up}
        routers = self._forest.routers
        refs = self.stage.refs
        return [ref for ref in refs if id(ref) in known and ref not in routers]

    def _check_idle(self, up: Iterable[object]) -> None:
        for ref in self._actors(up):
            self.stage.ledger.check_idle(ref)

    async def _stop_one(self, up: Sequence[object]) -> None:
        """Stop one actor, so that those who watch it are told while all is quiet."""
        actors = [ref for ref in self._actors(up) if ref.running]
        if actors:
            ref = self.stage.random.choice(actors)
            supervisor = self.stage.supervisor_of(ref.path)
            assert supervisor is not None, "the child of none that is up"
            await supervisor.terminate(ref)
        await trio.sleep(1)

    async def _probe(self, ref: Player) -> None:
        try:
            await self.stage.post.ask("probe", ref, 10.0, plain=True)
        except (DeliveryError, Trouble, TimeoutError) as error:
            self._require(False, "S167 no answer", ref.path, repr(error))

    def _check_up(self, tree: TreeSnapshot) -> list[object]:
        """Return what runs; permanent children must, unless they were stopped."""
        up = list[object]()
        for child in tree.children:
            settled = child.state in (ChildState.RUNNING, ChildState.STOPPED)
            self._require(settled, "S167 not settled", child.path, child.state.value)
            if child.state is ChildState.RUNNING:
                up.append(child.value)
            elif child.restart is Restart.PERMANENT:
                # That it may be is one of the `Rules`.
                self.stage.book.count("permanent, and stopped")
        for below in tree.below:
            up += self._check_up(below)
        return up

    # The end

    async def _check_after_exit(self) -> None:
        """See that nobody waits for what is gone, and all that was open is closed."""
        stage = self.stage
        system = stage.system
        assert system is not None, "the block has been left"
        now = trio.current_time()
        left = len(system.lives), len(system.tasks), len(system.nursery.child_tasks)
        self._require(left == (0, 0, 0), "S90 tasks left", *left)
        self._require(
            system.observer_failures == stage.observer_errors, "S156 miscounted"
        )
        self._require(system.names.taken == (), "S140 a name is still taken")
        for ref in stage.refs:
            closed = ref.closed or ref not in stage.taken
            self._require(closed, "S90 still open", ref.path)
        for _ in range(ROUNDS):
            await trio.lowlevel.checkpoint()
        same = now in (trio.current_time(), stage.book.jumped_at)
        for ask in stage.post.open_asks_of_the_gone() if same else ():
            self._require(False, "S90 S129 an ask waits for the gone", ask)
        if stage.book.jumped_at < self._left_at:
            # The second time is for those that were cut only just before.
            most = stage.stop_timeout + 2 * stage.kill_timeout + TOLERANCE
            took = stage.root_ended_at - self._left_at
            self._require(took <= most, "S86 over its overall deadline", took, most)
        if self._before is not None and not self._forest.routers:
            # The stop itself left nothing: the counts are those before it.  A
            # router may wait for room in one that is not there.
            report = system.stop_report
            self._require(report == self._before, "S91 S167 left undone", report)

    def _check_at_rest(self, tasks: int) -> None:
        """See that nothing is left at all."""
        stage = self.stage
        statistics = trio.lowlevel.current_statistics()
        self._require(statistics.tasks_living == tasks, "S90 tasks are left")
        horizon = HORIZON - trio.current_time() - 1
        far = statistics.seconds_to_next_deadline >= horizon
        jumped = stage.book.jumped_at > float("-inf")
        self._require(far or jumped, "S90 a deadline is left")
        stage.lives.check_at_rest()
        stage.cores.check_at_rest()
        stage.ledger.check_at_rest()
        stage.post.check_at_rest()
        stage.watches.check_at_rest()
        stage.tokens.check_at_rest()
        counted = stage.letters.count == stage.ledger.letters
        self._require(counted, "S125 miscounted")

    def _require(self, holds: bool, what: str, *about: object) -> None:
        self.stage.book.require(holds, what, *about)


def _settled(tree: TreeSnapshot) -> bool:
    states = {child.state for child in tree.children}
    still = states <= {ChildState.RUNNING, ChildState.STOPPED}
    return still and all(map(_settled, tree.below))
