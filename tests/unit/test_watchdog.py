"""The watchdog: one heap for all deadlines and timers, looked at in time."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import trio

from understudy.testing import run_seeded
from understudy_actors.system import ActorSystem
from understudy_actors.watchdog import Cut, Slot, Watchdog
from understudy_protocols.supervision import ChildSpec, SupervisorSpec
from understudy_protocols.supervision_records import LifeState, SupervisionEvent

GRACE = 1.0


class Hands:
    """A watchdog on a clock that the test moves, and what it did."""

    def __init__(self) -> None:
        self.time = 0.0
        self.dog = Watchdog(lambda: self.time, GRACE)
        self.overdue: list[Slot] = []

    def slot(self) -> Slot:
        made = Slot(lambda: self.overdue.append(made))
        return made

    def go_to(self, time: float) -> None:
        self.time = time
        self.dog.fire()


def test_a_deadline_that_moves_on_needs_no_second_entry() -> None:
    hands = Hands()
    slot = hands.slot()
    hands.dog.arm(slot, 5.0)
    for later in (6.0, 7.0, 8.0):
        hands.dog.arm(slot, later)
    assert len(hands.dog) == 1
    assert slot.queued == 5.0


def test_an_earlier_deadline_is_pushed_and_the_old_entry_is_dead() -> None:
    hands = Hands()
    slot = hands.slot()
    hands.dog.arm(slot, 5.0)
    hands.dog.arm(slot, 2.0)
    assert slot.queued == 2.0
    hands.go_to(2.0)
    assert slot.fired is Cut.TIMEOUT
    slot.renew()
    hands.go_to(5.0)
    assert slot.fired is None


def test_an_entry_that_is_too_early_is_put_right_when_its_time_comes() -> None:
    hands = Hands()
    slot = hands.slot()
    hands.dog.arm(slot, 5.0)
    hands.dog.arm(slot, 9.0)
    hands.go_to(5.0)
    assert slot.fired is None
    assert (slot.queued, len(hands.dog)) == (9.0, 1)
    hands.go_to(9.0)
    assert slot.fired is Cut.TIMEOUT


def test_a_dead_entry_makes_no_second_live_one() -> None:
    hands = Hands()
    slot = hands.slot()
    hands.dog.arm(slot, 5.0)
    hands.dog.arm(slot, 2.0)
    slot.deadline = math.inf
    hands.go_to(2.0)
    hands.dog.arm(slot, 9.0)
    hands.go_to(5.0)
    assert len(hands.dog) == 1


def test_a_disarmed_slot_is_dropped() -> None:
    hands = Hands()
    slot = hands.slot()
    hands.dog.arm(slot, 5.0)
    slot.deadline = math.inf
    hands.go_to(5.0)
    assert slot.fired is None
    assert (slot.queued, len(hands.dog)) == (math.inf, 0)


def test_a_slot_that_is_armed_for_ever_has_no_entry() -> None:
    hands = Hands()
    hands.dog.arm(hands.slot(), math.inf)
    assert len(hands.dog) == 0


def test_a_cut_happens_once_and_the_first_reason_stays() -> None:
    hands = Hands()
    slot = hands.slot()
    slot.cut(Cut.CANCELLED, hands.dog)
    slot.cut(Cut.STOPPED, hands.dog)
    assert slot.fired is Cut.CANCELLED
    assert slot.scope.cancel_called
    assert slot.deadline == GRACE


def test_a_cut_worker_is_overdue_after_the_grace_and_only_once() -> None:
    hands = Hands()
    slot = hands.slot()
    hands.dog.arm(slot, 5.0)
    hands.go_to(5.0)
    hands.go_to(5.0 + GRACE - 0.001)
    assert hands.overdue == []
    hands.go_to(5.0 + GRACE)
    hands.go_to(100.0)
    assert hands.overdue == [slot]


def test_a_worker_that_left_its_cut_scope_in_time_is_not_overdue() -> None:
    hands = Hands()
    slot = hands.slot()
    hands.dog.arm(slot, 5.0)
    hands.go_to(5.0)
    slot.renew()
    hands.go_to(100.0)
    assert hands.overdue == []
    assert len(hands.dog) == 0


def test_a_shielded_block_is_reached_by_the_cut_of_its_own_slot() -> None:
    async def main() -> float:
        dog = Watchdog(trio.current_time, GRACE)
        slot = Slot(lambda: None)
        with slot.renew(), trio.CancelScope() as outer:
            outer.cancel()
            async with trio.open_nursery() as nursery:

                async def cut() -> None:
                    with trio.CancelScope(shield=True):
                        await trio.sleep(3)
                        slot.cut(Cut.CANCELLED, dog)

                nursery.start_soon(cut)
                with slot.shield():
                    await trio.sleep_forever()
        return trio.current_time()

    assert run_seeded(main, seed=1) == 3.0


@pytest.mark.parametrize("order", [(1.0, 2.0, 2.0), (2.0, 1.0, 2.0)])
def test_timers_are_called_at_their_time_and_equal_ones_in_the_order_made(
    order: tuple[float, ...],
) -> None:
    hands = Hands()
    called: list[tuple[float, int]] = []

    def note(when: float, number: int) -> Callable[[], None]:
        return lambda: called.append((when, number))

    for number, when in enumerate(order):
        hands.dog.call_at(when, note(when, number))
    hands.go_to(0.5)
    assert called == []
    hands.go_to(3.0)
    assert called == sorted(called)
    assert len(called) == 3


def test_a_cancelled_timer_is_not_called_and_lets_go_of_its_call() -> None:
    hands = Hands()
    called: list[int] = []
    timer = hands.dog.call_at(1.0, lambda: called.append(1))
    timer.cancel()
    timer.cancel()
    assert timer.dead
    hands.go_to(2.0)
    timer.cancel()
    assert called == []
    assert len(hands.dog) == 0


def test_most_dead_timers_are_swept_and_the_live_ones_stay() -> None:
    hands = Hands()
    slots = [hands.slot() for _ in range(10)]
    for slot in slots:
        hands.dog.arm(slot, 50.0)
    called: list[int] = []
    timers = [
        hands.dog.call_at(10.0 + n, partial(called.append, n)) for n in range(3_000)
    ]
    for timer in timers[100:]:
        timer.cancel()
    assert len(hands.dog) < 1_024 + 10
    hands.go_to(10_000.0)
    assert called == list(range(100))
    assert all(slot.fired is Cut.TIMEOUT for slot in slots)


def test_a_sweep_while_timers_are_called_loses_none() -> None:
    hands = Hands()
    called: list[int] = []
    later = [hands.dog.call_at(20.0, lambda: called.append(0)) for _ in range(2_000)]

    def call_off() -> None:
        for timer in later:
            timer.cancel()

    hands.dog.call_at(1.0, call_off)
    hands.dog.call_at(1.0, lambda: called.append(1))
    hands.dog.call_at(30.0, lambda: called.append(2))
    hands.go_to(1.0)
    assert called == [1]
    hands.go_to(40.0)
    assert called == [1, 2]
    assert (len(hands.dog), hands.dog._dead) == (0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_the_task_wakes_for_an_earlier_entry_made_while_it_waits(seed: int) -> None:
    async def main() -> list[float]:
        called: list[float] = []
        dog = Watchdog(trio.current_time, GRACE)
        async with ActorSystem(SupervisorSpec((ChildSpec("dog", dog.run),))):
            dog.call_at(100.0, lambda: called.append(trio.current_time()))
            await trio.sleep(1)
            dog.call_at(3.0, lambda: called.append(trio.current_time()))
            await trio.sleep(10)
        return called

    assert run_seeded(main, seed=seed) == [3.0]


@pytest.mark.parametrize("seed", range(5))
def test_entries_outlive_a_restart_of_the_task(seed: int) -> None:
    events: list[SupervisionEvent] = []

    async def main() -> list[float]:
        called: list[float] = []
        dog = Watchdog(trio.current_time, GRACE)

        def break_it() -> None:
            raise RuntimeError("a timer that raises")

        spec = SupervisorSpec((ChildSpec("dog", dog.run),))
        async with ActorSystem(spec, on_event=events.append):
            dog.call_at(1.0, break_it)
            dog.call_at(1.0, lambda: called.append(trio.current_time()))
            dog.call_at(5.0, lambda: called.append(trio.current_time()))
            await trio.sleep(10)
        return called

    called = run_seeded(main, seed=seed)
    assert len(called) == 2
    assert 1.0 <= called[0] < 2.0
    assert called[1] == 5.0
    assert any(event.state is LifeState.RESTARTED for event in events)
