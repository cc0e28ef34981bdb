"""Several answers that are followed at once lead to the same in each life of a run."""

from __future__ import annotations

from typing import cast

import pytest
import trio
from images import RUN, Filmed, records_of
from journal_lives import Flow, live, noting

from understudy import (
    Context,
    RunStatus,
    Runtime,
    each,
    first_success,
    named_function,
    parallel,
    pause,
    repeat,
    sequence,
)
from understudy_protocols.records import Decided


def _never(value: object) -> bool:
    return False


def _three(context: Context[object]) -> tuple[int, ...]:
    return (1, 2, 3)


def _nothing(context: Context[object]) -> tuple[int, ...]:
    return ()


never = named_function("never", _never)
three = named_function("three", _three)
nothing = named_function("nothing", _nothing)


@pytest.mark.parametrize("durability", ["step", "async"])
@pytest.mark.parametrize(
    "first",
    [
        # Each asks the user's code as soon as it has its answer.
        repeat(pause("again", output=int), until=never, max_rounds=3),
        sequence(
            pause("again", output=int), each(pause("item", output=int), over=three)
        ),
        sequence(
            pause("again", output=int), each(pause("item", output=int), over=nothing)
        ),
    ],
)
def test_who_was_answered_second_wins_again_if_the_first_had_more_to_do(
    first: Flow, durability: str
) -> None:
    race = parallel(
        first=first, second=pause("second", output=int), join=first_success()
    )
    after = noting("after", [], takes=5.0)
    workflow = cast("Flow", sequence(race.named("race"), after, name="flow"))
    store = Filmed()

    async def body(runtime: Runtime[object]) -> object:
        other = await runtime.submit(workflow, 0, run_id="other")
        waits = await runtime.submit(workflow, 0, run_id=RUN)
        await trio.sleep(1)
        assert (other.status, waits.status) == (RunStatus.PAUSED, RunStatus.PAUSED)
        runtime.answer("other", "second", 0)
        runtime.answer(RUN, "again", 1)
        runtime.answer(RUN, "second", 2)
        await trio.lowlevel.checkpoint()
        assert waits.status is RunStatus.QUEUED
        return (await waits.result()).outputs["race"]

    outcome = live(workflow, store, body, max_runs=1, durability=durability)
    assert any(isinstance(one, Decided) for one in records_of(store))

    async def again(runtime: Runtime[object]) -> object:
        return (await runtime.run(workflow, 0, run_id=RUN)).outputs["race"]

    for at, image in store.images:
        if at > 1.0:
            assert live(workflow, image, again, start=at) == outcome
