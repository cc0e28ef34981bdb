"""`sequence`, `route`, `cascade`, `repeat` and `child`, on the real runtime."""

# Untyped programs are among what is tested.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import attrs
import pytest
import trio
from workflow_probe import fails, gives, run, shows, value_of

from understudy import (
    Cause,
    ConfigError,
    Context,
    Decision,
    RunStatus,
    Runtime,
    Workflow,
    cascade,
    child,
    each,
    maybe,
    parallel,
    pause,
    repeat,
    route,
    sequence,
    step,
)
from understudy.engine.detours import CascadeOp
from understudy.testing import run_seeded
from understudy.workflows.nodes import AnyWorkflow


def never(_: object) -> bool:
    return False


# --- sequence ------------------------------------------------------------------


def test_a_sequence_runs_in_order_and_its_value_is_that_of_the_last() -> None:
    notes: list[str] = []
    steps = [gives(name, after=1.0, notes=notes) for name in "abc"]
    result = run(sequence(*steps))
    assert result.value == "c"
    assert notes == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]
    assert list(result.outputs) == ["a", "b", "c"]


def test_a_named_sequence_has_its_value_under_its_name_and_its_parts_too() -> None:
    inner = sequence(gives("x", 1), gives("y", 2), name="inner")
    assert run(sequence(inner, gives("z", 3))).outputs == {
        "x": 1,
        "y": 2,
        "inner": 2,
        "z": 3,
    }


def test_a_sequence_that_only_groups_leaves_no_trace_in_outputs_or_paths() -> None:
    result = run(sequence(sequence(gives("x")), sequence(sequence(gives("y")))))
    assert list(result.outputs) == ["x", "y"]
    assert [entry.path for entry in result.steps] == ["x", "y"]


def test_a_single_step_is_a_workflow() -> None:
    result = run(gives("alone", 1))
    assert (result.value, result.outputs) == (1, {"alone": 1})


def test_a_failure_ends_a_sequence() -> None:
    result = run(sequence(gives("a"), fails("bad"), gives("c")))
    assert result.status is RunStatus.FAILED
    assert [entry.path for entry in result.steps] == ["a", "bad"]


# --- route -----------------------------------------------------------------------


def by_length(context: Context[str]) -> str:
    return "short" if len(context.input) < 5 else "long"


async def by_length_later(context: Context[str]) -> Decision:
    await trio.sleep(1)
    return Decision(by_length(context), {"length": len(context.input)})


class ByLength:
    def decide(self, context: Context[object], /) -> Decision:
        return Decision(by_length(cast("Context[str]", context)))


@pytest.mark.parametrize("policy", [by_length, by_length_later, ByLength()])
def test_a_route_takes_the_branch_that_its_policy_chooses(policy: object) -> None:
    chosen = cast("Callable[[Context[str]], str]", policy)
    workflow = route(chosen, short=gives("x", 1), long=gives("y", 2))
    assert value_of(workflow, "hi") == 1
    assert value_of(workflow, "hello there") == 2


def test_only_the_branch_taken_runs() -> None:
    result = run(route(by_length, short=gives("x"), long=gives("y")), "hi")
    assert [entry.path for entry in result.steps] == ["route", "short"]


def test_a_policy_sees_all_that_is_in_scope_and_nothing_else() -> None:
    seen: list[tuple[str, ...]] = []

    def look(context: Context[object]) -> str:
        seen.append(tuple(context))
        assert context[maybe("optional")] is None
        with pytest.raises(KeyError, match="was not made where this step can see it"):
            context["hidden"]
        return "a"

    run(
        sequence(
            gives("first"),
            gives("optional", when=never),
            parallel(gives("hidden"), name="both"),
            route(look, a=gives("x")),
        )
    )
    assert seen == [("original_input", "first", "both")]


def test_a_label_without_a_branch_fails_the_run_and_names_the_branches() -> None:
    failure = run(route(lambda context: "c", a=gives("x"), b=gives("y"))).failure
    assert failure is not None
    assert failure.message == "the policy chose 'c', and the branches are 'a', 'b'"
    assert failure.where == "route"


def test_what_a_policy_raises_is_the_failure_of_the_run() -> None:
    def broken(context: Context[object]) -> str:
        raise LookupError("no way")

    failure = run(route(broken, a=gives("x"))).failure
    assert failure is not None
    assert failure.error_type == "LookupError"


