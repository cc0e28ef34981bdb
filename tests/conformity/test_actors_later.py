"""Messages that are ordered for a time, or passed on (S124, S127)."""

from __future__ import annotations

import contextvars
import math
from typing import cast

import attrs
import pytest
import trio
from tree_probe import SEEDS, run, settle, supervising

from understudy_actors.actor import actor_child
from understudy_actors.alarms import Alarm
from understudy_actors.behaviour import (
    Actor,
    Answer,
    Behaviour,
    Conduct,
    OnError,
    OnStop,
)
from understudy_actors.dead_letters import DeadLetter, DeadLetters
from understudy_actors.mailbox import Overflow
from understudy_actors.notices import Notice, ReceiveTimeout
from understudy_actors.ref import Ref
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import (
    ActorStoppedError,
    AskTimeoutError,
    ConfigError,
)
from understudy_protocols.restart_policy import Backoff
from understudy_protocols.supervision import ChildSpec

AnyRef = Ref[object, object]
AnyActor = Actor[object, object]


# Alarms


@attrs.frozen
class Order:
    """Has a `Clockwork` order a message for later."""

    seconds: float
    message: object
    again: bool = False


class Clockwork(Behaviour[object, object]):
    """Notes what comes, and when; the log outlives it."""

    def __init__(self, log: list[tuple[float, object]]) -> None:
        self._log = log
        self._alarms: list[Alarm] = []

    async def handle(self, message: object, actor: AnyActor) -> object:
        match message:
            case Order(seconds, text, again):
                send = actor.send_every if again else actor.send_after
                self._alarms.append(send(seconds, text))
                return None
            case "cancel":
                self._log.append((trio.current_time(), message))
                for alarm in self._alarms:
                    alarm.cancel()
                return None
            case _:
                self._log.append((trio.current_time(), message))
        if message == "break":
            raise RuntimeError("broken as told")
        if isinstance(message, float):
            await trio.sleep(message)
        return None

    async def notified(self, notice: Notice, actor: AnyActor) -> None:
        self._log.append((trio.current_time(), notice))


Log = list[tuple[float, object]]


