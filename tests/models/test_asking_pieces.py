"""One logical call: what is shown of it, what is waited for, and what always holds."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from asking_probe import ASK, QUICK, answered, probe, texts
from call_probe import PRICE, Scope, gate
from gated_probe import Say, Told, fails
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.budgets import RunBudget
from understudy.gates.limits import Limits
from understudy.models.asking import Asking, ModelDelta
from understudy.testing import run_seeded, seeds
from understudy_protocols.budget import Budget
from understudy_protocols.chat import Finish, ModelReply, ModelRequest
from understudy_protocols.failures import Cause, ModelError, StepError
from understudy_protocols.retry import RetryConfig
from understudy_protocols.usage import Usage

# --- pieces


def test_pieces_are_numbered_through_the_call() -> None:
    scope = probe()
    model = Told(Say("a !"), Say("b c"))
    assert isinstance(answered([model], scope, shown=True), ModelReply)
    numbers = [piece.seq for piece in scope.shown if isinstance(piece, ModelDelta)]
    assert numbers == [1, 2, 3]


def test_restarted_is_said_only_of_what_was_shown() -> None:
    """And once: a failure with nothing shown since says nothing new."""
    scope = probe()
    model = Told(Say("a !"), fails(Cause.SERVER), Say("b"))
    assert isinstance(answered([model], scope, shown=True), ModelReply)
    assert texts(scope) == ["a", "|", "b"]
    scope = probe()
    model = Told(fails(Cause.SERVER), Say("b"))
    assert isinstance(answered([model], scope, shown=True), ModelReply)
    assert texts(scope) == ["b"]


def test_a_second_question_of_a_call_makes_the_first_answer_void() -> None:
    scope, model = probe(), Told(Say("a"), Say("b"))

    async def main() -> None:
        asking = Asking([model], scope, shown=True)
        await asking.answer(ASK)
        await asking.answer(ASK)

    run_seeded(main, seed=0)
    assert texts(scope) == ["a", "|", "b"]


def test_a_stream_that_ends_without_its_end_is_no_answer() -> None:
    scope, model = probe(RetryConfig(max_attempts=1)), Told(Say("a b ."))
    error = answered([model], scope, shown=True)
    assert isinstance(error, ModelError)
    assert (error.cause, error.partial) == (Cause.TRANSPORT, "ab")


def test_what_was_shown_of_a_stream_that_took_too_long_is_kept() -> None:
    scope = probe(RetryConfig(max_attempts=1, timeout_seconds=0.25))
    model = Told(Say("a b c d"))
    error = answered([model], scope, shown=True)
    assert isinstance(error, ModelError)
    assert (error.cause, error.partial) == (Cause.TIMEOUT, "ab")
    assert scope.spent[0].estimated


# --- waits are seen, and budgets are never passed


def test_every_wait_at_a_gate_is_said_with_its_reason_and_length() -> None:
    through = gate(limits=Limits(requests_per_minute=6))
    model, scope = Told(Say("yes"), through=through), probe()

    async def main() -> None:
        for _ in range(7):
            await Asking([model], scope).answer(ASK)

    run_seeded(main, seed=0)
    assert scope.waits == ["the gate of m: its rate limit, 10 s"]
    assert model.sent[-1].at == pytest.approx(10)


def test_the_time_of_a_wait_for_the_permit_is_not_the_models() -> None:
    """A gate that took it for slowness would let fewer and fewer in."""
    through = gate(limits=Limits(requests_per_minute=1))
    model, began = Told(Say("yes"), through=through), list[float]()

    class Slow(Scope):
        @asynccontextmanager
        async def waiting(self, why: str) -> AsyncGenerator[None]:
            async with super().waiting(why):
                yield
                await trio.sleep(7)  # the permit is long in coming

    async def complete(request: ModelRequest) -> ModelReply:
        began.extend(ticket.began for ticket in through._under_way)
        return Say("yes").reply()

    async def main() -> None:
        budget = RunBudget(Budget())
        await Asking([model], Scope(budget, QUICK)).answer(ASK)
        await trio.sleep(40)
        model.complete = complete  # type: ignore[method-assign]
        await Asking([model], Slow(budget, QUICK)).answer(ASK)

    run_seeded(main, seed=0)
    assert began == [pytest.approx(67)]


def test_the_time_that_a_slow_reader_takes_is_not_the_models() -> None:
    model = Told(Say("a b"))

    class Slow(Scope):
        async def show(self, value: object) -> None:
            await trio.sleep(50)

    async def main() -> None:
        quick, retry = probe(), RetryConfig(timeout_seconds=1)
        for _ in range(30):
            await Asking([model], quick, shown=True).answer(ASK)
        limit = model.gate.limit
        for _ in range(5):
            slow = Slow(RunBudget(Budget()), retry)
            await Asking([model], slow, shown=True).answer(ASK)
        assert model.gate.limit == limit

    run_seeded(main, seed=0)


def test_a_model_that_is_late_between_two_slow_pieces_is_late() -> None:
    model = Told(Say("a b c d e f"))

    class Slow(Scope):
        async def show(self, value: object) -> None:
            await trio.sleep(50)

    async def main() -> None:
        scope = Slow(
            RunBudget(Budget()), RetryConfig(max_attempts=1, timeout_seconds=0.35)
        )
        with pytest.raises(ModelError) as caught:
            await Asking([model], scope, shown=True).answer(ASK)
        assert caught.value.partial == "abc"
        assert trio.current_time() == pytest.approx(150.35)

    run_seeded(main, seed=0)


_CAUSES = st.sampled_from(
    [Cause.SERVER, Cause.RATE_LIMIT, Cause.TRANSPORT, Cause.QUOTA, Cause.MALFORMED]
)
_says = st.one_of(
    st.just(Say("yes")),
    st.builds(Say, what=st.just("yes"), after=st.sampled_from([0.5, 3.0, 9.0])),
    st.builds(Say, what=st.sampled_from([Finish.REFUSED, Finish.TRUNCATED])),
    st.builds(fails, _CAUSES, st.just(0.5), st.sampled_from([None, 1.0, 50.0])),
)
_models = st.lists(
    st.tuples(
        st.lists(_says, min_size=1, max_size=4),
        st.sampled_from([None, None, 1.0]),
        st.sampled_from([1, 64]),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(
    given_models=_models,
    calls=st.integers(1, 6),
    cap=st.sampled_from([76, 200, 400, 10_000]),
    seed=seeds(),
)
def test_whatever_happens_budgets_hold_and_all_is_settled(
    given_models: list[tuple[list[Say], float | None, int]],
    calls: int,
    cap: int,
    seed: int,
) -> None:
    budget = RunBudget(Budget(tokens=cap, usd=1))

    async def main() -> None:
        models = [
            Told(
                *says,
                name=f"m{place}",
                hedge_after=hedge,
                through=gate(f"m{place}", Limits(max_concurrent=most)),
            )
            for place, (says, hedge, most) in enumerate(given_models)
        ]
        scopes: list[Scope] = []

        async def call(number: int) -> None:
            scope = Scope(budget, RetryConfig(timeout_seconds=5), deadline=60)
            scopes.append(scope)
            with trio.move_on_after(20 if number % 3 == 2 else math.inf):
                with suppress(StepError):
                    await Asking(models, scope, shown=number % 4 == 1).answer(ASK)

        async with trio.open_nursery() as nursery:
            for number in range(calls):
                nursery.start_soon(call, number)
        spent = sum((used for scope in scopes for used in scope.spent), Usage())
        sent = sum(len(model.sent) for model in models)
        assert budget.spent == spent
        assert spent.tokens <= cap
        # A reservation that was never sent counts no call.
        assert spent.calls == sent
        assert spent.cost_micros == PRICE.cost(spent)
        for scope in scopes:
            assert (scope.holds, scope.outside) == ([], 0)
        for model in models:
            assert (model.gate.under_way, model.under_way) == (0, 0)

    run_seeded(main, seed=seed)
    assert len(budget.ledger.open) == 0