def test_a_branch_that_fails_fails_the_route() -> None:
    failure = run(route(lambda context: "a", a=fails("bad"))).failure
    assert failure is not None
    assert failure.where == "a"


# --- cascade ---------------------------------------------------------------------


def test_a_cascade_stops_at_the_first_tier_whose_value_is_accepted() -> None:
    tiers = cascade(
        gives("a", 1), gives("b", 2), gives("c", 3), accept=lambda value: value == 2
    )
    result = run(tiers)
    assert result.value == 2
    assert [entry.path for entry in result.steps] == ["a", "b"]


def test_a_tier_that_fails_or_does_not_run_makes_way_for_the_next() -> None:
    asked: list[object] = []

    def accept(value: object) -> bool:
        asked.append(value)
        return True

    tiers = cascade(
        fails("a"), gives("b", when=never), gives("c"), gives("d"), accept=accept
    )
    assert run(tiers).value == "c"
    assert asked == ["c"]


def test_the_last_tier_is_taken_as_it_is_and_not_asked_about() -> None:
    asked: list[object] = []

    def accept(value: object) -> bool:
        asked.append(value)
        return False

    assert run(cascade(gives("a"), gives("b"), accept=accept)).value == "b"
    assert asked == ["a"]


def test_the_failure_of_the_last_tier_is_that_of_the_cascade() -> None:
    failure = run(cascade(fails("a"), fails("b"), accept=never)).failure
    assert failure is not None
    assert failure.message == "b was to fail"


def test_a_cascade_whose_last_tier_does_not_run_does_not_run() -> None:
    tiers = cascade(fails("a"), gives("b", when=never), accept=never)
    see = step(needs=(maybe("cascade"),), name="see", output=object)(_seen)
    result = run(sequence(tiers, see))
    assert result.value is None
    assert list(result.outputs) == ["see"]


async def _seen(context: Context[object]) -> object:
    return context[maybe("cascade")]


def test_what_accept_raises_is_the_failure_of_the_run() -> None:
    def broken(value: object) -> bool:
        raise LookupError("cannot say")

    failure = run(cascade(gives("a"), gives("b"), accept=broken)).failure
    assert failure is not None
    assert (failure.where, failure.error_type) == ("cascade: accept", "LookupError")


def test_a_question_cannot_be_async() -> None:
    async def later(value: object) -> bool:
        return True

    async def over(context: Context[object]) -> tuple[int, ...]:
        return ()

    builds: tuple[Callable[[], object], ...] = (
        lambda: cascade(gives("a"), accept=later),  # type: ignore[arg-type]
        lambda: repeat(gives("a"), until=later, max_rounds=1),  # type: ignore[arg-type]
        lambda: each(gives("a"), over=over),  # type: ignore[arg-type]
        lambda: child(gives("a"), input=later),
        lambda: step(name="a", when=later)(_seen),  # type: ignore[arg-type]
    )
    for build in builds:
        with pytest.raises(ConfigError, match="is async; it must be a plain"):
            build()


def test_a_coroutine_as_an_answer_is_a_failure_and_not_a_yes() -> None:
    async def later(value: object) -> bool:
        return True

    tiers = cascade(
        gives("a"),
        gives("b"),
        accept=cast("Callable[[object], bool]", lambda value: later(value)),
    )
    failure = run(tiers).failure
    assert failure is not None
    assert "is async" in failure.message


# --- repeat ----------------------------------------------------------------------


def test_a_repeat_ends_when_its_value_is_good() -> None:
    rounds = shows("count", lambda context: context.round)
    result = run(repeat(rounds, until=lambda value: value == 3, max_rounds=9))
    assert result.value == 3
    assert [entry.position for entry in result.steps] == ["1", "2", "3"]


def test_a_repeat_ends_after_its_last_round_with_that_value() -> None:
    rounds = shows("count", lambda context: context.round)
    assert value_of(repeat(rounds, until=never, max_rounds=4)) == 4


def test_a_round_sees_the_value_of_the_one_before() -> None:
    body = shows("chain", lambda context: (context.round, context.previous))
    assert value_of(repeat(body, until=never, max_rounds=3)) == (3, (2, (1, None)))


