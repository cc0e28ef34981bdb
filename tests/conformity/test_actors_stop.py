"""One life at a time: hooks, stops, timeouts, and what is left after the end."""

from __future__ import annotations

import contextlib

import pytest
import trio
from actor_probe import SEEDS, Logged, supervising

from understudy.testing import run_seeded
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour, Conduct, OnError, OnStop
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import (
    ActorStoppedError,
    RuntimeFailed,
    SetupError,
)
from understudy_protocols.supervision import (
    Exit,
    ExitKind,
    Kill,
    Restart,
    Shutdown,
)
from understudy_protocols.supervision_records import LifeState, SupervisionEvent


def test_s082_teardown_runs_once_per_life_and_is_told_how_it_ended() -> None:
    async def main() -> None:
        log: list[str] = []
        ref = Ref[object, object]("a")
        conduct = Conduct(handler_timeout=1)
        child = actor_child(ref, lambda: Logged(log), conduct=conduct)
        async with ActorSystem(supervising(child)):
            for message in ("crash", 5, "shutdown"):
                ref.tell_nowait(message)
            await trio.sleep(10)
        teardowns = [entry for entry in log if entry.startswith("teardown")]
        assert teardowns == [
            "teardown 1: crash",
            "teardown 2: timeout",
            "teardown 3: shutdown",
            "teardown 4: shutdown",
        ]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s082_a_life_whose_setup_failed_has_nothing_to_tear_down() -> None:
    async def main() -> None:
        log: list[str] = []

        class Unready(Logged):
            async def setup(self, actor: Actor[object, object]) -> None:
                raise KeyError

        child = actor_child(Ref[object, object]("a"), lambda: Unready(log))
        with pytest.raises(Exception, match="did not start"):
            async with ActorSystem(supervising(child)):
                pass
        assert log == []

    run_seeded(main, seed=0)


def test_s083_a_teardown_that_raises_is_reported_and_does_not_stop_the_stop() -> None:
    async def main() -> None:
        log: list[str] = []
        events: list[SupervisionEvent] = []
        error = ValueError("the file is gone")
        refs = [Ref[object, object](name) for name in ("a", "b")]
        children = [
            actor_child(ref, lambda: Logged(log, teardown=error)) for ref in refs
        ]
        async with ActorSystem(supervising(*children), on_event=events.append):
            pass
        assert log[-2:] == ["teardown 1: shutdown"] * 2
        causes = [event.cause for event in events if event.cause is not None]
        assert causes == [error, error]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s083_a_teardown_that_raises_after_a_crash_does_not_hide_the_crash() -> None:
    async def main() -> None:
        log: list[str] = []
        events: list[SupervisionEvent] = []
        ref = Ref[object, object]("a")
        child = actor_child(ref, lambda: Logged(log, teardown=ValueError("too")))
        async with ActorSystem(supervising(child), on_event=events.append):
            ref.tell_nowait("crash")
            await trio.testing.wait_all_tasks_blocked()
        crash = next(event for event in events if event.state is LifeState.CRASHED)
        assert isinstance(crash.cause, KeyError)
        assert crash.cause.__notes__ == ["its teardown failed too: ValueError('too')"]

    run_seeded(main, seed=0)


def test_a_teardown_is_cut_when_it_is_over_its_time() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")

        class Dawdler(Logged):
            async def teardown(self, exit: Exit) -> None:  # noqa: A002
                await trio.sleep_forever()

        conduct = Conduct(teardown_timeout=2)
        child = actor_child(ref, lambda: Dawdler([]), conduct=conduct)
        async with ActorSystem(supervising(child)):
            pass
        assert trio.current_time() == 2

    run_seeded(main, seed=0)


