"""The router: named routes, chosen by a policy, as a node of a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Never, cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy import (
    Context,
    Decision,
    OrchestrationState,
    RunResult,
    Runtime,
    Workflow,
    sequence,
    step,
)
from understudy.routing.length_tiers import LengthTiers
from understudy.routing.router import Router
from understudy.testing import run_seeded
from understudy_protocols.errors import ConfigError, UnreachableBranchError
from understudy_protocols.failures import Cause, StepError


@attrs.frozen
class Ticket:
    text: str


@step
async def quick(context: Context[Mapping[str, object]]) -> str:
    return "quick"


@step
async def normal(context: Context[Mapping[str, object]]) -> str:
    return "normal"


@step
async def thorough(context: Context[Mapping[str, object]]) -> str:
    return "thorough"


def three_routes() -> Router:
    router = Router()
    router.add_route("simple", quick)
    router.add_route("standard", [normal])
    router.add_route("complex", [normal, thorough])
    return router


def state_of(text: str) -> OrchestrationState:
    return OrchestrationState("t", {"text": text})


def run(workflow: Workflow[Never, object, Never], given: object) -> RunResult[object]:
    hosted = cast("Workflow[object, object, object]", workflow)

    async def main() -> RunResult[object]:
        async with Runtime(hosted) as runtime:
            return await runtime.run(hosted, given)

    return run_seeded(main, seed=1)


@given(
    length=st.integers(0, 3000),
    limits=st.tuples(st.integers(0, 1500), st.integers(0, 1500)).map(sorted),
)
def test_every_length_has_exactly_one_tier_and_the_tiers_are_in_order(
    length: int, limits: list[int]
) -> None:
    tiers = LengthTiers(simple=limits[0], standard=limits[1])
    label = tiers.label_for(length)
    assert (label == "simple") == (length < limits[0])
    assert (label == "complex") == (length >= limits[1])
    order = LengthTiers.labels.index
    assert order(label) <= order(tiers.label_for(length + 1))


@pytest.mark.parametrize(
    ("length", "label"),
    [
        (0, "simple"),
        (99, "simple"),
        (100, "standard"),
        (999, "standard"),
        (1000, "complex"),
    ],
)
def test_the_default_limits_are_100_and_1000_characters(
    length: int, label: str
) -> None:
    assert three_routes().route(state_of("x" * length)) == label


def test_a_run_takes_the_route_and_its_value_is_the_routers() -> None:
    workflow = three_routes().as_workflow()
    for length, value in [(5, "quick"), (500, "normal"), (5000, "thorough")]:
        result = run(workflow, {"text": "x" * length})
        assert result.value == value
        assert result.outputs == {"router": value}


def test_a_router_stands_in_a_sequence_like_any_node() -> None:
    @step(needs=("router",))
    async def after(context: Context[Mapping[str, object]]) -> str:
        return f"after {context['router']}"

    assert run(sequence(three_routes(), after), {"text": "hi"}).value == "after quick"


def test_objects_with_execute_and_should_execute_can_be_a_route() -> None:
    class Shout:
        async def execute(self, state: OrchestrationState) -> OrchestrationState:
            return state.with_output("shout", str(state.inputs["text"]).upper())

        def should_execute(self, state: OrchestrationState) -> bool:
            return True

    router = Router(lambda context: "loud", name="voice")
    router.add_route("loud", [Shout()])
    assert run(router.as_workflow(), {"text": "hi"}).value == "HI"


def test_a_subclass_may_override_route_as_in_older_programs() -> None:
    class ByTopic(Router):
        def route(self, state: OrchestrationState[object]) -> str:
            inputs = cast("Mapping[str, object]", state.inputs)
            return str(inputs["topic"])

    router = ByTopic()
    router.add_route("simple", quick)
    router.add_route("billing", thorough)
    assert run(router.as_workflow(), {"topic": "billing"}).value == "thorough"


def test_the_policy_sees_outputs_made_before() -> None:
    @step
    async def looked(context: Context[Mapping[str, object]]) -> str:
        return "deep"

    router = Router(lambda context: str(context["looked"]))
    router.add_route("deep", thorough)
    assert run(sequence(looked, router), {}).value == "thorough"
    state = OrchestrationState("t", {}, {"looked": "deep"})
    assert router.route(state) == "deep"


def test_the_length_is_recorded_as_the_reason_of_the_decision() -> None:
    state = state_of("four")
    seen: list[Decision] = []

    class Spy(LengthTiers):
        def decide(self, context: Context[object], /) -> Decision:
            seen.append(super().decide(context))
            return seen[-1]

    router = Router(Spy())
    router.add_route("simple", quick)
    router.route(state)
    assert seen == [Decision("simple", {"characters": 4})]
    assert str(seen[0]) == "simple (characters 4)"


def test_text_comes_from_a_mapping_an_attribute_or_is_the_input() -> None:
    router = three_routes()
    for given_input in ({"text": "hi"}, Ticket("hi"), "hi"):
        state: OrchestrationState[object] = OrchestrationState("t", given_input)
        assert router.route(state) == "simple"


@pytest.mark.parametrize("given_input", [{}, {"text": None}, {"text": 7}, 7])
def test_an_input_without_a_text_is_an_error_and_not_a_short_text(
    given_input: object,
) -> None:
    state: OrchestrationState[object] = OrchestrationState("t", given_input)
    with pytest.raises(StepError, match=r"no text 'text' to measure.*field="):
        three_routes().route(state)


def test_a_run_whose_input_has_no_text_fails_and_says_so() -> None:
    failure = run(three_routes().as_workflow(), {"title": "no text"}).failure
    assert failure is not None
    assert failure.cause is Cause.STEP_ERROR
    assert "no text 'text' to measure" in failure.message


def test_routes_that_the_policy_never_chooses_are_refused() -> None:
    router = three_routes()
    router.add_route("huge", quick.named("huge"))
    with pytest.raises(UnreachableBranchError, match="'huge'"):
        Runtime(router.as_workflow())


def test_mistakes_in_adding_routes_are_refused_by_name() -> None:
    router = three_routes()
    with pytest.raises(ConfigError, match="has a route 'simple' already"):
        router.add_route("simple", thorough)
    with pytest.raises(ConfigError, match="'huge' has no step"):
        router.add_route("huge", [])
    assert router.as_workflow() is router.as_workflow()
    with pytest.raises(ConfigError, match="part of a workflow already"):
        router.add_route("late", quick)
    with pytest.raises(ConfigError, match="one branch or more"):
        Router().as_workflow()
    assert list(router.routes) == ["simple", "standard", "complex"]


def test_a_label_without_a_route_is_named_with_those_that_there_are() -> None:
    router = Router(lambda context: "nowhere")
    router.add_route("somewhere", quick)
    with pytest.raises(ConfigError, match=r"'nowhere'.*'somewhere'"):
        router.route(state_of(""))


def test_an_answer_that_is_no_label_is_refused() -> None:
    router = Router(lambda context: 3)  # type: ignore[arg-type, return-value]  # the mistake
    router.add_route("3", quick)
    with pytest.raises(ConfigError, match="gave an int"):
        router.route(state_of(""))


@pytest.mark.parametrize(("simple", "standard"), [(-1, 5), (6, 5)])
def test_limits_out_of_order_are_refused(simple: int, standard: int) -> None:
    with pytest.raises(ConfigError, match="0 <= simple <= standard"):
        LengthTiers(simple=simple, standard=standard)
