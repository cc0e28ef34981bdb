"""``understudy ask``: what it prints, what it says, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from model_server import (
    Answer,
    ModelServer,
    chat,
    endless,
    failing,
    model_server,
    pieces,
    sent,
)

Command = Callable[..., Any]
SOON = {"retry-after": "0.02"}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A server of models."""
    with model_server() as serving:
        yield serving


@pytest.fixture
def ask(command: Command, server: ModelServer) -> Command:
    """Ask a model of the server, which gives these answers."""

    def call(*words: str, answers: list[Answer], stdin: str | None = None) -> Any:
        server.answers = answers
        given = ["--protocol", "openai", "--base-url", server.url, "--model", "tiny"]
        prompt = "hello" if stdin is None else "-"
        return command("ask", prompt, *given, *words, stdin=stdin)

    return call


def facts(said: Any) -> dict[str, Any]:
    """Return the one JSON object that was printed."""
    (line,) = said.out.splitlines()
    assert said.err == ""
    found: dict[str, Any] = json.loads(line)
    return found


# ------------------------------------------------------------------ one answer


def test_an_answer_is_printed(ask: Command, server: ModelServer) -> None:
    said = ask(answers=[chat("Hello to you.")])

    assert (said.code, said.out, said.err) == (0, "Hello to you.\n", "")
    (seen,) = server.seen
    assert seen.path == "/v1/chat/completions"
    assert seen.body["messages"] == [{"role": "user", "content": "hello"}]
    assert "authorization" not in seen.headers


def test_a_prompt_comes_from_standard_input(ask: Command, server: ModelServer) -> None:
    said = ask(answers=[chat("yes")], stdin="is this\nread?\n")

    assert said.out == "yes\n"
    (message,) = server.seen[0].body["messages"]
    assert message["content"] == "is this\nread?\n"


def responses(text: str) -> Answer:
    content = [{"type": "output_text", "text": text}]
    message = {"type": "message", "role": "assistant", "content": content}
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    body = {"id": "r", "status": "completed", "output": [message], "usage": usage}
    return lambda handler: sent(handler, body)