def clockwork(
    log: Log, conduct: Conduct, **options: object
) -> tuple[AnyRef, ChildSpec]:
    ref = Ref[object, object]("root/clockwork", capacity=2)
    return ref, actor_child(ref, lambda: Clockwork(log), conduct=conduct, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", SEEDS)
def test_s124_an_alarm_comes_at_its_time_and_again_if_it_is_to(seed: int) -> None:
    async def main() -> None:
        log: Log = []
        ref, child = clockwork(log, Conduct())
        async with ActorSystem(supervising(child)):
            await ref.ask(Order(2.5, "once"))
            await ref.ask(Order(1.0, "tick", again=True))
            await trio.sleep(3.2)
            await ref.ask("cancel")
            await trio.sleep(5)
        assert log == [
            (1.0, "tick"),
            (2.0, "tick"),
            (2.5, "once"),
            (3.0, "tick"),
            (3.2, "cancel"),
        ]

    run(main, seed)


def test_s124_a_repeated_alarm_can_call_itself_off() -> None:
    async def main() -> None:
        log: Log = []
        ref, child = clockwork(log, Conduct())
        async with ActorSystem(supervising(child)):
            await ref.ask(Order(1.0, "cancel", again=True))
            await trio.sleep(5)
        assert log == [(1.0, "cancel")]

    run(main)


def test_s124_a_receive_timeout_that_breaks_its_life_is_not_redelivered() -> None:
    lives: list[int] = []

    class Impatient(Clockwork):
        async def notified(self, notice: Notice, actor: AnyActor) -> None:
            lives.append(actor.life.number)
            raise RuntimeError("waited too long")

    async def main() -> None:
        ref = Ref[object, object]("root/impatient")
        conduct = Conduct(redeliver=math.inf, receive_timeout=2.0)
        child = actor_child(ref, lambda: Impatient([]), conduct=conduct)
        async with ActorSystem(supervising(child)):
            await trio.sleep(5.0)
        assert lives == [1, 2]
        assert ref.dead_letters.counts == {"crash": 2}

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s124_no_alarm_reaches_a_later_life(seed: int) -> None:
    async def main() -> None:
        log: Log = []
        ref, child = clockwork(log, Conduct(redeliver=math.inf, receive_timeout=4.0))
        async with ActorSystem(supervising(child)):
            await ref.ask(Order(2.0, "late"))
            await ref.ask(Order(1.5, "break"))
            await trio.sleep(1.0)
            await ref.ask(Order(1.5, "later", again=True))
            await trio.sleep(4.0)
        # The first life ends at 1.5, with the alarm in hand that broke it; the
        # next one has been without a message for 4 s at 5.5.
        assert log == [(1.5, "break")]
        assert ref.dead_letters.counts == {"crash": 1}

    run(main, seed)


def test_s124_a_receive_timeout_counts_from_the_last_message_of_this_life() -> None:
    async def main() -> None:
        log: Log = []
        ref, child = clockwork(log, Conduct(receive_timeout=2.0))
        async with ActorSystem(supervising(child)):
            await trio.sleep(1.5)
            await ref.tell("message")
            await trio.sleep(5.0)
            await ref.tell("break")
            await trio.sleep(3.0)
        quiet = ReceiveTimeout()
        assert log == [
            (1.5, "message"),
            (3.5, quiet),
            (5.5, quiet),
            (6.5, "break"),
            (8.5, quiet),
        ]

    run(main)


@pytest.mark.parametrize("on_stop", list(OnStop))
def test_s124_an_actor_that_is_stopping_gets_no_alarm(on_stop: OnStop) -> None:
    async def main() -> None:
        log: Log = []
        ref, child = clockwork(log, Conduct(on_stop=on_stop), shutdown=60.0)
        async with ActorSystem(supervising(child)) as system:
            await ref.ask(Order(1.0, "alarm"))
            await ref.tell(5.0)
            await ref.tell(Order(0.0, "alarm"))
            await settle()
            await system.root.terminate_child("clockwork")
        assert log == [(0.0, 5.0)]

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s114_an_alarm_comes_before_queued_messages_and_is_not_dropped(
    seed: int,
) -> None:
    async def main() -> None:
        log: Log = []
        ref, child = clockwork(log, Conduct())
        async with ActorSystem(supervising(child)):
            await ref.ask(Order(1.0, "alarm"))
            await ref.tell(2.0)
            await settle()
            await ref.tell("first")
            await ref.tell("second")
            await ref.tell("has no room")
            await trio.sleep(3.0)
        assert log == [(0.0, 2.0), (2.0, "alarm"), (2.0, "first"), (2.0, "second")]
        assert ref.dead_letters.counts == {"overflow": 1}

    run(main, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_s115_a_fast_alarm_starves_neither_messages_nor_a_stop(seed: int) -> None:
    async def main() -> None:
        log: Log = []
        ref, child = clockwork(log, Conduct())
        async with ActorSystem(supervising(child)) as system:
            await ref.ask(Order(0.001, 1.0, again=True))
            await trio.sleep(0.5)
            await ref.tell("message")
            await trio.sleep(2.0)
            assert (1.001, "message") in log
            handled = len(log)
            await system.root.terminate_child("clockwork")
            assert len(log) == handled
            assert trio.current_time() < 4.0

    run(main, seed)


def test_s158_an_alarm_carries_the_context_in_which_it_was_ordered() -> None:
    variable = contextvars.ContextVar[str]("variable")
    seen: list[object] = []

    class Setting(Behaviour[object, object]):
        async def handle(self, message: object, actor: AnyActor) -> object:
            if message == "order":
                variable.set("ordered")
                actor.send_after(1.0, "alarm")
            else:
                seen.append((variable.get(None), actor.sender))
            return None

    async def main() -> None:
        ref = Ref[object, object]("root/setting")
        async with ActorSystem(supervising(actor_child(ref, Setting))):
            await ref.tell("order")
            await trio.sleep(2)

    run(main)
    assert seen == [("ordered", "root/setting")]


@pytest.mark.parametrize("seconds", [-1.0, math.inf, math.nan])
@pytest.mark.parametrize("again", [False, True])
def test_s124_a_time_that_cannot_be_meant_is_refused(
    seconds: float, again: bool
) -> None:
    async def main() -> None:
        ref, child = clockwork([], Conduct(on_error={ConfigError: OnError.RESUME}))
        async with ActorSystem(supervising(child)):
            with pytest.raises(ConfigError, match="seconds"):
                await ref.ask(Order(seconds, "alarm", again=again))

    run(main)


# Passing on


class Clerk(Behaviour[object, object]):
    """Passes everything on to others."""

    def __init__(self, *to: AnyRef) -> None:
        self._to = to

    async def handle(self, message: object, actor: AnyActor) -> object:
        await actor.forward(*self._to)
        if message == "then hang":
            await trio.sleep_forever()
        if message == "then break":
            raise RuntimeError("broken after it was passed on")
        return "not an answer"


class Desk(Behaviour[object, object]):
    """Answers with what it knows of the message."""

    async def handle(self, message: object, actor: AnyActor) -> object:
        if message == "later":
            return Answer.LATER
        return (message, actor.ref.path, actor.sender, actor.deadline)


@pytest.mark.parametrize("seed", SEEDS)
def test_s127_a_forwarded_ask_is_answered_by_the_one_that_has_it(seed: int) -> None:
    async def main() -> None:
        desk = Ref[object, object]("root/desk")
        clerk = Ref[object, object]("root/clerk")
        children = (actor_child(desk, Desk), actor_child(clerk, lambda: Clerk(desk)))
        async with ActorSystem(supervising(*children)) as system:
            answer = await clerk.ask("what", timeout=3.0)
            assert answer == ("what", "root/desk", None, 3.0)
            # Its end does not concern the one who asked: the clerk has it no more.
            with pytest.raises(AskTimeoutError):
                await clerk.ask("later", timeout=3.0)
            answer = await clerk.ask("then break")
            assert cast("tuple[object, ...]", answer)[0] == "then break"
            await settle()
            assert system.root.children()[1].incarnation == 2
            assert clerk.dead_letters.count == 0

    run(main, seed)


def test_s127_of_several_answers_the_first_counts() -> None:
    async def main() -> None:
        letters: list[DeadLetter] = []
        clerk = Ref[object, object](
            "root/clerk", dead_letters=DeadLetters(letters.append)
        )
        desks = [Ref[object, object](f"root/desk{n}") for n in range(3)]
        children = [actor_child(desk, Desk) for desk in desks]
        spec = supervising(*children, actor_child(clerk, lambda: Clerk(*desks)))
        async with ActorSystem(spec):
            answer = await clerk.ask("what")
            await settle()
        assert cast("tuple[object, ...]", answer)[0] == "what"
        assert [letter.reason for letter in letters] == 2 * ["second_reply"]

    run(main)


@pytest.mark.parametrize("seed", SEEDS)
def test_s112_a_forward_waits_for_room_as_a_sender_does(seed: int) -> None:
    async def main() -> None:
        log: Log = []
        slow = Ref[object, object]("root/slow", capacity=1, overflow=Overflow.BLOCK)
        clerk = Ref[object, object]("root/clerk")
        children = (
            actor_child(slow, lambda: Clockwork(log)),
            actor_child(clerk, lambda: Clerk(slow)),
        )
        async with ActorSystem(supervising(*children)):
            for _ in range(5):
                await clerk.tell(1.0)
            await trio.sleep(10)
        assert [at for at, _ in log] == [0.0, 1.0, 2.0, 3.0, 4.0]

    run(main, seed)


@pytest.mark.parametrize("gone", [False, True])
def test_s116_a_forward_to_one_that_cannot_take_it_is_a_dead_letter(
    gone: bool,
) -> None:
    async def main() -> None:
        desk = Ref[object, object]("root/desk", capacity=1)
        clerk = Ref[object, object]("root/clerk")
        if gone:
            desk.close("stopped")
        else:
            desk.tell_nowait("fills it")
        async with ActorSystem(supervising(actor_child(clerk, lambda: Clerk(desk)))):
            with pytest.raises(
                ActorStoppedError if gone else Exception, match="root/desk"
            ):
                await clerk.ask("what")
        assert desk.dead_letters.counts == {"stopped" if gone else "overflow": 1}

    run(main)


def test_s146_a_handler_that_hangs_after_it_passed_its_message_on_is_cut() -> None:
    async def main() -> None:
        desk = Ref[object, object]("root/desk")
        clerk = Ref[object, object]("root/clerk")
        hasty = Conduct(handler_timeout=2.0, redeliver=math.inf)
        children = (
            actor_child(desk, Desk),
            actor_child(clerk, lambda: Clerk(desk), conduct=hasty),
        )
        async with ActorSystem(supervising(*children)) as system:
            await clerk.ask("then hang")
            assert trio.current_time() == 0
            await trio.sleep(3)
            assert system.root.children()[1].incarnation == 2
            assert clerk.dead_letters.count == 0

    run(main)


def test_s038_an_error_after_the_message_was_passed_on_is_not_passed_over() -> None:
    async def main() -> None:
        desk = Ref[object, object]("root/desk")
        clerk = Ref[object, object]("root/clerk")
        tolerant = Conduct(on_error={RuntimeError: OnError.RESUME})
        children = (
            actor_child(desk, Desk),
            actor_child(clerk, lambda: Clerk(desk), conduct=tolerant),
        )
        async with ActorSystem(supervising(*children)) as system:
            await clerk.ask("then break")
            await settle()
            # Nobody asked could be told of it, so it breaks the actor.
            assert system.root.children()[1].incarnation == 2

    run(main)


# Asking an actor that waits for its restart


@pytest.mark.parametrize("fail_fast", [False, True])
@pytest.mark.parametrize(("timeout", "answered"), [(30.0, True), (2.0, False)])
@pytest.mark.parametrize("seed", SEEDS)
def test_s068_an_ask_during_a_backoff_waits_or_fails_at_once(
    fail_fast: bool, timeout: float, answered: bool, seed: int
) -> None:
    async def main() -> None:
        log: Log = []
        ref, child = clockwork(log, Conduct(), backoff=Backoff(5.0, 5.0, jitter=0.0))
        async with ActorSystem(supervising(child)):
            await ref.tell("break")
            await settle()
            began = trio.current_time()
            if fail_fast:
                with pytest.raises(ActorStoppedError, match="not running"):
                    await ref.ask("message", timeout, fail_fast=True)
                assert trio.current_time() == began
                await trio.sleep(6)
                assert await ref.ask("message", timeout, fail_fast=True) is None
            elif answered:
                assert await ref.ask("message", timeout) is None
                assert trio.current_time() == began + 5
            else:
                with pytest.raises(AskTimeoutError):
                    await ref.ask("message", timeout)
                assert trio.current_time() == began + timeout

    run(main, seed)


@pytest.mark.parametrize("error", [ValueError, TimeoutError])
@pytest.mark.parametrize("seed", SEEDS)
def test_s124_an_alarm_goes_on_after_a_message_of_it_that_failed(
    seed: int, error: type[Exception]
) -> None:
    class Ticking(Behaviour[object, object]):
        async def setup(self, actor: AnyActor) -> None:
            actor.send_every(1.0, "tick")

        async def handle(self, message: object, actor: AnyActor) -> None:
            ticks.append(trio.current_time())
            if error is TimeoutError:
                await trio.sleep(5)
            raise error

    ticks: list[float] = []

    async def main() -> None:
        conduct = Conduct(on_error={error: OnError.RESUME}, handler_timeout=0.5)
        ref = Ref[object, object]("root/ticking")
        async with ActorSystem(supervising(actor_child(ref, Ticking, conduct=conduct))):
            await trio.sleep(10)

    run(main, seed)
    assert len(ticks) >= 6, ticks
