"""Asks: every one ends, once, and nobody waits for himself."""

from __future__ import annotations

import contextlib
import gc

import attrs
import pytest
import trio
from actor_probe import SEEDS, supervising
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.testing import run_seeded, seeds
from understudy_actors.actor import actor_child
from understudy_actors.behaviour import Actor, Answer, Behaviour, Conduct, OnError
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.ref import Ref
from understudy_actors.reply import Reply
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import (
    ActorStoppedError,
    AskTimeoutError,
    DeliveryError,
    NotFrozenError,
)
from understudy_protocols.supervision import (
    ChildSpec,
    ExitKind,
    Restart,
)
from understudy_protocols.supervision_records import (
    AdminError,
    LifeState,
    SupervisionEvent,
)


class Declined(Exception):
    """A business error."""


@attrs.frozen
class Sleep:
    seconds: float


class Clerk(Behaviour[object, object]):
    """Answers in all the ways there are."""

    kept: list[Reply[object]]

    def __init__(self, kept: list[Reply[object]] | None = None) -> None:
        self.kept = [] if kept is None else kept

    async def handle(self, message: object, actor: Actor[object, object]) -> object:
        match message:
            case Sleep(seconds):
                await trio.sleep(seconds)
            case "crash":
                raise KeyError(message)
            case "decline":
                raise Declined(message)
            case "later" | "twice":
                assert actor.reply is not None
                self.kept.append(actor.reply)
                if message == "later":
                    return Answer.LATER
                actor.reply.send("first")
            case "mutable":
                return object()
            case _:
                pass
        return message


def clerk(
    ref: Ref[object, object],
    kept: list[Reply[object]] | None = None,
    restart: Restart = Restart.PERMANENT,
) -> ChildSpec:
    conduct = Conduct(on_error={Declined: OnError.RESUME})
    return actor_child(ref, lambda: Clerk(kept), conduct=conduct, restart=restart)


def test_s127_a_second_reply_is_a_dead_letter() -> None:
    async def main() -> None:
        letters: list[DeadLetter] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        kept: list[Reply[object]] = []
        async with ActorSystem(supervising(clerk(ref, kept))):
            assert await ref.ask("twice") == "first"
            assert not kept[0].wanted
            kept[0].send("third")
            kept[0].fail(KeyError())
        assert [(it.message, it.reason, it.sender) for it in letters] == [
            ("twice", "second_reply", "a"),
            ("third", "second_reply", "a"),
        ]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s128_a_late_reply_is_a_dead_letter_and_answers_no_later_ask() -> None:
    async def main() -> None:
        letters: list[DeadLetter] = []
        ref = Ref[object, object]("a", dead_letters=DeadLetters(letters.append))
        async with ActorSystem(supervising(clerk(ref))):
            with pytest.raises(AskTimeoutError) as caught:
                await ref.ask(Sleep(5), timeout=2)
            assert (caught.value.timeout, caught.value.limit) == (2, "timeout")
            assert trio.current_time() == 2
            assert await ref.ask("next") == "next"
            assert trio.current_time() == 5
        assert [(it.message, it.reason) for it in letters] == [(Sleep(5), "late_reply")]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s128_an_ask_that_timed_out_in_the_queue_is_not_handled_later() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")
        async with ActorSystem(supervising(clerk(ref))):
            ref.tell_nowait(Sleep(10))
            with pytest.raises(AskTimeoutError):
                await ref.ask("hurry", timeout=1)
            await trio.sleep(20)
        assert ref.dead_letters.counts == {"expired": 1}

    run_seeded(main, seed=0)


def test_s129_asking_an_actor_that_is_gone_fails_at_once() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")
        async with ActorSystem(supervising(clerk(ref))) as system:
            await system.root.terminate_child("a")
            with pytest.raises(ActorStoppedError, match="a takes no messages"):
                await ref.ask("anyone?")
            await system.root.restart_child("a")
            assert await ref.ask("and now?") == "and now?"
        assert trio.current_time() == 0

    for seed in SEEDS:
        run_seeded(main, seed=seed)