def messages(text: str) -> Answer:
    body = {
        "type": "message",
        "role": "assistant",
        "model": "large-1",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
    return lambda handler: sent(handler, body)


@pytest.mark.parametrize(
    ("protocol", "answer", "path", "header"),
    [
        ("openai", chat("yes"), "/v1/chat/completions", "Bearer planted-key"),
        ("responses", responses("yes"), "/v1/responses", "Bearer planted-key"),
        ("anthropic", messages("yes"), "/v1/v1/messages", "planted-key"),
    ],
)
def test_each_protocol_is_spoken_with_its_key(
    command: Command,
    server: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    answer: Answer,
    path: str,
    header: str,
) -> None:
    monkeypatch.setenv("THE_KEY", "planted-key")
    server.answers = [answer]
    where = ["--protocol", protocol, "--base-url", server.url, "--key-env", "THE_KEY"]

    said = command("ask", "hello", *where, "--model", "tiny", "--json")

    assert said.code == 0
    told = facts(said)
    assert (told["text"], told["outcome"]) == ("yes", "complete")
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (10, 5)
    (seen,) = server.seen
    assert seen.path == path
    assert header in (seen.headers.get("authorization"), seen.headers.get("x-api-key"))
    assert "planted-key" not in said.out


# ------------------------------------------------------------------ every attempt


def test_json_has_every_attempt_with_its_cause_and_the_wait_after_it(
    ask: Command,
) -> None:
    answers = [
        failing(500, headers=SOON),
        failing(429, "rate_limit_exceeded", headers=SOON),
        chat("at last"),
    ]

    told = facts(ask("--json", answers=answers))

    first, second, third = told["attempts"]
    assert (first["number"], first["mode"], first["cause"]) == (
        1,
        "unexpected",
        "server",
    )
    assert (second["mode"], second["cause"]) == ("rate_limit", "rate_limit")
    assert third == {"number": 3, "mode": None, "cause": None, "wait": 0.0}
    assert first["where"] == "tiny"
    assert first["began"] <= first["ended"] <= second["began"] <= second["ended"]
    for attempt in (first, second):
        after = attempt["number"] + 1
        # At the gate it may have to wait a little more.
        waits = [one for one in told["waits"] if one["before_attempt"] == after]
        assert waits[0]["why"] == f"{attempt['cause']}: backoff, 0.02 s"
        assert attempt["wait"] == pytest.approx(sum(one["seconds"] for one in waits))
        assert 0.01 < attempt["wait"] < 3
    assert told["text"] == told["value"] == "at last"
    assert told["usage"]["calls"] == 3
    assert told["failure"] is None


def test_a_wait_is_said_to_who_waits(ask: Command) -> None:
    said = ask(answers=[failing(503, headers=SOON), chat("yes")])

    assert (said.code, said.out) == (0, "yes\n")
    assert said.err == "understudy: waiting (server: backoff, 0.02 s)\n"


def test_what_was_shown_before_a_stream_broke_is_said_to_be_void(ask: Command) -> None:
    answers = [pieces("It s", "nows", whole=False), failing(503, headers=SOON)]

    said = ask("--stream", answers=[*answers, pieces("It ", "rains.")])

    assert (said.code, said.out) == (0, "It snows\nIt rains.\n")
    assert said.err.startswith("understudy: the answer begins again (transport)\n")


def test_a_server_that_does_not_stream_is_heard_all_the_same(ask: Command) -> None:
    said = ask("--stream", answers=[chat("All at once.")])

    assert (said.code, said.out) == (0, "All at once.\n")


# ----------------------------------------------------------------- how it ends


@pytest.mark.parametrize(
    ("answer", "words", "code", "outcome", "text", "cause"),
    [
        (chat("half of", "length"), [], 3, "truncated", "half of", "truncated"),
        (chat("", refusal="no"), [], 3, "refused", "no", "refused"),
        (chat("half", "content_filter"), [], 3, "refused", "half", "filtered"),
        (failing(400, "content_filter"), [], 3, "refused", "", "filtered"),
        (pieces("half", whole=False), ["--stream"], 3, "partial", "half", "transport"),
        (pieces(whole=False), ["--stream"], 4, "failed", "", "transport"),
        (failing(401, "invalid_api_key"), [], 4, "failed", "", "auth"),
        (failing(404, "model_not_found"), [], 4, "failed", "", "model_gone"),
        (failing(429, "insufficient_quota"), [], 4, "failed", "", "quota"),
        (failing(500), [], 4, "failed", "", "server"),
        (chat("no JSON"), ["--schema"], 4, "failed", "", "malformed"),
    ],
)
def test_the_exit_code_says_what_there_is_of_an_answer(
    ask: Command,
    tmp_path: Path,
    answer: Answer,
    words: list[str],
    code: int,
    outcome: str,
    text: str,
    cause: str,
) -> None:
    if words == ["--schema"]:
        (tmp_path / "schema.json").write_text('{"type": "object"}')
        words = ["--schema", str(tmp_path / "schema.json")]
    once = ["--max-attempts", "1", *words]

    said = ask(*once, "--json", answers=[answer])

    told = facts(said)
    assert said.code == code
    assert (told["outcome"], told["text"], told["value"]) == (outcome, text, None)
    assert told["failure"]["cause"] == cause
    assert [attempt["cause"] for attempt in told["attempts"]] == [cause]

    said = ask(*once, answers=[answer])

    assert (said.code, said.out) == (code, f"{text}\n" if text else "")
    assert said.err.endswith(f"({cause})\n")


def test_one_request_takes_no_longer_than_it_may(ask: Command) -> None:
    slow = endless("x", lambda: None)

    said = ask("--timeout", "0.2", "--max-attempts", "2", "--json", answers=[slow])

    told = facts(said)
    assert said.code == 4
    assert [attempt["mode"] for attempt in told["attempts"]] == ["timeout", "timeout"]


def test_all_takes_no_longer_than_it_may(ask: Command) -> None:
    slow = endless("x", lambda: None)

    said = ask("--deadline", "0.2", "--stream", answers=[slow])

    assert said.code == 3
    assert set(said.out) == {"x", "\n"}
    assert "deadline" in said.err


# ------------------------------------------------------------------- a schema

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def test_an_answer_is_held_to_a_schema_and_asked_for_again(
    ask: Command, server: ModelServer, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))

    told = facts(
        ask(
            "--schema",
            str(schema),
            "--json",
            answers=[chat('{"n": "three"}'), chat('```json\n{"n": 3}\n```')],
        )
    )

    assert told["value"] == {"n": 3}
    assert told["repairs"] == 1
    assert [attempt["cause"] for attempt in told["attempts"]] == [None]
    held = server.seen[0].body["response_format"]["json_schema"]["schema"]
    assert held["properties"] == SCHEMA["properties"]


# ---------------------------------------------------------------- from a file


