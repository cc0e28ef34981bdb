"""A file becomes models that share what they have in common, and a runtime's tree."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from understudy import (
    Attempt,
    ConfigError,
    Context,
    Price,
    Runtime,
    TreeSnapshot,
    step,
)
from understudy.config import configured_models
from understudy.gates.gate import Account
from understudy.gates.lock import Lock
from understudy.gates.verdict import Part
from understudy.models import (
    FaultMix,
    Models,
    ScriptedModel,
    UnknownModelError,
    with_faults,
)
from understudy.models.part_bounds import PartBounds
from understudy.providers import (
    Capabilities,
    HttpModel,
    Limits,
    Providers,
    Secret,
    Structured,
    anthropic_model,
    openai_model,
    responses_model,
)
from understudy.testing import run_seeded

FILE = """\
[models.fast]
protocol = "openai"
model = "small-1"
base_url = "http://localhost:8080/v1"
key_env = "ONE_KEY"
max_tokens = 500
max_tokens_name = "max_tokens"
fallbacks = ["best"]
hedge_after = 1.5
idempotency_header = "Idempotency-Key"
extra = { top_k = 3 }

[models.fast.price]
input_per_million_usd = 0.25
output_per_million_usd = 2
per_call_usd = 0.001

[models.fast.limits]
requests_per_minute = 500
max_concurrent = 8
longest_wait = 0

[models.fast.capabilities]
temperature = false
structured = "json"
context_window = 8_000
image_tokens = 1_500

[models.best]
protocol = "anthropic"
model = "large-1"
base_url = "http://localhost:8080/v1/"
key_env = "ONE_KEY"
version = "2023-06-01"
account = "team"

[models.other]
protocol = "responses"
model = "large-2"
base_url = "http://localhost:9090"
key_file = "keys/other"
account = "team"

