"""Runs of a journal that wait for somebody take no place, in whichever life they are."""

from __future__ import annotations

import json
from typing import cast

import attrs
import pytest
import trio
from images import RUN, Filmed, records_of
from journal_lives import Flow, Result, image_at, live, noting

from understudy import (
    Cause,
    Context,
    Outcome,
    RunStatus,
    Runtime,
    SupervisionEvent,
    each,
    named_function,
    parallel,
    pause,
    quorum,
    sequence,
    step,
)
from understudy.journal.memory import MemoryStore
from understudy_protocols.journal import Batch
from understudy_protocols.records import Answered, Ended, Failed

ASK = pause("ask", output=int)


def asking(notes: list[str], *, before: float = 1.0, after: float = 1.0) -> Flow:
    return sequence(
        noting("before", notes, takes=before),
        ASK,
        noting("after", notes, takes=after),
        name="asking",
    )


async def _submitted(runtime: Runtime[object], workflow: Flow, count: int) -> None:
    for number in range(count):
        await runtime.submit(workflow, number, run_id=str(number))


async def _all_paused(runtime: Runtime[object], count: int) -> None:
    with trio.fail_after(100):
        while len(runtime.list(RunStatus.PAUSED)) < count:
            await trio.sleep(1)


@pytest.mark.parametrize("durability", ["step", "async"])
def test_more_paused_runs_than_places_go_on_in_a_later_life(durability: str) -> None:
    notes: list[str] = []
    workflow = asking(notes)
    store = MemoryStore()

    async def first(runtime: Runtime[object]) -> None:
        await _submitted(runtime, workflow, 20)
        await _all_paused(runtime, 20)

    live(workflow, store, first, max_runs=3, durability=durability)
    assert {run.status for run in store.unfinished()} == {RunStatus.PAUSED}
    notes.clear()

    async def second(runtime: Runtime[object]) -> list[Result]:
        await trio.sleep(0.1)
        assert len(runtime.list(RunStatus.PAUSED)) == 20
        assert runtime._door._inside == 0
        for handle in runtime.list():
            runtime.answer(handle.run_id, "ask", 1)
        return [await handle.result() for handle in runtime.list()]

    results = live(workflow, store, second, max_runs=2, durability=durability)
    assert [result.status for result in results] == [RunStatus.COMPLETED] * 20
    assert {note.split()[0] for note in notes} == {"after"}
    assert len(notes) == 20


def test_who_dies_while_it_waits_for_a_place_has_its_answer_and_is_not_to_blame() -> (
    None
):
    notes: list[str] = []
    workflow = asking(notes, after=20.0)
    store = Filmed()

    async def first(runtime: Runtime[object]) -> None:
        await _submitted(runtime, workflow, 2)
        await _all_paused(runtime, 2)
        runtime.answer("0", "ask", 1)
        runtime.answer("1", "ask", 2)
        await trio.sleep(5)
        statuses = [handle.status for handle in runtime.list()]
        assert statuses == [RunStatus.RUNNING, RunStatus.QUEUED]

    live(workflow, store, first, max_runs=1)
    image = image_at(store, 6.0)
    answered = [isinstance(one, Answered) for one in records_of(image, "1")]
    assert sum(answered) == 1
    assert [run.status for run in image.unfinished()] == [
        RunStatus.RUNNING,
        RunStatus.QUEUED,
    ]

    async def second(runtime: Runtime[object]) -> list[object]:
        return [(await handle.result()).outputs["ask"] for handle in runtime.list()]

    assert live(workflow, image.copy(), second, start=6.0, max_runs=1) == [1, 2]


def test_leaving_the_runtime_leaves_a_run_that_waits_for_a_place_for_later() -> None:
    notes: list[str] = []
    workflow = asking(notes, after=20.0)
    store = MemoryStore()

    async def first(runtime: Runtime[object]) -> None:
        await _submitted(runtime, workflow, 3)
        await _all_paused(runtime, 3)
        for number in range(3):
            runtime.answer(str(number), "ask", number)
        await trio.sleep(5)
        raise KeyError("the body's own")

    with pytest.raises(KeyError):
        live(workflow, store, first, max_runs=1)
    assert [run.status for run in store.unfinished()] == [RunStatus.QUEUED] * 3
    assert [run.recoveries for run in store.unfinished()] == [0] * 3

    async def second(runtime: Runtime[object]) -> list[object]:
        return [(await handle.result()).outputs["ask"] for handle in runtime.list()]

    assert live(workflow, store, second, max_runs=3) == [0, 1, 2]


