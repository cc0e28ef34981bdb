"""Actors that are stopped from inside, that cannot be cut, and what is left (S85 to S91)."""

from __future__ import annotations

import threading

import pytest
import trio
import trio.testing
from actor_probe import SEEDS, Logged, supervising, until_quiet

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour, Conduct, OnStop
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.limiter import Limiter
from understudy_actors.ref import Ref
from understudy_actors.supervisor import Supervisor, supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import ActorStoppedError
from understudy_protocols.supervision import Restart


def test_s085_a_stuck_life_takes_no_more_messages_and_its_own_is_accounted_for() -> (
    None
):
    async def main() -> None:
        letters: list[DeadLetter] = []
        handled: list[tuple[int, object]] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))

        class Stubborn(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                if message == "hang":
                    with trio.CancelScope(shield=True):
                        await trio.sleep(20)
                handled.append((actor.life.number, message))
                return message

        child = actor_child(ref, Stubborn, shutdown=1)
        async with ActorSystem(supervising(child)) as system:
            ref.tell_nowait("hang")
            await trio.sleep(1)
            await system.root.terminate_child("a")
            assert trio.current_time() < 5
            await system.root.restart_child("a")
            assert [(it.message, it.reason) for it in letters] == [("hang", "stuck")]
            assert await ref.ask("next") == "next"
            await trio.sleep(30)
            ref.tell_nowait("last")
            await trio.sleep(1)
        assert handled == [(2, "next"), (1, "hang"), (2, "last")]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s091_a_stop_says_how_many_messages_it_left_undone() -> None:
    async def main() -> None:
        refs = [Ref[object, object](name) for name in ("a", "b")]
        children = [
            actor_child(ref, lambda: Logged([]), conduct=Conduct(on_stop=OnStop.NOW))
            for ref in refs
        ]
        async with ActorSystem(supervising(*children)) as system:
            for ref in refs:
                for seconds in (10, 20, 30):
                    ref.tell_nowait(seconds)
            await trio.sleep(1)
            report = await system.stop()
            assert (report.in_flight, report.queued) == (2, 4)
            assert not report.clean

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s090_after_the_end_every_ask_is_answered_and_every_inbox_closed() -> None:
    async def main() -> None:
        refs = [Ref[object, object](name) for name in ("a", "b", "c")]
        children = [actor_child(ref, lambda: Logged([]), shutdown=1) for ref in refs]
        failed = 0

        async def ask(ref: Ref[object, object], seconds: int) -> None:
            nonlocal failed
            with pytest.raises(ActorStoppedError):
                await ref.ask(seconds, timeout=1000)
            failed += 1

        async with trio.open_nursery() as nursery:
            async with ActorSystem(supervising(*children)):
                for ref in refs:
                    for seconds in (50, 60):
                        nursery.start_soon(ask, ref, seconds)
                await trio.sleep(1)
            assert trio.current_time() <= 5
        assert failed == 6
        assert all(ref.closed and ref.queued == 0 for ref in refs)

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s089_a_handler_may_stop_its_actor_and_all_that_is_above_it() -> None:
    async def main(what: str) -> None:
        ref = Ref[object, object]("a")
        supervisors: list[Supervisor] = []

        class Quitter(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                if message == "stop me":
                    await supervisors[0].terminate_child("a")
                elif message == "stop what is above me":
                    await supervisors[0].stop()
                else:
                    await system.stop()
                return "done"

        below = supervisor_child(
            "S", supervising(actor_child(ref, Quitter)), restart=Restart.TEMPORARY
        )
        async with ActorSystem(supervising(below)) as system:
            above = system.root.children()[0].value
            assert isinstance(above, Supervisor)
            supervisors.append(above)
            assert await ref.ask(what) == "done"
            await trio.sleep(1)
            assert ref.closed
        assert trio.current_time() == 1

    for seed in SEEDS:
        for what in ("stop me", "stop what is above me", "stop all"):
            run_seeded(main, what, seed=seed)


def test_s085_s091_what_is_stuck_in_hand_and_queued_is_counted() -> None:
    async def main() -> None:
        refs = {name: Ref[object, object](name) for name in ("stuck", "cut", "idle")}

        class Stubborn(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                with trio.CancelScope(shield=True):
                    await trio.sleep(60)
                return None

        cut = Conduct(on_stop=OnStop.NOW)
        children = (
            actor_child(refs["stuck"], Stubborn, shutdown=1),
            actor_child(refs["cut"], lambda: Logged([]), conduct=cut),
            actor_child(refs["idle"], lambda: Logged([])),
        )
        async with ActorSystem(supervising(*children)) as system:
            for name in ("stuck", "cut"):
                for seconds in (50, 60, 70):
                    refs[name].tell_nowait(seconds)
            await trio.sleep(1)
            report = await system.stop()
            # One second of grace, and one until it counts as stuck.
            assert trio.current_time() == 3
            assert [stuck.path for stuck in report.stuck] == ["root/stuck"]
            assert (report.in_flight, report.queued) == (2, 4)
            assert not report.clean
        assert trio.current_time() == 60

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s085_a_blocked_thread_is_named_as_where_an_actor_is_stuck() -> None:
    release = threading.Event()

    async def main() -> None:
        ref = Ref[object, object]("a")

        class Blocks(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                await trio.to_thread.run_sync(release.wait)
                return None

        async def stop() -> None:
            report = await system.stop()
            release.set()
            (stuck,) = report.stuck
            assert stuck.path == "root/a"
            assert "to_thread" in stuck.stack

        # A thread is no virtual thing: time stands still but when it is moved.
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        child = actor_child(ref, Blocks, shutdown=2)
        async with (
            ActorSystem(supervising(child)) as system,
            trio.open_nursery() as nursery,
        ):
            ref.tell_nowait("block")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(stop)
            for seconds in (2, 1):  # its grace, and until it counts as stuck
                await trio.testing.wait_all_tasks_blocked()
                clock.jump(seconds)

    run_seeded(main, seed=0, autojump=False)
    assert release.is_set()


async def tasks_and_next_deadline() -> tuple[int, float]:
    """Return how many tasks there are, and what is due next, when all is quiet."""
    await until_quiet()
    statistics = trio.lowlevel.current_statistics()
    due = trio.current_time() + statistics.seconds_to_next_deadline
    return statistics.tasks_living, due


@pytest.mark.parametrize("how", ["leaves", "is cancelled", "raises"])
def test_s090_nothing_is_left_however_the_block_ends(how: str) -> None:
    async def main() -> None:
        limiter = Limiter(2)
        letters: list[DeadLetter] = []
        sink = DeadLetters(letters.append)
        refs = [Ref[object, object](name, dead_letters=sink) for name in "abc"]
        reasons: list[str] = []

        class Holds(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                async with limiter.held():
                    await trio.sleep(100)
                return None

        async def ask(ref: Ref[object, object]) -> None:
            with pytest.raises(ActorStoppedError) as caught:
                await ref.ask("work", timeout=1000)
            reasons.append(caught.value.reason)

        async def host() -> None:
            conduct = Conduct(on_stop=OnStop.NOW)
            children = [actor_child(ref, Holds, conduct=conduct) for ref in refs]
            async with ActorSystem(supervising(*children)):
                for ref in refs:
                    for _ in range(3):
                        nursery.start_soon(ask, ref)
                await trio.sleep(1)
                assert len(limiter.holders) == 2
                if how == "is cancelled":
                    scope.cancel()
                if how == "raises":
                    raise KeyError
                await trio.lowlevel.checkpoint()

        before = await tasks_and_next_deadline()
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                try:
                    await host()
                except KeyError:
                    assert how == "raises"
            assert scope.cancelled_caught is (how == "is cancelled")
        assert trio.current_time() == 1
        assert reasons == ["stopped"] * 9
        assert all(ref.closed and ref.queued == 0 for ref in refs)
        assert limiter.holders == limiter.waiting == ()
        assert await tasks_and_next_deadline() == before

    for seed in SEEDS:
        run_seeded(main, seed=seed)
