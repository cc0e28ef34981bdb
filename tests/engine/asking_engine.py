"""Asks a running server through all there is: runtime, gate, client, sockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from understudy import Attempt, BoundModel, Context, RetryConfig, Runtime, step
from understudy.gates.gate import Account, Gate
from understudy.gates.limits import Limits
from understudy.gates.lock import Lock
from understudy.gates.retry_budget import RetryBudget
from understudy.models.asking import ModelDelta
from understudy.providers.anthropic import AnthropicMessages
from understudy.providers.http import Client
from understudy.providers.http_model import HttpModel
from understudy.providers.openai_chat import OpenAIChat
from understudy.providers.openai_responses import OpenAIResponses
from understudy.providers.secret import Secret
from understudy.providers.wire import Codec, WireSettings
from understudy.result import RunResult
from understudy.workflows.step import Step
from understudy_protocols.failures import Cause

PROTOCOLS = ("chat", "responses", "anthropic")

_CODECS: Mapping[str, tuple[Codec, str]] = {
    "chat": (OpenAIChat(), "/v1"),
    "responses": (OpenAIResponses(), "/v1"),
    "anthropic": (AnthropicMessages(), ""),
}

# A second attempt would hide what went wrong with the first.
ONCE = RetryConfig(max_attempts=1, timeout_seconds=120)

T = TypeVar("T")


class Asked(Generic[T]):
    """Work with a model that is asked over HTTP, to be done within runs.

    Attributes:
      values: what the work has returned.
      shown: the pieces of answers that runs have shown.
    """

    def __init__(self, runtime: Runtime[object], does: Step[int, int, object]) -> None:
        self._runtime = runtime
        self._does = does
        self.values: list[T] = []
        self.shown: list[str] = []

    async def run(self) -> RunResult[int]:
        """Do the work once, in a run of its own; return how that ended."""
        async with self._runtime.stream(self._does, 0) as events:
            async for event in events:
                if isinstance(event.value, ModelDelta):
                    self.shown.append(event.value.text)
            return await events.result()


@asynccontextmanager
async def asking(
    address: str,
    protocol: str,
    work: Callable[[BoundModel], Awaitable[T]],
    *,
    extra: Mapping[str, object] | None = None,
) -> AsyncGenerator[Asked[T]]:
    """Lend what does *work* with the server at *address*.

    Args:
      protocol: one of `PROTOCOLS`.
      work: is given the model.
      extra: see `WireSettings`.
    """
    codec, path = _CODECS[protocol]
    client = Client(address + path)
    model = HttpModel(
        protocol,
        codec,
        WireSettings(model="any", max_tokens=64, extra=extra or {}),
        client=client,
        key=Secret("none"),
        gate=_gate(protocol),
    )

    @step(retry=ONCE)
    async def does(context: Context[int], attempt: Attempt[object]) -> int:
        asked.values.append(await work(attempt.models["real"]))
        return context.input

    async with client, Runtime(does, models={"real": model}) as runtime:
        asked = Asked[T](runtime, does)
        yield asked


def _gate(name: str) -> Gate:
    account = Account(RetryBudget(), RetryBudget())
    host, key = Lock(Cause.TRANSPORT), Lock(Cause.AUTH)
    return Gate(name, Limits(), host=host, key=key, account=account)


async def value_of(
    address: str,
    protocol: str,
    work: Callable[[BoundModel], Awaitable[T]],
    *,
    extra: Mapping[str, object] | None = None,
) -> T:
    """Return what *work* returned, done once; see `asking`."""
    async with asking(address, protocol, work, extra=extra) as asked:
        result = await asked.run()
        assert result.ok, result.failure
        return asked.values[0]