def test_an_answer_by_way_of_the_journal_is_taken_while_there_is_no_place() -> None:
    notes: list[str] = []
    workflow = asking(notes, before=10.0)
    store = MemoryStore()

    async def body(runtime: Runtime[object]) -> None:
        first = await runtime.submit(workflow, "in", run_id="first")
        await first.wait(RunStatus.PAUSED)
        second = await runtime.submit(workflow, "in", run_id="second")
        words = json.dumps({"pause": "ask", "value": 7}).encode()
        asked = store.ask("first", "answer", words)
        again = store.ask("first", "answer", words)
        await trio.sleep(1)
        assert store.outcomes[asked] == ""
        assert "no single open pause" in store.outcomes[again]
        assert first.status is RunStatus.QUEUED
        cancel = store.ask("second", "cancel")
        result = await first.result()
        assert store.outcomes[cancel] == ""
        assert result.outputs["ask"] == 7
        assert result.duration < 15
        assert (await second.result()).status is RunStatus.CANCELLED

    live(workflow, store, body, max_runs=1)


@step
async def takes(context: Context[float]) -> float:
    await trio.sleep(context.input)
    return context.input


@pytest.mark.parametrize("first", ["a", "b"])
def test_what_was_answered_while_there_was_no_place_is_followed_again_in_its_order(
    first: str,
) -> None:
    race = parallel(
        a=pause("a", output=int),
        b=pause("b", output=int, timeout=4.0),
        join=quorum(1),
        name="race",
    )
    after = noting("after", [], takes=9.0)
    workflow = cast("Flow", sequence(takes, race, after, name="flow"))
    store = Filmed()

    async def body(runtime: Runtime[object]) -> object:
        waits = await runtime.submit(workflow, 0.0, run_id=RUN)
        await waits.wait(RunStatus.PAUSED)
        await runtime.submit(workflow, 9.0, run_id="works")
        # The other one's time is over after this, or was before.
        await trio.sleep(3 if first == "a" else 5)
        runtime.answer(RUN, "a", 1)
        await trio.sleep(2)
        assert waits.status is RunStatus.QUEUED
        return (await waits.result()).outputs["race"]

    async def again(runtime: Runtime[object]) -> object:
        result = await runtime.run(workflow, 0.0, run_id=RUN)
        return result.outputs["race"]

    outcome = live(workflow, store, body, max_runs=1)
    lost = cast("dict[str, Outcome[int]]", outcome)["b"].failure
    assert lost is not None
    assert lost.cause is (Cause.CANCELLED if first == "a" else Cause.TIMEOUT)
    done = {Answered} if first == "a" else {Answered, Failed}
    images = [
        (at, image)
        for at, image in store.images
        if {type(one) for one in records_of(image)} >= done
    ]
    assert len(images) > 3
    for at, image in images:
        assert live(workflow, image, again, start=at) == outcome


def test_a_run_cancelled_in_line_ends_also_if_its_turn_comes_before_that_is_safe() -> (
    None
):
    notes: list[str] = []
    workflow = noting("a", notes)
    store = MemoryStore()

    async def body(runtime: Runtime[object]) -> list[RunStatus]:
        assert runtime._keeping is not None
        recorder = runtime._keeping.runs.recorder
        write = recorder._write

        async def slowly(batch: Batch) -> None:
            await trio.sleep(0.5)
            await write(batch)

        first = await runtime.submit(workflow, 1)
        second = await runtime.submit(workflow, 2)
        recorder._write = slowly
        # The first has ended, and that is being written: the second is next.
        await trio.sleep(1.7)
        second.cancel()
        with trio.fail_after(10):
            return [(await one.result()).status for one in (first, second)]

    ends = live(workflow, store, body, max_runs=1)
    assert ends == [RunStatus.COMPLETED, RunStatus.CANCELLED]


def test_an_answered_run_cancelled_in_line_ends_also_if_its_turn_comes_first() -> None:
    notes: list[str] = []
    workflow = asking(notes)
    store = MemoryStore()

    async def body(runtime: Runtime[object]) -> list[RunStatus]:
        assert runtime._keeping is not None
        recorder = runtime._keeping.runs.recorder
        write = recorder._write

        async def slowly(batch: Batch) -> None:
            await trio.sleep(0.5)
            await write(batch)

        waits = await runtime.submit(workflow, 1, run_id="waits")
        await waits.wait(RunStatus.PAUSED)
        works = await runtime.submit(workflow, 2, run_id="works")
        runtime.answer("waits", "ask", 1)
        await trio.sleep(0.5)
        assert waits.status is RunStatus.QUEUED
        recorder._write = slowly
        works.cancel()
        await trio.sleep(0.1)
        waits.cancel()
        with trio.fail_after(10):
            return [(await one.result()).status for one in (waits, works)]

    ends = live(workflow, store, body, max_runs=1)
    assert ends == [RunStatus.CANCELLED] * 2


