"""Models behind HTTP, made in a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, Unpack

from understudy.gates.limits import Limits
from understudy.providers.http_model import HttpModel
from understudy.providers.secret import Secret
from understudy.providers.shared import Providers
from understudy.providers.spec import HttpModelSpec, Speech, usual_key
from understudy.providers.wire import Capabilities, WireSettings
from understudy_protocols.chat import Price


class HttpOptions(TypedDict, total=False):
    """What there is to say about a model behind HTTP, besides its name there.

    Args:
      name: what results and errors call it; the provider's name if not given.
      key: what the provider knows us by; by default that in ``$OPENAI_API_KEY``
        or ``$ANTHROPIC_API_KEY``, at these providers' own addresses alone.
      base_url: the address, up to where the protocol's paths begin; that of the
        makers of the protocol if not given.
      price: what it costs; without one, or with None, it is not asked under a
        cap on money.  ``Price()`` is that of a model that costs nothing.
      limits: what the provider allows.
      capabilities: what the model takes.
      max_tokens: the most that it may write when a request does not say; a
        count.
      max_tokens_name: what the provider calls that bound, if not as its protocol.
      version: of the protocol, where it has versions.
      anthropic_beta: what Anthropic has on trial, and is to allow; names.
      extra: further fields for the body of every request.
      fallbacks: the names, in the runtime, of the models to ask when it cannot
        answer, in order.
      hedge_after: send a second request when an answer has taken so long, and
        take the first that comes; seconds.
      account: models of one account share their retries; those of one key do
        if this is not given.
      idempotency_header: the header for the key of a call, where the provider
        takes one.
      providers: makes it share connections, locks and accounts with the other
        models that are given the same.
    """

    name: str
    key: Secret
    base_url: str
    price: Price | None
    limits: Limits
    capabilities: Capabilities
    max_tokens: int | None
    max_tokens_name: str
    version: str
    anthropic_beta: tuple[str, ...]
    extra: Mapping[str, object]
    fallbacks: tuple[str, ...]
    hedge_after: float | None
    account: str
    idempotency_header: str
    providers: Providers


def openai_model(model: str, **options: Unpack[HttpOptions]) -> HttpModel:
    """Return a model that speaks OpenAI's Chat Completions, as many servers do.

    Args:
      model: the provider's name for it.
      options: see `HttpOptions`.

    Raises:
      ConfigError: a value that cannot be meant.
    """
    return _made(Speech.OPENAI, model, options)


def responses_model(model: str, **options: Unpack[HttpOptions]) -> HttpModel:
    """Return a model that speaks OpenAI's Responses; as `openai_model`."""
    return _made(Speech.RESPONSES, model, options)


def anthropic_model(model: str, **options: Unpack[HttpOptions]) -> HttpModel:
    """Return a model that speaks Anthropic's Messages; as `openai_model`."""
    return _made(Speech.ANTHROPIC, model, options)


def _made(speech: Speech, model: str, options: HttpOptions) -> HttpModel:
    base_url = options.get("base_url", speech.base_url)
    spec = HttpModelSpec(
        name=options.get("name", model),
        speech=speech,
        settings=WireSettings(
            model=model,
            capabilities=options.get("capabilities", Capabilities()),
            max_tokens=options.get("max_tokens"),
            max_tokens_name=options.get("max_tokens_name", ""),
            version=options.get("version", ""),
            anthropic_beta=options.get("anthropic_beta", ()),
            extra=options.get("extra", {}),
        ),
        base_url=base_url,
        key=options.get("key", usual_key(speech, base_url)),
        price=options.get("price"),
        limits=options.get("limits", Limits()),
        fallbacks=options.get("fallbacks", ()),
        hedge_after=options.get("hedge_after"),
        account=options.get("account", ""),
        idempotency_header=options.get("idempotency_header", ""),
    )
    providers = options.get("providers")
    return (Providers() if providers is None else providers).model(spec)
