"""Watching other actors, and finding them by name (S136 to S140)."""

from __future__ import annotations

from typing import TypeAlias

import attrs
import pytest
import trio
from tree_probe import SEEDS, run, settle, supervising

from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Behaviour, Conduct
from understudy_actors.mailbox import Overflow
from understudy_actors.names import Name
from understudy_actors.notices import Notice, Restarted, Terminated
from understudy_actors.ref import Ref
from understudy_actors.supervisor import supervisor_child
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import (
    RuntimeFailed,
    SetupError,
    StartFailedError,
    UnknownNameError,
)
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import ChildSpec, Restart, Strategy

Any: TypeAlias = Ref[object, object]


class Worker(Behaviour[object, object]):
    """Answers what it is asked; breaks on "break", sleeps on a number."""

    async def handle(self, message: object, actor: Actor[object, object]) -> object:
        if message == "break":
            raise RuntimeError("broken as told")
        if isinstance(message, float):
            await trio.sleep(message)
        return message


@attrs.frozen
class Watch:
    """Has an `Observer` watch another, in this way."""

    other: Any
    how: str = "watch"


class Observer(Worker):
    """Watches what it is told to, and logs what it is told of it."""

    def __init__(self, log: list[Notice]) -> None:
        self._log = log

    async def handle(self, message: object, actor: Actor[object, object]) -> object:
        match message:
            case Watch(other, "unwatch"):
                actor.unwatch(other)
            case Watch(other, how):
                actor.watch(other, restarts=how == "watch restarts")
            case _:
                return await super().handle(message, actor)
        return None

    async def notified(self, notice: Notice, actor: Actor[object, object]) -> None:
        self._log.append(notice)


class Stage:
    """An observer, and a worker for it to watch."""

    def __init__(self, *, capacity: int = 100, backoff: Backoff | None = None) -> None:
        self.notices: list[Notice] = []
        self.worker: Any = Ref("root/worker")
        self.observer: Any = Ref(
            "root/observer", capacity=capacity, overflow=Overflow.DROP_NEW
        )
        spec = supervising(
            actor_child(self.worker, Worker, restart=Restart.TRANSIENT),
            actor_child(self.observer, lambda: Observer(self.notices), backoff=backoff),
            intensity=100,
        )
        self.system = ActorSystem(spec)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_s136_one_notice_per_watched_end_however_often_it_was_asked_for(
    times: int, seed: int
) -> None:
    async def main() -> None:
        stage = Stage()
        async with stage.system as system:
            for _ in range(times):
                await stage.observer.ask(Watch(stage.worker))
            await stage.worker.tell("break")
            await settle()
            assert stage.notices == []
            await system.root.terminate_child("worker")
            await settle()
            assert stage.notices == [Terminated(stage.worker, "stopped")]
            await system.root.restart_child("worker")
            await system.root.terminate_child("worker")
            await settle()
            assert len(stage.notices) == 1

    run(main, seed)


def test_s136_the_notice_says_how_it_ended() -> None:
    async def main() -> None:
        stage = Stage()
        doomed = Ref[object, object]("root/doomed")
        child = actor_child(doomed, Worker, restart=Restart.TEMPORARY)
        async with stage.system as system:
            await system.root.start_child(child)
            await stage.observer.ask(Watch(doomed))
            await doomed.tell("break")
            await settle()
        (notice,) = stage.notices
        assert isinstance(notice, Terminated)
        assert notice.actor is doomed
        assert notice.reason == "crash"
        assert isinstance(notice.cause, RuntimeError)

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s136_to_watch_one_that_is_gone_notifies_at_once(seed: int) -> None:
    async def main() -> None:
        stage = Stage()
        async with stage.system as system:
            await system.root.terminate_child("worker")
            for expected in (1, 2):
                await stage.observer.ask(Watch(stage.worker))
                await settle()
                assert stage.notices == expected * [Terminated(stage.worker, "stopped")]

    run(main, seed)


def test_s136_who_does_not_watch_any_more_is_not_told() -> None:
    async def main() -> None:
        stage = Stage()
        async with stage.system as system:
            await stage.observer.ask(Watch(stage.worker))
            await stage.observer.ask(Watch(stage.worker, "unwatch"))
            await system.root.terminate_child("worker")
            await settle()
        assert stage.notices == []

    run(main)


def test_s136_a_behaviour_that_cannot_be_notified_must_not_watch() -> None:
    class Deaf(Behaviour[object, object]):
        async def handle(self, message: object, actor: Actor[object, object]) -> object:
            actor.watch(actor.ref)
            return None

    async def main() -> None:
        ref = Ref[object, object]("root/deaf")
        async with ActorSystem(supervising(actor_child(ref, Deaf), intensity=0)):
            await ref.tell("now")
            await trio.sleep_forever()

    with pytest.raises(RuntimeFailed) as caught:
        run(main)
    assert isinstance(caught.value.__cause__, SetupError)
    assert "has no `notified`" in str(caught.value.__cause__)


