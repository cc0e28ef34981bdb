"""The command ``understudy ask``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import typer

from understudy.cli.answers import facts_line, outcome_of, text_of
from understudy.cli.exits import say
from understudy.cli.options import ModelsFileOption, models_file
from understudy.cli.printing import Printed
from understudy.cli.question import Question, put
from understudy.cli.reading import words_given
from understudy.cli.signals import watched
from understudy.cli.writing import write_out
from understudy.config.files import is_variable
from understudy.models.structured import reader_of
from understudy.providers.secret import Secret
from understudy.providers.spec import (
    HttpModelSpec,
    Speech,
    problem_of_address,
    usual_key,
)
from understudy.providers.wire import WireSettings
from understudy_protocols.chat import Model
from understudy_protocols.errors import ConfigError, SetupError
from understudy_protocols.retry import RetryConfig

TIMEOUT = 120.0
"""How long one request may take, unless the caller says; seconds."""


def ask(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="The words; - is standard input.")
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A model of the file; with --protocol, the provider's name for it.",
        ),
    ],
    models: ModelsFileOption = None,
    protocol: Annotated[
        Speech | None,
        typer.Option(help="Ask without a file: what the server speaks."),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The server's; by default the provider's."),
    ] = None,
    key_env: Annotated[
        str | None,
        typer.Option(metavar="VAR", help="The environment variable with the key."),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Show the answer as it comes.")
    ] = False,
    schema: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The JSON schema of the answer."),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="The most that the model may write.")
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(min=0.001, metavar="SECONDS", help="How long one try may take."),
    ] = TIMEOUT,
    deadline: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="SECONDS", help="How long all may take."),
    ] = None,
    max_attempts: Annotated[int, typer.Option(min=1, help="Tries in all.")] = 3,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON object: the answer, its cost, every try."
        ),
    ] = False,
) -> None:
    """Ask a model, and print its answer.

    The model is one of a file (understudy.toml), or the one that --protocol,
    --base-url and --key-env describe.

    Exit code: 0 if the answer is complete, 3 if it is a part or was refused, 4 if
    there is none, 2 if the call is wrong, 130 after Ctrl-C.
    """
    question = Question(
        prompt=_prompt(prompt),
        model=model,
        output=None if schema is None else _schema(schema),
        stream=stream,
        max_tokens=max_tokens,
        retry=RetryConfig(max_attempts=max_attempts, timeout_seconds=timeout),
        deadline=deadline,
    )
    if protocol is not None:
        if models is not None:
            raise SetupError(
                "--models is a file, and --protocol does without; give one"
            )
        spec = _described(protocol, model, base_url, key_env)
        found = _made(spec)
    else:
        if base_url is not None or key_env is not None:
            raise SetupError("--base-url and --key-env need --protocol")
        found = _from_file(models, model)
    raise typer.Exit(_answered(question, found, as_json=as_json))


# The question


def _prompt(given: str) -> str:
    text = words_given(given)
    if not text.strip():
        raise SetupError("the prompt is empty; give some words")
    return text


def _schema(path: Path) -> Mapping[str, object]:
    try:
        schema: object = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SetupError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise SetupError(f"{path} is no JSON: {error}") from error
    if not isinstance(schema, dict):
        raise SetupError(f"{path} is no JSON schema; give an object")
    found = cast("dict[str, object]", schema)
    try:
        reader_of(found)  # it is refused here, before anything is sent
    except ConfigError as error:
        raise SetupError(f"{path}: {error}") from error
    return found


# The model.  What speaks HTTP is heavy, and of no use to the other commands.


def _from_file(models: str | None, name: str) -> Mapping[str, Model]:
    from understudy.config.models import configured_models

    file = models_file(models, ", or say with --protocol what to ask")
    return configured_models(file, name)


def _described(
    speech: Speech, model: str, base_url: str | None, key_env: str | None
) -> HttpModelSpec:
    url = base_url or speech.base_url
    if key_env is not None and not is_variable(key_env):
        raise SetupError(
            "--key-env is not the name of an environment variable, in capitals, such "
            "as OPENAI_API_KEY"
        )
    problem = problem_of_address(url, speech)
    if problem:
        raise SetupError(f"--base-url {problem}")
    key = usual_key(speech, url) if key_env is None else Secret(env=key_env)
    try:
        key.reveal()  # a key that is missing is said here, before anything is sent
    except ConfigError as error:
        raise SetupError(f"{error}, or name another by --key-env") from error
    return HttpModelSpec(
        name=model,
        speech=speech,
        settings=WireSettings(model=model),
        base_url=url,
        key=key,
    )


def _made(spec: HttpModelSpec) -> Mapping[str, Model]:
    from understudy.providers.shared import Providers

    return {spec.name: Providers().model(spec)}


# The answer


def _answered(question: Question, models: Mapping[str, Model], *, as_json: bool) -> int:
    printed = Printed(quiet=as_json)
    ended = watched(partial(put, question, models, printed.see))
    if isinstance(ended, int):
        printed.end_line()
        say("understudy: interrupted")
        return ended
    if as_json:
        priced = all(model.price is not None for model in models.values())
        write_out(facts_line(ended, priced=priced).decode())
    else:
        printed.rest(text_of(ended))
        if ended.result.failure is not None:
            say(f"understudy: {ended.result.failure}")
    return outcome_of(ended).exit_code
