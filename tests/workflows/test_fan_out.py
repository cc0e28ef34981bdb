"""`parallel` and `each`, and every join, on the real runtime."""

# Untyped programs are among what is tested.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

import pytest
import trio
from workflow_probe import SEEDS, fails, gives, run, shows, side_by_side, value_of

from understudy import (
    Cause,
    Context,
    FrozenMap,
    Outcome,
    RunStatus,
    Runtime,
    all_of,
    best_effort,
    each,
    first_success,
    parallel,
    quorum,
    repeat,
    sequence,
    step,
)
from understudy.testing import run_seeded
from understudy.workflows.check import MAX_DEPTH
from understudy.workflows.joins import Join
from understudy.workflows.nodes import AnyWorkflow


@step
async def item(context: Context[object]) -> object:
    return context.item


def numbers(count: int) -> Callable[[Context[object]], tuple[int, ...]]:
    return lambda context: tuple(range(count))


def test_the_value_of_a_parallel_is_a_frozen_mapping_in_branch_order() -> None:
    value = value_of(
        parallel(gives("a", 1, after=2.0), b=gives("x", 2), c=gives("y", 3))
    )
    assert value == {"a": 1, "b": 2, "c": 3}
    assert type(value) is FrozenMap
    assert list(value) == ["a", "b", "c"]


def test_branches_run_side_by_side() -> None:
    branches = {f"b{n}": gives("x", after=3.0) for n in range(20)}
    assert run(side_by_side(branches)).duration == 3.0


def test_a_branch_sees_the_state_at_the_fork_and_nothing_of_its_siblings() -> None:
    see = shows("see", lambda context: tuple(context), ("first",))
    see_late = shows("see", lambda context: context["first"], ("first",))
    workflow = sequence(
        gives("first", 1),
        parallel(
            a=see, b=sequence(gives("inside", 2, after=1.0), see_late), name="both"
        ),
    )
    assert value_of(workflow) == {"a": ("original_input", "first"), "b": 1}


def test_the_outputs_of_a_run_hold_nothing_from_inside_of_a_branch() -> None:
    inner = sequence(gives("x"), gives("y"))
    result = run(sequence(gives("first"), parallel(a=inner, name="both")))
    assert result.outputs == {"first": "first", "both": {"a": "y"}}


def test_a_parallel_keeps_to_its_limit() -> None:
    under_way, most = 0, 0

    @step
    async def count(context: Context[object]) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await trio.sleep(1)
        under_way -= 1

    branches = {f"b{n}": count for n in range(7)}
    result = run(side_by_side(branches, max_concurrent=3))
    assert result.duration == 3.0
    assert most == 3


def test_each_gives_a_tuple_in_item_order_however_long_the_items_take() -> None:
    @step
    async def slow_first(context: Context[object]) -> object:
        await trio.sleep(10 - cast("int", context.item))
        return context.item

    assert value_of(each(slow_first, over=numbers(8))) == tuple(range(8))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_each_never_exceeds_its_window_and_uses_all_of_it(
    seed: int, limit: int
) -> None:
    under_way: set[object] = set()
    most = 0

    @step
    async def count(context: Context[object]) -> None:
        nonlocal most
        under_way.add(context.item)
        most = max(most, len(under_way))
        await trio.sleep(1 + cast("int", context.item) % 3)
        under_way.remove(context.item)

    run(each(count, over=numbers(17), max_concurrent=limit), seed=seed)
    assert most == limit


def test_each_starts_the_next_item_as_soon_as_one_has_ended() -> None:
    @step
    async def slow(context: Context[object]) -> None:
        await trio.sleep(4.0 if context.item == 0 else 1.0)

    assert run(each(slow, over=numbers(9), max_concurrent=3)).duration == 4.0


@pytest.mark.parametrize("join", [all_of(), best_effort()])
def test_each_over_an_empty_list_gives_an_empty_tuple(join: Join) -> None:
    assert value_of(each(item, over=numbers(0), join=join)) == ()


def test_each_takes_its_items_from_the_value_of_a_node() -> None:
    @step
    async def split(context: Context[str]) -> tuple[str, ...]:
        return tuple(context.input.split())

    assert value_of(sequence(split, each(item, over=split)), "a b c") == ("a", "b", "c")
    assert value_of(sequence(split, each(item, over="split")), "a b") == ("a", "b")


def test_each_takes_its_items_from_any_iterable_and_freezes_them() -> None:
    def items(context: Context[object]) -> Iterable[object]:
        yield [1, 2]
        yield {"a": {1}}

    result = run(each(item, over=items))
    assert result.value == ((1, 2), {"a": frozenset({1})})