def test_time_in_which_a_run_waited_for_a_place_counts_in_no_later_life() -> None:
    notes: list[str] = []
    steps = [noting(name, notes, takes=10.0) for name in "abc"]
    workflow = cast("Flow", sequence(ASK, *steps, name="flow"))
    store = Filmed()

    async def body(runtime: Runtime[object]) -> Result:
        waits = await runtime.submit(workflow, 0, run_id=RUN, deadline=35.0)
        await waits.wait(RunStatus.PAUSED)
        other = await runtime.submit(workflow, 0, run_id="other")
        await other.wait(RunStatus.PAUSED)
        runtime.answer("other", "ask", 1)
        runtime.answer(RUN, "ask", 2)
        return await waits.result()

    assert live(workflow, store, body, max_runs=1).duration == 60.0

    async def again(runtime: Runtime[object]) -> Result:
        return await runtime.run(workflow, 0, run_id=RUN)

    # Ten seconds are on record, of sixty: what is left is enough for the rest.
    result = live(workflow, image_at(store, 45.0), again, start=45.0)
    assert result.status is RunStatus.COMPLETED
    # Twenty are: five less would not do.
    image = image_at(store, 55.0)
    assert live(workflow, image, again, start=55.0).status is RunStatus.COMPLETED


@pytest.mark.parametrize("durability", ["step", "async"])
def test_a_race_is_won_again_by_who_won_it_also_if_writing_is_slow(
    durability: str,
) -> None:
    notes: list[str] = []
    nothing = each(noting("none", notes), over=named_function("none", lambda _: ()))
    race = parallel(
        # Done as soon as it is entered, and told of later, while b comes to its end.
        a=sequence(noting("first", notes, takes=1.0), nothing, name="a"),
        b=noting("b", notes, takes=1.2),
        c=pause("c", timeout=1.1),
        join=quorum(1),
        name="race",
    )
    after = noting("after", notes, takes=9.0)
    workflow = cast("Flow", sequence(race, after, name="flow"))
    store = Filmed()

    async def body(runtime: Runtime[object]) -> object:
        assert runtime._keeping is not None
        recorder = runtime._keeping.runs.recorder
        write = recorder._write

        async def slowly(batch: Batch) -> None:
            await trio.sleep(0.5)
            await write(batch)

        recorder._write = slowly
        return (await runtime.run(workflow, 0, run_id=RUN)).outputs["race"]

    async def again(runtime: Runtime[object]) -> object:
        return (await runtime.run(workflow, 0, run_id=RUN)).outputs["race"]

    outcome = live(workflow, store, body, durability=durability)
    for at, image in store.images:
        if at > 3.0:
            assert live(workflow, image, again, start=at) == outcome


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("durability", ["step", "async"])
def test_a_run_that_pauses_when_its_time_is_over_does_not_wait_for_somebody(
    durability: str, seed: int
) -> None:
    workflow = asking([])

    async def body(runtime: Runtime[object]) -> None:
        handle = await runtime.submit(workflow, 0, deadline=1.0)
        await trio.sleep(2)
        assert handle.status is RunStatus.EXPIRED

    live(workflow, MemoryStore(), body, seed=seed, durability=durability)


@pytest.mark.parametrize("durability", ["step", "async"])
def test_no_answer_is_on_record_behind_the_end_of_a_run_whose_time_was_over(
    durability: str,
) -> None:
    workflow = asking([])
    store = MemoryStore()

    async def body(runtime: Runtime[object]) -> Result:
        # So little is left that it is nothing on a clock that shows a hundred.
        handle = await runtime.submit(workflow, 0, run_id=RUN, deadline=1 + 2**-52)
        await trio.sleep(100)
        assert handle.status is RunStatus.PAUSED
        runtime.answer(RUN, "ask", 1)
        return await handle.result()

    result = live(workflow, store, body, durability=durability)
    assert result.status is RunStatus.EXPIRED
    assert isinstance(records_of(store)[-1], Ended)


@attrs.frozen
class Untagged:
    """Of a class that no workflow declares."""


def test_a_default_that_cannot_be_written_down_fails_its_pause() -> None:
    workflow: Flow = pause("ask", timeout=5.0, default=Untagged())
    lives: list[str] = []

    async def body(runtime: Runtime[object]) -> Result:
        with trio.fail_after(100):
            return await runtime.run(workflow, 0)

    def watched(event: SupervisionEvent) -> None:
        if event.cause is not None:
            lives.append(event.path)

    result = live(workflow, MemoryStore(), body, on_supervision=watched)
    assert result.failure is not None
    assert "Untagged has no tag" in result.failure.message
    assert result.duration == 5.0
    assert lives == []