def test_each_round_writes_its_names_afresh() -> None:
    body = sequence(gives("x"), shows("y", lambda context: tuple(context), ("x",)))
    assert value_of(repeat(body, until=never, max_rounds=2)) == ("original_input", "x")


def test_a_round_that_fails_ends_the_loop_badly() -> None:
    assert not run(repeat(fails("bad"), until=never, max_rounds=3)).ok


def test_a_round_that_does_not_run_ends_the_loop_with_the_value_before() -> None:
    body = gives("x", when=lambda context: context.round < 3)
    result = run(repeat(body, until=never, max_rounds=9))
    assert result.value == "x"
    assert [entry.status for entry in result.steps] == [
        "completed",
        "completed",
        "skipped",
    ]


def test_a_loop_whose_first_round_does_not_run_has_no_value() -> None:
    result = run(repeat(gives("x", when=never), until=never, max_rounds=9))
    assert result.value is None
    assert result.outputs == {}


def test_what_until_raises_is_the_failure_of_the_run() -> None:
    def broken(value: object) -> bool:
        raise LookupError("cannot say")

    failure = run(repeat(gives("a"), until=broken, max_rounds=2)).failure
    assert failure is not None
    assert (failure.where, failure.error_type) == ("repeat: until", "LookupError")


@pytest.mark.parametrize("shape", ["until", "accept", "over", "input", "when", "yes"])
def test_a_run_that_is_cancelled_by_a_question_goes_nowhere_from_there(
    shape: str,
) -> None:
    after: list[str] = []

    async def main() -> None:
        def ask(_: object) -> bool:
            runtime.cancel("the run")
            return False

        def items(_: object) -> tuple[int, ...]:
            ask(None)
            return (1, 2)

        more = parallel(gives("p", notes=after), gives("q", notes=after), name="more")
        first = {
            "until": repeat(
                shows("x", lambda context: after.extend(["x"] * (context.round > 1))),
                until=ask,
                max_rounds=3,
            ),
            "accept": cascade(gives("x"), gives("y", notes=after), accept=ask),
            "over": each(gives("x", notes=after), over=items),
            "input": child(gives("x", notes=after), input=items),
            "when": gives("x", notes=after, when=ask),
            "yes": gives("x", notes=after, when=lambda _: not ask(None)),
        }[shape]
        workflow = sequence(first, more, more.named("again"))
        async with Runtime(workflow) as runtime:
            result = await runtime.run(workflow, "", run_id="the run")
            assert result.status is RunStatus.CANCELLED
            await trio.sleep(5)

    for seed in range(3):
        run_seeded(main, seed=seed)
    assert after == []


# --- child -----------------------------------------------------------------------


def test_a_child_has_its_own_input_and_scope_and_shows_its_value_alone() -> None:
    inner = sequence(
        shows("seen", lambda context: (context.input, tuple(context))), name="inner"
    )
    workflow = sequence(gives("topic", "x"), child(inner, input="topic"))
    result = run(workflow)
    assert result.value == ("x", ("original_input",))
    assert list(result.outputs) == ["topic", "inner"]
    assert [entry.path for entry in result.steps] == ["topic", "inner/inner/seen"]


def test_a_child_takes_its_input_from_a_function_or_from_around() -> None:
    inner = shows("seen", lambda context: context.input)
    given: AnyWorkflow = child(
        inner, input=lambda context: {"n": [context.input]}, name="in"
    )
    assert value_of(given) == {"n": ("input",)}
    assert value_of(child(inner, name="in")) == "input"


def test_a_child_has_an_item_and_rounds_of_its_own() -> None:
    look = shows(
        "look", lambda context: (context.item, context.previous, context.round)
    )
    body = repeat(child(look, name="in"), until=never, max_rounds=2)
    assert value_of(each(body, over=lambda context: (7,))) == ((None, None, 0),)


def test_the_same_workflow_can_be_a_child_twice() -> None:
    inner = sequence(gives("x"), gives("y"))
    twice = sequence(child(inner, name="one"), child(inner, name="two"))
    assert list(run(twice).outputs) == ["one", "two"]


