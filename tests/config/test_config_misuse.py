"""What a file cannot mean is refused in one sentence, with its line and key."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from understudy.config.files import described
from understudy.config.table import ConfigFileError
from understudy_protocols.errors import ConfigError

GOOD = """\
[models.fast]
protocol = "openai"
model = "small-1"
base_url = "http://localhost:8080/v1"

[models.best]
protocol = "anthropic"
model = "large-1"
"""


def refusal(folder: Path, text: str) -> str:
    """Return the sentence that refuses *text*, without the file's name."""
    file = folder / "understudy.toml"
    file.write_text(text)
    with pytest.raises(ConfigFileError) as caught:
        described(file)
    error = caught.value
    assert isinstance(error, ConfigError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert error.file == str(file)
    assert "\n" not in str(error)
    return str(error).removeprefix(str(file))


MORE = [  # lines after line 4, in the table of `fast`
    ('protocl = "x"', ":5: models.fast.protocl is not known; did you mean protocol?"),
    (
        "colour = 1",
        (
            ":5: models.fast.colour is not known; there are: protocol, model, base_url, "
            "key_env, key_file, max_tokens, max_tokens_name, price, limits, "
            "capabilities, fallbacks, hedge_after, account, idempotency_header, "
            "version, anthropic_beta, extra"
        ),
    ),
    (
        'api_key = "sk-planted"',
        (
            ":5: models.fast.api_key is not known, and a key has no place in this file; "
            "give key_env, the name of the environment variable that holds it, or "
            "key_file"
        ),
    ),
    (
        'key_env = "sk-planted"',
        (
            ":5: models.fast.key_env is not the name of an environment variable, in "
            "capitals, such as OPENAI_API_KEY"
        ),
    ),
    (
        'key_env = "A"\nkey_file = "b"',
        ":6: models.fast.key_file is given, and key_env too; leave one of them out",
    ),
    (
        'key_file = ""',
        ":5: models.fast.key_file is empty; give a text, or leave it out",
    ),
    ("key_env = 5", ":5: models.fast.key_env is a number; give a text"),
    (
        "max_tokens = 1.5",
        ":5: models.fast.max_tokens is a number; give a whole number",
    ),
    (
        "max_tokens = true",
        ":5: models.fast.max_tokens is true or false; give a whole number",
    ),
    (
        "max_tokens = 0",
        ":5: models.fast.max_tokens is out of range; give a whole number from 1",
    ),
    ('hedge_after = "2 s"', ":5: models.fast.hedge_after is a text; give a number"),
    (
        "hedge_after = 0",
        ":5: models.fast.hedge_after is out of range; give a number above 0",
    ),
    (
        "hedge_after = nan",
        ":5: models.fast.hedge_after is out of range; give a number above 0",
    ),
    ('fallbacks = "best"', ":5: models.fast.fallbacks is a text; give an array"),
    (
        "fallbacks = [\n  1,\n]",
        ":5: models.fast.fallbacks has a number in it; give texts alone",
    ),
    (
        'fallbacks = ["bset"]',
        (
            ":5: models.fast.fallbacks names 'bset', and there is no such model; did you "
            "mean best?"
        ),
    ),
    (
        'fallbacks = ["slow"]',
        (
            ":5: models.fast.fallbacks names 'slow', and there is no such model; there "
            "are: fast, best"
        ),
    ),
    (
        'fallbacks = ["fast"]',
        ":5: models.fast.fallbacks goes round in a circle (fast, fast); leave one out",
    ),
    ("price = 3", ":5: models.fast.price is a number; give a table"),
    (
        "price.input = 3",
        ":5: models.fast.price.input is not known; did you mean input_per_million_usd?",
    ),
    (
        "price = { input_per_million_usd = -1 }",
        (
            ":5: models.fast.price.input_per_million_usd is out of range; give a number "
            "from 0"
        ),
    ),
    (
        "[models.fast.limits]\nrequests_per_minute = 0",
        (
            ":6: models.fast.limits.requests_per_minute is out of range; give a number "
            "above 0"
        ),
    ),
    (
        "[models.fast.limits]\nmax_concurent = 0",
        (
            ":6: models.fast.limits.max_concurent is not known; did you mean "
            "max_concurrent?"
        ),
    ),
    (
        "limits.longest_wait = -1",
        ":5: models.fast.limits.longest_wait is out of range; give a number from 0",
    ),
    (
        'capabilities.images = "yes"',
        ":5: models.fast.capabilities.images is a text; give true or false",
    ),
    (
        'capabilities.structured = "yes"',
        (
            ":5: models.fast.capabilities.structured is none of schema, json, prompt; "
            "give one of these"
        ),
    ),
    (
        "capabilities.context_window = 2026-01-01",
        (
            ":5: models.fast.capabilities.context_window is a date or time; give a whole "
            "number"
        ),
    ),
    (
        'idempotency_header = "a b"',
        ":5: models.fast.idempotency_header is not the name of a header",
    ),
    (
        'version = "2023-06-01"',
        ":5: models.fast.version is of the protocol anthropic alone; leave it out",
    ),
    (
        'anthropic_beta = ["context-1m"]',
        ":5: models.fast.anthropic_beta is of the protocol anthropic alone; leave it out",
    ),
    ("extra = [1]", ":5: models.fast.extra is an array; give a table"),
    (
        "extra = { max_completion_tokens = 9 }",
        (
            ":5: models.fast.extra.max_completion_tokens cannot stand here, and budgets "
            "would not know of it; give max_tokens, and its name as max_tokens_name; "
            "one request has one answer"
        ),
    ),
    (
        'max_tokens_name = "most"\nextra.most = 9',
        (
            ":6: models.fast.extra.most cannot stand here, and budgets would not know "
            "of it; give max_tokens, and its name as max_tokens_name; one request has "
            "one answer"
        ),
    ),
    (
        "price = {}",
        (
            ":5: models.fast.price has no input_per_million_usd; give it, 0 if that is "
            "free"
        ),
    ),
    (
        "[models.fast.price]\ninput_per_million_usd = 1\nper_call_usd = 1",
        (
            ":5: models.fast.price has no output_per_million_usd; give it, 0 if that is "
            "free"
        ),
    ),
    (
        "capabilities.image_tokens = 0",
        (
            ":5: models.fast.capabilities.image_tokens is out of range; give a whole "
            "number from 1"
        ),
    ),
]


@pytest.mark.parametrize(("line", "sentence"), MORE)
def test_a_line_that_cannot_be_meant_is_refused_with_its_place(
    tmp_path: Path, line: str, sentence: str
) -> None:
    lines = GOOD.splitlines()
    text = "\n".join([*lines[:4], line, *lines[4:]])
    assert refusal(tmp_path, text) == sentence


OTHERWISE = [  # what of the file is replaced, and by what
    (
        '"openai"',
        '"opnai"',
        (
            ":2: models.fast.protocol is none of openai, responses, anthropic; give one "
            "of these"
        ),
    ),
    (
        'protocol = "openai"',
        "",
        ":1: models.fast has no protocol; give one of openai, responses, anthropic",
    ),
    (
        'model = "small-1"',
        "",
        ":1: models.fast has no model; give the provider's name for it",
    ),
    ('"small-1"', "7", ":3: models.fast.model is a number; give a text"),
    (
        "http://localhost:8080/v1",
        "localhost:8080",
        ":4: models.fast.base_url is no address; give one such as https://host/v1",
    ),
    (
        "http://localhost:8080/v1",
        "http://localhost:80x/",
        ":4: models.fast.base_url is no address; give one such as https://host/v1",
    ),
    (
        "localhost:8080",
        "me:sk-planted@localhost",
        ":4: models.fast.base_url has a name or password in it; give a key instead",
    ),
    (
        "8080/v1",
        "8080/v1?key=sk-planted",
        (
            ":4: models.fast.base_url has a ? or # in it; give the part before it, and a "
            "key apart"
        ),
    ),
    (
        "8080/v1",
        "8080/v1/chat/completions",
        (
            ":4: models.fast.base_url ends in /chat/completions, which is added to it; "
            "leave that out"
        ),
    ),
    (
        '"large-1"',
        '"large-1"\nbase_url = "https://host/v1/messages/"',
        (
            ":9: models.best.base_url ends in /v1/messages, which is added to it; leave "
            "that out"
        ),
    ),
    ("[models.best]", "[model.best]", ":6: model is not known; did you mean models?"),
    ("[models.best]", "[[models.best]]", ":6: models.best is an array; give a table"),
    ("[models.best]", "[models.best", ": this is no TOML: "),
    ("[models.best]", "[models.fast]", ": this is no TOML: "),
    (GOOD, "", ":1: there is no model in it; add a table [models.NAME]"),
    (GOOD, "models = 3", ":1: models is a number; give a table"),
    (GOOD, "models.fast = 3", ":1: models.fast is a number; give a table"),
]


@pytest.mark.parametrize(("here", "instead", "sentence"), OTHERWISE)
def test_a_file_that_cannot_be_meant_is_refused_with_its_place(
    tmp_path: Path, here: str, instead: str, sentence: str
) -> None:
    assert here in GOOD
    told = refusal(tmp_path, GOOD.replace(here, instead))
    assert told.startswith(sentence)
    assert "planted" not in told


@pytest.mark.parametrize(
    "line", ['version = "1\\n2"', 'anthropic_beta = ["context-1m", "a,b"]']
)
def test_what_could_not_be_sent_as_a_name_is_refused(tmp_path: Path, line: str) -> None:
    key = line.partition(" ")[0]
    assert refusal(tmp_path, f"{GOOD}{line}\n") == (
        f":9: models.best.{key} has something in it that is no name"
    )


def test_models_that_stand_in_for_each_other_in_a_circle_are_refused(
    tmp_path: Path,
) -> None:
    text = GOOD.replace("[models.best]", 'fallbacks = ["best"]\n[models.best]')
    text += 'fallbacks = ["third", "fast"]\n'
    text += '[models.third]\nprotocol = "openai"\nmodel = "x"\n'
    assert refusal(tmp_path, text) == (
        ":6: models.fast.fallbacks goes round in a circle (fast, best, fast); leave "
        "one out"
    )


def test_a_model_may_stand_in_for_several(tmp_path: Path) -> None:
    file = tmp_path / "understudy.toml"
    third = '[models.third]\nprotocol = "openai"\nmodel = "x"\n'
    text = GOOD.replace("[models.best]", 'fallbacks = ["best", "third"]\n[models.best]')
    file.write_text(f'{text}fallbacks = ["third"]\n{third}')
    assert list(described(file)) == ["fast", "best", "third"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    nowhere, bytes_, folder = tmp_path / "a.toml", tmp_path / "b.toml", tmp_path
    bytes_.write_bytes(b"\xff\xff")
    for file, sentence in (
        (nowhere, "there is no such file"),
        (bytes_, "it is not in UTF-8"),
        (folder, "it cannot be read: Is a directory"),
    ):
        with pytest.raises(ConfigFileError) as caught:
            described(file)
        assert str(caught.value) == f"{file}: {sentence}"
