"""A key that was planted is found nowhere but in the header that carries it.

The servers repeat it in all that they say, as some do of a key that is wrong.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
from model_server import Answer, ModelServer, chat, failing, model_server, pieces

from understudy import (
    Attempt,
    Context,
    ModelError,
    ModelRequest,
    RetryConfig,
    RunFailed,
    Runtime,
    step,
)
from understudy.providers import (
    HttpModel,
    Secret,
    anthropic_model,
    openai_model,
    responses_model,
)

PLANTED = "sk-planted-0123456789"
SOON = {"retry-after": "0.01", "x-request-id": "r-1"}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A server of models."""
    with model_server() as serving:
        yield serving


FAILURES: dict[str, list[Answer]] = {
    "refused": [failing(401, PLANTED, f"the key {PLANTED} is wrong")],
    "again and again": [
        failing(500, "x", f"with Authorization: Bearer {PLANTED}", SOON),
        failing(429, PLANTED, PLANTED, SOON),
        failing(503, "x", PLANTED, SOON),
    ],
    "broken off": [
        pieces("It r", last={"error": {"message": PLANTED, "type": PLANTED}}),
        failing(404, "x", PLANTED),
    ],
    "unreadable": [chat("x", finish="length")],
    "none": [chat("an answer")],
}


ASK_IN_ALL_WAYS = """
import logging, sys
from understudy.cli.main import main

logging.basicConfig(level=0)
for words in ([], ["--json"], ["--stream"], ["--stream", "--json"]):
    code = main(["ask", "hello", "--models", sys.argv[1], "--model", "fast", *words])
    print(code)
"""


@pytest.mark.parametrize("what", FAILURES)
def test_no_output_has_the_key_whatever_the_level_of_logs(
    server: ModelServer, tmp_path: Path, what: str
) -> None:
    file = tmp_path / "understudy.toml"
    file.write_text(
        '[models.fast]\nprotocol = "openai"\nmodel = "tiny"\n'
        f'base_url = "{server.url}"\nkey_env = "THE_KEY"\n'
    )
    server.answers = 4 * FAILURES[what]

    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-c", ASK_IN_ALL_WAYS, str(file)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "THE_KEY": PLANTED},
    )

    assert ("\n0\n" in ended.stdout) == (what == "none"), ended.stdout
    assert "DEBUG:httpcore" in ended.stderr, "the logs are there to look into"
    assert "sk-planted" not in ended.stdout + ended.stderr
    headers = {seen.headers["authorization"] for seen in server.seen}
    assert headers == {f"Bearer {PLANTED}"}


@step(retry=RetryConfig(max_attempts=3))
async def ask(context: Context[str], attempt: Attempt[object]) -> str:
    return (await attempt.models["fast"].complete(context.input)).value


MAKERS: dict[str, Callable[..., HttpModel]] = {
    "openai": openai_model,
    "responses": responses_model,
    "anthropic": anthropic_model,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("what", ["refused", "again and again"])
def test_no_event_error_or_traceback_has_the_key(
    server: ModelServer,
    caplog: pytest.LogCaptureFixture,
    make: Callable[..., HttpModel],
    what: str,
) -> None:
    caplog.set_level(logging.NOTSET)
    server.answers = list(FAILURES[what])
    model = make("tiny", base_url=server.url, key=Secret(PLANTED))
    told: list[object] = [model, vars(model)]

    async def main() -> None:
        async with Runtime(ask, models={"fast": model}) as runtime:
            async with runtime.stream(ask, "hello") as events:
                told.extend([event async for event in events])
                result = await events.result()
            told.extend([result, result.failure, result.steps, runtime.tree()])
            with pytest.raises(RunFailed) as caught:
                _ = result.value
            told.append(caught.value)
            with pytest.raises(ModelError) as direct:
                await model.complete(ModelRequest("hello"))
            told.append(direct.value)

    trio.run(main)

    texts = [f"{one} {one!r}" for one in told]
    for error in told:
        if isinstance(error, Exception):
            texts += traceback.format_exception(error)
            texts.append(repr((error.args, vars(error))))
    assert "sk-planted" not in "\n".join(texts) + caplog.text
    assert "[key]" in "\n".join(texts), "the server has repeated it"
    headers = server.seen[0].headers
    assert PLANTED in headers.get("authorization", "") + headers.get("x-api-key", "")
