"""What a handler raises that is no ordinary exception, and what is said of those that are (S33 to S38)."""

from __future__ import annotations

import pytest
import trio
from actor_probe import SEEDS, Logged, supervising
from step_actor_probe import let_out_cancelled

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Conduct, OnError, OnStop
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import ActorStoppedError, HandlerTimeoutError
from understudy_protocols.supervision import Exit, ExitKind
from understudy_protocols.supervision_records import (
    Decision,
    LifeState,
    SupervisionEvent,
)


class Raises(Logged):
    """Raises, in its first life, what it was made with: in one of its hooks."""

    def __init__(self, log: list[str], error: BaseException | None, at: str) -> None:
        super().__init__(log)
        self._error = error
        self._at = at

    async def setup(self, actor: Actor[object, object]) -> None:
        await super().setup(actor)
        await self._raise("setup")

    async def handle(self, message: object, actor: Actor[object, object]) -> object:
        if actor.life.number == 1 and message == "raise":
            await self._raise("handle")
        return message

    async def teardown(self, exit: Exit) -> None:  # noqa: A002
        await super().teardown(exit)
        await self._raise("teardown")

    async def _raise(self, hook: str) -> None:
        if hook == self._at and self._number == 1:
            raise self._error or await let_out_cancelled()


@pytest.mark.parametrize("grouped", [False, True])
def test_s035_a_cancelled_that_a_handler_let_out_is_a_crash_like_any_other(
    grouped: bool,
) -> None:
    async def main() -> None:
        log: list[str] = []
        letters: list[DeadLetter] = []
        events: list[SupervisionEvent] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        error: BaseException | None = None
        if grouped:
            error = BaseExceptionGroup("two", [await let_out_cancelled()] * 2)
        child = actor_child(ref, lambda: Raises(log, error, "handle"))
        async with ActorSystem(supervising(child), on_event=events.append):
            with pytest.raises(ActorStoppedError) as caught:
                await ref.ask("raise")
            assert caught.value.reason == "crash"
            assert isinstance(caught.value.__cause__, RuntimeError)
            assert await ref.ask("next") == "next"
        crash = next(event for event in events if event.state is LifeState.CRASHED)
        assert (crash.kind, crash.cause) == (ExitKind.CRASH, caught.value.__cause__)
        assert log[:3] == ["setup 1", "teardown 1: crash", "setup 2"]
        assert [letter.reason for letter in letters] == ["crash"]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s033_cancelled_beside_an_error_is_the_error_to_on_error_too() -> None:
    async def main() -> None:
        log: list[str] = []
        ref = Ref[object, object]("a")
        error = BaseExceptionGroup("two", [await let_out_cancelled(), KeyError("it")])
        conduct = Conduct(on_error={KeyError: OnError.RESUME})
        child = actor_child(ref, lambda: Raises(log, error, "handle"), conduct=conduct)
        async with ActorSystem(supervising(child)):
            with pytest.raises(KeyError):
                await ref.ask("raise")
            assert log == ["setup 1"]

    run_seeded(main, seed=0)


@pytest.mark.parametrize("on_stop", [OnStop.NOW, OnStop.AFTER_CURRENT])
def test_s033_an_error_beside_others_in_the_clean_up_is_the_cause_of_the_cut(
    on_stop: OnStop,
) -> None:
    """The scope takes its own Cancelled out of the group; the rest is caught outside."""

    async def main() -> None:
        events: list[SupervisionEvent] = []
        ref = Ref[object, object]("a")
        spilled = KeyError("spilled")

        async def spill() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise spilled

        class Messy(Logged):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(spill)
                    nursery.start_soon(trio.sleep_forever)
                return None

        conduct = Conduct(handler_timeout=2, on_stop=on_stop)
        child = actor_child(ref, lambda: Messy([]), conduct=conduct)
        async with ActorSystem(supervising(child), on_event=events.append) as system:
            ref.tell_nowait("go")
            await trio.sleep(1)
            if on_stop is OnStop.NOW:
                await system.root.terminate_child("a")
            else:
                await trio.sleep(2)
        end = next(event for event in events if event.kind is not None)
        if on_stop is OnStop.NOW:
            assert end.kind is ExitKind.SHUTDOWN
        else:
            assert end.kind is ExitKind.TIMEOUT
            assert isinstance(end.cause, HandlerTimeoutError)
        assert end.cause is not None
        assert end.cause.__cause__ is spilled

    for seed in SEEDS:
        run_seeded(main, seed=seed)


@pytest.mark.parametrize("at", ["setup", "handle", "teardown"])
@pytest.mark.parametrize("fatal", [KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("grouped", [False, True])
def test_s034_what_ends_the_process_leaves_an_actor_as_itself(
    at: str, fatal: BaseException, grouped: bool
) -> None:
    async def main() -> None:
        log: list[str] = []
        other = actor_child(Ref[object, object]("b"), lambda: Logged(log))
        ref = Ref[object, object]("a")
        error = BaseExceptionGroup("g", [KeyError(), fatal]) if grouped else fatal
        child = actor_child(ref, lambda: Raises([], error, at))

        async def scene() -> None:
            async with ActorSystem(supervising(other, child)) as system:
                if at == "handle":
                    with pytest.raises(ActorStoppedError):
                        await ref.ask("raise")
                else:
                    await system.root.terminate_child("a")
                await trio.sleep_forever()

        with pytest.raises(type(fatal)) as caught:
            await scene()
        assert caught.value is fatal
        assert log == ["setup 1", "teardown 1: shutdown"]
        assert ref.closed

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s038_a_handlers_exception_is_reported_once_with_its_place_in_the_budget() -> (
    None
):
    class Counts(Logged):
        async def handle(self, message: object, actor: Actor[object, object]) -> object:
            raise KeyError(message)

    async def main() -> None:
        events: list[SupervisionEvent] = []
        ref = Ref[object, object]("a")
        causes: list[BaseException | None] = []
        child = actor_child(ref, lambda: Counts([]))
        async with ActorSystem(supervising(child), on_event=events.append):
            for number in range(3):
                with pytest.raises(ActorStoppedError) as caught:
                    await ref.ask(number)
                causes.append(caught.value.__cause__)
        told = [
            (e.path, e.incarnation, e.cause, e.decision, e.restarts)
            for e in events
            if e.state is LifeState.CRASHED
        ]
        assert told == [
            ("root/a", number, cause, Decision.RESTART, number)
            for number, cause in enumerate(causes, start=1)
        ]

    for seed in SEEDS:
        run_seeded(main, seed=seed)
