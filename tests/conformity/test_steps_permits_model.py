"""Permits of a step actor over random waits, cuts, crashes and stuck workers."""

from __future__ import annotations

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from step_actor_probe import Bench, let_out_cancelled

from understudy.testing import run_seeded, seeds
from understudy_actors.watchdog import Cut
from understudy_actors.worker import Worker

lengths = st.sampled_from([0.0, 0.3, 0.5, 1.0, 1.7])
acts = st.one_of(
    st.tuples(st.just("sleep"), lengths),
    st.tuples(st.just("wait"), lengths),
    st.tuples(st.just("own scope"), lengths),
    st.tuples(st.just("two waits"), lengths),
    st.tuples(st.just("raise"), st.just(0.0)),
    st.tuples(st.just("let out"), st.just(0.0)),
    st.tuples(st.just("shield"), st.sampled_from([0.5, 5.0])),
)
messages = st.lists(
    st.tuples(st.lists(acts, max_size=4), lengths, st.none() | lengths),
    min_size=1,
    max_size=12,
)


class Holders:
    """Counts who is at work, apart from what the actor counts."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.now: set[int] = set()

    def enter(self, number: int) -> None:
        self.now.add(number)
        assert len(self.now) <= self.limit

    def leave(self, number: int) -> None:
        self.now.discard(number)


@settings(max_examples=300, deadline=None)
@given(seed=seeds(), plan=messages, limit=st.integers(1, 3))
def test_s149_s150_never_more_than_k_hold_a_permit_and_all_come_back(
    seed: int,
    plan: list[tuple[list[tuple[str, float]], float, float | None]],
    limit: int,
) -> None:
    holders = Holders(limit)
    ended: list[int] = []

    async def wait(number: int, worker: Worker[object], seconds: float) -> None:
        worker.lend_permit()
        holders.leave(number)
        await trio.sleep(seconds)
        await worker.regain_permit()
        holders.enter(number)

    async def act(
        number: int, worker: Worker[object], what: str, seconds: float
    ) -> None:
        match what:
            case "sleep":
                await trio.sleep(seconds)
            case "wait":
                await wait(number, worker, seconds)
            case "two waits":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(wait, number, worker, seconds)
                    nursery.start_soon(wait, number, worker, 0.4)
            case "own scope":
                with trio.move_on_after(seconds):
                    await wait(number, worker, 0.9)
                if not worker.holds_permit:
                    with worker.slot.shield():  # which takes in the cut, if one comes
                        await worker.regain_permit()
                        holders.enter(number)
            case "raise":
                raise ValueError(number)
            case "let out":
                raise await let_out_cancelled()
            case _:
                with trio.CancelScope(shield=True):
                    await trio.sleep(seconds)
                    if worker.lost:
                        return

    async def handler(message: object, worker: Worker[object]) -> None:
        assert isinstance(message, int)
        todo, _, cut_after = plan[message]
        holders.enter(message)
        if cut_after is not None:

            def cut() -> None:
                if worker.message == message:
                    worker.slot.cut(Cut.CANCELLED, bench.dog)

            bench.dog.call_at(trio.current_time() + cut_after, cut)
        try:
            for what, seconds in todo:
                await act(message, worker, what, seconds)
        finally:
            holders.leave(message)
        ended.append(message)

    bench = Bench(handler)
    bench.timeout = 2.0

    async def main() -> None:
        async with bench.running(max_concurrent=limit, intensity=1_000):
            for number, (_, gap, _) in enumerate(plan):
                await trio.sleep(gap)
                bench.mailbox.put_nowait(number)
            await trio.sleep(1_000)
            assert len(bench.mailbox) == 0
            assert bench.actor.busy == 0
            assert holders.now == set()

    run_seeded(main, seed=seed)
    gone = [entry[1] for entry in bench.log if isinstance(entry[1], int)]
    assert len(gone) == len(bench.log)
    late = [n for n in ended if n in gone]
    # A stuck one may come to its end after all, unseen; else each has one end.
    stuck = {entry[1] for entry in bench.log if entry[0] == "stuck"}
    assert set(late) <= stuck
    assert sorted([*gone, *(n for n in ended if n not in gone)]) == list(
        range(len(plan))
    )
    assert bench.errors == []