@pytest.mark.parametrize(
    ("on_stop", "handled", "dead", "seconds"),
    [
        (OnStop.DRAIN, 4, [], 4.0),
        (OnStop.AFTER_CURRENT, 1, [2, 3, 4, 5], 1.0),
        (OnStop.NOW, 0, [1, 2, 3, 4, 5], 0.5),
    ],
)
def test_s084_each_stop_mode_with_three_messages_queued(
    on_stop: OnStop, handled: int, dead: list[int], seconds: float
) -> None:
    """Message 5 comes after the stop was asked for."""

    async def main() -> None:
        handled_by: list[object] = []
        letters: list[DeadLetter] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))

        class Slow(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                await trio.sleep(1)
                handled_by.append(message)
                return None

        async def send_late() -> None:
            await trio.sleep(0.25)
            ref.tell_nowait(5)

        child = actor_child(ref, Slow, conduct=Conduct(on_stop=on_stop), shutdown=30)
        async with (
            ActorSystem(supervising(child)) as system,
            trio.open_nursery() as tasks,
        ):
            for message in (1, 2, 3, 4):
                ref.tell_nowait(message)
            await trio.sleep(0.5)
            tasks.start_soon(send_late)
            await system.root.terminate_child("a")
            assert trio.current_time() == seconds
        assert handled_by == [1, 2, 3, 4][:handled]
        expected = dead or [5]
        assert [letter.message for letter in letters] == expected
        assert {letter.reason for letter in letters} == {"stopped"}

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s084_an_idle_actor_stops_at_once_in_every_mode() -> None:
    async def main() -> None:
        for on_stop in OnStop:
            ref = Ref[object, object]("a")
            conduct = Conduct(on_stop=on_stop)
            child = actor_child(ref, lambda: Logged([]), conduct=conduct)
            async with ActorSystem(supervising(child)) as system:
                await trio.sleep(1)
                before = trio.current_time()
                await system.root.terminate_child("a")
                assert trio.current_time() == before

    run_seeded(main, seed=0)


def test_s108_two_lives_of_one_actor_never_overlap() -> None:
    async def main() -> None:
        log: list[str] = []
        running = 0

        class Alone(Logged):
            async def setup(self, actor: Actor[object, object]) -> None:
                nonlocal running
                running += 1
                assert running == 1
                await trio.sleep(0.5)
                await super().setup(actor)

            async def teardown(self, exit: Exit) -> None:  # noqa: A002
                nonlocal running
                await trio.sleep(0.5)
                running -= 1
                await super().teardown(exit)

        ref = Ref[object, object]("a")
        child = actor_child(ref, lambda: Alone(log), conduct=Conduct(handler_timeout=3))
        async with ActorSystem(supervising(child)):
            for message in (1, "crash", 9, 2, "crash", 1):
                ref.tell_nowait(message)
            await trio.sleep(30)
        assert running == 0
        hands = 0
        for entry in log:
            hands += entry.startswith("begin") - entry.startswith(("end", "teardown"))
            assert hands <= 1
            hands = max(hands, 0)

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s108_a_second_child_cannot_serve_the_same_ref() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")
        child = actor_child(ref, lambda: Logged([]))
        with pytest.raises(Exception, match="did not start") as caught:
            async with ActorSystem(supervising(child, child.named("b"))):
                pass
        assert isinstance(caught.value.__cause__, SetupError)

    run_seeded(main, seed=0)


def test_an_asker_need_not_wait_for_the_teardown_after_a_crash() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")

        class Slow(Logged):
            async def teardown(self, exit: Exit) -> None:  # noqa: A002
                await trio.sleep(3)

        async with ActorSystem(supervising(actor_child(ref, lambda: Slow([])))):
            with pytest.raises(ActorStoppedError):
                await ref.ask("crash")
            assert trio.current_time() == 0

    run_seeded(main, seed=0)


def test_on_error_looks_at_the_one_error_in_a_group() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")

        async def fail() -> None:
            raise KeyError("the one cause")

        class Nested(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(fail)
                return message

        conduct = Conduct(on_error={KeyError: OnError.RESUME})
        async with ActorSystem(supervising(actor_child(ref, Nested, conduct=conduct))):
            with pytest.raises(KeyError):
                await ref.ask("go")

    run_seeded(main, seed=0)


def test_a_failed_message_whose_asker_has_left_is_a_dead_letter() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")

        class Late(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                await trio.sleep(2)
                raise KeyError(message)

        conduct = Conduct(on_error={KeyError: OnError.RESUME})
        async with ActorSystem(supervising(actor_child(ref, Late, conduct=conduct))):
            with trio.move_on_after(1):
                await ref.ask("go")
            await trio.sleep(5)
        assert ref.dead_letters.counts == {"failed": 1}

    run_seeded(main, seed=0)


def test_s081_s110_an_actor_killed_at_once_loses_no_message_without_a_trace() -> None:
    async def main() -> None:
        letters: list[DeadLetter] = []
        log: list[str] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        child = actor_child(ref, lambda: Logged(log), shutdown=Kill.AT_ONCE)
        async with ActorSystem(supervising(child)):
            for message in (5, 6, 7):
                ref.tell_nowait(message)
            await trio.sleep(1)
        assert [(it.message, it.reason) for it in letters] == [
            (5, "killed"),
            (6, "stopped"),
            (7, "stopped"),
        ]
        assert not [entry for entry in log if "teardown" in entry]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


@pytest.mark.parametrize(
    ("directive", "kind"),
    [(OnError.STOP, ExitKind.SHUTDOWN), (OnError.ESCALATE, ExitKind.CRASH)],
)
def test_on_error_can_end_the_actor_or_its_supervisor(
    directive: OnError, kind: ExitKind
) -> None:
    async def main() -> None:
        events: list[SupervisionEvent] = []
        ref = Ref[object, object]("a")
        error = KeyError("enough")

        class Failing(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                raise error

        child = actor_child(
            ref,
            Failing,
            conduct=Conduct(on_error={KeyError: directive}),
            restart=Restart.TRANSIENT,
        )
        system = ActorSystem(supervising(child), on_event=events.append)
        try:
            async with system:
                with pytest.raises(ActorStoppedError):
                    await ref.ask("go")
                await trio.sleep(1)
                assert directive is OnError.STOP
                with pytest.raises(ActorStoppedError):
                    await ref.ask("are you still there?")
        except RuntimeFailed:
            assert directive is OnError.ESCALATE
        end = next(event for event in events if event.kind is not None)
        assert end.kind is kind
        assert end.cause is not None
        assert end.cause.__cause__ is error

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_a_handler_may_end_its_actor_in_good_order() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")

        class Done(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                raise Shutdown

        child = actor_child(ref, Done, restart=Restart.TRANSIENT)
        async with ActorSystem(supervising(child)):
            with pytest.raises(ActorStoppedError, match="stopped"):
                await ref.ask("last")
            assert ref.dead_letters.count == 0
            with pytest.raises(ActorStoppedError):
                await ref.ask("more")

    run_seeded(main, seed=0)


class Stubborn(Logged):
    """Goes on when it is cut: in its handlers, or in its setup."""

    def __init__(self, log: list[str], *, from_setup: bool) -> None:
        super().__init__(log)
        self._from_setup = from_setup

    async def setup(self, actor: Actor[object, object]) -> None:
        if self._from_setup:
            await self._sleep_on()

    async def handle(self, message: object, actor: Actor[object, object]) -> object:
        self._log.append(f"handle {message}")
        await self._sleep_on()
        return message

    async def _sleep_on(self) -> None:
        with contextlib.suppress(trio.Cancelled):
            await trio.sleep(5)


@pytest.mark.parametrize("on_stop", OnStop)
@pytest.mark.parametrize("from_setup", [False, True])
@pytest.mark.parametrize("shutdown", [0.0, Kill.AT_ONCE])
def test_s109_an_actor_that_is_cut_takes_no_further_message_even_if_it_goes_on(
    shutdown: float | Kill, from_setup: bool, on_stop: OnStop
) -> None:
    async def main() -> None:
        log: list[str] = []
        events: list[SupervisionEvent] = []
        ref = Ref[object, object]("a")
        child = actor_child(
            ref,
            lambda: Stubborn(log, from_setup=from_setup),
            conduct=Conduct(on_stop=on_stop),
            shutdown=shutdown,
        )
        async with ActorSystem(supervising(), on_event=events.append) as system:
            for message in (1, 2, 3):
                ref.tell_nowait(message)
            with trio.move_on_after(1):
                await system.root.start_child(child)
                await trio.sleep(0.5)
                await system.root.terminate_child("a")
            await trio.sleep(1)
            assert ref.closed
        handled = [entry for entry in log if entry.startswith("handle")]
        assert handled == ([] if from_setup else ["handle 1"])
        (end,) = [
            event.kind for event in events if event.path == "root/a" and event.kind
        ]
        assert end is ExitKind.KILLED

    for seed in SEEDS:
        run_seeded(main, seed=seed)


@pytest.mark.parametrize("redeliver", [0, 1])
def test_s111_a_message_cut_by_a_stop_leaves_a_trace_though_its_clean_up_raised(
    redeliver: int,
) -> None:
    class Spilling(Behaviour[object, object]):
        async def handle(self, message: object, actor: Actor[object, object]) -> None:
            try:
                await trio.sleep(10)
            finally:
                raise ValueError("spilled")

    async def main() -> None:
        letters: list[DeadLetter] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        conduct = Conduct(on_stop=OnStop.NOW, redeliver=redeliver)
        child = actor_child(ref, Spilling, conduct=conduct)
        async with ActorSystem(supervising(child)) as system:
            ref.tell_nowait("cut")
            await trio.sleep(1)
            report = await system.stop()
        assert [(letter.message, letter.reason) for letter in letters] == [
            ("cut", "stopped")
        ]
        assert (report.in_flight, report.queued) == (1 - redeliver, redeliver)

    for seed in SEEDS:
        run_seeded(main, seed=seed)
