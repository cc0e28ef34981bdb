"""The moderation example: a tier runs only if the cheaper one was not sure."""

from __future__ import annotations

from typing import cast

import moderation as example
import pytest
import trio

from understudy import RunResult, Runtime, sequence
from understudy.demo.labels import Category
from understudy.demo.messages import DATA, shipped_messages
from understudy.models.linear import LinearClassifier
from understudy.models.local import LocalModel
from understudy.testing import run_seeded

# The small classifier gives it 0.52: in doubt.
DOUBTFUL = "I have a guest here who needs to check lost and found please"


def run(text: str, judge: object = example.judge) -> RunResult[object]:
    model = LocalModel(lambda text: judge(text) if callable(judge) else judge)
    workflow = sequence(
        example.QuickFilter(),
        example.MLModeration(LinearClassifier(DATA / "small.json")),
        example.LLMModeration(model),
        example.verdict,
    )

    async def main() -> RunResult[object]:
        async with Runtime(workflow) as runtime:
            return await runtime.run(workflow, {"text": text})

    return run_seeded(main, seed=5)


def ran(result: RunResult[object]) -> list[str]:
    return [step.path for step in result.steps if step.status == "completed"]


@pytest.mark.usefixtures("virtual_time")
def test_main_prints_what_each_tier_decided(
    capsys: pytest.CaptureFixture[str],
) -> None:
    example.main()
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()] == [
        "classifier",
        "filter",
        "model",
    ]


@pytest.mark.usefixtures("virtual_time")
def test_most_messages_never_reach_the_dearest_tier_and_nine_in_ten_are_right() -> None:
    messages = shipped_messages()
    verdicts = trio.run(example.run_all, [message.text for message in messages])
    assert sum(said.tier == "model" for said in verdicts) <= 20
    right = [
        said.held == (Category.SECURITY in message.gold.categories)
        for said, message in zip(verdicts, messages, strict=True)
    ]
    assert len(right) == 200
    assert sum(right) >= 180


def test_what_the_filter_is_sure_of_goes_no_further() -> None:
    result = run("my wallet was stolen")
    assert ran(result) == ["quick_filter", "verdict"]
    assert result.value == example.Verdict(held=True, tier="filter")


def test_what_the_classifier_is_sure_of_goes_no_further() -> None:
    result = run("is breakfast included in the price of the room?")
    assert ran(result) == ["quick_filter", "ml_moderation", "verdict"]
    assert result.value == example.Verdict(held=False, tier="classifier")


def test_a_doubt_goes_to_the_last_tier_and_its_word_counts() -> None:
    for violates in (True, False):
        result = run(DOUBTFUL, example.Judged(violates, "because", 3))
        assert ran(result)[2] == "llm_moderation"
        assert result.value == example.Verdict(held=violates, tier="model")


def test_an_answer_of_another_shape_fails_the_run_by_name_and_is_no_traceback() -> None:
    failure = run(DOUBTFUL, '{"violates": "maybe"}').failure
    assert failure is not None
    assert (failure.mode.value, failure.cause.value) == ("malformed", "schema")
    assert failure.where == "llm_moderation"


def test_outputs_of_the_tiers_cannot_be_changed_afterwards() -> None:
    said = run("my wallet was stolen").outputs["quick_filter"]
    assert said == {"passed": False, "confidence": "high"}
    with pytest.raises(TypeError):
        cast("dict[str, object]", said)["passed"] = True


def test_two_runs_of_one_text_are_two_runs() -> None:
    texts = ["the same text", "the same text"]

    async def main() -> set[str]:
        async with Runtime(example.moderation) as runtime:
            return {
                (await runtime.run(example.moderation, {"text": text})).run_id
                for text in texts
            }

    assert len(run_seeded(main, seed=1)) == 2
