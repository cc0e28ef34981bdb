"""A journaled function that has finished is not run again in its run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from understudy import (
    Attempt,
    Cause,
    Context,
    ModelReply,
    ModelRequest,
    RetryConfig,
    RunResult,
    Runtime,
    Workflow,
    each,
    sequence,
    step,
)
from understudy.models import FunctionCall, FunctionError, ScriptedModel, journaled
from understudy.models.conversation import converse
from understudy.models.functions import ModelFunction
from understudy.result import StepResult
from understudy.testing import run_seeded
from understudy.workflows.step import stateful_step
from understudy_protocols.chat import Finish, ToolRequestPart, ToolResultPart

QUICK = RetryConfig(max_attempts=3, backoff_base=0.0, retry_on={Cause.TRANSPORT})
seeded = pytest.mark.parametrize("seed", range(4))
Body = Callable[[Attempt[object]], Awaitable[str]]


@attrs.define
class Till:
    """What was paid, seen from outside.

    Attributes:
      began, paid: the keys of the calls, in order.
      takes: how long a payment takes; seconds, for the first, the second, ...
    """

    takes: list[float] = attrs.field(factory=list[float])
    began: list[str] = attrs.field(factory=list[str])
    paid: list[str] = attrs.field(factory=list[str])

    def function(self) -> ModelFunction:
        """Return the function that pays."""

        async def pay(amount: int, call: FunctionCall) -> str:
            self.began.append(call.key)
            await trio.sleep(self.takes.pop(0) if self.takes else 0)
            self.paid.append(call.key)
            if amount < 0:
                raise FunctionError("give more than nothing")
            return f"paid {amount}"

        return journaled(pay)


def asks(*amounts: int) -> ModelReply:
    """Return a reply that asks for payments."""
    parts = tuple(
        ToolRequestPart(f"id{place}", "pay", f'{{"amount": {amount}}}')
        for place, amount in enumerate(amounts)
    )
    return ModelReply("", finish=Finish.TOOL_REQUEST, parts=parts)


def told(request: ModelRequest) -> list[str]:
    """Return what a model was told that functions returned."""
    parts = [part for message in request.messages for part in message.parts]
    return [part.text for part in parts if isinstance(part, ToolResultPart)]


def asking(*amounts: int) -> ScriptedModel:
    """Return a model that asks once for these, and then answers by what it is told."""
    return ScriptedModel(
        lambda request: "; ".join(told(request)) or asks(*amounts), latency=1.0
    )


def once_more(till: Till, *errors: Exception) -> Workflow[str, str, object]:
    """Return a step that fails with each of *errors* after the model's answer."""
    left, function = list(errors), till.function()

    @step(retry=QUICK)
    async def talking(context: Context[str], attempt: Attempt[object]) -> str:
        talked = await converse(attempt.models["m"], context.input, [function])
        if left:
            raise left.pop(0)
        return talked.text

    return talking


def ran(
    workflow: Workflow[str, str, object], model: ScriptedModel, seed: int = 0
) -> RunResult[str]:
    async def main() -> RunResult[str]:
        async with Runtime(workflow, models={"m": model}) as runtime:
            return await runtime.run(workflow, "pay", run_id="r")

    return run_seeded(main, seed=seed)


def payments(result: RunResult[str]) -> list[StepResult]:
    return [one for one in result.steps if one.path.endswith("/pay")]


@seeded
def test_when_the_body_runs_again_the_model_is_told_the_same(seed: int) -> None:
    till, model = Till(takes=[2.0]), asking(5)
    result = ran(once_more(till, ConnectionError("a"), ConnectionError("b")), model)
    assert result.value == "paid 5"
    assert len(till.paid) == 1
    assert [told(request) for request in model.requests] == [[], ["paid 5"]] * 3
    assert result.steps[-1].number == 3
    assert result.attempts == 3
    (paid,) = payments(result)
    assert paid == StepResult(
        path="talking/pay",
        position="1/1",
        status="completed",
        started=1.0,
        ended=3.0,
        number=0,
        attempts=(),
        usage=paid.usage,
        failure=None,
        value="paid 5",
    )
    assert paid.usage.calls == 0
    assert result.steps[-1].path == "talking"
    assert result.steps[-1].value is None


def test_what_the_function_told_was_wrong_is_kept_as_well() -> None:
    till = Till()
    result = ran(once_more(till, ConnectionError("x")), asking(-5))
    assert result.value == "give more than nothing"
    assert len(till.paid) == 1
    (refused,) = payments(result)
    assert (refused.status, refused.value) == ("failed", None)
    assert str(refused.failure) == "talking/pay: give more than nothing (step_error)"


@seeded
def test_a_worker_that_is_replaced_does_not_run_it_again(seed: int) -> None:
    till, lives = Till(), list[int]()
    function = till.function()

    class Talking:
        def __init__(self) -> None:
            lives.append(1)

        async def execute(
            self, context: Context[object], attempt: Attempt[object]
        ) -> str:
            talked = await converse(attempt.models["m"], "pay", [function])
            if len(lives) < 3:
                raise ConnectionError("the connection of this worker is gone")
            return talked.text

    made = stateful_step(
        Talking, name="talking", output=str, restart_on=(OSError,), retry=QUICK
    )
    result = ran(made, asking(5), seed)
    assert result.value == "paid 5"
    assert len(lives) == 3
    assert len(till.paid) == len(payments(result)) == 1


