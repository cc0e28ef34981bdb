"""When an actor is gone for good: its inbox is closed, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Answer, Behaviour, Conduct, OnError
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.mailbox import Overflow
from understudy_actors.ref import Ref
from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import (
    ActorStoppedError,
    RuntimeFailed,
    StartFailedError,
)
from understudy_protocols.restart_policy import NO_BACKOFF, Backoff
from understudy_protocols.supervision import (
    ChildSpec,
    Kill,
    Life,
    Restart,
    Strategy,
    SupervisorSpec,
)

SEEDS = range(10)
SLOW = Backoff(10.0, 10.0)


class Boom(Exception):
    """What a `Fragile` actor raises when it is told to."""


class Fragile(Behaviour[object, object]):
    """Sleeps for a number of seconds; raises at anything else."""

    async def handle(self, message: object, actor: Actor[object, object]) -> object:
        if not isinstance(message, int | float):
            raise Boom(message)
        await trio.sleep(message)
        return message


class Scene:
    """One actor called ``a``, and what became of its messages."""

    def __init__(self, overflow: Overflow = Overflow.REJECT, capacity: int = 9) -> None:
        self.letters: list[DeadLetter] = []
        sink = DeadLetters(self.letters.append)
        self.ref = Ref[object, object](
            "a", dead_letters=sink, overflow=overflow, capacity=capacity
        )
        self.errors: list[ActorStoppedError] = []
        self.failed_at: list[float] = []

    def child(
        self, restart: Restart = Restart.PERMANENT, shutdown: float | Kill = 5.0
    ) -> ChildSpec:
        conduct = Conduct(on_error={Boom: OnError.RESTART})
        return actor_child(
            self.ref, Fragile, conduct=conduct, restart=restart, shutdown=shutdown
        )

    async def ask(self, message: object) -> None:
        """Ask, and note how it failed."""
        with pytest.raises(ActorStoppedError) as caught:
            await self.ref.ask(message, timeout=1000)
        self.errors.append(caught.value)
        self.failed_at.append(trio.current_time())

    def messages(self) -> list[object]:
        return [letter.message for letter in self.letters]

    def causes(self) -> set[type[BaseException | None]]:
        return {type(error.__cause__) for error in self.errors}


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


def every_seed(main: Callable[..., Awaitable[None]], *args: object) -> None:
    for seed in SEEDS:
        run_seeded(main, *args, seed=seed)


def test_s117_an_actor_stopped_in_its_backoff_leaves_no_message_behind() -> None:
    async def main() -> None:
        scene = Scene()
        spec = SupervisorSpec((scene.child(),), backoff=SLOW)
        async with trio.open_nursery() as nursery, ActorSystem(spec) as system:
            scene.ref.tell_nowait("crash")
            scene.ref.tell_nowait(1)
            await settle()
            nursery.start_soon(scene.ask, 2)
            await trio.sleep(1)
            assert not scene.ref.closed
            assert scene.messages() == ["crash"]
            await system.root.terminate_child("a")
            assert scene.ref.closed
            await settle()
            assert scene.failed_at == [1.0]
            assert scene.messages() == ["crash", 1, 2]
            (error,) = scene.errors
            assert "crash" in str(error)
            assert isinstance(error.__cause__, Boom)
            report = await system.stop()
            assert report.queued == 2

    every_seed(main)


def test_s117_a_system_that_stops_in_a_backoff_leaves_no_message_behind() -> None:
    async def main() -> None:
        scene = Scene()
        async with ActorSystem(SupervisorSpec((scene.child(),), backoff=SLOW)):
            for message in ("crash", 1, 2):
                scene.ref.tell_nowait(message)
            await settle()
        assert scene.messages() == ["crash", 1, 2]
        assert scene.ref.closed

    every_seed(main)


def test_s129_asks_fail_at_once_with_the_cause_for_which_the_supervisor_gave_up() -> (
    None
):
    async def main() -> None:
        scene = Scene(Overflow.BLOCK, capacity=1)
        spec = SupervisorSpec((scene.child(),), intensity=0)
        failures = list[RuntimeFailed]()

        async def give_up() -> None:
            async with ActorSystem(spec):
                await trio.sleep(100)

        async with trio.open_nursery() as nursery:
            scene.ref.tell_nowait(1)
            nursery.start_soon(scene.ask, "crash")
            await settle()
            for message in (2, 3):  # one waits for its turn, all others for room
                nursery.start_soon(scene.ask, message)
            await settle()
            with pytest.raises(RuntimeFailed) as caught:
                await give_up()
            failures.append(caught.value)
        assert scene.failed_at == [1.0, 1.0, 1.0]
        assert scene.causes() == {Boom}
        assert all("crash" in str(error) for error in scene.errors)
        assert isinstance(failures[0].__cause__, Boom)

    every_seed(main)


def test_s090_the_siblings_of_the_one_that_failed_are_closed_too() -> None:
    async def main() -> None:
        scene, other = Scene(), Ref[object, object]("b")
        spec = SupervisorSpec((scene.child(), actor_child(other, Fragile)), intensity=0)
        for message in (1, "crash"):
            scene.ref.tell_nowait(message)
        for message in (2, 3, 4):
            other.tell_nowait(message)

        async def give_up() -> None:
            async with ActorSystem(spec):
                await trio.sleep(100)

        with pytest.raises(RuntimeFailed):
            await give_up()
        assert other.closed
        assert other.dead_letters.counts == {"stopped": 2}

    every_seed(main)


@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.TEMPORARY])
def test_s117_an_actor_that_ends_and_is_not_restarted_leaves_nothing_behind(
    restart: Restart,
) -> None:
    async def main() -> None:
        scene = Scene()
        child = actor_child(
            scene.ref,
            Fragile,
            conduct=Conduct(on_error={Boom: OnError.STOP}),
            restart=restart,
        )
        async with ActorSystem(SupervisorSpec((child,))):
            for message in ("stop", 1, 2):
                scene.ref.tell_nowait(message)
            await settle()
            assert scene.messages() == ["stop", 1, 2]
            assert scene.ref.closed

    every_seed(main)


def test_s117_an_actor_killed_at_once_leaves_nothing_behind() -> None:
    async def main() -> None:
        scene = Scene()
        async with ActorSystem(SupervisorSpec((scene.child(shutdown=Kill.AT_ONCE),))):
            for message in (10, 20, 30):
                scene.ref.tell_nowait(message)
            await settle()
        reasons = [letter.reason for letter in scene.letters]
        assert scene.messages() == [10, 20, 30]
        assert reasons == ["killed", "stopped", "stopped"]

    every_seed(main)


def test_s116_a_stopped_actor_takes_messages_again_once_it_is_started_by_hand() -> None:
    async def main() -> None:
        scene = Scene()
        async with ActorSystem(SupervisorSpec((scene.child(),))) as system:
            await system.root.terminate_child("a")
            scene.ref.tell_nowait(1)
            with pytest.raises(ActorStoppedError):
                await scene.ref.ask(2)
            assert scene.messages() == [1]
            await system.root.restart_child("a")
            assert await scene.ref.ask(3) == 3
            await system.root.terminate_child("a")
            assert scene.ref.closed
            await system.root.delete_child("a")
            assert scene.ref.closed
            await system.root.start_child(scene.child())
            assert await scene.ref.ask(4) == 4
        assert scene.messages() == [1]

    every_seed(main)


def test_s090_an_actor_whose_start_fails_leaves_nobody_waiting() -> None:
    async def main() -> None:
        scene = Scene()

        class Broken(Fragile):
            async def setup(self, actor: Actor[object, object]) -> None:
                raise Boom

        broken = actor_child(scene.ref, Broken)
        later = Ref[object, object]("b")
        later.tell_nowait(1)
        spec = SupervisorSpec((broken, actor_child(later, Fragile)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.ask, 1)
            await settle()
            with pytest.raises(StartFailedError):
                async with ActorSystem(spec):
                    pass
        assert scene.failed_at == [0.0]
        assert scene.causes() == {Boom}
        assert later.closed, "its turn never came"
        assert later.dead_letters.count == 1

    every_seed(main)


def test_s109_a_restart_of_the_whole_group_leaves_inboxes_open_meanwhile() -> None:
    async def main(strategy: Strategy) -> None:
        scene, other = Scene(), Ref[object, object]("b")
        spec = SupervisorSpec(
            (scene.child(), actor_child(other, Fragile)),
            strategy=strategy,
            backoff=SLOW,
        )
        async with ActorSystem(spec):
            scene.ref.tell_nowait("crash")
            await trio.sleep(1)
            assert not other.closed
            other.tell_nowait(1)
            assert await scene.ref.ask(0) == 0
            assert await other.ask(0) == 0
            assert trio.current_time() > 3, "it waited for nothing"
        assert other.dead_letters.count == 0

    every_seed(main, Strategy.ONE_FOR_ALL)
    every_seed(main, Strategy.REST_FOR_ONE)


def inner(*children: ChildSpec) -> ChildSpec:
    return supervisor_child("inner", SupervisorSpec(children))


def test_s090_the_actors_of_a_supervisor_that_is_cut_are_closed() -> None:
    async def main() -> None:
        running = Scene()
        other = Ref[object, object]("b", dead_letters=DeadLetters())
        spec = SupervisorSpec(
            (running.child(), actor_child(other, Fragile)), backoff=SLOW
        )
        below = supervisor_child("inner", spec, shutdown=Kill.AT_ONCE)
        root = SupervisorSpec((below,))
        async with trio.open_nursery() as nursery, ActorSystem(root) as system:
            for message in (100, 200):
                nursery.start_soon(running.ask, message)
            other.tell_nowait("crash")
            other.tell_nowait(1)
            await trio.sleep(1)
            await system.root.terminate_child("inner")
            assert trio.current_time() == 1
            assert running.ref.closed
            assert other.closed
        assert running.failed_at == [1.0, 1.0]
        assert all("killed" in str(error) for error in running.errors)
        assert other.dead_letters.counts == {"crash": 1, "stopped": 1}

    every_seed(main)


def test_s090_the_actors_of_a_supervisor_that_never_began_are_closed() -> None:
    async def main() -> None:
        scene = Scene()

        async def fails(life: Life) -> None:
            raise Boom

        below = inner(inner(scene.child()))
        spec = SupervisorSpec((ChildSpec("first", fails), below))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.ask, 1)
            await settle()
            with pytest.raises(StartFailedError):
                async with ActorSystem(spec):
                    pass
        assert scene.failed_at == [0.0]
        assert scene.ref.closed

    every_seed(main)


def test_s109_a_supervisor_started_anew_opens_the_inboxes_of_its_actors() -> None:
    async def main() -> None:
        scene = Scene()
        below = supervisor_child("inner", SupervisorSpec((scene.child(),), intensity=0))
        spec = SupervisorSpec((below,), backoff=NO_BACKOFF)
        async with ActorSystem(spec):
            scene.ref.tell_nowait("crash")
            await settle()
            assert not scene.ref.closed
            assert await scene.ref.ask(1) == 1
        assert scene.ref.closed

    every_seed(main)


def test_s090_nobody_waits_for_the_answer_that_a_stuck_actor_promised() -> None:
    async def main() -> None:
        scene = Scene()

        class Debtor(Fragile):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                if message == "later":
                    return Answer.LATER
                with trio.CancelScope(shield=True):
                    await trio.sleep(50)
                return message

        child = actor_child(scene.ref, Debtor, shutdown=1)
        spec = SupervisorSpec((child,))
        async with trio.open_nursery() as nursery, ActorSystem(spec) as system:
            for message in ("later", "hang"):
                nursery.start_soon(scene.ask, message)
                await settle()
            await system.root.terminate_child("a")
            gone_at = trio.current_time()
            assert gone_at < 10
            await settle()
            assert scene.failed_at == [gone_at, gone_at]

    every_seed(main)


def test_s108_a_child_that_was_refused_an_inbox_does_not_close_it() -> None:
    async def main() -> None:
        scene = Scene()
        child = scene.child()
        async with ActorSystem(SupervisorSpec((child,))) as system:
            with pytest.raises(StartFailedError):
                await system.root.start_child(child.named("b"))
            assert await scene.ref.ask(1) == 1
        assert scene.ref.closed

    every_seed(main)


def test_a_dynamic_supervisor_takes_children_with_owners_of_their_own() -> None:
    async def main() -> None:
        template = actor_child(Ref[object, object]("t"), Fragile)
        spec = SupervisorSpec((template,), strategy=Strategy.DYNAMIC)
        async with ActorSystem(
            SupervisorSpec((supervisor_child("d", spec),))
        ) as system:
            (dynamic,) = (child.value for child in system.root.children())
            assert isinstance(dynamic, Supervisor)
            refs = [Ref[object, object](name) for name in ("a", "b")]
            for ref in refs:
                await dynamic.start_child(actor_child(ref, Fragile))
            await dynamic.terminate_child("a")
            assert [ref.closed for ref in refs] == [True, False]
        assert [ref.closed for ref in refs] == [True, True]

    every_seed(main)