def test_a_tuple_with_something_mutable_inside_is_frozen_before_a_step_sees_it() -> (
    None
):
    workflow = each(item, over=lambda context: ([1], [2]))
    assert value_of(workflow) == ((1,), (2,))


@pytest.mark.parametrize("what", [3, "text", {"a": 1}, {1, 2}, b"ab", None])
def test_each_over_what_is_no_list_fails_the_run_and_says_what_it_was(
    what: object,
) -> None:
    result = run(each(item, over=lambda context: cast("tuple[int, ...]", what)))
    assert result.failure is not None
    assert result.failure.cause is Cause.SCHEMA
    assert "which is not a list of items" in result.failure.message
    assert result.failure.where == "each"


def test_what_over_raises_is_the_failure_of_the_run() -> None:
    def broken(context: Context[object]) -> tuple[int, ...]:
        raise LookupError("no list here")

    failure = run(each(item, over=broken)).failure
    assert failure is not None
    assert (failure.where, failure.error_type) == ("each", "LookupError")


def test_something_unfreezable_among_the_items_is_refused_with_its_place() -> None:
    result = run(each(item, over=lambda context: (1, object())))
    assert result.failure is not None
    assert result.failure.cause is Cause.SETUP
    assert "each[1]" in result.failure.message


def test_the_item_of_the_innermost_each_is_the_one_that_is_seen() -> None:
    inner = each(item, over=lambda context: (context.item, "x"), name="inner")
    assert value_of(each(inner, over=numbers(2))) == ((0, "x"), (1, "x"))