@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_s137_a_restart_is_no_end_and_is_told_to_those_who_ask(
    wanted: bool, seed: int
) -> None:
    async def main() -> None:
        stage = Stage()
        async with stage.system:
            how = "watch restarts" if wanted else "watch"
            await stage.observer.ask(Watch(stage.worker, how))
            for _ in range(2):
                await stage.worker.tell("break")
                await settle()
            restarts = [Restarted(stage.worker, number) for number in (2, 3)]
            assert stage.notices == (restarts if wanted else [])

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s138_a_full_mailbox_loses_no_notice(seed: int) -> None:
    async def main() -> None:
        stage = Stage(capacity=1)
        async with stage.system as system:
            await stage.observer.ask(Watch(stage.worker))
            await stage.observer.tell(5.0)
            await settle()
            for message in ("fills it", "is dropped", "too"):
                await stage.observer.tell(message)
            await system.root.terminate_child("worker")
            assert stage.observer.dead_letters.counts == {"overflow": 2}
            assert stage.notices == []
            await trio.sleep(6)
            assert stage.notices == [Terminated(stage.worker, "stopped")]

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s138_a_restarting_watcher_gets_its_notices_in_its_next_life(
    seed: int,
) -> None:
    async def main() -> None:
        stage = Stage(backoff=Backoff(5.0, 5.0, jitter=0.0))
        async with stage.system as system:
            await stage.observer.ask(Watch(stage.worker, "watch restarts"))
            await stage.observer.tell("break")
            await settle()
            await stage.worker.tell("break")
            await settle()
            await system.root.terminate_child("worker")
            await trio.sleep(4)
            assert stage.notices == []
            await trio.sleep(2)
            assert stage.notices == [
                Restarted(stage.worker, 2),
                Terminated(stage.worker, "stopped"),
            ]

    run(main, seed)


def test_s139_nothing_grows_over_10_000_watched_ends_and_ended_watchers() -> None:
    async def main() -> None:
        stage = Stage()
        template = ChildSpec("guest", _nothing, restart=Restart.TEMPORARY)
        below = supervisor_child(
            "guests", supervising(template, strategy=Strategy.DYNAMIC)
        )
        async with stage.system as system:
            await system.root.start_child(below)
            for number in range(5_000):
                # It watches, and is gone before the one that it watches.
                watcher = Ref[object, object](f"root/{number}")
                watcher.watch(stage.worker)
                watcher.close("gone")
                # It is watched, and is gone before the one that watches it.
                watched = Ref[object, object](f"root/{number}")
                stage.observer.watch(watched)
                watched.close("gone")
            await settle()
            assert len(stage.notices) == 5_000
            assert len(stage.worker._watches()) == 0
            assert len(stage.observer._watches()) == 0

    run(main)


def test_s139_the_real_end_of_a_watcher_removes_its_watches() -> None:
    async def main() -> None:
        stage = Stage()
        async with stage.system as system:
            await stage.observer.ask(Watch(stage.worker))
            assert len(stage.worker._watches()) == 1
            await system.root.terminate_child("observer")
            assert len(stage.worker._watches()) == 0

    run(main)


async def _nothing(life: object) -> None:
    raise AssertionError("the template of a dynamic supervisor is not started")


# Names

WORKER = Name[object, object]("worker")


def named(path: str, name: Name[object, object] = WORKER) -> tuple[Any, ChildSpec]:
    ref = Ref[object, object](path)
    return ref, actor_child(ref, Worker, name=name)


@pytest.mark.parametrize("seed", SEEDS)
def test_s140_names_are_unique_and_a_duplicate_is_refused(seed: int) -> None:
    async def main() -> None:
        first, child = named("root/first")
        second, duplicate = named("root/second")
        async with ActorSystem(supervising(child)) as system:
            with pytest.raises(StartFailedError) as caught:
                await system.root.start_child(duplicate)
            assert isinstance(caught.value.__cause__, SetupError)
            assert str(caught.value.__cause__) == (
                "root/second cannot be called 'worker': root/first is; "
                "names are unique in a system"
            )
            assert system.names.find(WORKER) is first
            assert list(system.names.taken) == ["worker"]
        assert second.closed
        assert list(system.names.taken) == []

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s140_a_name_is_free_before_the_replacement_registers(seed: int) -> None:
    async def main() -> None:
        _, child = named("root/first")
        second, replacement = named("root/second")
        async with ActorSystem(supervising(child)) as system:
            await system.root.terminate_child("first")
            with pytest.raises(UnknownNameError, match="no actor is called 'worker'"):
                system.names.find(WORKER)
            await system.root.start_child(replacement)
            assert system.names.find(WORKER) is second

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s140_a_lookup_during_a_restart_yields_the_same_reference(seed: int) -> None:
    async def main() -> None:
        ref, child = named("root/first")
        spec = supervising(child, backoff=Backoff(1.0, 1.0, jitter=0.0))
        async with ActorSystem(spec) as system:
            await ref.tell("break")
            await settle()
            assert not ref.running
            assert system.names.find(WORKER) is ref
            await trio.sleep(2)
            assert ref.running
            assert await system.names.find(WORKER).ask("hello") == "hello"

    run(main, seed)


