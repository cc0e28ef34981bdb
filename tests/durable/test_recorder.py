"""The writer: what follows a record follows it, in order, once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import cast

import pytest
import trio

from understudy.journal.recorder import Recorder
from understudy.testing import run_seeded
from understudy_actors.system import ActorSystem
from understudy_protocols.errors import JournalError, JournalWriteError
from understudy_protocols.journal import Batch
from understudy_protocols.supervision import (
    ChildSpec,
    Life,
    Strategy,
    SupervisorSpec,
)


def recording(recorder: Recorder) -> ActorSystem:
    """Return a system with a recorder."""
    return ActorSystem(SupervisorSpec((ChildSpec("journal", recorder.run),)))


class Alive:
    """A life that only can be asked to stop."""

    def __init__(self) -> None:
        self.is_ready = False
        self.stop: Callable[[], None]

    def ready(self) -> None:
        self.is_ready = True

    def on_stop(self, call: Callable[[], None]) -> None:
        self.stop = call


async def lives(recorder: Recorder) -> None:
    """Let a recorder have one life, as long as it can."""
    await recorder.run(cast("Life", Alive()))


@pytest.mark.parametrize("seed", range(5))
def test_what_follows_is_called_in_order_when_it_is_safe(seed: int) -> None:
    written: list[int] = []
    followed: list[int] = []

    async def write(batch: Batch) -> None:
        await trio.sleep(1)
        written.extend(number for _, number, _ in batch.records)

    async def main() -> None:
        recorder = Recorder(write, "step")
        async with recording(recorder):
            for number in range(20):
                recorder.batch.records.append((1, number, b""))

                def follow(number: int = number) -> None:
                    assert written[-1] >= number
                    followed.append(number)

                recorder.follow(follow)
                if number % 3 == 0:
                    await trio.sleep(0.4)
            await trio.sleep(10)
        assert followed == written == list(range(20))

    run_seeded(main, seed=seed)


def test_while_a_batch_is_written_the_next_one_gathers() -> None:
    sizes: list[int] = []

    async def write(batch: Batch) -> None:
        sizes.append(len(batch.records))
        await trio.sleep(1)

    async def main() -> None:
        recorder = Recorder(write, "step")
        async with recording(recorder):
            for number in range(10):
                recorder.batch.records.append((1, number, b""))
                recorder.wake()
                await trio.sleep(0.1)
            await trio.sleep(5)

    run_seeded(main, seed=0)
    assert sizes == [1, 9]


@pytest.mark.parametrize("seed", range(10))
def test_a_record_that_leads_to_the_next_one_at_once_keeps_nobody_from_going_on(
    seed: int,
) -> None:
    async def write(batch: Batch) -> None:
        """Write in place: that is no checkpoint."""

    async def main() -> None:
        recorder = Recorder(write, "step")
        numbers = iter(range(1000))

        def follow() -> None:
            number = next(numbers, None)
            if number is not None:
                recorder.batch.records.append((1, number, b""))
                recorder.follow(follow)

        async with recording(recorder):
            follow()
            turns = 0
            while next(iter(recorder.rest()), None) is not None:
                await trio.lowlevel.checkpoint()
                turns += 1
        # As many as there were records, but for who was first at both ends.
        assert abs(turns - 1000) <= 1

    run_seeded(main, seed=seed)


@pytest.mark.parametrize("seed", range(3))
def test_however_much_follows_one_write_others_have_their_turns(seed: int) -> None:
    followed: list[int] = []
    seen: list[int] = []

    async def write(batch: Batch) -> None:
        """Write in place: that is no checkpoint."""

    async def main() -> None:
        recorder = Recorder(write, "step")
        async with recording(recorder):
            for number in range(500):
                recorder.follow(partial(followed.append, number))
            while len(followed) < 500:
                seen.append(len(followed))
                await trio.lowlevel.checkpoint()

    run_seeded(main, seed=seed)
    assert followed == list(range(500))
    # Who is first in a round of the loop is left open.
    assert max(after - before for before, after in pairwise([*seen, 500])) <= 100


def test_what_a_cut_life_has_not_called_yet_the_next_one_calls() -> None:
    followed: list[int] = []

    async def write(batch: Batch) -> None:
        """Write in place: that is no checkpoint."""

    async def main() -> None:
        recorder = Recorder(write, "step")
        for number in range(120):
            recorder.follow(partial(followed.append, number))
        with trio.CancelScope() as scope:
            recorder._follow.insert(60, scope.cancel)
            await lives(recorder)
        assert scope.cancelled_caught
        assert 60 < len(followed) < 120
        recorder.follow(partial(followed.append, 120))
        with trio.move_on_after(1):
            await lives(recorder)

    run_seeded(main, seed=0)
    assert followed == list(range(121))


def test_who_is_alone_writes_at_once_and_wakes_nobody() -> None:
    written: list[int] = []
    alone = False

    async def write(batch: Batch) -> None:
        written.extend(-number for _, number, _ in batch.records)

    def write_now(batch: Batch) -> bool:
        assert batch, "an empty one costs a commit as well"
        if alone:
            written.extend(number for _, number, _ in batch.records)
        return alone

    async def main() -> None:
        nonlocal alone
        recorder = Recorder(write, "step", write_now)

        def add(number: int) -> None:
            recorder.batch.records.append((1, number, b""))

        add(1)
        alone = True
        assert not recorder.write_now(), "nobody would meet what went wrong"
        async with recording(recorder):
            await trio.sleep(1)
            assert written == [-1]
            add(2)
            assert recorder.write_now()
            assert written == [-1, 2]
            assert not recorder.batch
            assert recorder.write_now(), "all is written"
            assert written == [-1, 2]
            add(3)
            recorder.follow(lambda: None)
            assert not recorder.write_now(), "something is due before"
            await trio.sleep(1)
            assert written == [-1, 2, -3]
            add(4)
            assert recorder.write_now()
            assert written == [-1, 2, -3, 4]
            alone = False
            add(5)
            assert not recorder.write_now()
            recorder.wake()
            await trio.sleep(1)
            assert written == [-1, 2, -3, 4, -5]
        add(6)
        alone = True
        assert not recorder.write_now(), "it has stopped"

    run_seeded(main, seed=0)


@pytest.mark.parametrize("error", [JournalWriteError("full"), OSError("a bad store")])
def test_what_could_not_be_written_at_once_is_left_to_the_writer(
    error: Exception,
) -> None:
    written: list[int] = []
    followed: list[int] = []

    async def write(batch: Batch) -> None:
        written.extend(number for _, number, _ in batch.records)

    def write_now(batch: Batch) -> bool:
        raise error

    async def main() -> None:
        recorder = Recorder(write, "step", write_now)
        async with recording(recorder):
            await trio.sleep(1)
            recorder.batch.records.append((1, 0, b""))
            assert not recorder.write_now()
            recorder.follow(partial(followed.append, 0))
            assert written == followed == []
            await trio.sleep(1)
            assert written == followed == [0]

    run_seeded(main, seed=0)


def test_what_an_exit_cuts_short_is_left_to_the_writer_and_can_be_written_again() -> (
    None
):
    written: list[int] = []
    exits = True

    async def write(batch: Batch) -> None:
        written.extend(-number for _, number, _ in batch.records)

    def write_now(batch: Batch) -> bool:
        if exits:
            raise SystemExit
        written.extend(number for _, number, _ in batch.records)
        return True

    async def main() -> None:
        nonlocal exits
        recorder = Recorder(write, "step", write_now)
        async with recording(recorder):
            await trio.sleep(1)
            recorder.batch.records.append((1, 1, b""))
            with pytest.raises(SystemExit):
                recorder.write_now()
            exits = False
            recorder.batch.records.append((1, 2, b""))
            assert not recorder.write_now(), "the first one is not written yet"
            recorder.wake()
            await trio.sleep(1)
            recorder.batch.records.append((1, 3, b""))
            assert recorder.write_now()

    run_seeded(main, seed=0)
    assert written == [-1, -2, 3]


def test_what_is_handed_over_is_written_before_a_clean_end() -> None:
    written: list[int] = []

    async def write(batch: Batch) -> None:
        await trio.sleep(1)
        written.extend(number for _, number, _ in batch.records)

    async def main() -> None:
        recorder = Recorder(write, "step")
        async with recording(recorder):
            for number in range(3):
                recorder.batch.records.append((1, number, b""))
        assert not list(recorder.rest())

    run_seeded(main, seed=0)
    assert written == [0, 1, 2]


def test_what_a_cut_leaves_unwritten_is_kept_for_the_end() -> None:
    tries: list[float] = []

    async def write(batch: Batch) -> None:
        tries.append(trio.current_time())
        raise JournalWriteError("the disk is full")

    async def leave(recorder: Recorder) -> None:
        async with recording(recorder):
            recorder.batch.records.append((1, 0, b""))
            recorder.wake()
            await trio.sleep(1)
            recorder.batch.records.append((1, 1, b""))
            assert recorder.trouble == "the disk is full"
            raise LookupError

    async def main() -> None:
        recorder = Recorder(write, "step")
        with pytest.raises(LookupError):
            await leave(recorder)
        rest = [number for batch in recorder.rest() for _, number, _ in batch.records]
        assert rest == [0, 1]

    run_seeded(main, seed=0)
    # Each wait is twice as long as the one before.
    assert tries[:5] == pytest.approx([0.0, 0.05, 0.15, 0.35, 0.75])


def test_what_follows_one_that_raises_is_called_in_the_next_life() -> None:
    called: list[int] = []

    async def write(batch: Batch) -> None:
        await trio.lowlevel.checkpoint()

    def broken() -> None:
        called.append(1)
        raise LookupError("a mistake of ours")

    async def main() -> None:
        recorder = Recorder(write, "step")
        async with recording(recorder):
            recorder.follow(lambda: called.append(0))
            recorder.follow(broken)
            recorder.follow(lambda: called.append(2))
            await trio.sleep(10)

    run_seeded(main, seed=0)
    assert called == [0, 1, 2]


def test_a_life_that_ends_while_nothing_can_be_written_leaves_it_to_the_next() -> None:
    written: list[int] = []
    followed: list[int] = []

    async def write(batch: Batch) -> None:
        if trio.current_time() < 2:
            raise JournalWriteError("the disk is full")
        written.extend(number for _, number, _ in batch.records)

    async def breaks_once(life: Life) -> None:
        life.ready()
        if life.number == 1:
            await trio.sleep(1)
            raise LookupError("and those behind it are started anew")
        await life.wait_stop()

    async def main() -> None:
        recorder = Recorder(write, "step")
        children = (
            ChildSpec("before", breaks_once),
            ChildSpec("journal", recorder.run),
        )
        spec = SupervisorSpec(children, strategy=Strategy.REST_FOR_ONE)
        async with ActorSystem(spec):
            for number in range(4):
                recorder.batch.records.append((1, number, b""))
                recorder.follow(partial(followed.append, number))
                await trio.sleep(0.5)
            await trio.sleep(10)

    run_seeded(main, seed=0)
    assert written == followed == [0, 1, 2, 3]


def test_what_cannot_be_written_is_tried_for_a_minute_and_by_no_later_life(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries: list[float] = []
    full = JournalWriteError("the disk is full")

    async def write(batch: Batch) -> None:
        tries.append(trio.current_time())
        raise full

    async def main() -> None:
        recorder = Recorder(write, "step")
        recorder.batch.records.append((1, 0, b""))
        with pytest.raises(JournalWriteError):
            await lives(recorder)
        assert recorder.trouble == "the disk is full"
        ended, before = trio.current_time(), len(tries)
        with pytest.raises(JournalWriteError) as caught:
            await lives(recorder)
        assert caught.value is full
        assert (trio.current_time(), len(tries)) == (ended, before)

    run_seeded(main, seed=0)
    waits = [after - before for before, after in pairwise(tries)]
    first = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]
    assert waits == pytest.approx(first + [2.0] * (len(waits) - len(first)))
    assert tries[-2] < 60 <= tries[-1]
    assert caplog.record_tuples == [
        (
            "understudy.journal",
            logging.ERROR,
            "the disk is full; runs wait until it can be written",
        )
    ]


def test_a_minute_is_over_after_60_seconds_and_no_sooner() -> None:
    tries: list[float] = []

    async def write(batch: Batch) -> None:
        if tries:
            await trio.sleep_until(59.9 if len(tries) == 1 else 60)
        tries.append(trio.current_time())
        raise JournalWriteError("the disk is full")

    async def main() -> None:
        recorder = Recorder(write, "step")
        recorder.batch.records.append((1, 0, b""))
        with pytest.raises(JournalWriteError):
            await lives(recorder)

    run_seeded(main, seed=0)
    assert tries == [0.0, 59.9, 60.0]


def test_a_minute_without_writing_counts_anew_for_each_batch(
    caplog: pytest.LogCaptureFixture,
) -> None:
    written: list[int] = []

    async def write(batch: Batch) -> None:
        if trio.current_time() % 50 < 40:
            raise JournalWriteError("the disk is full")
        written.extend(number for _, number, _ in batch.records)

    async def main() -> None:
        recorder = Recorder(write, "step")
        async with recording(recorder):
            for number in range(4):
                recorder.batch.records.append((1, number, b""))
                recorder.wake()
                await trio.sleep(50)
                assert recorder.trouble is None
                assert written[-1] == number

    run_seeded(main, seed=0)
    assert len(caplog.records) == 4


def test_a_journal_that_is_another_process_s_is_not_tried_again() -> None:
    tries: list[float] = []

    async def write(batch: Batch) -> None:
        tries.append(trio.current_time())
        raise JournalError("another process has taken it over")

    async def main() -> None:
        recorder = Recorder(write, "step")
        recorder.batch.records.append((1, 0, b""))
        for _ in range(2):
            with pytest.raises(JournalError):
                await lives(recorder)
        assert recorder.trouble == "another process has taken it over"
        assert tries == [0.0]

    run_seeded(main, seed=0)


def test_a_life_that_is_stuck_in_a_write_and_the_next_one_write_nothing_twice() -> None:
    written: list[int] = []
    followed: list[int] = []

    async def write(batch: Batch) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        written.extend(number for _, number, _ in batch.records)

    async def main() -> None:
        recorder = Recorder(write, "step")
        recorder.batch.records.append((1, 0, b""))
        recorder.follow(partial(followed.append, 0))

        async def life(length: float) -> None:
            with trio.move_on_after(length):
                await lives(recorder)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(life, 1)
            await trio.sleep(2)
            nursery.start_soon(life, 20)
            recorder.batch.records.append((1, 1, b""))
            recorder.follow(partial(followed.append, 1))
        assert written == followed == [0, 1]

    run_seeded(main, seed=0)


@pytest.mark.parametrize("count", [1, 2])
def test_what_was_cut_in_a_write_is_written_whole_by_the_next_life(count: int) -> None:
    written: list[int] = []
    followed: list[int] = []

    async def write(batch: Batch) -> None:
        await trio.sleep(5)
        written.extend(number for _, number, _ in batch.records)

    async def main() -> None:
        recorder = Recorder(write, "step")
        for number in range(count):
            recorder.batch.records.append((1, number, b""))
            recorder.follow(partial(followed.append, number))
            with trio.move_on_after(1):
                await lives(recorder)
        assert [len(batch.records) for batch in recorder.rest()] == [1] * count
        with trio.move_on_after(20):
            await lives(recorder)
        assert written == followed == list(range(count))
        assert not list(recorder.rest())

    run_seeded(main, seed=0)


def test_a_recorder_that_was_cut_or_stopped_goes_on_in_its_next_life() -> None:
    written: list[int] = []

    async def write(batch: Batch) -> None:
        written.extend(number for _, number, _ in batch.records)

    async def main() -> None:
        recorder = Recorder(write, "step")
        with trio.move_on_after(1):
            await lives(recorder)
        recorder.wake()  # nobody is there
        for number in range(3):
            life = Alive()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(recorder.run, cast("Life", life))
                await trio.sleep(1)
                assert life.is_ready
                recorder.batch.records.append((1, number, b""))
                recorder.wake()
                await trio.sleep(1)
                assert written == list(range(number + 1))
                life.stop()
            assert trio.current_time() == pytest.approx(3 + 2 * number)

    run_seeded(main, seed=0)


@pytest.mark.parametrize("seed", range(10))
def test_what_follows_without_a_record_follows_too_and_leaves_others_their_turn(
    seed: int,
) -> None:
    turns: list[int] = []

    async def write(batch: Batch) -> None:
        raise AssertionError("there is nothing to write")

    async def main() -> None:
        recorder = Recorder(write, "step")

        def again() -> None:
            turns.append(len(turns))
            if len(turns) < 100:
                recorder.follow(again)

        async with recording(recorder):
            recorder.follow(again)
            for _ in range(2):  # it may have to come to its work first
                await trio.lowlevel.checkpoint()
            before = len(turns)
            assert before
            for passed in range(1, 21):
                await trio.lowlevel.checkpoint()
                # Each has one turn a round; who is first in a round, the seed says.
                assert abs(len(turns) - before - passed) <= 1
        assert len(turns) == 100

    run_seeded(main, seed=seed)
