"""The customer feedback example: every message ends with a reply."""

from __future__ import annotations

import feedback as example
import pytest
import trio

from understudy import ModelRequest, RunResult, Runtime
from understudy.demo.labels import TEAMS, Urgency
from understudy.models import LocalModel, ScriptedModel
from understudy.testing import run_seeded


def run(
    reader: ScriptedModel, sorter: ScriptedModel, text: str = "My card was stolen"
) -> RunResult[example.Reply]:
    async def main() -> RunResult[example.Reply]:
        models = {"reader": reader, "sorter": sorter}
        async with Runtime(example.feedback, models=models, deps=TEAMS) as runtime:
            given = example.Feedback(text, Urgency.HIGH)
            return await runtime.run(example.feedback, given)

    return run_seeded(main, seed=3)


def reading(*issues: str, urgency: str = "low") -> object:
    return {"sentiment": "negative", "issues": list(issues), "urgency": urgency}


@pytest.mark.usefixtures("virtual_time")
def test_main_prints_all_messages_their_replies_and_the_figures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    example.main()
    printed = capsys.readouterr().out
    assert "30 runs completed" in printed
    assert "will write to you." in printed
    assert "calls were made to have answers mended." in printed


@pytest.mark.usefixtures("virtual_time")
def test_with_a_third_of_the_answers_malformed_all_runs_complete() -> None:
    ended = trio.run(example.run_all)
    assert [run.ok for _, run in ended] == [True] * 30
    right = sum(message.urgency is run.value.urgency for message, run in ended)
    assert right >= 24
    # The models were asked more often than there was to ask: answers were mended.
    calls = sum(run.usage.calls for _, run in ended)
    assert calls > sum(1 + len(run.value.issues) for _, run in ended)


def test_an_extraction_that_lacks_a_field_goes_back_to_the_model_with_the_reason() -> (
    None
):
    reader = ScriptedModel([{"sentiment": "negative"}, reading("My card was stolen")])
    result = run(reader, ScriptedModel(['"security"']))
    assert result.value.issues[0].owner == "Fraud and identity"
    complaint = reader.requests[1].messages[-1].text
    assert "issues" in complaint
    # The count of what was done again is real, and not a constant.
    assert result.steps[0].usage.calls == 2


def test_each_issue_has_its_own_category_and_owner_in_the_order_of_the_issues() -> None:
    def sorted_by(request: ModelRequest) -> str:
        return '"fees"' if "charged" in request.text else '"card"'

    reader = ScriptedModel([reading("I was charged twice", "where is my card")])
    issues = run(reader, ScriptedModel(sorted_by)).value.issues
    assert [(each.quote, each.owner) for each in issues] == [
        ("I was charged twice", "Billing"),
        ("where is my card", "Cards"),
    ]


@pytest.mark.parametrize(
    ("urgency", "branch", "words"),
    [("high", "urgent", "within minutes"), ("low", "standard", "will write")],
)
def test_the_urgency_chooses_the_reply(urgency: str, branch: str, words: str) -> None:
    reader = ScriptedModel([reading("My card was stolen", urgency=urgency)])
    result = run(reader, ScriptedModel(['"card"']))
    assert words in result.value.text
    assert f"respond/{branch}" in [step.path for step in result.steps]


def test_a_category_that_nobody_answers_for_is_refused_and_asked_for_again() -> None:
    sorter = ScriptedModel(['"astrology"', '"card"'])
    result = run(ScriptedModel([reading("My card")]), sorter)
    assert result.value.issues[0].owner == "Cards"
    assert "astrology" in sorter.requests[1].text


def test_a_model_that_never_answers_in_json_fails_the_run_by_name() -> None:
    reader = ScriptedModel(lambda request: "I would rather talk about the weather")
    failure = run(reader, ScriptedModel([])).failure
    assert failure is not None
    assert failure.mode.value == "malformed"
    assert failure.where == "extract"


def test_the_stand_ins_answer_for_the_message_and_not_for_the_complaint() -> None:
    model = LocalModel(example.sort, takes="request")

    async def main() -> str:
        asked = ModelRequest("My card was stolen")
        return (await model.complete(asked)).text

    assert run_seeded(main, seed=1) in ('"card"', '"security"')
