"""Steps in all their shapes: functions, objects, threads, and what they may give."""

# Untyped programs are among what is tested.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import ClassVar, Literal, cast

import attrs
import pytest
import trio
from workflow_probe import SEEDS, gives, run, shows, value_of

from understudy import (
    Attempt,
    Cause,
    ConfigError,
    Context,
    FrozenMap,
    InputError,
    RetryConfig,
    RunResult,
    Runtime,
    Step,
    StepError,
    WorkflowStep,
    maybe,
    parallel,
    sequence,
    stateful_step,
    step,
)
from understudy.testing import run_seeded
from understudy.workflows.seed_steps import as_node
from understudy_protocols.state import OrchestrationState

State = OrchestrationState


@attrs.frozen
class Reply:
    text: str


# --- functions -------------------------------------------------------------------


def test_a_step_takes_its_name_and_types_from_the_function() -> None:
    @step
    async def extract(context: Context[str]) -> Reply:
        return Reply(context.input)

    assert (extract.name, extract.input_type, extract.output_type) == (
        "extract",
        str,
        Reply,
    )
    assert not extract.takes_attempt


def test_a_step_may_take_nothing_as_its_input() -> None:
    @step
    async def begin(context: Context[None]) -> str:
        return f"began with {context.input}"

    assert begin.input_type is type(None)
    assert run(begin, None).value == "began with None"


def test_a_step_that_takes_an_attempt_declares_its_dependencies() -> None:
    @step
    async def extract(context: Context[str], attempt: Attempt[Reply]) -> str:
        return attempt.deps.text

    assert extract.takes_attempt
    assert extract.deps_type is Reply


def test_a_step_without_annotations_works() -> None:
    async def bare(context):  # type: ignore[no-untyped-def]
        return context["original_input"] + "!"

    assert value_of(step(bare)) == "input!"


def test_a_step_is_decorated_before_its_surroundings_are_complete() -> None:
    @step
    async def early(context: Context[str]) -> str:
        return late

    late = "set after"
    assert value_of(early) == "set after"


def test_an_annotation_that_cannot_be_resolved_hides_no_other() -> None:
    async def half(context: Context[str]) -> str:
        return context.input

    half.__annotations__["return"] = "Nowhere"
    made = step(half)
    assert made.input_type is str
    assert value_of(made) == "input"


def test_a_partial_and_a_callable_object_are_functions_too() -> None:
    async def add(extra: str, context: Context[str]) -> str:
        return context.input + extra

    class Adder:
        async def __call__(self, context: Context[str]) -> str:
            return context.input + "?"

    assert value_of(step(name="add")(functools.partial(add, "!"))) == "input!"
    assert value_of(step(name="adder")(Adder())) == "input?"


@pytest.mark.parametrize("value", [3, None, Reply("x"), {"a": 1}])
def test_a_value_of_another_type_than_declared_fails_the_run(value: object) -> None:
    @step(retry=RetryConfig(max_attempts=1))
    async def wrong(context: Context[str]) -> str:
        return cast("str", value)

    failure = run(wrong).failure
    assert failure is not None
    assert failure.cause is Cause.SCHEMA
    assert "and declares str; mend the step" in failure.message


def test_a_value_is_frozen_where_it_leaves_the_step() -> None:
    @step(output=object)
    async def gives_plain(context: Context[str]) -> object:
        return {"a": [1, 2], "b": bytearray(b"x"), "c": {3}}

    value = value_of(gives_plain)
    assert value == {"a": (1, 2), "b": b"x", "c": frozenset({3})}
    assert isinstance(value, FrozenMap)


def test_a_mutable_value_is_refused_with_its_path_and_not_made_again() -> None:
    made = 0

    class Issue:
        pass

    @step(output=object)
    async def extract(context: Context[str]) -> object:
        nonlocal made
        made += 1
        return {"issues": [1, 2, 3, Issue()]}

    failure = run(extract).failure
    assert failure is not None
    assert failure.cause is Cause.SETUP
    assert failure.message.startswith("extract.issues[3] is of type ")
    assert made == 1


