"""One logical call: attempts, waits, models that stand in, and what all of it cost."""

from __future__ import annotations

import math

import pytest
import trio
from asking_probe import ASK, WORST, answered, probe, texts
from call_probe import Scope, gate
from gated_probe import Say, Told, fails

from understudy.budgets import RunBudget
from understudy.gates.gate import Account, Gate
from understudy.gates.limits import Limits
from understudy.gates.lock import Lock
from understudy.gates.retry_budget import RetryBudget
from understudy.models.asking import Asking, Restarted
from understudy.models.bound import BoundModels
from understudy.models.registry import UnknownModelError
from understudy.models.settling import need_of
from understudy.testing import run_seeded
from understudy_protocols.budget import Budget, BudgetExceededError
from understudy_protocols.chat import (
    Finish,
    Message,
    ModelReply,
    ModelRequest,
    ReasoningPart,
    ToolRequestPart,
    ToolResultPart,
)
from understudy_protocols.failures import Cause, ModelError
from understudy_protocols.retry import RetryConfig
from understudy_protocols.usage import Usage

# --- attempts


def test_the_first_answer_is_the_answer() -> None:
    model, scope = Told(Say("yes")), probe()
    reply = answered([model], scope)
    assert isinstance(reply, ModelReply)
    assert len(model.sent) == 1
    assert scope.spent == [
        Usage(calls=1, input_tokens=3, output_tokens=2, cost_micros=7)
    ]


@pytest.mark.parametrize(
    "cause", [Cause.SERVER, Cause.TRANSPORT, Cause.TIMEOUT, Cause.CONFLICT]
)
def test_what_can_succeed_is_tried_again_with_the_same_key(cause: Cause) -> None:
    model, scope = Told(fails(cause), fails(cause), Say("yes")), probe()
    assert isinstance(answered([model], scope), ModelReply)
    assert [sent.request.key for sent in model.sent] == ["call/1"] * 3
    assert [failure.cause for failure in scope.failures] == [cause] * 2
    assert scope.number == 3


@pytest.mark.parametrize(
    "cause",
    [Cause.AUTH, Cause.QUOTA, Cause.BAD_REQUEST, Cause.MODEL_GONE, Cause.REFUSED],
)
def test_what_cannot_succeed_is_not_tried_again(cause: Cause) -> None:
    model, scope = Told(fails(cause)), probe()
    error = answered([model], scope)
    assert isinstance(error, ModelError)
    assert error.cause is cause
    assert len(model.sent) == 1


def test_nothing_is_sent_after_the_last_word() -> None:
    model, scope = Told(fails(Cause.SERVER)), probe()
    assert isinstance(answered([model], scope), ModelError)
    assert len(model.sent) == 3
    assert len(scope.failures) == 3


def test_the_wait_of_retry_after_is_kept_by_the_call_and_by_the_gate() -> None:
    model = Told(fails(Cause.RATE_LIMIT, retry_after=7.0), Say("yes"))
    scope = probe()
    assert isinstance(answered([model], scope), ModelReply)
    assert [sent.at for sent in model.sent] == [0, pytest.approx(7)]
    assert scope.waits[0] == "rate_limit: backoff, 7 s"


def test_a_retry_after_beyond_the_longest_wait_is_not_slept_through() -> None:
    model, scope = Told(fails(Cause.RATE_LIMIT, retry_after=45.0)), probe()

    async def main() -> None:
        with pytest.raises(ModelError) as caught:
            await Asking([model], scope).answer(ASK)
        assert trio.current_time() == 0
        assert (caught.value.cause, caught.value.retry_after) == (Cause.RATE_LIMIT, 45)
        # And nobody after it waits either.
        with pytest.raises(ModelError) as caught:
            await Asking([model], scope).answer(ASK)
        assert trio.current_time() == 0
        assert (caught.value.cause, caught.value.retry_after) == (Cause.RATE_LIMIT, 45)

    run_seeded(main, seed=0)
    assert len(model.sent) == 1


def test_no_backoff_goes_beyond_the_deadline() -> None:
    model = Told(fails(Cause.SERVER))
    scope = probe(RetryConfig(backoff_base=4.0, max_attempts=5), deadline=10)
    assert isinstance(answered([model], scope), ModelError)
    assert [sent.at for sent in model.sent] == [0, 1, 5]


def test_an_answer_that_takes_too_long_is_given_up_and_charged_at_its_worst() -> None:
    model = Told(Say("late", after=9))
    scope = probe(RetryConfig(max_attempts=1, timeout_seconds=2))
    error = answered([model], scope)
    assert isinstance(error, ModelError)
    assert error.cause is Cause.TIMEOUT
    assert model.cut == 1
    (used,) = scope.spent
    assert (used.tokens, used.estimated) == (WORST, True)


