"""What `check` refuses, and in which words; and that it is quick."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from typing import cast

import attrs
import msgspec
import pytest
from workflow_probe import gives, shows, side_by_side

from understudy import (
    ConfigError,
    Context,
    cascade,
    check,
    child,
    each,
    maybe,
    parallel,
    pause,
    quorum,
    repeat,
    route,
    sequence,
    step,
)
from understudy.workflows.check import MAX_DEPTH
from understudy.workflows.nodes import AnyWorkflow
from understudy_protocols.errors import (
    DuplicateNameError,
    MissingInputError,
    TooLargeError,
    TypeMismatchError,
    UnboundedLoopError,
    UnknownStepError,
    UnreachableBranchError,
    WorkflowError,
)
from understudy_protocols.state import OrchestrationState


@attrs.frozen
class Extraction:
    topic: str


@attrs.frozen
class Reply:
    text: str


@step
async def extract(context: Context[str]) -> Extraction:
    return Extraction(context.input)


@step(needs=(extract,))
async def respond(context: Context[str]) -> Reply:
    return Reply(context[extract].topic)


@step
async def words(context: Context[str]) -> tuple[str, ...]:
    return tuple(context.input.split())


@step
async def of_reply(context: Context[Reply]) -> str:
    return context.input.text


def always(_: object) -> bool:
    return True


def needing(*needs: str) -> AnyWorkflow:
    return shows("last", lambda context: None, needs)


def refused(workflow: AnyWorkflow, kind: type[WorkflowError]) -> str:
    with pytest.raises(kind) as caught:
        check(workflow)
    assert type(caught.value) is kind
    return str(caught.value)


def test_a_need_that_is_nowhere_is_refused_with_the_nearest_name() -> None:
    words_of_error = refused(sequence(extract, needing("extrakt")), UnknownStepError)
    assert words_of_error.startswith("last: needs 'extrakt'")
    assert "did you mean 'extract'?" in words_of_error


def test_a_need_without_any_near_name_has_no_suggestion() -> None:
    assert "mean" not in refused(sequence(extract, needing("zz")), UnknownStepError)


def test_a_need_that_runs_later_is_refused_and_told_what_is_visible() -> None:
    text = refused(sequence(words, respond, extract), MissingInputError)
    assert text.startswith("respond: needs 'extract', which runs later")
    assert text.endswith("visible here: words")


def test_a_need_with_nothing_before_it_is_told_that_there_is_only_the_input() -> None:
    text = refused(sequence(respond, extract), MissingInputError)
    assert text.endswith("visible here: nothing but the input")


@pytest.mark.parametrize(
    "around",
    [
        parallel(sequence(extract, words, name="inner"), name="around"),
        each(sequence(extract, words, name="inner"), over=lambda context: (1,)),
        route(lambda context: "a", a=sequence(extract, words)),
        cascade(sequence(extract, words), accept=always),
        repeat(sequence(extract, words), until=always, max_rounds=2),
        child(sequence(extract, words)),
    ],
    ids=["parallel", "each", "route", "cascade", "repeat", "child"],
)
def test_names_inside_are_not_visible_outside(around: AnyWorkflow) -> None:
    assert "'extract'" in refused(sequence(around, respond), MissingInputError)


def test_a_child_sees_nothing_of_what_is_around_it() -> None:
    inner = sequence(words, respond)
    refused(sequence(extract, child(inner, name="in")), MissingInputError)


def test_names_inside_a_sequence_are_visible_after_it_and_so_is_its_own() -> None:
    inner = sequence(words, extract, name="inner")
    check(sequence(inner, respond, needing("inner", "words")))


def test_the_name_of_a_sequence_that_was_given_none_is_not_visible() -> None:
    refused(sequence(sequence(words), needing("sequence")), MissingInputError)


def test_what_may_not_have_run_is_needed_as_maybe() -> None:
    optional = gives("optional", when=always)
    text = refused(sequence(optional, needing("optional")), MissingInputError)
    assert "maybe(optional)" in text
    check(sequence(optional, step(needs=(maybe(optional),), name="last")(_body)))


async def _body(context: Context[object]) -> None:
    return None


@pytest.mark.parametrize(
    "around",
    [
        sequence(gives("x", when=always), name="around"),
        route(lambda context: "a", a=gives("x", when=always), b=words, name="around"),
        cascade(words, gives("x", when=always), accept=always, name="around"),
        repeat(gives("x", when=always), until=always, max_rounds=1, name="around"),
        child(gives("x", when=always), name="around"),
    ],
    ids=["sequence", "route", "cascade", "repeat", "child"],
)
def test_a_node_whose_value_is_that_of_an_uncertain_part_is_uncertain(
    around: AnyWorkflow,
) -> None:
    refused(sequence(around, needing("around")), MissingInputError)
    check(sequence(around, step(needs=(maybe("around"),), name="last")(_body)))


@pytest.mark.parametrize(
    "around",
    [
        parallel(gives("x", when=always), name="around"),
        each(gives("x", when=always), over=lambda context: (1,), name="around"),
        cascade(gives("x", when=always), words, accept=always, name="around"),
    ],
    ids=["parallel", "each", "cascade"],
)
def test_a_node_that_has_a_value_in_any_case_is_certain(around: AnyWorkflow) -> None:
    check(sequence(around, needing("around")))


def test_a_branch_that_does_not_always_run_may_be_needed_only_inside() -> None:
    inner = sequence(extract, respond)
    check(route(lambda context: "a", a=inner, b=words))


def test_a_name_is_written_once_in_a_scope() -> None:
    text = refused(sequence(extract, words, extract), DuplicateNameError)
    assert ".named('extract_2')" in text
    check(sequence(extract, words, extract.named("extract_2")))


def test_a_branch_does_not_hide_a_name_of_the_scope_around_it() -> None:
    inner = sequence(words, extract, name="inner")
    refused(sequence(extract, parallel(inner)), DuplicateNameError)


def test_branches_may_use_the_same_name_side_by_side() -> None:
    check(parallel(a=sequence(extract, words), b=sequence(extract, words)))


def test_a_sequence_cannot_have_the_name_of_one_of_its_parts() -> None:
    inner = sequence(extract, words, name="extract")
    refused(sequence(inner, respond), DuplicateNameError)


def test_two_tiers_of_one_name_are_refused() -> None:
    refused(cascade(extract, extract, accept=always), DuplicateNameError)


def test_two_nodes_of_one_path_are_refused() -> None:
    twins = route(lambda context: "pick", pick=extract, other=extract, name="pick")
    assert "the path of two nodes" in refused(twins, DuplicateNameError)


def test_two_branches_of_one_label_are_refused_when_they_are_written() -> None:
    with pytest.raises(ConfigError, match="two branches are called 'extract'"):
        parallel(extract, extract)


def test_steps_that_take_different_inputs_are_refused() -> None:
    text = refused(sequence(extract, of_reply), TypeMismatchError)
    assert text.startswith("of_reply: takes Reply as its input, but another step")
    assert "takes str" in text


def test_the_input_type_is_the_narrowest_that_any_step_declares() -> None:
    assert check(sequence(gives("any"), extract)).input_type is str


def test_a_need_by_a_node_of_another_type_than_the_one_in_scope_is_refused() -> None:
    renamed = words.named("extract")
    assert "gives Extraction" in refused(sequence(renamed, respond), TypeMismatchError)


def test_a_child_is_given_the_input_that_it_takes() -> None:
    check(sequence(extract, respond, child(of_reply, input=respond, name="in")))
    text = refused(
        sequence(extract, child(of_reply, input="extract", name="in")),
        TypeMismatchError,
    )
    assert text == "in: takes Reply as its input, but is given Extraction"


def test_the_annotation_of_a_childs_input_function_counts() -> None:
    def make(context: Context[str]) -> Extraction:
        return Extraction(context.input)

    refused(
        child(of_reply, input=cast("Callable[[Context[str]], Reply]", make), name="in"),
        TypeMismatchError,
    )


def test_a_child_without_an_input_of_its_own_takes_that_around_it() -> None:
    refused(sequence(extract, child(of_reply, name="in")), TypeMismatchError)
    assert check(sequence(words, child(extract, name="in"))).input_type is str


@pytest.mark.parametrize("kind", [str, Mapping, frozenset, int, Extraction])
def test_each_over_what_is_no_list_is_refused(kind: type) -> None:
    @step(output=kind)
    async def made(context: Context[str]):  # type: ignore[no-untyped-def]
        return kind

    text = refused(sequence(made, each(words, over="made")), TypeMismatchError)
    assert text.startswith(f"each: goes over 'made', which gives {kind.__name__}")


def test_each_over_a_function_that_declares_no_list_is_refused() -> None:
    def items(context: Context[str]) -> str:
        return context.input

    assert "gives: str" in refused(each(words, over=items), TypeMismatchError)


def test_until_is_asked_about_what_the_body_gives() -> None:
    def good(value: Reply) -> bool:
        return bool(value.text)

    asked = cast("Callable[[Extraction], bool]", good)
    loop = repeat(extract, until=asked, max_rounds=2)
    text = refused(loop, TypeMismatchError)
    assert text == "repeat: until takes Reply, but is asked about Extraction"


def test_accept_is_asked_about_what_the_tiers_before_the_last_give() -> None:
    def good(value: Extraction) -> bool:
        return bool(value.topic)

    check(cascade(extract, words, accept=good))
    refused(cascade(words, extract, accept=good), TypeMismatchError)


def test_the_default_of_a_pause_has_its_type() -> None:
    wrong = pause("ask", output=int, timeout=1.0, default="no")
    assert "its default is a str" in refused(wrong, TypeMismatchError)


class Lengths:
    labels = ("simple", "complex")

    def decide(self, context: Context[object], /) -> str:
        return "simple"


def test_a_branch_that_the_policy_never_chooses_is_refused() -> None:
    split = route(Lengths(), simple=extract, complex=words, other=extract)
    text = refused(split, UnreachableBranchError)
    assert text == (
        "route: the policy never chooses 'other'; it chooses among 'simple', 'complex'"
    )


def test_a_label_without_a_branch_is_refused() -> None:
    assert "'complex'" in refused(route(Lengths(), simple=extract), UnknownStepError)


def test_a_quorum_that_cannot_be_met_is_refused() -> None:
    text = refused(parallel(extract, words, join=quorum(3)), UnreachableBranchError)
    assert "a quorum of 3 cannot be met by 2 branches" in text


def test_a_loop_without_a_bound_is_refused() -> None:
    text = refused(sequence(words, repeat(extract, until=always)), UnboundedLoopError)
    assert text.startswith("repeat: ")


def items(context: Context[object]) -> tuple[int, ...]:
    return (1, 2)


def test_nested_fan_outs_multiply_and_are_refused_over_a_stated_size() -> None:
    inner = each(extract, over=items, max_concurrent=1_000)
    outer = each(inner, over=items, max_concurrent=101, name="outer")
    assert "101,000 messages" in refused(outer, TooLargeError)
    check(each(inner, over=items, max_concurrent=100, name="outer"))


def test_an_each_in_a_repeat_in_an_each_has_room_for_all_of_its_messages() -> None:
    inner = each(extract, over=items, max_concurrent=3)
    loop = repeat(inner, until=always, max_rounds=9)
    plan = check(each(loop, over=items, max_concurrent=4, name="outer"))
    sizes = {node.node.name: node.multiplicity for node in plan.root.walk()}
    assert sizes == {"outer": 1, "repeat": 4, "each": 4, "extract": 12}


def test_nodes_nested_too_deep_are_refused() -> None:
    def nested(depth: int) -> AnyWorkflow:
        node: AnyWorkflow = extract
        for index in range(depth):
            node = sequence(node, name=f"s{index}")
        return node

    check(nested(MAX_DEPTH))
    refused(nested(MAX_DEPTH + 1), TooLargeError)


def test_a_name_that_could_not_stand_in_a_path_is_refused() -> None:
    for name in ("", "a/b", "a#b", "original_input"):
        with pytest.raises(ConfigError, match="cannot be named"):
            extract.named(name)
        with pytest.raises(ConfigError, match="cannot be named"):
            side_by_side({name: extract})


def test_the_dependencies_that_steps_declare_are_gathered_from_children_too() -> None:
    from_child = check(sequence(extract, child(words, name="in"))).deps_types
    assert from_child == ()


class SeesAll:
    def __init__(self, name: str) -> None:
        self.name = name

    async def execute(self, state: OrchestrationState) -> OrchestrationState:
        return state

    def should_execute(self, state: OrchestrationState) -> bool:
        return True


@pytest.mark.parametrize("shape", ["chain", "pairs", "routes", "objects", "tiers"])
def test_ten_thousand_nodes_check_in_less_than_a_second(shape: str) -> None:
    count = 10_000
    one = gives("one")
    steps = [one.named(f"s{index}") for index in range(count)]
    workflow: AnyWorkflow
    match shape:
        case "chain":
            workflow = sequence(
                steps[0],
                *(
                    msgspec.structs.replace(after, needs=(before,))
                    for before, after in itertools.pairwise(steps)
                ),
            )
        case "pairs":
            workflow = sequence(
                *(
                    parallel(steps[index], steps[index + 1], name=f"p{index}")
                    for index in range(0, count, 2)
                )
            )
        case "routes":
            workflow = sequence(
                *(
                    route(lambda context: "a", a=step_, name=f"r{index}")
                    for index, step_ in enumerate(steps[: count // 2])
                )
            )
        case "objects":
            workflow = sequence(*(SeesAll(f"o{index}") for index in range(count)))
        case _:
            workflow = cascade(*steps, accept=always)
    started = time.process_time()
    check(workflow)
    assert time.process_time() - started < 1.0