@pytest.fixture
def file(server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with two models, of which the first falls back to the second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THE_KEY", "planted-key")
    path = tmp_path / "understudy.toml"
    path.write_text(
        f"""
[models.first]
protocol = "openai"
model = "one"
base_url = "{server.url}"
key_env = "THE_KEY"
fallbacks = ["second"]

[models.second]
protocol = "openai"
model = "two"
base_url = "{server.url}"
price = {{ input_per_million_usd = 1, output_per_million_usd = 4 }}

[models.third]
protocol = "openai"
model = "three"
key_env = "NOT_SET"
"""
    )
    return path


@pytest.mark.usefixtures("file")
def test_a_model_of_a_file_is_asked_and_the_one_that_stands_in_for_it(
    command: Command, server: ModelServer
) -> None:
    server.answers = [failing(404, "model_not_found"), chat("yes")]

    told = facts(command("ask", "hello", "--model", "first", "--json"))

    assert told["text"] == "yes"
    assert told["cost_usd"] is None  # the first has no price
    assert [seen.body["model"] for seen in server.seen] == ["one", "two"]
    assert server.seen[0].headers["authorization"] == "Bearer planted-key"
    assert "authorization" not in server.seen[1].headers
    assert told["attempts"][0]["where"] == "first"


@pytest.mark.usefixtures("file")
def test_an_answer_costs_what_its_model_says(
    command: Command, server: ModelServer
) -> None:
    server.answers = [chat("yes")]

    told = facts(command("ask", "hello", "--model", "second", "--json"))

    assert told["cost_usd"] == 0.00003  # 10 tokens at 1 USD, 5 at 4 USD a million


def test_each_model_of_a_file_is_checked_by_itself(
    command: Command, server: ModelServer, file: Path
) -> None:
    def by_model(handler: Any) -> None:
        gone = server.seen[-1].body["model"] == "one"
        (failing(404, "model_not_found") if gone else chat("OK"))(handler)

    server.answers = [by_model]

    said = command("models", "check", "--models", str(file))

    assert said.code == 1
    title, first, second, third = said.out.splitlines()
    assert title.split() == ["model", "protocol", "latency", "cost", "answer"]
    assert first.split()[:2] == ["first", "openai"]
    assert "no price" in first
    assert "model_gone: the provider answered with status 404" in first
    assert second.split()[-3:] == ["0.000030", "USD", "ok"]
    assert third.startswith("third")
    assert third.endswith("cannot be used: $NOT_SET is not set; put the key there")
    assert len(server.seen) == 2


def test_models_that_all_answer_are_all_right(
    command: Command, server: ModelServer, file: Path
) -> None:
    file.write_text(file.read_text().partition("[models.third]")[0])
    server.answers = [chat("O", "length")]

    said = command("models", "check")

    assert said.code == 0
    assert [line.split()[-1] for line in said.out.splitlines()[1:]] == ["ok", "ok"]


# -------------------------------------------------------------------- misuse


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["ask", "hi"], "Missing option '--model'"),
        (["ask", " ", "--model", "first"], "the prompt is empty; give some words"),
        (
            ["ask", "hi", "--model", "fist"],
            "there is no model 'fist'; there is 'first', 'second', 'third'",
        ),
        (
            ["ask", "hi", "--model", "third"],
            (
                "understudy.toml:18: models.third.key_env cannot be used: $NOT_SET is not "
                "set; put the key there"
            ),
        ),
        (
            ["ask", "hi", "--model", "x", "--models", "no.toml"],
            "no.toml: there is no such file",
        ),
        (
            ["ask", "hi", "--model", "x", "--base-url", "http://localhost"],
            "--base-url and --key-env need --protocol",
        ),
        (
            ["ask", "hi", "--model", "x", "--protocol", "openai", "--models", "a.toml"],
            "--models is a file, and --protocol does without; give one",
        ),
        (
            ["ask", "hi", "--model", "x", "--protocol", "openai", "--key-env", "sk-1"],
            (
                "--key-env is not the name of an environment variable, in capitals, such "
                "as OPENAI_API_KEY"
            ),
        ),
        (
            ["ask", "hi", "--model", "x", "--protocol", "openai"],
            (
                "$OPENAI_API_KEY is not set; put the key there, or name another by "
                "--key-env"
            ),
        ),
        (
            ["ask", "hi", "--model", "x", "--protocol", "openai", "--base-url", "host"],
            "--base-url is no address; give one such as https://host/v1",
        ),
        (
            [
                *("ask", "hi", "--model", "x", "--protocol", "openai", "--base-url"),
                "http://host/v1/chat/completions/",
            ],
            (
                "--base-url ends in /chat/completions, which is added to it; leave that "
                "out"
            ),
        ),
        (
            ["ask", "hi", "--model", "x", "--protocol", "opnai"],
            (
                "Invalid value for '--protocol': 'opnai' is not one of 'openai', "
                "'responses', 'anthropic'."
            ),
        ),
        (["ask", "hi", "--model", "x", "--timeout", "0"], "Invalid value for"),
        (
            ["ask", "hi", "--model", "first", "--schema", "no.json"],
            "cannot read no.json: No such file or directory",
        ),
        (
            ["ask", "hi", "--model", "first", "--schema", "understudy.toml"],
            "understudy.toml is no JSON: ",
        ),
        (
            ["ask", "hi", "--model", "first", "--schema", "wrong.json"],
            "wrong.json: output is no JSON schema: $.type: ",
        ),
        (["models", "check", "--models", "no.toml"], "no.toml: there is no such file"),
    ],
)
def test_a_call_that_cannot_be_meant_is_refused_in_one_sentence(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    Path("wrong.json").write_text('{"type": "txt"}')

    said = command(*words)

    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert said.err.startswith(f"understudy: {sentence}")


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["ask", "hi", "--model", "x"], ", or say with --protocol what to ask"),
        (["models", "check"], ""),
    ],
)
def test_without_a_file_it_is_said_what_can_be_done(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
    more: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    said = command(*words)

    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "understudy: there is no understudy.toml here; describe your models in one, "
        f"name another by --models FILE{more}\n"
    )