@pytest.mark.parametrize("finish", [Finish.REFUSED, Finish.TRUNCATED, Finish.FILTERED])
def test_a_reply_that_cannot_be_used_is_a_failure_that_was_paid_for(
    finish: Finish,
) -> None:
    model, scope = Told(Say(finish)), probe()
    error = answered([model], scope)
    assert isinstance(error, ModelError)
    assert error.cause is finish.cause
    assert error.partial == "no"
    assert scope.spent[0].tokens == 5


def test_what_an_adapter_lets_out_is_a_failure_of_the_model() -> None:
    model, scope = Told(Say(KeyError("text"))), probe()
    error = answered([model], scope)
    assert isinstance(error, ModelError)
    assert error.cause is Cause.STEP_ERROR
    assert isinstance(error.__cause__, KeyError)


def test_a_request_that_was_never_sent_costs_nothing() -> None:
    never = ModelError("no way there", cause=Cause.TRANSPORT, usage=Usage())
    model, scope = Told(Say(never), Say("yes")), probe()
    assert isinstance(answered([model], scope), ModelReply)
    assert [used.calls for used in scope.spent] == [0, 1]


@pytest.mark.parametrize(
    ("cause", "worst"),
    [
        (Cause.TRANSPORT, True),
        (Cause.SERVER, True),
        (Cause.MALFORMED, True),
        (Cause.CONFLICT, True),
        (Cause.RATE_LIMIT, False),
        (Cause.BAD_REQUEST, False),
    ],
)
def test_a_failure_is_charged_at_its_worst_if_the_work_may_have_been_done(
    cause: Cause, worst: bool
) -> None:
    model, scope = Told(fails(cause)), probe(RetryConfig(max_attempts=1))
    assert isinstance(answered([model], scope), ModelError)
    (used,) = scope.spent
    assert (used.tokens, used.estimated) == ((WORST, True) if worst else (0, False))


# --- the account's retries


def account(retries: RetryBudget) -> Gate:
    return Gate(
        "m",
        Limits(),
        host=Lock(Cause.TRANSPORT),
        key=Lock(Cause.AUTH),
        account=Account(retries, RetryBudget()),
    )


def test_the_retries_of_an_account_are_a_share_of_its_first_requests() -> None:
    """A retry earns no other one."""
    retries = RetryBudget(share=0.5, reserve=1)
    model = Told(fails(Cause.CONFLICT), through=account(retries))
    for _ in range(20):
        answered([model], probe())
    assert len(model.sent) == 20 + 1 + 9  # the reserve, and a half of those that come


def test_a_model_that_stands_in_is_no_retry() -> None:
    retries = RetryBudget(share=0, reserve=0)
    models = [Told(fails(Cause.SERVER), through=account(retries)), Told(Say("yes"))]
    assert isinstance(answered(models, probe()), ModelReply)


def test_what_tools_and_thoughts_say_counts_for_the_rate_limit() -> None:
    said = (ReasoningPart("hm" * 200), ToolRequestPart("1", "look", "{}"))
    told = ToolResultPart("1", "word " * 400)
    turns = [Message("assistant", said), Message("tool", (told,))]
    assert need_of(ModelRequest(turns, max_tokens=7)).tokens > 600 + 7


# --- models that stand in


def test_the_next_model_is_asked_when_this_one_has_failed_for_good() -> None:
    first, second, third = (
        Told(fails(Cause.SERVER), name="a"),
        Told(fails(Cause.QUOTA), name="b"),
        Told(Say("yes"), name="c"),
    )
    scope = probe()
    assert isinstance(answered([first, second, third], scope), ModelReply)
    assert [len(model.sent) for model in (first, second, third)] == [3, 1, 1]
    assert [failure.where for failure in scope.failures] == ["a", "a", "a", "b"]


def test_each_model_that_stands_in_gets_one_try() -> None:
    models = [Told(fails(Cause.SERVER), name=name) for name in "abc"]
    scope = probe()
    error = answered(models, scope)
    assert isinstance(error, ModelError)
    assert [len(model.sent) for model in models] == [3, 1, 1]


@pytest.mark.parametrize("cause", [Cause.REFUSED, Cause.BAD_REQUEST])
def test_what_any_model_would_say_is_asked_of_no_other(cause: Cause) -> None:
    models = [Told(fails(cause)), Told(Say("yes"))]
    assert isinstance(answered(models, probe()), ModelError)
    assert models[1].sent == []


