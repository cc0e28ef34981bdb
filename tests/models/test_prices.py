"""What is not known of a model is no gift: under a cap it is not asked."""

from __future__ import annotations

import pytest
from gated_probe import Say, Told

from understudy import (
    Attempt,
    Budget,
    Cause,
    Context,
    Message,
    RunResult,
    Runtime,
    step,
)
from understudy.models.part_bounds import PartBounds
from understudy.testing import run_seeded
from understudy_protocols.chat import FilePart, ImagePart, Part, Price, Prompt, TextPart

USD = Budget(usd=1)


def unpriced(*says: Say, name: str = "m", max_tokens: int | None = 50) -> Told:
    """Return a model of which nobody has said what it costs."""
    model = Told(*(says or (Say("yes"),)), name=name, max_tokens=max_tokens)
    model.price = None
    return model


def ran(
    *models: Told,
    budget: Budget | None = None,
    shared: Budget | None = None,
    prompt: Prompt = "hello",
    limit: int | None = None,
) -> RunResult[str]:
    """Run a step that asks the first model; the others stand in for it."""
    models[0].fallbacks = tuple(model.name for model in models[1:])

    @step(max_input_tokens=limit)
    async def ask(context: Context[str], attempt: Attempt[object]) -> str:
        return (await attempt.models[models[0].name].complete(prompt)).value

    async def main() -> RunResult[str]:
        named = {model.name: model for model in models}
        async with Runtime(ask, models=named, budget=shared) as runtime:
            return await runtime.run(ask, "go", budget=budget)

    return run_seeded(main, seed=0)


def refusal(result: RunResult[str], *models: Told) -> str:
    """Return the words of a run that sent nothing, for the sake of its budget."""
    assert result.failure is not None
    assert result.failure.cause is Cause.BUDGET
    assert result.usage.calls == 0
    assert result.attempts == 1
    assert [model.sent for model in models] == [[] for _ in models]
    return str(result.failure)


@pytest.mark.parametrize("shared", [False, True])
def test_a_model_without_a_price_is_not_asked_under_a_cap_on_money(
    shared: bool,
) -> None:
    model = unpriced()
    result = ran(model, shared=USD) if shared else ran(model, budget=USD)
    assert refusal(result, model) == (
        "ask: m has no price, and there is a cap on money; say what it costs: price = "
        "{...} in its configuration, price=Price(...) in a program (0 where it costs "
        "nothing) (budget)"
    )


@pytest.mark.parametrize("budget", [None, Budget(tokens=500, calls=1)])
def test_without_a_cap_on_money_a_price_is_not_needed(budget: Budget | None) -> None:
    result = ran(unpriced(), budget=budget)
    assert result.value == "yes"
    assert result.usage.cost_micros == 0


def test_a_price_of_nothing_is_a_price() -> None:
    model = unpriced()
    model.price = Price()
    assert ran(model, budget=USD).value == "yes"


def test_a_model_with_a_price_stands_in_for_one_without() -> None:
    models = unpriced(), Told(Say("no"), name="other")
    assert ran(*models, budget=USD).value == "no"
    assert models[0].sent == []


def test_nobody_stands_in_without_a_price_either() -> None:
    models = unpriced(), unpriced(name="other")
    assert "other has no price" in refusal(ran(*models, budget=USD), *models)


@pytest.mark.parametrize("budget", [USD, Budget(tokens=10**6)])
def test_under_a_cap_a_request_has_the_bound_of_its_model_or_is_refused(
    budget: Budget,
) -> None:
    model = Told(Say("yes"))
    assert ran(model, budget=budget).value == "yes"
    assert model.sent[0].request.max_tokens == 50
    boundless = Told(Say("yes"), max_tokens=None)
    assert refusal(ran(boundless, budget=budget), boundless) == (
        "ask: m may write without a bound, and there is a budget; give max_tokens to "
        "the call or to the model, so that the worst case is known (budget)"
    )


PARTS = [(ImagePart(url="u"), "image"), (FilePart(data=b"%PDF"), "file")]


@pytest.mark.parametrize(("part", "kind"), PARTS)
def test_a_part_without_a_bound_is_not_sent_under_a_limit_of_tokens(
    part: Part, kind: str
) -> None:
    model = Told(Say("yes"))
    prompt = Message("user", (TextPart("what is this?"), part))
    said = refusal(ran(model, prompt=prompt, limit=500), model)
    assert "the step sends 500 tokens at most, and there is a" in said
    assert f"declare the most that one can be, as {kind}_tokens of" in said
    assert ran(model, prompt=prompt).value == "yes"


def test_a_part_with_a_bound_counts_for_it() -> None:
    prompt = Message("user", (TextPart("what?"), ImagePart(url="u")))
    model = Told(Say("yes"))
    model.part_bounds = PartBounds(image=400)
    assert ran(model, prompt=prompt, limit=406).value == "yes"
    failure = ran(model, prompt=prompt, limit=405).failure
    assert failure is not None
    assert failure.cause is Cause.CONTEXT_TOO_LONG
    # 16 around each of the two parts, and 50 that it may write.
    worst = 5 + 2 * 16 + 400 + 50
    assert ran(model, prompt=prompt, budget=Budget(tokens=worst)).value == "yes"
    failure = ran(model, prompt=prompt, budget=Budget(tokens=worst - 1)).failure
    assert failure is not None
    assert failure.cause is Cause.BUDGET


def test_who_stands_in_has_to_know_the_size_of_pictures_too() -> None:
    models = Told(Say("yes")), Told(Say("no"), name="other")
    models[1].part_bounds = PartBounds(image=400)
    prompt = Message("user", (ImagePart(url="u"),))
    assert ran(*models, prompt=prompt, budget=USD).value == "no"
    assert models[0].sent == []
