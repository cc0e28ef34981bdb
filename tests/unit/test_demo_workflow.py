"""The demo's workflow, with scripted tiers."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.demo.directory import Desk
from understudy.demo.extraction import Extraction, Issue, Sentiment
from understudy.demo.labels import Category, Urgency
from understudy.demo.messages import shipped_messages
from understudy.demo.single_call import single_call
from understudy.demo.tier_models import INSTRUCTION, TierModels, asked_text, prompt
from understudy.demo.tiers import Tier, large
from understudy.demo.workflow import Feedback, Reply, doubts, feedback
from understudy.models.scripted import ScriptedModel
from understudy.result import RunResult
from understudy.runtime import Runtime
from understudy.testing import run_seeded
from understudy_protocols.chat import Message, Model, ModelRequest
from understudy_protocols.failures import Cause, ModelError

TEXT = "I lost my card and the pool is closed"


def extraction(
    quote: str = "I lost my card", confidence: float = 0.99, urgency: str = "low"
) -> Extraction:
    issue = Issue(Category.CARD, quote)
    return Extraction(Sentiment.NEGATIVE, (issue,), Urgency(urgency), confidence)


def run(models: Mapping[str, Model], desk: Desk | None = None) -> RunResult[Reply]:
    async def main() -> RunResult[Reply]:
        async with Runtime(feedback, models=models, deps=desk or Desk()) as runtime:
            return await runtime.run(feedback, Feedback("m", TEXT))

    return run_seeded(main, seed=6)


def tiers(*, rules: object, small: object = None, large: object = None) -> dict[
    str, ScriptedModel
]:  # fmt: skip
    lines = {"rules": rules, "small": small, "large": large}
    return {name: ScriptedModel([line], name=name) for name, line in lines.items()}


def asked(models: Mapping[str, ScriptedModel]) -> list[str]:
    return [name for name, model in models.items() if model.requests]


def test_a_tier_that_is_sure_is_the_last_one_asked() -> None:
    models = tiers(rules=extraction())
    result = run(models)
    assert result.value.tier is Tier.RULES
    assert asked(models) == ["rules"]
    assert result.value.issues[0].owner == "Cards"


def test_tiers_that_are_not_sure_pass_the_message_on() -> None:
    doubtful = extraction(confidence=0.1)
    models = tiers(rules=doubtful, small=doubtful, large=doubtful)
    assert run(models).value.tier is Tier.LARGE
    assert asked(models) == ["rules", "small", "large"]


def test_a_tier_that_is_down_for_good_is_passed_over() -> None:
    gone = ModelError("gone", cause=Cause.MODEL_GONE)
    assert run(tiers(rules=gone, small=extraction())).value.tier is Tier.SMALL


def test_an_invented_quote_is_asked_for_again_with_the_reason() -> None:
    models = tiers(rules=extraction(quote="I won a car"), large=extraction())
    result = run(models)
    assert result.value.tier is Tier.LARGE
    assert result.value.issues[0].quote == "I lost my card"
    complaint = models["large"].requests[0].messages[-1].text
    assert "the message does not say 'I won a car'" in complaint


def test_the_urgency_chooses_the_reply() -> None:
    urgent = run(tiers(rules=extraction(urgency="high"))).value
    standard = run(tiers(rules=extraction(urgency="low"))).value
    assert urgent.text == 'This cannot wait. Cards will look at it at once: "I lost my card".'  # fmt: skip
    assert standard.text == 'Thank you for writing. Cards will answer you on "I lost my card".'  # fmt: skip


def test_a_directory_that_breaks_is_replaced_and_the_run_completes() -> None:
    desk = Desk(breaks_at=1)
    result = run(tiers(rules=extraction()), desk)
    assert result.ok
    assert (desk.connections, desk.restarts, desk.look_ups) == (2, 1, 2)
    owner = next(step for step in result.steps if step.path.endswith("owner"))
    assert owner.number == 2
    assert [a.failure.error_type for a in owner.attempts if a.failure] == [
        "ConnectionError"
    ]


def test_no_answer_of_the_shipped_tiers_is_doubted() -> None:
    for message in shipped_messages():
        assert doubts(message.text, large(message.text)) == ()


def test_doubts_name_what_is_wrong() -> None:
    nothing = Extraction(Sentiment.NEUTRAL, (), Urgency.LOW, 1.0)
    twice = Extraction(
        Sentiment.NEUTRAL, extraction().issues * 2, Urgency.LOW, confidence=1.0
    )
    assert "at least one issue" in doubts(TEXT, nothing)[0]
    assert "each category once" in doubts(TEXT, twice)[0]


def test_a_local_tier_answers_for_the_message_and_not_for_complaints_after_it() -> None:
    first = (*prompt(TEXT), Message.of("user", "That was wrong."))
    assert asked_text(ModelRequest(first)) == TEXT
    assert prompt(TEXT)[0].text == INSTRUCTION
    assert asked_text(ModelRequest(())) == ""


def test_rules_that_do_not_speak_answer_with_no_confidence() -> None:
    async def main() -> str:
        rules = TierModels().models["rules"]
        return (await rules.complete(ModelRequest(prompt("lorem ipsum dolor")))).text

    assert '"confidence":0.0' in run_seeded(main, seed=1)


def test_the_single_call_asks_once_and_fails_with_the_first_fault() -> None:
    model = ScriptedModel(['{"sentiment": "negat', extraction()])

    async def main() -> RunResult[Extraction]:
        async with Runtime(single_call, models={"large": model}) as runtime:
            return await runtime.run(single_call, Feedback("m", TEXT))

    result = run_seeded(main, seed=1)
    assert result.failure is not None
    assert result.failure.cause is Cause.MALFORMED
    assert len(model.requests) == 1
