"""What the checkers infer for every combinator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

import attrs

from understudy import (
    Attempt,
    Context,
    Decision,
    Outcome,
    Step,
    Workflow,
    all_of,
    best_effort,
    cascade,
    child,
    each,
    first_success,
    maybe,
    parallel,
    pause,
    quorum,
    repeat,
    route,
    sequence,
    stateful_step,
    step,
)
from understudy_protocols.state import OrchestrationState


@attrs.frozen
class Deps:
    name: str


@step
async def split(context: Context[str]) -> tuple[str, ...]:
    return tuple(context.input.split())


@step
async def count(context: Context[str], attempt: Attempt[Deps]) -> int:
    return len(context.input) + len(attempt.deps.name)


@step
async def upper(context: Context[object]) -> str:
    return context.item_as(str).upper()


@step(thread=True)
def blocking(context: Context[str]) -> float:
    return len(context.input) / 2


def long_enough(value: int) -> bool:
    return value > 3


assert_type(split, Step[str, tuple[str, ...], object])
assert_type(blocking, Step[str, float, object])
assert_type(split.named("again"), Step[str, tuple[str, ...], object])

# sequence: the input and dependencies of all, the value of the last
in_order: Workflow[str, int, Deps] = sequence(split, upper, count)
eight: Workflow[str, int, Deps] = sequence(
    split, upper, upper, upper, upper, upper, upper, count
)
many: Workflow[str, object, Deps] = sequence(
    split, upper, upper, upper, upper, upper, upper, upper, upper, count
)

# parallel: values, or outcomes under a tolerant join
both: Workflow[str, Mapping[str, int], Deps] = parallel(count, again=count)
strict: Workflow[str, Mapping[str, int], Deps] = parallel(count, join=all_of())
mild: Workflow[str, Mapping[str, Outcome[int]], Deps] = parallel(
    count, join=best_effort()
)
two_of: Workflow[str, Mapping[str, Outcome[int]], Deps] = parallel(
    a=count, b=count, join=quorum(2)
)
mixed: Workflow[str, Mapping[str, object], Deps] = parallel(split, count)

# each
over_step: Workflow[str, tuple[str, ...], object] = each(upper, over=split)
over_name: Workflow[str, tuple[str, ...], object] = each(upper, over="split")
over_call: Workflow[str, tuple[int, ...], Deps] = each(
    count, over=lambda context: context.input.split()
)
first: Workflow[str, tuple[Outcome[int], ...], Deps] = each(
    count, over=split, join=first_success()
)


# route
def by_length(context: Context[str]) -> str:
    return "short" if len(context.input) < 5 else "long"


async def later(context: Context[str]) -> Decision:
    return Decision(by_length(context))


routed: Workflow[str, int, Deps] = route(by_length, short=count, long=count)
routed_later: Workflow[str, int, Deps] = route(later, short=count)

# cascade, repeat, child, pause
tiers: Workflow[str, int, Deps] = cascade(count, count, accept=long_enough)
loop: Workflow[str, int, Deps] = repeat(count, until=long_enough, max_rounds=3)
inner: Workflow[object, int, Deps] = child(count, input=upper)
around: Workflow[str, int, Deps] = child(count)
made: Workflow[str, int, Deps] = child(count, input=by_length)
asked: Workflow[object, bool, object] = pause("approve", output=bool)
defaulted: Workflow[object, bool, object] = pause(
    "approve", output=bool, timeout=3.0, default=False
)


@step(needs=(split, maybe(count), "upper"))
async def last(context: Context[str]) -> None:
    assert_type(context[split], tuple[str, ...])
    assert_type(context[maybe(count)], int | None)
    assert_type(context["upper"], object)
    assert_type(context.item, object)
    assert_type(context.previous_as(int), int | None)


class Connection:
    async def setup(self) -> None: ...

    async def execute(self, context: Context[object], attempt: Attempt[Deps]) -> str:
        return attempt.deps.name


talk: Workflow[object, str, Deps] = stateful_step(Connection, name="talk", output=str)


class Classify:
    async def execute(self, state: OrchestrationState) -> OrchestrationState:
        return state.with_output("classify", "calm")

    def should_execute(self, state: OrchestrationState) -> bool:
        return "text" in state.inputs


sequence(Classify(), split)
parallel(Classify(), other=Classify())
each(Classify(), over=split)
