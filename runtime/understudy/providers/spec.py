"""A model behind HTTP, described: what a configuration says, and a program too."""

from __future__ import annotations

import math
import re
from enum import Enum
from urllib.parse import urlsplit

import attrs

from understudy.gates.limits import Limits
from understudy.providers.secret import Secret
from understudy.providers.wire import WireSettings
from understudy_protocols.chat import Price
from understudy_protocols.errors import ConfigError


class Speech(Enum):
    """The protocols that are spoken here, by the names that configurations use."""

    OPENAI = "openai"
    """OpenAI's Chat Completions, which many servers copy."""
    RESPONSES = "responses"
    """OpenAI's Responses."""
    ANTHROPIC = "anthropic"
    """Anthropic's Messages."""

    @property
    def base_url(self) -> str:
        """The address of those who made the protocol."""
        return _ANTHROPIC_URL if self is Speech.ANTHROPIC else _OPENAI_URL

    @property
    def paths(self) -> tuple[str, ...]:
        """What a base address does not end in, since requests go there or below."""
        return _PATHS[self]

    @property
    def key_variable(self) -> str:
        """The environment variable in which their users keep their key."""
        return "ANTHROPIC_API_KEY" if self is Speech.ANTHROPIC else "OPENAI_API_KEY"


_OPENAI_URL = "https://api.openai.com/v1"
_ANTHROPIC_URL = "https://api.anthropic.com"

_PATHS = {
    Speech.OPENAI: ("/chat/completions",),
    Speech.RESPONSES: ("/responses",),
    Speech.ANTHROPIC: ("/v1/messages",),
}

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _plain_address(instance: HttpModelSpec, attribute: object, url: str) -> None:
    del attribute
    problem = problem_of_address(url, instance.speech)
    if problem:
        raise ConfigError(f"base_url {problem}")


def problem_of_address(url: str, speech: Speech) -> str:
    """Return why *url* can be no base address for *speech*; empty if it can.

    It is shown in logs and trees, so what could be a key in it is not repeated.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is no address; give one such as https://host/v1"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "is no address; give one such as https://host/v1"
    if parts.username is not None or parts.password is not None:
        return "has a name or password in it; give a key instead"
    if parts.query or parts.fragment:
        return "has a ? or # in it; give the part before it, and a key apart"
    path = parts.path.rstrip("/")
    for added in speech.paths:
        if path.endswith(added):
            return f"ends in {added}, which is added to it; leave that out"
    return ""


def is_header(name: str) -> bool:
    """Whether a header can be called *name*."""
    return _HEADER.fullmatch(name) is not None


def _header_name(instance: object, attribute: object, name: str) -> None:
    del instance, attribute
    if name and not is_header(name):
        raise ConfigError("idempotency_header is not the name of a header")


def _above_zero(instance: object, attribute: object, after: float | None) -> None:
    del instance, attribute
    if after is not None and not 0 < after < math.inf:
        raise ConfigError(f"hedge_after is {after!r}; give seconds above 0")


@attrs.frozen(kw_only=True)
class HttpModelSpec:
    """One model behind HTTP.

    Args:
      name: what results and errors call it.
      speech: the protocol that it speaks.
      settings: how it is asked.
      base_url: its address, up to where the protocol's paths begin.
      key: what the provider knows us by.
      price: what it costs; None if nobody has said, and then it is not asked
        under a cap on money.
      limits: what the provider allows.
      fallbacks: the names of the models to ask when it cannot answer, in order.
      hedge_after: send a second request when an answer has taken so long;
        seconds, None for never.
      account: models of one account share their retries and second requests;
        empty for all that have the same key.
      idempotency_header: see `HttpModel`.

    Raises:
      ConfigError: a value that cannot be meant.
    """

    name: str
    speech: Speech
    settings: WireSettings
    base_url: str = attrs.field(validator=_plain_address)
    key: Secret = attrs.field(factory=Secret)
    price: Price | None = None
    limits: Limits = attrs.field(factory=Limits)
    fallbacks: tuple[str, ...] = attrs.field(default=(), converter=tuple[str, ...])
    hedge_after: float | None = attrs.field(default=None, validator=_above_zero)
    account: str = ""
    idempotency_header: str = attrs.field(default="", validator=_header_name)


def usual_key(speech: Speech, base_url: str) -> Secret:
    """Return the key that a model has which names none.

    That of the protocol's makers at their own address, and none elsewhere: a key
    goes only where it belongs.
    """
    if base_url.rstrip("/") == speech.base_url:
        return Secret(env=speech.key_variable)
    return Secret()
