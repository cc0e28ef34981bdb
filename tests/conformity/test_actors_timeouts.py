"""Handlers that are over their time (S146)."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from actor_probe import SEEDS, Logged, supervising

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour, Conduct, OnError, OnStop
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import ActorStoppedError, HandlerTimeoutError
from understudy_protocols.supervision import ExitKind
from understudy_protocols.supervision_records import SupervisionEvent


def test_s146_a_handler_over_its_time_is_cut_and_its_actor_restarted() -> None:
    async def main() -> None:
        log: list[str] = []
        letters: list[DeadLetter] = []
        events: list[SupervisionEvent] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        child = actor_child(
            ref, lambda: Logged(log, cleanup=0.5), conduct=Conduct(handler_timeout=2)
        )
        async with ActorSystem(supervising(child), on_event=events.append):
            with pytest.raises(ActorStoppedError) as caught:
                await ref.ask(10)
            # Its clean-up took half a second of the grace.
            assert trio.current_time() == 2.5
            assert await ref.ask(1) == 1
            assert isinstance(caught.value.__cause__, HandlerTimeoutError)
            assert "longer than 2 s" in str(caught.value.__cause__)
        ends = [event.kind for event in events if event.path == "root/a" and event.kind]
        assert ends == [ExitKind.TIMEOUT, ExitKind.SHUTDOWN]
        assert [(it.message, it.reason) for it in letters] == [(10, "timeout")]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s146_a_cleanup_error_after_the_cut_is_the_cause_of_the_timeout() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")

        class Clumsy(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                try:
                    await trio.sleep_forever()
                finally:
                    raise KeyError("in the clean-up")

        child = actor_child(ref, Clumsy, conduct=Conduct(handler_timeout=2))
        async with ActorSystem(supervising(child)):
            with pytest.raises(ActorStoppedError) as caught:
                await ref.ask("hello")
            timeout = caught.value.__cause__
            assert isinstance(timeout, HandlerTimeoutError)
            assert isinstance(timeout.__cause__, KeyError)

    run_seeded(main, seed=0)


def test_s146_a_timeout_may_be_declared_no_reason_to_restart() -> None:
    async def main() -> None:
        log: list[str] = []
        ref = Ref[object, object]("a")
        conduct = Conduct(
            handler_timeout=2, on_error={HandlerTimeoutError: OnError.RESUME}
        )
        child = actor_child(ref, lambda: Logged(log), conduct=conduct)
        async with ActorSystem(supervising(child)):
            with pytest.raises(HandlerTimeoutError):
                await ref.ask(10)
            # The time of one message does not count against the next.
            assert await ref.ask(1.5) == 1.5
            assert await ref.ask(1.5) == 1.5
        assert [entry for entry in log if "setup" in entry] == ["setup 1"]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s146_a_result_in_the_moment_of_the_cut_is_kept() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")

        class JustInTime(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                with trio.CancelScope(shield=message == "first"):
                    await trio.sleep(3 if message == "first" else 1)
                return message

        child = actor_child(ref, JustInTime, conduct=Conduct(handler_timeout=2))

        async def ask(message: str) -> None:
            assert await ref.ask(message) == message

        async with ActorSystem(supervising(child)), trio.open_nursery() as nursery:
            nursery.start_soon(ask, "first")
            await trio.testing.wait_all_tasks_blocked()
            # It waits while the first is over its time, and has a time of its own.
            nursery.start_soon(ask, "second")

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s146_the_time_of_one_message_is_over_when_its_handler_returns() -> None:
    """Even if the clock passes it before the next message is taken."""

    async def main() -> None:
        ref = Ref[object, object]("a")
        child = actor_child(ref, lambda: Logged([]), conduct=Conduct(handler_timeout=2))
        async with ActorSystem(supervising(child)):
            assert await ref.ask(0) == 0
            await trio.sleep(1)
            ref.tell_nowait(1)
            clock = trio.lowlevel.current_clock()
            assert isinstance(clock, trio.testing.MockClock)
            clock.jump(1.5)
            await trio.sleep(5)
        assert ref.dead_letters.count == 0

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_a_drain_is_bound_by_the_handler_timeout_to_the_last_message() -> None:
    async def main() -> None:
        events: list[SupervisionEvent] = []
        ref = Ref[object, object]("a")
        conduct = Conduct(on_stop=OnStop.DRAIN, handler_timeout=2)
        child = actor_child(ref, lambda: Logged([]), conduct=conduct, shutdown=30)
        async with ActorSystem(supervising(child), on_event=events.append):
            ref.tell_nowait(1)
            ref.tell_nowait(10)
            await trio.sleep(0.5)
        assert trio.current_time() == 3
        assert ref.dead_letters.counts == {"timeout": 1}

    run_seeded(main, seed=0)