# --- all_of ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_all_of_fails_fast_and_nothing_of_the_siblings_runs_any_more(seed: int) -> None:
    notes: list[str] = []
    slow = [gives(f"slow{n}", after=5.0, notes=notes) for n in range(4)]
    late = sequence(gives("early", after=0.5), gives("late", after=2.0, notes=notes))
    workflow = parallel(*slow, late.named("late_branch"), fails("bad", after=1.0))
    result = run(workflow, seed=seed)
    assert result.status is RunStatus.FAILED
    assert result.duration == 1.0
    assert result.failure is not None
    assert result.failure.message == "bad was to fail"
    assert sorted(notes) == sorted(
        [f"slow{n} begins" for n in range(4)] + ["late begins"]
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_all_of_starts_no_further_item_after_a_failure(seed: int) -> None:
    seen: list[object] = []

    @step
    async def some(context: Context[object]) -> None:
        seen.append(context.item)
        await trio.sleep(1)
        if context.item == 3:
            raise ValueError("three")

    run(each(some, over=numbers(50), max_concurrent=2), seed=seed)
    assert max(cast("list[int]", seen)) <= 4


def test_a_failure_deep_inside_reaches_the_run_with_the_place_where_it_happened() -> (
    None
):
    inner = sequence(gives("x"), each(fails("bad"), over=numbers(3)), name="inner")
    failure = run(parallel(a=inner, b=gives("y", after=9.0), name="both")).failure
    assert failure is not None
    assert failure.where == "a/each/bad"


# --- tolerant joins --------------------------------------------------------------


def outcomes(value: Mapping[str, Outcome[object]]) -> dict[str, object]:
    return {
        name: one.value if one.ok else one.failure and one.failure.cause
        for name, one in value.items()
    }


def test_best_effort_waits_for_all_and_holds_outcomes() -> None:
    workflow = parallel(
        a=gives("x", 1, after=3.0), b=fails("bad", after=1.0), join=best_effort()
    )
    value = run(workflow).value
    assert outcomes(value) == {"a": 1, "b": Cause.STEP_ERROR}
    assert run(workflow).duration == 3.0
    assert str(value["b"].failure) == "b: bad was to fail (step_error)"


def test_best_effort_with_nothing_but_failures_is_still_a_value() -> None:
    value = run(parallel(a=fails("x"), b=fails("y"), join=best_effort())).value
    assert not any(outcome.ok for outcome in value.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_first_success_cancels_the_others_and_says_so(seed: int) -> None:
    notes: list[str] = []
    workflow = parallel(
        fails("bad", after=0.5),
        gives("fast", after=1.0),
        gives("slow", after=9.0, notes=notes),
        join=first_success(),
    )
    result = run(workflow, seed=seed)
    assert outcomes(result.value) == {
        "bad": Cause.STEP_ERROR,
        "fast": "fast",
        "slow": Cause.CANCELLED,
    }
    assert result.duration == 1.0
    assert notes == ["slow begins"]


def test_first_success_fails_when_nothing_succeeds_and_names_the_causes() -> None:
    failure = run(
        parallel(
            fails("x", after=1.0),
            fails("y", after=2.0, cause=Cause.QUOTA),
            join=first_success(),
        )
    ).failure
    assert failure is not None
    assert failure.cause is Cause.QUOTA
    assert failure.message.startswith("1 of 2 branches were to succeed, but 2 failed:")
    assert "x was to fail" in failure.message


@pytest.mark.parametrize("seed", SEEDS)
def test_a_quorum_ends_as_soon_as_it_is_met(seed: int) -> None:
    branches = [gives(f"b{n}", after=float(n)) for n in range(1, 6)]
    result = run(parallel(*branches, join=quorum(3)), seed=seed)
    assert result.duration == 3.0
    assert [one.ok for one in result.value.values()] == [True] * 3 + [False] * 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_quorum_fails_as_soon_as_it_cannot_be_met(seed: int) -> None:
    workflow = parallel(
        fails("x", after=1.0),
        fails("y", after=2.0),
        gives("z", after=9.0),
        join=quorum(2),
    )
    result = run(workflow, seed=seed)
    assert result.status is RunStatus.FAILED
    assert result.duration == 2.0


def test_a_quorum_of_items_that_are_too_few_fails_at_once() -> None:
    failure = run(each(item, over=numbers(1), join=quorum(2))).failure
    assert failure is not None
    assert failure.message == "2 of 1 branches were to succeed"


def test_items_that_were_never_begun_are_outcomes_too() -> None:
    value = value_of(
        each(item, over=numbers(4), join=first_success(), max_concurrent=1)
    )
    assert [outcome.ok for outcome in value] == [True, False, False, False]


def test_a_branch_that_does_not_run_has_ended_well_with_none() -> None:
    skipped = gives("x", when=lambda context: False)
    assert value_of(parallel(a=skipped, b=gives("y", 1))) == {"a": None, "b": 1}
    assert value_of(each(skipped, over=numbers(2))) == (None, None)


def test_a_lost_branch_ends_what_it_had_split_into() -> None:
    notes: list[str] = []
    inner = each(gives("x", after=5.0, notes=notes), over=numbers(10), max_concurrent=2)
    workflow = sequence(
        parallel(inner, gives("fast", after=1.0), join=first_success()),
        gives("after", after=20.0),
    )
    assert value_of(workflow) == "after"
    assert set(notes) == {"x begins"}
    assert len(notes) == 2 * len(SEEDS)


def test_losers_that_wait_in_a_mailbox_leave_room_for_later_rounds() -> None:
    """The mailbox is sized for the messages that are wanted, not for dead ones."""

    @step(max_concurrent=1)
    async def slow(context: Context[str]) -> str:
        await trio.sleep(20.0)
        return "slow"

    @step
    async def fast(context: Context[str]) -> str:
        await trio.sleep(19.0 if context.input == "hog" else 0.1)
        return "fast"

    race = parallel(slow, fast, join=first_success(), name="race")
    workflow = repeat(race, until=lambda value: False, max_rounds=10)

    async def main() -> None:
        async with Runtime(workflow, max_runs=2) as runtime:
            hog = await runtime.submit(workflow, "hog")
            await trio.sleep(0.05)
            result = await runtime.run(workflow, "other")
            assert result.value["fast"].value == "fast"
            assert result.duration < 2
            hog.cancel()

    for seed in SEEDS:
        run_seeded(main, seed=seed)


def test_runs_that_were_cancelled_in_a_mailbox_leave_room_for_others() -> None:
    @step(max_concurrent=1)
    async def slow(context: Context[str]) -> str:
        await trio.sleep(20.0)
        return "slow"

    async def main() -> None:
        async with Runtime(slow, max_runs=2) as runtime:
            hog = await runtime.submit(slow, "hog")
            await trio.sleep(0.05)
            for _ in range(20):
                other = await runtime.submit(slow, "other")
                other.cancel()
                assert (await other.result()).status is RunStatus.CANCELLED
            assert (await runtime.run(slow, "last")).value == "slow"
            assert (await hog.result()).value == "slow"

    for seed in SEEDS:
        run_seeded(main, seed=seed)


# --- sizes -----------------------------------------------------------------------


def test_ten_thousand_empty_fan_outs_in_a_row_do_not_recurse() -> None:
    empty = [each(item, over=numbers(0), name=f"e{n}") for n in range(10_000)]
    assert run(sequence(*empty, gives("last"))).value == "last"


def test_ten_thousand_items_do_not_recurse() -> None:
    assert run(each(item, over=numbers(10_000))).value == tuple(range(10_000))


def test_the_deepest_workflow_that_checks_also_runs() -> None:
    assert run(_nested(gives("leaf"))).ok
    assert not run(_nested(fails("bad"))).ok


def _nested(node: AnyWorkflow) -> AnyWorkflow:
    for depth in range(MAX_DEPTH):
        node = parallel(node, name=f"p{depth}")
    return node