def test_a_child_that_fails_fails_its_parent() -> None:
    failure = run(
        child(sequence(gives("x"), fails("bad"), name="w"), name="in")
    ).failure
    assert failure is not None
    assert failure.where == "w/bad"


@attrs.frozen
class Topic:
    name: str
    weight: int


@step
async def of_topic(context: Context[Topic]) -> object:
    return context.input.name


def test_the_input_of_a_child_is_made_into_the_type_that_it_takes() -> None:
    plain = shows("plain", lambda context: {"name": "a", "weight": 1})
    assert value_of(sequence(plain, child(of_topic, input="plain", name="in"))) == "a"


def test_an_input_that_does_not_fit_a_child_fails_the_run_and_is_not_retried() -> None:
    plain = shows("plain", lambda context: {"name": "a"})
    result = run(sequence(plain, child(of_topic, input="plain", name="in")))
    assert result.failure is not None
    assert result.failure.cause is Cause.SETUP
    assert "the input of in: does not fit Topic" in result.failure.message


def test_what_the_input_function_of_a_child_raises_is_the_failure_of_the_run() -> None:
    def broken(context: Context[object]) -> object:
        raise LookupError("no input")

    failure = run(child(gives("x"), input=broken, name="in")).failure
    assert failure is not None
    assert failure.error_type == "LookupError"


def test_a_recorded_failure_may_be_the_input_of_a_child() -> None:
    from understudy import best_effort

    failed = parallel(fails("bad"), join=best_effort(), name="try")
    look = shows("look", lambda context: type(context.input).__name__)
    workflow = sequence(
        failed,
        child(look, input=lambda context: context["try"]["bad"].failure, name="in"),  # type: ignore[index]
    )
    assert value_of(workflow) == "Failure"


# --- answers without a truth value -----------------------------------------------------


Open = Workflow[object, object, object]


class Ambiguous:
    """What an array is: neither true nor false."""

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")


def ambiguous(_: object) -> bool:
    return cast("bool", Ambiguous())


@pytest.mark.parametrize("asker", ["accept", "until", "when"])
def test_an_answer_without_a_truth_value_fails_the_run_at_the_question(
    asker: str,
) -> None:
    notes: list[str] = []
    flows: dict[str, AnyWorkflow] = {
        "accept": cascade(gives("a", notes=notes), gives("b"), accept=ambiguous),
        "until": repeat(gives("a", notes=notes), until=ambiguous, max_rounds=3),
        "when": gives("a", notes=notes, when=ambiguous),
    }
    for seed in range(5):
        notes.clear()
        result = run(flows[asker], seed=seed, deadline=10.0)
        assert result.failure is not None
        assert "ambiguous" in result.failure.message
        assert asker in result.failure.where
        assert result.duration == 0.0
        assert notes.count("a begins") == (0 if asker == "when" else 1)


@pytest.mark.parametrize("answered", [True, False])
def test_an_answer_without_a_truth_value_behind_a_pause_fails_only_the_run(
    answered: bool,
) -> None:
    asks = pause("p", output=str, timeout=5.0, default="d")
    flow = cast("Open", cascade(asks, gives("b"), accept=ambiguous))

    async def main() -> None:
        async with Runtime(flow) as runtime:
            handle = await runtime.submit(flow, "x")
            if answered:
                await trio.sleep(1)
                runtime.answer(handle.run_id, "p", "yes")
            result = await handle.result()
            assert result.failure is not None
            assert "accept" in result.failure.where

    run_seeded(main, seed=0)


@pytest.mark.parametrize("leads", ["a step", "a timer"])
def test_a_strand_that_cannot_be_led_on_fails_its_run_and_no_other(
    leads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise LookupError("nowhere to go")

    flow = cascade(
        gives("a")
        if leads == "a step"
        else pause("p", output=str, timeout=1.0, default="d"),
        gives("b"),
        accept=never,
    )
    opened = cast("Open", flow)
    other = gives("other")

    async def main() -> None:
        async with Runtime(opened, other) as runtime:
            monkeypatch.setattr(CascadeOp, "inner_ended", broken)
            result = await runtime.run(opened, "x", deadline=9.0)
            assert result.failure is not None
            assert result.failure.message == "nowhere to go"
            assert (await runtime.run(other, "x")).value == "other"

    run_seeded(main, seed=0)
