"""What models have in common: connections, the locks of keys and addresses, accounts."""

from __future__ import annotations

from collections.abc import Hashable

from understudy.gates.gate import Account, Gate
from understudy.gates.lock import Lock
from understudy.gates.retry_budget import RetryBudget
from understudy.providers.anthropic import AnthropicMessages
from understudy.providers.http import Client
from understudy.providers.http_model import HttpModel
from understudy.providers.openai_chat import OpenAIChat
from understudy.providers.openai_responses import OpenAIResponses
from understudy.providers.spec import HttpModelSpec, Speech
from understudy.providers.wire import Codec
from understudy_protocols.failures import Cause

HEDGE_SHARE = 0.05
"""Second requests that each first one earns: a bound on the load they add."""

HEDGE_RESERVE = 2.0
"""Second requests that are there at the beginning, and the most saved up; a count."""

_CODECS: dict[Speech, type[Codec]] = {
    Speech.OPENAI: OpenAIChat,
    Speech.RESPONSES: OpenAIResponses,
    Speech.ANTHROPIC: AnthropicMessages,
}


class Providers:
    """Makes models that share what they have in common.

    Models of one address share its connections, and the lock that shuts when it
    cannot be reached; those of one key the lock that shuts when it is not
    accepted; those of one account their retries.
    """

    def __init__(self) -> None:
        self._clients: dict[str, Client] = {}
        self._hosts: dict[str, Lock] = {}
        self._keys: dict[Hashable, Lock] = {}
        self._accounts: dict[Hashable, Account] = {}

    def model(self, spec: HttpModelSpec) -> HttpModel:
        """Return a new model, as *spec* says."""
        url = spec.base_url.rstrip("/")
        # Without a key it is the address that knows us.
        key = spec.key if spec.key.given else url
        client = self._clients.setdefault(url, Client(url, connections=0))
        client.widen(spec.limits.max_concurrent)
        gate = Gate(
            spec.name,
            spec.limits,
            host=self._hosts.setdefault(url, Lock(Cause.TRANSPORT)),
            key=self._keys.setdefault(key, Lock(Cause.AUTH)),
            account=self._accounts.setdefault(spec.account or key, _account()),
        )
        return HttpModel(
            spec.name,
            _CODECS[spec.speech](),
            spec.settings,
            client=client,
            key=spec.key,
            gate=gate,
            price=spec.price,
            fallbacks=spec.fallbacks,
            hedge_after=spec.hedge_after,
            idempotency_header=spec.idempotency_header,
        )


def _account() -> Account:
    return Account(RetryBudget(), RetryBudget(HEDGE_SHARE, HEDGE_RESERVE))