def test_a_declared_output_that_is_mutable_is_refused_where_it_is_declared() -> None:
    with pytest.raises(ConfigError, match="tuple"):

        @step
        async def bad(context: Context[str]) -> list[str]:
            return []


def test_a_step_sees_only_what_it_declared() -> None:
    def look(context: Context[object]) -> object:
        with pytest.raises(KeyError, match="b is not among what this step needs"):
            context["b"]
        with pytest.raises(KeyError, match="add it to needs"):
            context[maybe("b")]
        assert "b" not in context
        return dict(context)

    workflow = sequence(gives("a", 1), gives("b", 2), shows("c", look, ("a",)))
    assert value_of(workflow) == {"original_input": "input", "a": 1}


def test_a_context_is_indexed_by_node_by_name_or_by_maybe() -> None:
    a, b = gives("a", 1), gives("b", when=lambda context: False)

    @step(needs=(a, maybe(b)))
    async def look(context: Context[object]) -> object:
        assert len(context) == 3
        return context[a], context["a"], context[maybe(b)], context[b], context["b"]

    assert value_of(sequence(a, b, look)) == (1, 1, None, None, None)


def test_an_item_or_a_previous_value_is_asked_for_with_its_type() -> None:
    def look(context: Context[object]) -> object:
        with pytest.raises(TypeError, match="the item is a NoneType, not an int"):
            context.item_as(int)
        assert context.previous_as(int) is None
        return True

    assert value_of(shows("look", look))


@pytest.mark.parametrize("seed", SEEDS)
def test_when_says_whether_a_step_runs_and_a_step_that_does_not_leaves_no_value(
    seed: int,
) -> None:
    notes: list[str] = []
    never = gives("never", notes=notes, when=lambda context: False)
    result = run(sequence(gives("a"), never, gives("c")), seed=seed)
    assert result.outputs == {"a": "a", "c": "c"}
    assert [entry.status for entry in result.steps] == [
        "completed",
        "skipped",
        "completed",
    ]
    assert notes == []


def test_a_last_step_that_does_not_run_leaves_the_run_without_a_value() -> None:
    result = run(sequence(gives("a"), gives("b", when=lambda context: False)))
    assert result.ok
    assert result.value is None
    assert result.outputs == {"a": "a"}


def test_what_when_raises_is_the_failure_of_the_run() -> None:
    def broken(context: Context[object]) -> bool:
        raise LookupError("cannot say")

    failure = run(gives("a", when=broken)).failure
    assert failure is not None
    assert failure.error_type == "LookupError"


def test_a_function_that_cannot_be_a_step_is_refused_with_the_reason() -> None:
    def plain(context: Context[str]) -> str:
        return ""

    async def three(a: object, b: object, c: object) -> None: ...

    async def keyword(context: object, *, extra: int) -> None: ...

    async def fine(context: object) -> None: ...

    for build, words in (
        (lambda: step(plain), "is a plain function; write async def"),  # type: ignore[arg-type]
        (lambda: step(thread=True)(fine), "so it must be a plain function"),
        (lambda: step(three), r"takes \(a, b, c\)"),  # type: ignore[arg-type]
        (lambda: step(keyword), r"takes \(context, extra\)"),  # type: ignore[arg-type]
        (lambda: step(needs="x")(fine), "needs of step 'fine' must be a tuple"),
        (lambda: step(timeout=0)(fine), "timeout of step 'fine' is 0"),
        (lambda: step(min_time=-1)(fine), "min_time of step 'fine' is -1"),
        (lambda: step(max_concurrent=0)(fine), "max_concurrent of step 'fine' is 0"),
        (lambda: step(name="a/b")(fine), "cannot be named 'a/b'"),
    ):
        with pytest.raises(ConfigError, match=words):
            build()


# --- threads ---------------------------------------------------------------------


def test_a_thread_step_is_a_plain_function_in_a_worker_thread() -> None:
    import threading

    main_thread = threading.get_ident()

    @step(thread=True)
    def blocking(context: Context[str]) -> tuple[str, bool]:
        return context.input, threading.get_ident() != main_thread

    async def main() -> RunResult[tuple[str, bool]]:
        async with Runtime(blocking) as runtime:
            return await runtime.run(blocking, "in")

    assert run_seeded(main, seed=0, autojump=False).value == ("in", True)