@pytest.mark.parametrize("message", [Sleep(9), "later"])
def test_s129_an_ask_fails_when_its_target_is_cut_with_the_way_it_ended(
    message: object,
) -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")

        async def ask() -> None:
            with pytest.raises(ActorStoppedError) as caught:
                await ref.ask(message)
            ends.append((trio.current_time(), caught.value.reason))

        async def ask_behind() -> None:
            await trio.sleep(0.5)
            with pytest.raises(ActorStoppedError):
                await ref.ask(Sleep(9))

        ends: list[tuple[float, str]] = []
        async with (
            ActorSystem(supervising(clerk(ref))) as system,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(ask)
            nursery.start_soon(ask_behind)
            await trio.sleep(1)
            await system.root.terminate_child("a")
        # Five seconds are the child's grace.
        assert ends == [(6.0, "killed")]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s129_an_answer_promised_for_later_fails_when_its_promiser_ends() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")
        errors: list[ActorStoppedError] = []

        async def ask(message: str) -> None:
            with pytest.raises(ActorStoppedError) as caught:
                await ref.ask(message)
            errors.append(caught.value)

        async with (
            ActorSystem(supervising(clerk(ref))),
            trio.open_nursery() as nursery,
        ):
            for message in ("later", "crash"):
                nursery.start_soon(ask, message)
                await trio.testing.wait_all_tasks_blocked()
        assert [error.reason for error in errors] == ["crash", "crash"]
        assert all(isinstance(error.__cause__, KeyError) for error in errors)

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s130_a_crash_is_seen_by_the_asker_and_by_the_supervisor() -> None:
    async def main() -> None:
        events: list[SupervisionEvent] = []
        ref = Ref[object, object]("a")
        system = ActorSystem(supervising(clerk(ref)), on_event=events.append)
        async with system:
            with pytest.raises(ActorStoppedError) as caught:
                await ref.ask("crash")
            assert isinstance(caught.value.__cause__, KeyError)
            assert await ref.ask("again") == "again"
            crashes = [event for event in events if event.state is LifeState.CRASHED]
            assert [(event.kind, event.cause) for event in crashes] == [
                (ExitKind.CRASH, caught.value.__cause__)
            ]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s130_a_declared_business_error_is_the_askers_alone() -> None:
    async def main() -> None:
        events: list[SupervisionEvent] = []
        ref = Ref[object, object]("a")
        system = ActorSystem(supervising(clerk(ref)), on_event=events.append)
        async with system:
            with pytest.raises(Declined):
                await ref.ask("decline")
            assert await ref.ask("again") == "again"
        assert all(event.state is not LifeState.CRASHED for event in events)
        assert ref.dead_letters.count == 0

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_an_answer_that_can_change_is_a_crash_of_the_one_who_gave_it() -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")
        async with ActorSystem(supervising(clerk(ref))):
            with pytest.raises(ActorStoppedError) as caught:
                await ref.ask("mutable")
            assert isinstance(caught.value.__cause__, NotFrozenError)

    run_seeded(main, seed=0)


def test_s133_an_asker_that_leaves_is_not_waited_for() -> None:
    async def main() -> None:
        kept: list[Reply[object]] = []
        ref = Ref[object, object]("a")
        async with ActorSystem(supervising(clerk(ref, kept))):
            with trio.move_on_after(1):
                await ref.ask("later")
            assert [reply.wanted for reply in kept] == [False]
            kept[0].send("too late")
            kept[0].fail(KeyError())
        assert ref.dead_letters.counts == {"late_reply": 1}

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_s133_a_reply_in_the_same_instant_as_the_cancel_is_lost_but_harms_nobody() -> (
    None
):
    async def main() -> None:
        kept: list[Reply[object]] = []
        ref = Ref[object, object]("a")

        async def ask() -> None:
            with scope:
                answers.append(await ref.ask("later"))

        async with ActorSystem(supervising(clerk(ref, kept))):
            for reply_first in (True, False):
                answers: list[object] = []
                scope = trio.CancelScope()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ask)
                    await trio.testing.wait_all_tasks_blocked()
                    if reply_first:
                        kept[-1].send("just in time")
                    scope.cancel()
                    if not reply_first:
                        kept[-1].send("just too late")
                assert answers == (["just in time"] if reply_first else [])

    for seed in SEEDS:
        run_seeded(main, seed=seed)