[models.local]
protocol = "openai"
model = "tiny"
base_url = "http://localhost:9090"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with four models, and their keys."""
    monkeypatch.setenv("ONE_KEY", "planted-key-1")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "other").write_text(" planted-key-2\n")
    path = tmp_path / "understudy.toml"
    path.write_text(FILE)
    return path


def http(models: Models, name: str) -> HttpModel:
    model = models[name]
    assert isinstance(model, HttpModel)
    return model


def test_a_model_is_what_its_table_says(file: Path) -> None:
    fast = http(configured_models(file), "fast")

    assert fast.name == "fast"
    assert fast.max_tokens == 500
    assert fast.context_window == 8_000
    assert fast.part_bounds == PartBounds(image=1_500, file=None)
    assert fast.fallbacks == ("best",)
    assert fast.hedge_after == 1.5
    assert fast.gate.longest_wait == 0
    assert fast.gate.limit <= 8
    assert fast.key.reveal() == "planted-key-1"
    assert fast.price == Price(
        input_per_million_usd=0.25, output_per_million_usd=2, per_call_usd=0.001
    )


def test_a_price_is_what_the_file_says_and_otherwise_unknown(file: Path) -> None:
    assert http(configured_models(file), "other").price is None
    text = FILE.replace(
        'model = "tiny"', 'model = "tiny"\nprice = { per_call_usd = 0 }'
    )
    file.write_text(text)
    assert http(configured_models(file), "local").price == Price()


def test_a_key_is_read_from_a_file_beside_the_configuration(file: Path) -> None:
    assert http(configured_models(file), "other").key.reveal() == "planted-key-2"


def shared(one: HttpModel, other: HttpModel) -> tuple[bool, bool, bool, bool]:
    """Return whether two models share connections, address, key and account."""

    def parts(model: HttpModel) -> tuple[object, Lock, Lock, Account]:
        gate = model.gate
        locks = gate._locks
        return (model.client, locks[Part.HOST], locks[Part.KEY], gate.account)

    first, second, third, fourth = (
        mine is its for mine, its in zip(parts(one), parts(other), strict=True)
    )
    return first, second, third, fourth


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("fast", "best", (True, True, True, False)),
        ("best", "other", (False, False, False, True)),
        ("other", "local", (True, True, False, False)),
        ("fast", "local", (False, False, False, False)),
    ],
)
def test_models_share_what_they_have_in_common(
    file: Path, one: str, other: str, expected: tuple[bool, ...]
) -> None:
    models = configured_models(file)
    assert shared(http(models, one), http(models, other)) == expected


def test_without_keys_the_address_is_what_providers_know_us_by() -> None:
    providers = Providers()
    here, there = "http://localhost:1", "http://localhost:2"
    one = openai_model("a", base_url=here, providers=providers)
    two = openai_model("b", base_url=here, providers=providers)
    three = openai_model("c", base_url=there, providers=providers)
    assert shared(one, two) == (True, True, True, True)
    assert shared(one, three) == (False, False, False, False)
    assert shared(one, openai_model("a", base_url=here)) == (False,) * 4


def test_some_models_of_a_file_come_with_those_that_stand_in(file: Path) -> None:
    assert list(configured_models(file, "fast")) == ["fast", "best"]
    assert list(configured_models(str(file), "local")) == ["local"]
    with pytest.raises(UnknownModelError, match="there is no model 'fats'"):
        configured_models(file, "fats")


def test_a_key_that_is_not_there_is_told_with_its_line(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONE_KEY")
    assert list(configured_models(file, "other")) == ["other"]
    with pytest.raises(ConfigError) as caught:
        configured_models(file)
    assert str(caught.value) == (
        f"{file}:5: models.fast.key_env cannot be used: $ONE_KEY is not set; put the "
        "key there"
    )
    (file.parent / "keys" / "other").unlink()
    with pytest.raises(ConfigError, match=r":41: models.other.key_file cannot be used"):
        configured_models(file, "other")


def test_the_usual_key_goes_to_the_usual_address_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted-key-1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "planted-key-2")
    assert openai_model("a").key.reveal() == "planted-key-1"
    assert responses_model("a").key.reveal() == "planted-key-1"
    assert anthropic_model("a").key.reveal() == "planted-key-2"
    assert openai_model("a", base_url="http://localhost").key.reveal() == ""


def test_a_model_is_made_in_a_program_as_in_a_file() -> None:
    model = openai_model(
        "small-1",
        name="fast",
        key=Secret("planted-key"),
        base_url="https://host/v1",
        price=Price(per_call_usd=1),
        limits=Limits(max_concurrent=3),
        capabilities=Capabilities(structured=Structured.PROMPT, context_window=10),
        max_tokens=5,
        fallbacks=("best",),
        hedge_after=1.0,
    )
    assert (model.name, model.max_tokens, model.context_window) == ("fast", 5, 10)
    assert (model.fallbacks, model.hedge_after) == (("best",), 1.0)
    assert openai_model("small-1", base_url="https://host").name == "small-1"
    with pytest.raises(ConfigError, match="hedge_after is 0; give seconds above 0"):
        openai_model("a", hedge_after=0)
    with pytest.raises(ConfigError, match="base_url has a name or password in it"):
        openai_model("a", base_url="http://me:planted@host")
    with pytest.raises(ConfigError, match="max_tokens is 0; give a count from 1"):
        openai_model("a", max_tokens=0)
    with pytest.raises(ConfigError, match="extra has 'n' in it, and budgets"):
        openai_model("a", extra={"n": 3})
    with pytest.raises(ConfigError, match="that is no name"):
        anthropic_model("a", version="1\n2")
    with pytest.raises(ConfigError, match="that is no name"):
        anthropic_model("a", anthropic_beta=("a b",))
    with pytest.raises(ConfigError, match="idempotency_header is not the name of a"):
        openai_model("a", idempotency_header="a b")


# ----------------------------------------------------------------- in a runtime


@step
async def ask(context: Context[str], attempt: Attempt[object]) -> str:
    return (await attempt.models["fast"].complete(context.input)).value


def below(tree: TreeSnapshot, name: str) -> list[str]:
    """Return the ids of the children of a supervisor below the root."""
    (found,) = [one for one in tree.below if one.path.endswith(f"/{name}")]
    return [child.id for child in found.children]


def test_each_address_has_one_actor_that_holds_its_connections(file: Path) -> None:
    async def main() -> TreeSnapshot:
        async with Runtime(ask, models=file) as runtime:
            return runtime.tree()

    tree = run_seeded(main, seed=0)

    assert [child.id for child in tree.children] == ["watchdog", "models", "workflows"]
    assert below(tree, "models") == [
        "localhost:8080|v1",
        "localhost:9090",
    ]


def test_the_connections_are_open_as_long_as_the_runtime_is(file: Path) -> None:
    models = configured_models(file)
    client = http(models, "fast").client

    async def main() -> list[int]:
        before = client._inside
        async with Runtime(ask, models=models):
            async with Runtime(ask, models=models):  # two runtimes may share them
                both = client._inside
            one = client._inside
        return [before, both, one, client._inside]

    assert run_seeded(main, seed=0) == [0, 2, 1, 0]


def test_models_that_share_no_connections_have_an_actor_each() -> None:
    models = {name: openai_model("a", base_url="http://localhost") for name in "ab"}

    async def main() -> TreeSnapshot:
        async with Runtime(ask, models=models) as runtime:
            return runtime.tree()

    assert below(run_seeded(main, seed=0), "models") == [
        "localhost",
        "localhost-2",
    ]


def test_models_without_connections_need_no_actor() -> None:
    async def main() -> TreeSnapshot:
        async with Runtime(ask, models={"fast": ScriptedModel([])}) as runtime:
            return runtime.tree()

    tree = run_seeded(main, seed=0)
    assert [child.id for child in tree.children] == ["watchdog", "workflows"]


def test_a_model_around_another_has_its_actors() -> None:
    model = with_faults(
        openai_model("a", base_url="http://localhost"), FaultMix(), random.Random(0)
    )

    async def main() -> TreeSnapshot:
        async with Runtime(ask, models={"fast": model}) as runtime:
            return runtime.tree()

    assert below(run_seeded(main, seed=0), "models") == ["localhost"]


def test_what_is_to_stand_in_has_to_be_there() -> None:
    model = openai_model("a", base_url="http://localhost", fallbacks=("best",))
    with pytest.raises(ConfigError) as caught:
        Runtime(ask, models={"fast": model})
    assert str(caught.value) == (
        "the model 'fast' is to fall back to 'best', and there is no such model in "
        "this runtime, but 'fast'"
    )


def test_a_file_that_is_wrong_is_told_before_anything_runs(file: Path) -> None:
    file.write_text(FILE.replace("[models.best]", "[models.bets]"))
    with pytest.raises(ConfigError, match=r":8: models.fast.fallbacks names 'best'"):
        Runtime(ask, models=str(file))


def test_what_speaks_http_is_loaded_where_it_is_used() -> None:
    code = (
        "import sys, understudy, understudy.models, understudy.cli.main\n"
        "import understudy.providers as providers\n"
        "providers.Limits, providers.Secret, providers.Capabilities\n"
        "assert not {'httpx', 'httpcore'} & set(sys.modules)\n"
        "providers.openai_model\n"
        "assert 'httpx' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_runtime_takes_no_models_that_have_no_names() -> None:
    with pytest.raises(ConfigError) as caught:
        Runtime(ask, models=5)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "models is 5; give models by their names, or the path of a file"
    )