def test_what_a_thread_step_raises_is_a_failure_like_any_other() -> None:
    @step(thread=True)
    def blocking(context: Context[str]) -> str:
        raise LookupError("in the thread")

    async def main() -> RunResult[str]:
        async with Runtime(blocking) as runtime:
            return await runtime.run(blocking, "in")

    failure = run_seeded(main, seed=0, autojump=False).failure
    assert failure is not None
    assert failure.error_type == "LookupError"


# --- objects ---------------------------------------------------------------------


class Classify:
    needs: tuple[str, ...] | None = None

    async def execute(self, state: State) -> State:
        await trio.sleep(1)
        text = cast("str", state.inputs["text"])
        return state.with_output("classify", (text, *sorted(state.outputs)))

    def should_execute(self, state: State) -> bool:
        return "skip" not in state.inputs


def test_an_object_with_execute_and_should_execute_is_a_step() -> None:
    assert isinstance(Classify(), WorkflowStep)
    workflow = sequence(gives("a"), gives("b"), Classify())
    assert run(workflow, {"text": "t"}).value == ("t", "a", "b")
    assert run(workflow, {"text": "t", "skip": 1}).outputs == {"a": "a", "b": "b"}


def test_an_object_that_declares_needs_sees_no_more() -> None:
    class Narrow(Classify):
        name = "classify"
        needs: tuple[str, ...] | None = ("a",)

    assert run(sequence(gives("a"), gives("b"), Narrow()), {"text": "t"}).value == (
        "t",
        "a",
    )


def test_an_object_sees_outputs_that_are_none() -> None:
    @step(name="nothing")
    async def nothing(context: Context[object]) -> None:
        return None

    class Narrow(Classify):
        name = "classify"
        needs: tuple[str, ...] | None = ("nothing",)

    for one in (Classify(), Narrow()):
        assert run(sequence(nothing, one), {"text": "t"}).value == ("t", "nothing")


def test_an_object_may_stand_wherever_a_node_may() -> None:
    workflow = parallel(Classify(), b=Classify())
    assert run(workflow, {"text": "t"}).value == {"classify": ("t",), "b": ("t",)}


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (lambda state: None, "returned a NoneType; it must return the state"),
        (lambda state: state, "wrote nothing; it must add exactly one output"),
        (lambda state: state.with_output("other", 1), "wrote other; it must add"),
        (
            lambda state: state.with_output("odd", 1).with_output("other", 2),
            "wrote odd, other",
        ),
        (lambda state: state.with_output("a", 2).with_output("odd", 1), "wrote a, odd"),
    ],
)
def test_an_object_must_return_the_state_with_its_own_output_and_no_other(
    after: object, words: str
) -> None:
    class Odd:
        async def execute(self, state: State) -> State:
            return after(state)  # type: ignore[operator, no-any-return]

        def should_execute(self, state: State) -> bool:
            return True

    failure = run(sequence(gives("a"), Odd()), {"text": "t"}).failure
    assert failure is not None
    assert failure.cause is Cause.STEP_ERROR
    assert words in failure.message


def test_what_cannot_be_a_node_is_refused_with_what_to_do() -> None:
    async def undecorated(context: Context[str]) -> str:
        return ""

    class Sync:
        def execute(self, state: State) -> State:
            return state

        def should_execute(self, state: State) -> bool:
            return True

    for thing, words in (
        (undecorated, "decorate the function with @step"),
        (Classify, "cannot be a node of a workflow"),
        (Sync(), "write async def execute"),
    ):
        with pytest.raises(ConfigError, match=words):
            as_node(thing)  # type: ignore[arg-type]


# --- steps that keep something ------------------------------------------------------


class Connection:
    """Counts what happens to it, and breaks when told."""

    log: ClassVar[list[str]]

    def __init__(self) -> None:
        self.number = sum(line.startswith("setup") for line in self.log) + 1

    async def setup(self) -> None:
        await trio.sleep(0.5)
        self.log.append(f"setup {self.number}")

    async def execute(self, context: Context[object], attempt: Attempt[object]) -> str:
        self.log.append(f"{context.input} on {self.number}")
        if context.input == "break" and attempt.number == 1:
            raise ConnectionError("lost")
        if context.input == "fail":
            raise StepError("as told", cause=Cause.STEP_ERROR)
        return f"done on {self.number}"

    async def teardown(self) -> None:
        self.log.append(f"teardown {self.number}")


