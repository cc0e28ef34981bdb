"""Calls that cost: what was put aside is on record before they are made."""

from __future__ import annotations

from itertools import repeat

import pytest
from images import RUN, Filmed, records_of
from journal_lives import Flow, ends, image_at, live

from understudy import (
    Attempt,
    Budget,
    Cause,
    Context,
    ModelError,
    RetryConfig,
    StatefulStep,
    sequence,
    stateful_step,
    step,
)
from understudy.journal.memory import MemoryStore
from understudy.models.scripted import ScriptedModel
from understudy_protocols.chat import Price
from understudy_protocols.records import Reserved

PRICE = Price(1.0, 1.0)


def asks(calls: int, made: list[str]) -> Flow:
    """Return a step that makes some calls, each of ten seconds."""

    async def body(context: Context[object], attempt: Attempt[object]) -> str:
        for _ in range(calls):
            made.append(f"{attempt.key[:4]} {attempt.number}")
            await attempt.models["m"].complete("hello", max_tokens=10)
        return "done"

    return step(name="asks", output=str, retry=RetryConfig(max_attempts=2))(body)


def model(price: Price = PRICE) -> ScriptedModel:
    """Return a model that answers after ten seconds."""
    return ScriptedModel(repeat("yes"), name="m", price=price, latency=10.0)


def test_what_a_call_can_cost_is_on_record_before_it_is_made() -> None:
    workflow, store = asks(2, []), Filmed()
    live(workflow, store, ends(workflow), models={"m": model()})
    for time, count in [(5.0, 1), (15.0, 2)]:
        found = records_of(image_at(store, time))
        assert sum(isinstance(one, Reserved) for one in found) == count


def test_a_call_that_costs_nothing_is_not_on_record() -> None:
    workflow, store = asks(2, []), MemoryStore()
    live(workflow, store, ends(workflow), models={"m": model(Price(0, 0))})
    assert not any(isinstance(one, Reserved) for one in records_of(store))


@pytest.mark.parametrize(("time", "calls"), [(5.0, 1), (15.0, 2)])
def test_a_call_that_a_crash_cut_counts_as_spent_by_estimate_and_as_an_attempt(
    time: float, calls: int
) -> None:
    made: list[str] = []
    workflow, store = asks(2, made), Filmed()
    whole = live(workflow, store, ends(workflow), models={"m": model()})
    before = list(made)
    made.clear()
    image = image_at(store, time)
    result = live(workflow, image, ends(workflow), start=time, models={"m": model()})
    key = before[0].split()[0]
    assert made == [f"{key} 2", f"{key} 2"]
    usage = result.usage
    assert usage.calls == calls + 2
    assert usage.estimated
    assert usage.cost_micros > whole.usage.cost_micros
    (entry,) = result.steps
    assert entry.number == 2
    (lost,) = entry.attempts
    assert lost.usage is not None
    assert lost.failure is not None
    assert lost.failure.cause is Cause.UNKNOWN_OUTCOME
    assert lost.usage.calls == calls
    again = live(workflow, image, ends(workflow), start=time, models={"m": model()})
    assert again.usage == usage


def test_a_budget_holds_over_all_lives_of_a_run() -> None:
    """Of three calls two are made before the crash: one is left."""
    made: list[str] = []
    workflow, store = asks(3, made), Filmed()
    terms = {"budget": Budget(calls=3)}
    live(workflow, store, ends(workflow, **terms), models={"m": model()})
    made.clear()
    image = image_at(store, 15.0)

    result = live(workflow, image, ends(workflow), start=15.0, models={"m": model()})
    assert result.failure is not None
    assert result.failure.cause is Cause.BUDGET
    assert len(made) == 2
    assert result.usage.calls == 3
    assert result.run_id == RUN


def test_what_finished_steps_have_used_counts_in_later_lives_as_well() -> None:
    made: list[str] = []
    workflow = sequence(asks(1, made).named("one"), asks(1, made).named("two"))
    store = Filmed()
    terms = ends(workflow, budget=Budget(calls=2))
    live(workflow, store, terms, models={"m": model()})
    image = image_at(store, 15.0)  # in the call of the second

    result = live(workflow, image, ends(workflow), start=15.0, models={"m": model()})
    assert result.failure is not None
    assert result.failure.cause is Cause.BUDGET
    assert result.usage.calls == 2


def test_a_budget_holds_however_often_the_process_dies_in_the_same_step() -> None:
    made: list[str] = []
    workflow = asks(1, made)
    image = MemoryStore()
    for start in (0.0, 5.0):
        store = Filmed(image)
        terms = ends(workflow, budget=Budget(calls=2))
        live(workflow, store, terms, start=start, models={"m": model()})
        image = image_at(store, 5.0)

    result = live(workflow, image, ends(workflow), start=10.0, models={"m": model()})
    assert result.failure is not None
    assert result.failure.cause is Cause.BUDGET
    assert len(made) == 3  # the body runs again, and its call is refused
    assert result.usage.calls == 2
    (entry,) = result.steps
    assert [one.number for one in entry.attempts] == [1, 2, 3]


@pytest.mark.parametrize("then", ["gives a value", "fails", "breaks its worker"])
def test_what_a_step_has_used_is_the_same_after_a_crash(then: str) -> None:
    class Asks(StatefulStep[object]):
        async def execute(
            self, context: Context[object], attempt: Attempt[object]
        ) -> str:
            reply = await attempt.models["m"].complete("hello", max_tokens=10)
            if then == "fails":
                raise ValueError(reply.value)
            if then == "breaks its worker":
                raise OSError(reply.value)
            return reply.value

    asks_once = stateful_step(
        Asks, name="asks", output=str, replay_safe=False, restart_on=(OSError,)
    )

    busy = ModelError("busy", cause=Cause.SERVER)

    def answers() -> ScriptedModel:
        return ScriptedModel([busy, "yes"], name="m", price=PRICE)

    store = Filmed()
    whole = live(asks_once, store, ends(asks_once), models={"m": answers()})
    again = live(asks_once, store.copy(), ends(asks_once), models={"m": answers()})
    assert again.usage == whole.usage
    assert whole.usage.calls == 2
    (entry,) = whole.steps
    assert entry.usage == whole.usage