@seeded
def test_a_call_that_was_cut_is_made_again_under_its_key(seed: int) -> None:
    till, function = Till(takes=[99.0, 99.0, 1.0]), Till.function

    retry = RetryConfig(max_attempts=3, backoff_base=0.0, timeout_seconds=5.0)
    pay = function(till)

    @step(retry=retry)
    async def talking(context: Context[str], attempt: Attempt[object]) -> str:
        return (await converse(attempt.models["m"], context.input, [pay])).text

    result = ran(talking, asking(5), seed)
    assert result.value == "paid 5"
    assert len(till.began) == 3
    assert len(set(till.began)) == len(till.paid) == len(payments(result)) == 1


def test_what_has_finished_beside_one_that_was_cut_stays_so() -> None:
    till = Till(takes=[1.0, 99.0])
    pay = till.function()

    @step(retry=RetryConfig(max_attempts=2, backoff_base=0.0, timeout_seconds=5.0))
    async def talking(context: Context[str], attempt: Attempt[object]) -> str:
        return (await converse(attempt.models["m"], context.input, [pay])).text

    result = ran(talking, asking(5, 6))
    assert result.value == "paid 5; paid 6"
    first, second, again = till.began
    assert (first != second, second == again) == (True, True)
    assert [one.position for one in payments(result)] == ["1/1", "1/2"]


def test_an_exception_is_no_outcome() -> None:
    keys: list[str] = []

    @journaled
    async def look_up(call: FunctionCall) -> str:
        keys.append(call.key)
        if len(keys) == 1:
            raise ConnectionError("the table is away")
        return "found"

    def say(request: ModelRequest) -> object:
        ask = ToolRequestPart("a", "look_up", "")
        return "; ".join(told(request)) or ModelReply(
            "", finish=Finish.TOOL_REQUEST, parts=(ask,)
        )

    @step(retry=QUICK)
    async def talking(context: Context[str], attempt: Attempt[object]) -> str:
        return (await converse(attempt.models["m"], context.input, [look_up])).text

    result = ran(talking, ScriptedModel(say))
    assert result.value == "found"
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert [one.value for one in result.steps] == ["found", None]


@pytest.mark.parametrize("second", [asks(6), asks(6, 5)])
def test_another_call_at_the_same_place_is_another_call(second: ModelReply) -> None:
    till = Till()
    model = ScriptedModel([asks(5), "one", second, "two"])
    result = ran(once_more(till, ConnectionError("x")), model)
    assert result.value == "two"
    assert len(till.paid) == len(set(till.paid)) == 1 + len(second.parts)


def test_the_same_arguments_written_otherwise_are_the_same() -> None:
    till = Till()
    spaced = ToolRequestPart("other", "pay", '{ "amount":5 }')
    again = ModelReply("", finish=Finish.TOOL_REQUEST, parts=(spaced,))
    model = ScriptedModel([asks(5), "one", again, "two"])
    result = ran(once_more(till, ConnectionError("x")), model)
    assert result.value == "two"
    assert len(till.paid) == 1
    last = model.requests[-1].messages[-1].parts
    assert last == (ToolResultPart("other", "paid 5"),)


def test_two_conversations_of_one_body_have_nothing_in_common() -> None:
    till = Till()
    pay = till.function()

    @step(retry=QUICK)
    async def talking(context: Context[str], attempt: Attempt[object]) -> str:
        said = [await converse(attempt.models["m"], "pay", [pay]) for _ in range(2)]
        if attempt.number == 1:
            raise ConnectionError("x")
        return " and ".join(one.text for one in said)

    result = ran(talking, asking(5))
    assert result.value == "paid 5 and paid 5"
    assert len(till.paid) == len(set(till.paid)) == 2


def test_each_item_has_its_own_calls() -> None:
    till = Till()

    @step
    async def items(context: Context[str]) -> tuple[int, ...]:
        return (1, 2, 3)

    @step(needs=(items,))
    async def joined(context: Context[str]) -> str:
        return "done"

    talking = once_more(till, ConnectionError("x"))
    result = ran(sequence(items, each(talking, over=items), joined), asking(5))
    assert result.value == "done"
    assert len(till.paid) == len(set(till.paid)) == 3
    positions = sorted(one.position for one in payments(result))
    assert positions == ["0/1/1", "1/1/1", "2/1/1"]


def test_another_run_pays_again() -> None:
    till, model = Till(), asking(5)
    workflow = once_more(till)

    async def main() -> list[str]:
        async with Runtime(workflow, models={"m": model}) as runtime:
            return [(await runtime.run(workflow, "pay")).value for _ in range(2)]

    assert run_seeded(main, seed=0) == ["paid 5"] * 2
    assert len(set(till.paid)) == 2


@given(
    amounts=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    takes=st.lists(st.sampled_from([0.0, 1.0, 2.0, 9.0]), max_size=8),
    errors=st.integers(0, 2),
    seed=st.integers(0, 1_000),
)
def test_however_often_a_body_runs_nothing_that_has_finished_is_done_twice(
    amounts: list[int], takes: list[float], errors: int, seed: int
) -> None:
    till = Till(takes=takes)
    pay, left = till.function(), [ConnectionError("x") for _ in range(errors)]
    # A cut comes at the very moment at which some payments are done.
    retry = RetryConfig(max_attempts=3, backoff_base=0.0, timeout_seconds=2.0)

    @step(retry=retry)
    async def talking(context: Context[str], attempt: Attempt[object]) -> str:
        talked = await converse(attempt.models["m"], context.input, [pay])
        if left:
            raise left.pop()
        return talked.text

    result = ran(talking, asking(*amounts), seed)
    assert max(Counter(till.paid).values(), default=0) <= 1
    assert len(payments(result)) == len(till.paid)
    if result.ok:
        assert len(till.paid) == len(amounts)