def connection(
    restart_on: tuple[type[Exception], ...],
) -> tuple[Step[object, str, object], list[str]]:
    class Logged(Connection):
        log: ClassVar[list[str]] = []

    made = stateful_step(
        Logged, name="talk", output=str, max_concurrent=1, restart_on=restart_on
    )
    return made, Logged.log


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stateful_step_is_set_up_once_and_torn_down_at_the_end(seed: int) -> None:
    workflow, log = connection((ConnectionError,))

    async def main() -> None:
        async with Runtime(workflow) as runtime:
            for name in "ab":
                assert (await runtime.run(workflow, name)).value == "done on 1"
            assert log == ["setup 1", "a on 1", "b on 1"]

    run_seeded(main, seed=seed)
    assert log[-1] == "teardown 1"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_worker_that_breaks_is_replaced_and_the_message_tried_again(
    seed: int,
) -> None:
    workflow, log = connection((ConnectionError,))

    async def main() -> RunResult[str]:
        async with Runtime(workflow) as runtime:
            return await runtime.run(workflow, "break")

    result = run_seeded(main, seed=seed)
    assert result.value == "done on 2"
    assert [record.number for record in result.steps[0].attempts] == [1]
    assert log == [
        "setup 1",
        "break on 1",
        "teardown 1",
        "setup 2",
        "break on 2",
        "teardown 2",
    ]


def test_what_does_not_break_a_worker_is_an_ordinary_failure() -> None:
    workflow, log = connection((ConnectionError,))

    async def main() -> None:
        async with Runtime(workflow) as runtime:
            assert not (await runtime.run(workflow, "fail")).ok
            assert (await runtime.run(workflow, "a")).value == "done on 1"

    run_seeded(main, seed=0)
    assert log == ["setup 1", "fail on 1", "a on 1", "teardown 1"]


def test_a_stateful_step_declares_the_dependencies_of_its_class() -> None:
    class Needy:
        async def execute(
            self, context: Context[object], attempt: Attempt[Reply]
        ) -> str:
            return attempt.deps.text

    made = stateful_step(Needy, name="needy", output=str)
    assert made.deps_type is Reply
    with pytest.raises(ConfigError, match="takes Reply as its deps"):
        Runtime(made, deps=cast("Reply", 3))


def test_the_dependencies_of_every_step_are_checked_against_those_given() -> None:
    @step
    async def talk(context: Context[str], attempt: Attempt[Mapping[str, str]]) -> str:
        return attempt.deps["greeting"]

    async def main() -> None:
        async with Runtime(talk, deps={"greeting": "hello"}) as runtime:
            assert (await runtime.run(talk, "in")).value == "hello"

    run_seeded(main, seed=0)
    with pytest.raises(ConfigError, match="takes Mapping"):
        Runtime(talk)


# --- values of types that say more than their class ----------------------------------------


def test_every_value_of_a_literal_is_looked_at_not_only_the_first() -> None:
    @step
    async def letter(context: Context[Literal["x", "y", "z"]]) -> Literal["x", "y"]:
        return cast("Literal['x', 'y']", context.input)

    open_ = cast("Step[object, str, object]", letter)

    async def main() -> list[bool]:
        async with Runtime(open_) as runtime:
            return [(await runtime.run(open_, given)).ok for given in ("x", "z", "y")]

    assert run_seeded(main, seed=0) == [True, False, True]


def test_every_input_of_a_literal_is_looked_at_not_only_the_first() -> None:
    @step
    async def letter(context: Context[Literal["x", "y"]]) -> str:
        return context.input

    open_ = cast("Step[object, str, object]", letter)

    async def main() -> None:
        async with Runtime(open_) as runtime:
            assert (await runtime.run(open_, "x")).ok
            with pytest.raises(InputError):
                await runtime.run(open_, "z")

    run_seeded(main, seed=0)