def test_a_model_that_cannot_do_it_is_passed_over() -> None:
    models = [
        Told(fails(Cause.QUOTA)),
        Told(Say("small"), fits=lambda request: False),
        Told(Say("yes")),
    ]
    reply = answered(models, probe())
    assert isinstance(reply, ModelReply)
    assert reply.text == "yes"
    assert models[1].sent == []


@pytest.mark.parametrize(
    ("windows", "answer"),
    [
        ((10, 10, 20), "c"),
        ((10, 20, 30), "b"),
        ((10, None, 20), "b"),
        ((None, 5, 20), "b"),
        ((10, 9, 8), ""),
    ],
)
def test_what_was_too_long_for_one_model_goes_to_one_that_may_take_more(
    windows: tuple[int | None, ...], answer: str
) -> None:
    models = [Told(fails(Cause.CONTEXT_TOO_LONG)), Told(Say("b")), Told(Say("c"))]
    for model, window in zip(models, windows, strict=True):
        model.context_window = window
    reply = answered(models, probe())
    if answer:
        assert isinstance(reply, ModelReply)
        assert reply.text == answer
    else:
        assert isinstance(reply, ModelError)
        assert reply.cause is Cause.CONTEXT_TOO_LONG


def test_a_model_whose_gate_is_shut_for_too_long_is_passed_over() -> None:
    shut, scope = gate("shut", Limits(longest_wait=5)), probe()
    models = [
        Told(fails(Cause.QUOTA)),
        Told(Say("late"), through=shut),
        Told(Say("yes")),
    ]

    async def main() -> None:
        ticket = await shut.enter(need_of(ASK), latest=1)
        shut.failed(ticket, Cause.RATE_LIMIT, 6.0, 0)
        reply = await Asking(models, scope).answer(ASK)
        assert reply.text == "yes"
        assert trio.current_time() == 0

    run_seeded(main, seed=0)
    assert models[1].sent == []


def test_a_gate_that_is_shut_for_too_long_is_not_waited_for_if_another_is_open() -> (
    None
):
    first, second = Told(fails(Cause.RATE_LIMIT, retry_after=90.0)), Told(Say("yes"))
    scope = probe(RetryConfig(max_attempts=1))

    async def main() -> None:
        for _ in range(2):
            await Asking([first, second], scope).answer(ASK)
        assert trio.current_time() == 0

    run_seeded(main, seed=0)
    assert (len(first.sent), len(second.sent)) == (1, 2)


def test_a_model_that_the_budget_cannot_pay_is_not_asked() -> None:
    models = [Told(Say("dear"), max_tokens=1000), Told(Say("cheap"))]
    scope = probe(budget=Budget(tokens=100))
    reply = answered(models, scope)
    assert isinstance(reply, ModelReply)
    assert reply.text == "cheap"
    assert models[0].sent == []
    models = [Told(Say("dear"), max_tokens=1000)]
    error = answered(models, probe(budget=Budget(tokens=100)))
    assert isinstance(error, BudgetExceededError)
    assert models[0].sent == []


def test_a_broken_stream_is_given_to_another_model_and_said_to_be_void() -> None:
    models = [Told(Say("a b !")), Told(Say("c d"))]
    scope = probe(RetryConfig(max_attempts=1))
    assert isinstance(answered(models, scope, shown=True), ModelReply)
    assert texts(scope) == ["a", "b", "|", "c", "d"]


def test_a_model_whose_gate_shuts_in_the_last_moment_is_not_asked() -> None:
    """While those who watch are told that what they saw is void."""
    other = Told(Say("c"))

    class Slow(Scope):
        async def show(self, value: object) -> None:
            await super().show(value)
            if isinstance(value, Restarted):
                ticket = await other.gate.enter(need_of(ASK), latest=math.inf)
                other.gate.failed(ticket, Cause.RATE_LIMIT, 90.0, 0)

    async def main() -> None:
        scope = Slow(RunBudget(Budget()), RetryConfig(max_attempts=1))
        with pytest.raises(ModelError) as caught:
            await Asking([Told(Say("a !")), other], scope, shown=True).answer(ASK)
        assert (caught.value.cause, caught.value.retry_after) == (Cause.RATE_LIMIT, 90)

    run_seeded(main, seed=0)
    assert other.sent == []


def test_a_step_can_ask_which_models_there_are() -> None:
    models = BoundModels({"m": Told()}, probe())
    assert "m" in models
    assert "n" not in models
    assert models.get("n") is None
    assert list(models) == ["m"]
    with pytest.raises(UnknownModelError, match="there is no model 'n'; there is 'm'"):
        models["n"]
