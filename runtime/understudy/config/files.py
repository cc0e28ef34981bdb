"""The models that a file describes, checked whole before one of them is made."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import attrs

from understudy.config.table import ConfigFileError, Source, Table
from understudy.gates.limits import Limits
from understudy.providers.secret import Secret
from understudy.providers.spec import (
    HttpModelSpec,
    Speech,
    is_header,
    problem_of_address,
    usual_key,
)
from understudy.providers.wire import (
    NO_BOUND_IN_EXTRA,
    Capabilities,
    Structured,
    WireSettings,
    bound_in,
    is_name,
)
from understudy_protocols.chat import Price
from understudy_protocols.errors import ConfigError

DEFAULT_FILE: Final = "understudy.toml"
"""What the file is called where nobody says otherwise."""

_MODEL_KEYS: Final = (
    "protocol",
    "model",
    "base_url",
    "key_env",
    "key_file",
    "max_tokens",
    "max_tokens_name",
    "price",
    "limits",
    "capabilities",
    "fallbacks",
    "hedge_after",
    "account",
    "idempotency_header",
    "version",
    "anthropic_beta",
    "extra",
)
_THE_KEY_ITSELF: Final = frozenset({"key", "api_key", "apikey", "secret", "token"})

# In capitals alone: what is put here by mistake is a key, and they have others.
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*")


@attrs.frozen
class Described:
    """One model of a file.

    Args:
      spec: what the file says.
      table: where it says it.
    """

    spec: HttpModelSpec
    table: Table

    def check_key(self) -> None:
        """Check that its key is where it should be.

        Raises:
          ConfigFileError: it is not.
        """
        try:
            self.spec.key.reveal()
        except ConfigError as error:
            named = [key for key in ("key_env", "key_file") if key in self.table]
            raise self.table.refusal(f"cannot be used: {error}", *named) from error


def described(path: str | Path) -> Mapping[str, Described]:
    """Return the models of the file at *path*, by name, in its order.

    Raises:
      ConfigFileError: it cannot be read, or says what cannot be meant.
    """
    file = Path(path)
    source, values = _read(file)
    top = Table(source, (), values)
    top.allow(("models",))
    models = {
        name: Described(_spec(name, table, file.parent), table)
        for name, table in top.table("models").tables()
    }
    if not models:
        raise top.refusal("there is no model in it; add a table [models.NAME]")
    _check_fallbacks(models)
    return models


def with_fallbacks(
    models: Mapping[str, Described], names: Iterable[str]
) -> tuple[Described, ...]:
    """Return the models called *names*, and all that may stand in for them."""
    found: dict[str, Described] = {}
    todo = list(names)
    while todo:
        name = todo.pop(0)
        if name not in found:
            found[name] = models[name]
            todo += models[name].spec.fallbacks
    return tuple(found.values())


def _read(file: Path) -> tuple[Source, dict[str, object]]:
    try:
        text = file.read_text("utf-8")
        return Source(str(file), text), tomllib.loads(text)
    except FileNotFoundError:
        problem = "there is no such file"
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        problem = "it is not in UTF-8"
    except tomllib.TOMLDecodeError as error:
        problem = f"this is no TOML: {error}"
    raise ConfigFileError(str(file), 0, "", problem)


def _spec(name: str, table: Table, folder: Path) -> HttpModelSpec:
    for key in _THE_KEY_ITSELF:
        if key in table:
            raise table.refusal(
                "is not known, and a key has no place in this file; give key_env, the "
                "name of the environment variable that holds it, or key_file",
                key,
            )
    table.allow(_MODEL_KEYS)
    speech = table.word("protocol", Speech, (one.value for one in Speech))
    if speech is None:
        known = ", ".join(one.value for one in Speech)
        raise table.refusal(f"has no protocol; give one of {known}")
    base_url = _address(table, speech) or speech.base_url
    return HttpModelSpec(
        name=name,
        speech=speech,
        settings=WireSettings(
            model=table.needed("model", "the provider's name for it"),
            capabilities=_capabilities(table.table("capabilities")),
            max_tokens=table.count("max_tokens"),
            max_tokens_name=table.text("max_tokens_name") or "",
            version=_version(table, speech),
            anthropic_beta=_beta(table, speech),
            extra=_extra(table),
        ),
        base_url=base_url,
        key=_key(table, folder) or usual_key(speech, base_url),
        price=_price(table.table("price")) if "price" in table else None,
        limits=_limits(table.table("limits")),
        fallbacks=table.texts("fallbacks"),
        hedge_after=table.number("hedge_after", above=0),
        account=table.text("account") or "",
        idempotency_header=_header(table),
    )


def _address(table: Table, speech: Speech) -> str | None:
    url = table.text("base_url")
    problem = "" if url is None else problem_of_address(url, speech)
    if problem:
        raise table.refusal(problem, "base_url")
    return url


def _key(table: Table, folder: Path) -> Secret | None:
    env, file = table.text("key_env"), table.text("key_file")
    if env is not None and file is not None:
        raise table.refusal(
            "is given, and key_env too; leave one of them out", "key_file"
        )
    if env is not None:
        if not is_variable(env):
            raise table.refusal(
                "is not the name of an environment variable, in capitals, such as "
                "OPENAI_API_KEY",
                "key_env",
            )
        return Secret(env=env)
    return None if file is None else Secret(file=folder / Path(file).expanduser())


def is_variable(name: str) -> bool:
    """Whether *name* can be that of an environment variable with a key in it."""
    return _VARIABLE.fullmatch(name) is not None


def _version(table: Table, speech: Speech) -> str:
    version = table.text("version")
    if version is not None:
        _check_names(table, "version", speech, (version,))
    return version or ""


def _beta(table: Table, speech: Speech) -> tuple[str, ...]:
    names = table.texts("anthropic_beta")
    if names:
        _check_names(table, "anthropic_beta", speech, names)
    return names


def _check_names(
    table: Table, key: str, speech: Speech, names: tuple[str, ...]
) -> None:
    if speech is not Speech.ANTHROPIC:
        raise table.refusal("is of the protocol anthropic alone; leave it out", key)
    if not all(map(is_name, names)):
        raise table.refusal("has something in it that is no name", key)


def _header(table: Table) -> str:
    name = table.text("idempotency_header")
    if name is not None and not is_header(name):
        raise table.refusal("is not the name of a header", "idempotency_header")
    return name or ""


def _price(table: Table) -> Price:
    names = Price.__struct_fields__
    table.allow(names)
    given = {name: table.number(name) for name in names if name in table}
    # What is forgotten would be free, and a budget would believe it.
    if "per_call_usd" not in given or len(given) > 1:
        for name in ("input_per_million_usd", "output_per_million_usd"):
            if name not in given:
                raise table.refusal(f"has no {name}; give it, 0 if that is free")
    return Price(**{name: usd for name, usd in given.items() if usd is not None})


def _extra(table: Table) -> Mapping[str, object]:
    extra = table.table("extra")
    bound = bound_in(table.values("extra"), table.text("max_tokens_name") or "")
    if bound:
        raise extra.refusal(f"cannot stand here, {NO_BOUND_IN_EXTRA}", bound)
    return table.values("extra")


def _limits(table: Table) -> Limits:
    table.allow(field.name for field in attrs.fields(Limits))
    usual = Limits()
    wait = table.number("longest_wait")
    return Limits(
        requests_per_minute=table.number("requests_per_minute", above=0)
        or usual.requests_per_minute,
        tokens_per_minute=table.number("tokens_per_minute", above=0)
        or usual.tokens_per_minute,
        max_concurrent=table.count("max_concurrent") or usual.max_concurrent,
        longest_wait=usual.longest_wait if wait is None else wait,
    )


def _capabilities(table: Table) -> Capabilities:
    table.allow(field.name for field in attrs.fields(Capabilities))
    usual = Capabilities()

    def able(key: str, usually: bool) -> bool:
        said = table.flag(key)
        return usually if said is None else said

    held = table.word("structured", Structured, (one.value for one in Structured))
    return Capabilities(
        temperature=able("temperature", usual.temperature),
        structured=held or usual.structured,
        tools=able("tools", usual.tools),
        images=able("images", usual.images),
        files=able("files", usual.files),
        reasoning=able("reasoning", usual.reasoning),
        seed=able("seed", usual.seed),
        stop=able("stop", usual.stop),
        context_window=table.count("context_window"),
        max_output=table.count("max_output"),
        image_tokens=table.count("image_tokens"),
        file_tokens=table.count("file_tokens"),
    )


def _check_fallbacks(models: Mapping[str, Described]) -> None:
    for name, model in models.items():
        for other in model.spec.fallbacks:
            if other not in models:
                close = difflib.get_close_matches(other, models, n=1)
                hint = f"did you mean {close[0]}?" if close else _listed(models)
                raise model.table.refusal(
                    f"names {other!r}, and there is no such model; {hint}", "fallbacks"
                )
        circle = _circle(models, (name,))
        if circle:
            raise model.table.refusal(
                f"goes round in a circle ({', '.join(circle)}); leave one out",
                "fallbacks",
            )


def _circle(models: Mapping[str, Described], way: tuple[str, ...]) -> tuple[str, ...]:
    """Return the way back to where *way* begins; empty if there is none."""
    for other in models[way[-1]].spec.fallbacks:
        if other == way[0]:
            return (*way, other)
        if other in models and other not in way:
            found = _circle(models, (*way, other))
            if found:
                return found
    return ()


def _listed(models: Mapping[str, Described]) -> str:
    return f"there are: {', '.join(models)}"
