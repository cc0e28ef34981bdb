"""`pause`: runs that wait for somebody outside."""

from __future__ import annotations

from typing import Annotated, cast

import msgspec
import pytest
import trio
from workflow_probe import SEEDS, gives, shows, side_by_side

from understudy import (
    Cause,
    ConfigError,
    InputError,
    NotFrozenError,
    RunStatus,
    Runtime,
    SetupError,
    Workflow,
    each,
    first_success,
    parallel,
    pause,
    repeat,
    sequence,
)
from understudy.testing import run_seeded

AnyRun = Workflow[object, object, object]

APPROVE = pause("approve", output=bool)


def talk(
    workflow: Workflow[object, object, object],
    answers: dict[str, object],
    *,
    after: float = 10.0,
    deadline: float | None = None,
    seed: int = 0,
) -> object:
    """Run *workflow*, answer after some time, and return the run's value."""

    async def main() -> object:
        async with Runtime(workflow) as runtime:
            handle = await runtime.submit(workflow, "in", run_id="r", deadline=deadline)
            await trio.sleep(after)
            for name, value in answers.items():
                runtime.answer("r", name, value)
            return (await handle.result()).value

    return run_seeded(main, seed=seed)


def test_a_pause_gives_the_answer_and_the_run_goes_on() -> None:
    see = shows("see", lambda context: context["approve"], ("approve",))
    assert talk(sequence(APPROVE, see), {"approve": True}) is True


def test_an_answer_is_frozen() -> None:
    assert talk(pause("ask"), {"ask": [1, {"a": [2]}]}) == (1, {"a": (2,)})


def test_a_run_that_waits_is_paused_and_lists_what_is_open() -> None:
    async def main() -> None:
        workflow = sequence(gives("x", after=1.0), APPROVE)
        async with Runtime(workflow) as runtime:
            handle = await runtime.submit(workflow, "in")
            assert handle.status is RunStatus.RUNNING
            assert await handle.wait(RunStatus.PAUSED) is RunStatus.PAUSED
            assert handle.pauses == ("approve",)
            assert [one.run_id for one in runtime.list(RunStatus.PAUSED)] == [
                handle.run_id
            ]
            runtime.answer(handle.run_id, "approve", True)
            assert (await handle.result()).ok
            assert not handle.pauses

    run_seeded(main, seed=0)


def test_a_pause_is_answered_by_name_by_path_or_by_key() -> None:
    inner = sequence(gives("x"), APPROVE, name="inner")
    workflow = parallel(a=inner, b=gives("y"), name="both")
    for name in ("approve", "a/approve", "a/approve#a"):
        assert talk(workflow, {name: True}) == {"a": True, "b": "y"}


def test_a_pause_that_is_a_branch_is_answered_by_its_name_its_path_or_its_key() -> None:
    workflow = parallel(a=APPROVE, b=gives("y"))
    for name in ("approve", "a", "a#a"):
        assert talk(workflow, {name: True}) == {"a": True, "b": "y"}


def test_pauses_of_several_items_are_answered_by_their_keys() -> None:
    workflow = each(pause("ask", output=str), over=lambda context: (1, 2, 3))
    answers: dict[str, object] = {f"ask#{n}": f"answer {n}" for n in (2, 0, 1)}
    assert talk(workflow, answers) == ("answer 0", "answer 1", "answer 2")


def test_a_name_that_stands_for_several_open_pauses_is_refused() -> None:
    workflow = each(pause("ask", output=str), over=lambda context: (1, 2))
    with pytest.raises(SetupError, match="no single open pause 'ask'; open are: ask#0"):
        talk(workflow, {"ask": "x"})


def test_an_answer_of_the_wrong_type_is_refused_and_the_pause_stays_open() -> None:
    async def main() -> None:
        workflow = sequence(APPROVE, gives("x", after=1.0))
        async with Runtime(workflow) as runtime:
            handle = await runtime.submit(workflow, "in", run_id="r")
            await trio.sleep(1)
            with pytest.raises(InputError, match="the answer to approve"):
                runtime.answer("r", "approve", "yes")
            with pytest.raises(NotFrozenError):
                runtime.answer("r", "approve", object())
            with pytest.raises(SetupError, match="no single open pause 'other'"):
                runtime.answer("r", "other", True)
            with pytest.raises(SetupError, match="no run 'q'"):
                runtime.answer("q", "approve", True)
            runtime.answer("r", "approve", False)
            with pytest.raises(SetupError, match="no single open pause"):
                runtime.answer("r", "approve", True)
            assert (await handle.result()).outputs["approve"] is False

    run_seeded(main, seed=0)


def test_an_answer_keeps_the_bounds_that_are_declared() -> None:
    few = cast("type[int]", Annotated[int, msgspec.Meta(ge=1, le=3)])
    assert talk(pause("ask", output=few), {"ask": 3}) == 3
    with pytest.raises(InputError, match="Expected `int` <= 3"):
        talk(pause("ask", output=few), {"ask": 4})


