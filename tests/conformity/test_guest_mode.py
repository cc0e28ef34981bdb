"""Inside asyncio, trio as its guest, the same lines hold (S163).

Time is real here: nothing waits for more than an instant but what is cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from asyncio_host import trio_in_asyncio
from tree_probe import Probe, settle, supervising

from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import AskTimeoutError
from understudy_protocols.supervision import ChildSpec, ExitKind, Life, Strategy
from understudy_protocols.supervision_records import LifeState

AN_INSTANT = 0.01


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run *main* as a guest, twice: the first leaves nothing behind."""
    for _ in range(2):
        asyncio.run(trio_in_asyncio(main))


def test_s163_as_in_s014_children_start_one_after_the_other() -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name, init_takes=AN_INSTANT) for name in "ABC"]
        async with probe.system(children):
            states = [(e.path, e.state) for e in probe.events if e.path != "root"]
            assert states == [
                (f"root/{name}", state)
                for name in "ABC"
                for state in (LifeState.STARTING, LifeState.READY)
            ]
        assert probe.log[3:] == ["stop C", "stop B", "stop A"]

    run(main)


def test_s163_as_in_s040_one_for_all_restarts_all() -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name) for name in "ABC"]
        async with probe.system(supervising(*children, strategy=Strategy.ONE_FOR_ALL)):
            log = await probe.crash_and_settle("B")
            assert log == ["end B", "stop C", "stop A", "init A", "init B", "init C"]
            assert [end.restarts for end in probe.ends("root/B")] == [1]

    run(main)


def test_s163_as_in_s080_a_child_over_its_time_is_cut_and_no_other() -> None:
    async def main() -> None:
        probe = Probe()
        children = [
            probe.child("A", stop_takes=5 * AN_INSTANT, shutdown=60.0),
            probe.child("B", stop_takes=60.0, shutdown=AN_INSTANT),
            probe.child("C", stop_takes=5 * AN_INSTANT, shutdown=60.0),
        ]
        async with probe.system(children):
            pass
        assert probe.log[3:] == ["stop C", "stop A"]
        kinds = [probe.ends(f"root/{name}")[0].kind for name in "ABC"]
        assert kinds == [ExitKind.SHUTDOWN, ExitKind.KILLED, ExitKind.SHUTDOWN]

    run(main)


def test_s163_as_in_s086_a_cancellation_inside_trio_is_an_ordered_stop() -> None:
    async def main() -> None:
        probe = Probe()
        children = [probe.child(name, stop_takes=AN_INSTANT) for name in "ABC"]
        with trio.CancelScope() as scope:
            async with probe.system(children):
                scope.deadline = trio.current_time() + AN_INSTANT
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert probe.log[3:] == ["stop C", "stop B", "stop A"]

    run(main)


def test_s163_as_in_s128_a_late_reply_is_a_dead_letter() -> None:
    async def main() -> None:
        letters: list[DeadLetter] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        late = trio.Event()

        class Clerk(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                if message == "slow":
                    await late.wait()
                return message

        async with ActorSystem(supervising(actor_child(ref, Clerk))):
            with pytest.raises(AskTimeoutError):
                await ref.ask("slow", timeout=AN_INSTANT)
            late.set()
            assert await ref.ask("next") == "next"
        assert [(it.message, it.reason) for it in letters] == [("slow", "late_reply")]

    run(main)


async def cancelled_once_up(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run *main* as a guest; cancel it, twice, when it says that it is up."""
    up = asyncio.Event()
    task = asyncio.create_task(trio_in_asyncio(partial(main, up)))
    await up.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_s163_a_cancellation_of_the_host_stops_the_tree_in_order() -> None:
    logs: list[list[str]] = []

    async def main(up: asyncio.Event) -> None:
        probe = Probe()
        logs.append(probe.log)
        children = [probe.child(name, stop_takes=AN_INSTANT) for name in "ABC"]
        async with probe.system(children):
            up.set()
            await trio.sleep_forever()

    async def host() -> None:
        for _ in range(2):
            await cancelled_once_up(main)
            assert logs[-1][3:] == ["stop C", "stop B", "stop A"]

    asyncio.run(host())


def test_s163_a_host_that_is_cancelled_waits_for_a_child_that_cannot_be_cut() -> None:
    log: list[str] = []

    async def stubborn(life: Life) -> None:
        life.ready()
        with trio.CancelScope(shield=True):
            await trio.sleep(5 * AN_INSTANT)
        log.append("it ended by itself")

    async def main(up: asyncio.Event) -> None:
        child = ChildSpec("A", stubborn, shutdown=AN_INSTANT)
        async with ActorSystem(supervising(child), kill_timeout=AN_INSTANT):
            up.set()
            await trio.sleep_forever()

    async def host() -> None:
        await cancelled_once_up(main)
        assert log == ["it ended by itself"]
        # The thread can be host again.
        await trio_in_asyncio(settle)

    asyncio.run(host())


def test_s163_a_host_may_cancel_before_trio_has_begun_and_give_it_a_deadline() -> None:
    begun: list[str] = []

    async def main() -> None:
        begun.append("main")
        await trio.sleep_forever()

    async def host() -> None:
        task = asyncio.create_task(trio_in_asyncio(main))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(AN_INSTANT):
                await trio_in_asyncio(main)

    asyncio.run(host())
    assert begun == ["main", "main"]
