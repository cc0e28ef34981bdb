"""Messages that are put aside, and come back (S123)."""

from __future__ import annotations

import pytest
import trio
from tree_probe import SEEDS, run, settle, supervising

from understudy_actors.actor import actor_child
from understudy_actors.behaviour import (
    Actor,
    Behaviour,
    Conduct,
    OnError,
    OnStop,
)
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.notices import Notice, ReceiveTimeout
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import (
    ActorStoppedError,
    SetupError,
    StashFullError,
)
from understudy_protocols.supervision import ChildSpec, Restart

AnyRef = Ref[object, object]
AnyActor = Actor[object, object]


class Store(Behaviour[object, object]):
    """Puts numbers aside until it is opened; the log outlives it."""

    def __init__(self, log: list[object]) -> None:
        self._log = log
        self._open = False

    async def handle(self, message: object, actor: AnyActor) -> object:
        match message:
            case int() if not self._open:
                actor.stash()
                return "not an answer"
            case "open":
                self._open = True
                actor.unstash_all()
            case "close":
                self._open = False
            case "break":
                raise RuntimeError("broken as told")
            case float():
                await trio.sleep(message)
            case _:
                self._log.append(message)
        return message


def store(
    log: list[object], conduct: Conduct, restart: Restart = Restart.PERMANENT
) -> tuple[AnyRef, ChildSpec, list[DeadLetter]]:
    letters: list[DeadLetter] = []
    ref = Ref[object, object]("root/store", dead_letters=DeadLetters(letters.append))
    child = actor_child(ref, lambda: Store(log), conduct=conduct, restart=restart)
    return ref, child, letters


@pytest.mark.parametrize("seed", SEEDS)
def test_s123_what_is_put_aside_comes_back_in_its_old_order(seed: int) -> None:
    async def main() -> None:
        log: list[object] = []
        ref, child, letters = store(log, Conduct())
        async with ActorSystem(supervising(child)):
            for message in (1, 2, "a", 3, "open", "close", 4, "b", "open", 5):
                await ref.tell(message)
            await settle()
        assert log == ["a", 1, 2, 3, "b", 4, 5]
        assert letters == []

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s123_who_asked_with_a_message_put_aside_waits_for_its_answer(
    seed: int,
) -> None:
    async def main() -> None:
        ref, child, _ = store([], Conduct())
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await ref.ask(7))

        async with (
            ActorSystem(supervising(child)),
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(ask)
            await settle()
            assert answers == []
            await ref.tell("open")
            await settle()
            assert answers == [7]

    run(main, seed)


@pytest.mark.parametrize("resumes", [False, True])
def test_s123_the_stash_is_bounded_and_says_so_to_the_handler(resumes: bool) -> None:
    async def main() -> None:
        what = OnError.RESUME if resumes else OnError.RESTART
        conduct = Conduct(stash_capacity=2, on_error={StashFullError: what})
        ref, child, letters = store([], conduct)
        async with ActorSystem(supervising(child)):
            await ref.tell(1)
            await ref.tell(2)
            if resumes:
                with pytest.raises(StashFullError, match="2 messages aside already"):
                    await ref.ask(3)
            else:
                with pytest.raises(ActorStoppedError) as caught:
                    await ref.ask(3)
                assert isinstance(caught.value.__cause__, StashFullError)
            if resumes:
                assert letters == []
            else:
                assert letters == [DeadLetter(3, "root/store", "crash")]

    run(main)


@pytest.mark.parametrize("survives", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_s123_a_restart_keeps_or_gives_up_the_stash_as_declared(
    survives: bool, seed: int
) -> None:
    async def main() -> None:
        log: list[object] = []
        ref, child, letters = store(log, Conduct(stash_survives=survives))
        async with ActorSystem(supervising(child)):
            for message in (1, 2, "break", "open", 3):
                await ref.tell(message)
            await settle()
            given_up = [m.message for m in letters]
            if survives:
                # They came to the next life first, and were put aside by it too.
                assert given_up == ["break"]
                assert log == [1, 2, 3]
            else:
                assert given_up == ["break", 1, 2]
                assert log == [3]
                assert [m.reason for m in letters] == 3 * ["crash"]

    run(main, seed)


@pytest.mark.parametrize("survives", [False, True])
def test_s123_a_stash_that_survives_stands_before_what_is_redelivered(
    survives: bool,
) -> None:
    class Once(Store):
        async def handle(self, message: object, actor: AnyActor) -> object:
            if message == "break":
                self._log.append(f"break in life {actor.life.number}")
                if actor.life.number == 1:
                    raise RuntimeError("broken once")
                return message
            if actor.life.number > 1:
                self._open = True
            return await super().handle(message, actor)

    async def main() -> None:
        log: list[object] = []
        ref = Ref[object, object]("root/store")
        conduct = Conduct(redeliver=1, stash_survives=survives)
        child = actor_child(ref, lambda: Once(log), conduct=conduct)
        async with ActorSystem(supervising(child)):
            for message in (1, 2, "break", 3):
                await ref.tell(message)
            await settle()
        kept = [1, 2] if survives else []
        assert log == ["break in life 1", *kept, "break in life 2", 3]

    run(main)


@pytest.mark.parametrize("on_stop", list(OnStop))
@pytest.mark.parametrize("survives", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_s123_a_stop_makes_the_stash_dead_letters(
    on_stop: OnStop, survives: bool, seed: int
) -> None:
    async def main() -> None:
        log: list[object] = []
        conduct = Conduct(on_stop=on_stop, stash_survives=survives)
        ref, child, letters = store(log, conduct)
        async with ActorSystem(supervising(child)) as system:
            for message in (1, 2):
                await ref.tell(message)
            await settle()
            await system.root.terminate_child("store")
        assert letters == [DeadLetter(n, "root/store", "stopped") for n in (1, 2)]
        assert log == []

    run(main, seed)


def test_s123_what_comes_back_during_a_drain_is_drained_too() -> None:
    async def main() -> None:
        log: list[object] = []
        ref, child, letters = store(log, Conduct(on_stop=OnStop.DRAIN))
        async with ActorSystem(supervising(child)) as system:
            for message in (1, 2, 3.0, "open"):
                await ref.tell(message)
            await settle()
            await system.root.terminate_child("store")
        assert log == [1, 2]
        assert letters == []

    run(main)


def test_s114_s123_a_notice_cannot_be_put_aside_nor_a_message_twice() -> None:
    refused: list[str] = []

    class Greedy(Behaviour[object, object]):
        async def handle(self, message: object, actor: AnyActor) -> object:
            actor.stash()
            self._try(actor)
            return None

        async def notified(self, notice: Notice, actor: AnyActor) -> None:
            self._try(actor)

        def _try(self, actor: AnyActor) -> None:
            with pytest.raises(SetupError, match="no message in hand") as caught:
                actor.stash()
            refused.append(str(caught.value))

    async def main() -> None:
        ref = Ref[object, object]("root/greedy")
        async with ActorSystem(supervising(actor_child(ref, Greedy))):
            ref.notify(ReceiveTimeout())
            await ref.tell("message")
            await settle()

    run(main)
    assert len(refused) == 2
