"""`RecordedModel` replays a file of answers and invents none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from understudy.models.recorded import RecordedModel, Recording
from understudy.testing import run_seeded
from understudy_protocols.chat import Message, Model, ModelReply, ModelRequest, Price
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, FailureMode, ModelError


def ask(model: Model, text: str) -> ModelReply:
    return run_seeded(model.complete, ModelRequest(text), seed=1)


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_an_answer_is_found_by_its_prompt(tmp_path: Path) -> None:
    path = written(
        tmp_path / "r.jsonl",
        {"prompt": "2+2?", "answer": "4"},
        {"prompt": "3+3?", "answer": "6", "other": None},
    )
    model = RecordedModel.from_file(path)
    assert ask(model, "3+3?").text == "6"
    assert ask(model, "2+2?").text == "4"


def test_the_fields_can_have_other_names(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", {"question": "2+2?", "weak_response": "5"})
    model = RecordedModel.from_file(
        str(path), prompt="question", answer="weak_response", name="weak"
    )
    reply = ask(model, "2+2?")
    assert (reply.text, reply.model) == ("5", "weak")


def test_several_answers_are_given_in_turn_and_the_last_again(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", {"prompt": "p", "answer": ["a", "b"]})
    model = RecordedModel.from_file(path)
    assert [ask(model, "p").text for _ in range(4)] == ["a", "b", "b", "b"]


def test_a_prompt_without_a_recording_is_an_error_no_retry_can_help() -> None:
    model = RecordedModel([Recording("known", "yes")], name="tape")
    with pytest.raises(ModelError) as caught:
        ask(model, "x" * 100)
    assert caught.value.cause is Cause.BAD_REQUEST
    assert caught.value.cause.mode is FailureMode.UNEXPECTED
    assert str(caught.value) == (
        f"'tape' has no recorded answer for the prompt '{'x' * 60}...' "
        "(100 characters); it knows 1 prompts"
    )


def test_recorded_token_counts_are_used_and_priced(tmp_path: Path) -> None:
    path = written(
        tmp_path / "r.jsonl",
        {"prompt": "p", "answer": "a", "input_tokens": 100, "output_tokens": 10},
    )
    price = Price(input_per_million_usd=1, output_per_million_usd=2)
    model = RecordedModel.from_file(path, price=price, latency=2)
    usage = ask(model, "p").usage
    assert (usage.input_tokens, usage.output_tokens) == (100, 10)
    assert usage.cost_micros == 120
    assert not usage.estimated
    assert model.price is price


def test_the_key_says_what_the_prompt_of_a_request_is() -> None:
    model = RecordedModel(
        [Recording("p", "a")], key=lambda request: request.messages[0].text
    )
    request = ModelRequest([Message.of("user", "p"), Message.of("user", "again")])
    assert run_seeded(model.complete, request, seed=1).text == "a"


def test_latency_is_virtual_time() -> None:
    async def main() -> float:
        await RecordedModel([Recording("p", "a")], latency=7).complete(
            ModelRequest("p")
        )
        return trio.current_time()

    assert run_seeded(main, seed=1) == 7.0


def test_it_streams() -> None:
    async def main() -> int:
        model = RecordedModel([Recording("p", "two words")])
        return len([event async for event in model.stream(ModelRequest("p"))])

    assert run_seeded(main, seed=1) == 3


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        '{"answer": "a"}',
        '{"prompt": "p"}',
        '{"prompt": 1, "answer": "a"}',
        '{"prompt": "p", "answer": [1]}',
        '{"prompt": "p", "answer": "a", "input_tokens": "many"}',
    ],
)
def test_a_bad_line_is_named_by_file_and_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"prompt": "p", "answer": "a"}\n\n' + line + "\n")
    with pytest.raises(ConfigError, match=r"r\.jsonl, line 3: give an object with"):
        RecordedModel.from_file(path)


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: .*none\.jsonl"):
        RecordedModel.from_file(tmp_path / "none.jsonl")