def test_nobody_answers_and_the_default_is_taken_after_the_time() -> None:
    async def main() -> None:
        workflow = pause("ask", output=str, timeout=30.0, default="silence")
        async with Runtime(workflow) as runtime:
            result = await runtime.run(workflow, "in", deadline=5.0)
            assert (result.value, result.duration) == ("silence", 30.0)

    run_seeded(main, seed=0)


def test_nobody_answers_and_there_is_no_default() -> None:
    async def main() -> None:
        workflow = sequence(pause("ask", timeout=30.0), gives("x"))
        async with Runtime(workflow) as runtime:
            failure = (await runtime.run(workflow, "in")).failure
            assert failure is not None
            assert failure.cause is Cause.TIMEOUT
            assert str(failure) == "ask: nobody answered within 30 s (timeout)"

    run_seeded(main, seed=0)


def test_an_answer_in_time_stops_the_clock_of_the_pause() -> None:
    workflow = sequence(pause("ask", timeout=15.0), gives("x", after=20.0))
    assert talk(workflow, {"ask": 1}) == "x"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_deadline_stands_still_while_the_whole_run_waits(seed: int) -> None:
    workflow = sequence(gives("x", after=3.0), APPROVE, gives("y", after=3.0))
    answers: dict[str, object] = {"approve": True}
    assert talk(workflow, answers, after=100.0, deadline=7.0, seed=seed) == "y"

    async def main() -> RunStatus:
        slow = sequence(gives("x", after=3.0), APPROVE, gives("y", after=5.0))
        async with Runtime(slow) as runtime:
            handle = await runtime.submit(slow, "in", run_id="r", deadline=7.0)
            await trio.sleep(100)
            runtime.answer("r", "approve", True)
            result = await handle.result()
            assert result.duration == 104.0
            return result.status

    assert run_seeded(main, seed=seed) is RunStatus.EXPIRED


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("pause_first", [True, False])
def test_the_deadline_passes_while_any_branch_works(
    seed: int, pause_first: bool
) -> None:
    work = gives("work", after=50.0)
    branches = {"a": APPROVE, "b": work} if pause_first else {"b": work, "a": APPROVE}
    workflow = cast("AnyRun", side_by_side(branches, name="both"))

    async def main() -> None:
        async with Runtime(workflow) as runtime:
            handle = await runtime.submit(workflow, "in", deadline=7.0)
            await trio.sleep(1)
            assert handle.status is RunStatus.RUNNING
            result = await handle.result()
            assert result.status is RunStatus.EXPIRED
            assert result.duration == 7.0

    run_seeded(main, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_clock_stops_when_the_last_branch_that_worked_has_ended(seed: int) -> None:
    workflow = parallel(a=APPROVE, b=gives("work", after=5.0), name="both")
    answers: dict[str, object] = {"approve": True}
    value = talk(workflow, answers, after=100.0, deadline=7.0, seed=seed)
    assert value == {"a": True, "b": "work"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pause_that_lost_its_race_is_open_no_more(seed: int) -> None:
    async def main() -> None:
        race = parallel(
            pause("ask", timeout=9.0), gives("x", after=1.0), join=first_success()
        )
        workflow = sequence(race, gives("y", after=20.0))
        async with Runtime(workflow) as runtime:
            handle = await runtime.submit(workflow, "in", deadline=30.0)
            await trio.sleep(2)
            assert handle.pauses == ()
            assert handle.status is RunStatus.RUNNING
            result = await handle.result()
            assert result.ok
            assert result.duration == 21.0

    run_seeded(main, seed=seed)


def test_each_round_of_a_loop_pauses_anew() -> None:
    async def main() -> None:
        workflow = repeat(
            pause("ask", output=int), until=lambda value: value > 1, max_rounds=5
        )
        async with Runtime(workflow) as runtime:
            handle = await runtime.submit(workflow, "in", run_id="r")
            for number in range(3):
                await handle.wait(RunStatus.PAUSED)
                assert handle.pauses == (f"ask#{number + 1}",)
                runtime.answer("r", "ask", number)
            assert (await handle.result()).value == 2

    run_seeded(main, seed=0)


def test_a_paused_run_can_be_cancelled() -> None:
    async def main() -> None:
        async with Runtime(APPROVE) as runtime:
            handle = await runtime.submit(APPROVE, "in")
            await handle.wait(RunStatus.PAUSED)
            handle.cancel()
            assert (await handle.result()).status is RunStatus.CANCELLED
            assert handle.pauses == ()

    run_seeded(main, seed=0)


def test_a_pause_without_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot wait 0 seconds"):
        pause("ask", timeout=0)
    with pytest.raises(ConfigError, match="has a default but no timeout"):
        pause("ask", output=int, default=3)
