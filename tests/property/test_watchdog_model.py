"""Slots under a watchdog against the naive rule: cut when the armed time has come."""

from __future__ import annotations

import math

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.testing import run_seeded, seeds
from understudy_actors.system import ActorSystem
from understudy_actors.watchdog import Cut, Slot, Watchdog
from understudy_protocols.supervision import ChildSpec, SupervisorSpec

GRACE = 1_000.0

arms = st.tuples(st.integers(0, 3), st.one_of(st.integers(0, 12), st.just(math.inf)))
moves = st.integers(0, 4)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(arms, moves), max_size=40))
def test_a_slot_fires_exactly_when_its_armed_time_has_come(
    steps: list[tuple[int, float] | int],
) -> None:
    now = 0.0
    dog = Watchdog(lambda: now, GRACE)
    slots = [Slot(lambda: None) for _ in range(4)]
    armed = [math.inf] * 4
    for step in steps:
        if isinstance(step, tuple):
            which, after = step
            if slots[which].fired is None:
                armed[which] = now + after
                dog.arm(slots[which], now + after)
        else:
            now += step
            dog.fire()
            for slot, deadline in zip(slots, armed, strict=True):
                assert (slot.fired is Cut.TIMEOUT) == (deadline <= now)
            for number, slot in enumerate(slots):
                if slot.fired is not None:
                    slot.renew()
                    armed[number] = math.inf
        live = [
            entry for entry in dog._heap if entry[0] == getattr(entry[2], "queued", 0)
        ]
        assert len({id(entry[2]) for entry in live}) == len(
            {(entry[0], id(entry[2])) for entry in live}
        )
        assert all(slot.queued <= slot.deadline for slot in slots)


works = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0, 1.0, 1.5, 2.0]),  # how long a message takes
        st.sampled_from([1.0, 1.0, 2.0, math.inf]),  # what it may take
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=500, deadline=None)
@given(seed=seeds(), workers=st.lists(works, min_size=1, max_size=4))
def test_no_handler_is_cut_wrongly_and_a_result_of_the_same_tick_is_kept(
    seed: int, workers: list[list[tuple[float, float]]]
) -> None:
    async def serve(dog: Watchdog, messages: list[tuple[float, float]]) -> None:
        slot = Slot(lambda: None)
        pending = list(messages)
        while pending:
            with slot.renew() as scope:
                while pending and slot.fired is None:
                    takes, may = pending.pop(0)
                    started, result = trio.current_time(), None
                    dog.arm(slot, started + may)
                    try:
                        await trio.sleep(takes)
                        result = trio.current_time()
                    finally:
                        passed = trio.current_time() - started
                        if result is not None:
                            assert takes <= may
                        else:
                            # Cut: not before its own time, nor for an older one.
                            assert passed == may <= takes
                            assert slot.fired is Cut.TIMEOUT
                    slot.deadline = math.inf
            if scope.cancelled_caught:
                assert slot.fired is Cut.TIMEOUT

    async def main() -> None:
        dog = Watchdog(trio.current_time, GRACE)
        spec = SupervisorSpec((ChildSpec("dog", dog.run),))
        async with ActorSystem(spec), trio.open_nursery() as nursery:
            for messages in workers:
                nursery.start_soon(serve, dog, messages)

    run_seeded(main, seed=seed)