def test_s024_s140_a_failed_init_leaves_no_name() -> None:
    class Failing(Worker):
        async def setup(self, actor: Actor[object, object]) -> None:
            raise RuntimeError("cannot")

    async def main() -> None:
        ref = Ref[object, object]("root/first")
        async with ActorSystem(supervising()) as system:
            with pytest.raises(StartFailedError):
                await system.root.start_child(actor_child(ref, Failing, name=WORKER))
            assert system.names.taken == ()
            with pytest.raises(StartFailedError):
                await system.root.start_child(actor_child(ref, Failing, name=WORKER))

    run(main)


def test_s138_a_notice_whose_handler_crashes_follows_the_policy() -> None:
    class Clumsy(Observer):
        async def notified(self, notice: Notice, actor: Actor[object, object]) -> None:
            await super().notified(notice, actor)
            if len(self._log) == 1:
                raise RuntimeError("stumbled")

    async def main(redeliver: int) -> list[Notice]:
        stage = Stage()
        log: list[Notice] = []
        ref = Ref[object, object]("root/clumsy")
        child = actor_child(
            ref, lambda: Clumsy(log), conduct=Conduct(redeliver=redeliver)
        )
        async with stage.system as system:
            await system.root.start_child(child)
            await ref.ask(Watch(stage.worker))
            await system.root.terminate_child("worker")
            await settle()
        assert ref.dead_letters.counts == ({} if redeliver else {"crash": 1})
        return log

    for redeliver in (0, 1):
        assert len(run(lambda r=redeliver: main(r))) == 1 + redeliver  # type: ignore[misc]


def test_s139_an_actor_that_watches_itself_ends_as_any_other() -> None:
    async def main() -> None:
        stage = Stage()
        name = Name[object, object]("worker")
        vain = Ref[object, object]("root/vain")
        log: list[Notice] = []
        child = actor_child(vain, lambda: Observer(log), name=name)
        async with stage.system as system:
            await system.root.start_child(child)
            await vain.ask(Watch(vain))
            await stage.observer.ask(Watch(vain))
            await system.root.terminate_child("vain")
            assert vain.closed
            assert system.names.taken == ()
            await settle()
            assert stage.notices == [Terminated(vain, "stopped")]
        assert log == []

    run(main)


def test_s137_a_life_that_is_cut_in_its_start_is_not_said_to_have_restarted() -> None:
    async def main() -> None:
        stage = Stage()
        slow = Ref[object, object]("root/slow")
        starts: list[float] = []

        class Slow(Worker):
            async def setup(self, actor: Actor[object, object]) -> None:
                starts.append(trio.current_time())
                if len(starts) == 2:
                    with trio.CancelScope(shield=True):
                        await trio.sleep(5.5)

        child = actor_child(slow, Slow, start_timeout=5.0)
        async with stage.system as system:
            await system.root.start_child(child)
            await stage.observer.ask(Watch(slow, "watch restarts"))
            await slow.tell("break")
            await trio.sleep(10)
            assert len(starts) == 3
            assert stage.notices == [Restarted(slow, 3)]

    run(main)


def test_s091_notices_that_nobody_took_are_no_messages_left_undone() -> None:
    async def main() -> None:
        stage = Stage()
        async with stage.system as system:
            await stage.observer.ask(Watch(stage.worker))
            await stage.observer.tell(2.0)  # so it is at work when the worker ends
            await settle()
            report = await system.stop()
            # The observer ends first, and finishes what it has in hand.
            assert report.clean
        other = Stage()
        async with other.system as system:
            await other.worker.ask(1)
            other.worker.watch(other.observer)
            await other.worker.tell(2.0)
            await settle()
            report = await system.stop()
            assert other.worker.dead_letters.counts == {"stopped": 1}, "the notice"
            assert report.clean

    run(main)