@settings(max_examples=60, deadline=None)
@given(
    seed=seeds(),
    asks=st.lists(
        st.tuples(
            st.floats(0, 5),
            st.sampled_from(
                [Sleep(0.5), Sleep(3), "x", "crash", "decline", "later", "twice"]
            ),
            st.floats(0.1, 4),
        ),
        max_size=15,
    ),
    faults=st.lists(
        st.tuples(st.floats(0, 6), st.sampled_from(["terminate", "restart"])),
        max_size=4,
    ),
)
def test_s134_every_ask_ends(
    seed: int,
    asks: list[tuple[float, object, float]],
    faults: list[tuple[float, str]],
) -> None:
    async def main() -> None:
        kept: list[Reply[object]] = []
        ref = Ref[object, object]("a")
        ended = 0

        async def ask(at: float, message: object, timeout: float) -> None:
            nonlocal ended
            await trio.sleep(at)
            with contextlib.suppress(DeliveryError, Declined):
                await ref.ask(message, timeout=timeout)
            assert trio.current_time() <= at + timeout + 1e-6
            ended += 1

        async def fault(at: float, what: str) -> None:
            await trio.sleep(at)
            with contextlib.suppress(AdminError):
                if what == "terminate":
                    await system.root.terminate_child("a")
                else:
                    await system.root.restart_child("a")

        async with (
            ActorSystem(supervising(clerk(ref, kept))) as system,
            trio.open_nursery() as nursery,
        ):
            for entry in asks:
                nursery.start_soon(ask, *entry)
            for when, what in faults:
                nursery.start_soon(fault, when, what)
        assert ended == len(asks)
        assert not any(reply.wanted for reply in kept)

    run_seeded(main, seed=seed)


def test_s148_the_nearest_deadline_wins_and_the_error_names_it() -> None:
    async def main() -> None:
        seen: list[tuple[float, str]] = []
        front, back = Ref[object, object]("front"), Ref[object, object]("back")

        class Asking(Behaviour[object, object]):
            async def handle(
                self, message: object, actor: Actor[object, object]
            ) -> object:
                assert isinstance(message, (int, float))
                try:
                    return await back.ask(Sleep(100), timeout=message)
                except AskTimeoutError as error:
                    seen.append((trio.current_time() - started, error.limit))
                    raise

        conduct = Conduct(on_error={AskTimeoutError: OnError.RESUME})
        children = (actor_child(front, Asking, conduct=conduct), clerk(back))
        async with ActorSystem(supervising(*children)) as system:
            for inner, outer in ((2.0, 5.0), (5.0, 2.0)):
                started = trio.current_time()
                with pytest.raises(AskTimeoutError):
                    await front.ask(inner, timeout=outer)
                await trio.sleep(1)
                await system.root.terminate_child("back")
                await system.root.restart_child("back")
        assert seen == [(2.0, "timeout"), (2.0, "deadline of the message in hand")]

    for seed in SEEDS:
        run_seeded(main, seed=seed)


@pytest.mark.parametrize("timeout", [0, -1])
def test_s147_an_ask_without_time_left_is_not_sent(timeout: float) -> None:
    async def main() -> None:
        ref = Ref[object, object]("a")
        with pytest.raises(AskTimeoutError):
            await ref.ask("hello", timeout=timeout)
        assert ref.queued == 0

    run_seeded(main, seed=0)


def test_s133_asks_that_were_cancelled_leave_nothing_behind() -> None:
    def replies() -> int:
        gc.collect()
        return sum(isinstance(thing, Reply) for thing in gc.get_objects())

    class Debtor(Behaviour[object, object]):
        async def handle(self, message: object, actor: Actor[object, object]) -> object:
            await trio.sleep(1)
            return Answer.LATER

    async def main() -> None:
        ref = Ref[object, object]("a")
        async with ActorSystem(supervising(actor_child(ref, Debtor))):
            before = replies()
            for seconds in (0.5, 1.5, 3, 0.25):
                with trio.move_on_after(seconds):
                    await ref.ask("promise me an answer")
            await ref.tell("and nobody waits for this one")
            await trio.sleep(10)
            assert replies() == before
            assert ref.queued == 0

    for seed in SEEDS:
        run_seeded(main, seed=seed)
