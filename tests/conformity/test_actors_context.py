"""What surrounds a handler: context variables, plain errors, separate systems."""

from __future__ import annotations

import contextvars
import threading

import pytest
import trio
from actor_probe import SEEDS, supervising

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour, Conduct
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import ActorStoppedError

trace = contextvars.ContextVar("trace", default="none")


class Tracing(Behaviour[str, str]):
    """Answers with the trace it sees, before and after it waited."""

    def __init__(self, to: Ref[str, str] | None = None) -> None:
        self._to = to
        self._crashes = 1

    async def handle(self, message: str, actor: Actor[str, str]) -> str:
        seen = trace.get()
        await trio.sleep(1)
        assert trace.get() == seen
        if message == "spoil":
            trace.set("spoilt")
        if message == "crash" and actor.life.number == 1:
            trace.set("spoilt")
            raise KeyError(message)
        if message == "spawn":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._spawned, seen)
        if message == "cancel":
            with trio.move_on_after(1):
                await trio.sleep_forever()
            assert trace.get() == seen
        if message == "thread":
            assert await trio.to_thread.run_sync(trace.get) == seen
        if self._to is not None:
            assert await self._to.ask(message) == trace.get()
        return seen

    async def _spawned(self, seen: str) -> None:
        await trio.sleep(1)
        assert trace.get() == seen


def test_s158_context_variables_travel_with_the_message() -> None:
    async def main() -> None:
        refs = [Ref[str, str](name) for name in ("a", "b")]
        children = (
            actor_child(refs[0], lambda: Tracing(refs[1])),
            actor_child(refs[1], Tracing),
        )
        trace.set("of the system")

        async def ask(name: str, message: str) -> None:
            trace.set(name)
            assert await refs[0].ask(message) == name
            assert trace.get() == name

        async with ActorSystem(supervising(*children)):
            async with trio.open_nursery() as nursery:
                for number, message in enumerate(["x", "spoil", "spawn", "cancel"]):
                    nursery.start_soon(ask, f"trace {number}", message)
            assert await refs[0].ask("x") == "of the system"

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s158_they_travel_with_a_tell_and_not_with_the_one_who_was_told_first() -> None:
    async def main() -> None:
        seen: list[tuple[str, str]] = []
        ref = Ref[str, str]("a")

        class Notes(Behaviour[str, str]):
            async def handle(self, message: str, actor: Actor[str, str]) -> str:
                seen.append((message, trace.get()))
                trace.set("of the handler")
                return message

        async def send(name: str) -> None:
            trace.set(name)
            await ref.tell(name)
            trace.set("changed since")

        async with ActorSystem(supervising(actor_child(ref, Notes))):
            async with trio.open_nursery() as nursery:
                for number in range(3):
                    nursery.start_soon(send, f"trace {number}")
            await trio.testing.wait_all_tasks_blocked()
        assert sorted(seen) == [(f"trace {n}", f"trace {n}") for n in range(3)]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s158_a_second_try_does_not_see_what_the_first_one_set() -> None:
    async def main() -> None:
        ref = Ref[str, str]("a")
        child = actor_child(ref, Tracing, conduct=Conduct(redeliver=1))
        async with ActorSystem(supervising(child)):
            trace.set("clean")
            assert await ref.ask("crash") == "clean"

    run_seeded(main, seed=0)


def test_s158_context_variables_reach_worker_threads() -> None:
    async def main() -> None:
        ref = Ref[str, str]("a")
        # A thread is no virtual thing: no handler here may sleep.
        async with ActorSystem(supervising(actor_child(ref, Threaded))):
            trace.set("mine")
            assert await ref.ask("thread") == "mine"

    class Threaded(Behaviour[str, str]):
        async def handle(self, message: str, actor: Actor[str, str]) -> str:
            return await trio.to_thread.run_sync(trace.get)

    run_seeded(main, seed=0, autojump=False)


def test_s159_no_group_of_exceptions_stands_for_a_single_cause() -> None:
    async def main() -> None:
        ref = Ref[str, str]("a")

        class Nested(Behaviour[str, str]):
            async def handle(self, message: str, actor: Actor[str, str]) -> str:
                async with trio.open_nursery() as outer, trio.open_nursery():
                    outer.start_soon(self._fail)
                return message

            async def _fail(self) -> None:
                raise KeyError("the one cause")

        async def fail() -> None:
            async with ActorSystem(supervising(actor_child(ref, Nested))):
                with pytest.raises(ActorStoppedError) as caught:
                    await ref.ask("hello")
                assert type(caught.value.__cause__) is KeyError
                raise LookupError("from the body")

        with pytest.raises(LookupError, match="from the body"):
            await fail()

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s162_two_systems_in_one_process_share_no_state() -> None:
    async def main() -> None:
        refs = [Ref[str, str]("a") for _ in range(2)]
        async with ActorSystem(supervising(actor_child(refs[0], Tracing))):
            async with ActorSystem(supervising(actor_child(refs[1], Tracing))):
                assert await refs[1].ask("x") == "none"
            # The same path elsewhere is another actor.
            with pytest.raises(ActorStoppedError):
                await refs[1].ask("x")
            assert await refs[0].ask("x") == "none"
            assert refs[0].dead_letters.count == 0

    run_seeded(main, seed=0)


def test_s162_each_thread_may_have_a_system_of_its_own() -> None:
    answers: list[str] = []

    async def main(name: str) -> None:
        ref = Ref[str, str]("a")
        trace.set(name)
        async with ActorSystem(supervising(actor_child(ref, Tracing))):
            answers.append(await ref.ask("x"))

    def run(name: str) -> None:
        trio.run(main, name, clock=trio.testing.MockClock(autojump_threshold=0))

    threads = [threading.Thread(target=run, args=(f"t{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["t0", "t1", "t2"]
