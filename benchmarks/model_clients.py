"""Asks `model_server`: with httpx alone, and through all that there is of ours."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpx
import trio

from understudy import Attempt, BoundModel, Context, RetryConfig, Runtime, step
from understudy.gates.gate import Account, Gate
from understudy.gates.limits import Limits
from understudy.gates.lock import Lock
from understudy.gates.retry_budget import RetryBudget
from understudy.providers.http import Client
from understudy.providers.http_model import HttpModel
from understudy.providers.openai_chat import OpenAIChat
from understudy.providers.secret import Secret
from understudy.providers.wire import WireSettings
from understudy_protocols.failures import Cause

PROMPT = "Greet Ada, who has come back from a long voyage, in one sentence."
PATH = "/chat/completions"

Ask = Callable[[], Awaitable[object]]


async def in_flight(ask: Ask, requests: int, together: int) -> None:
    """Call *ask* so often, so many at a time."""
    left = iter(range(requests))

    async def worker() -> None:
        for _ in left:
            await ask()

    async with trio.open_nursery() as nursery:
        for _ in range(min(together, requests)):
            nursery.start_soon(worker)


class Bare:
    """What one writes with httpx alone, without a thought for what can go wrong."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url

    async def ask(self) -> str:
        """Return an answer."""
        while True:
            try:
                response = await self._http.post(self._url, json=_body(stream=False))
                break
            except httpx.ReadError:
                # The pool closes some that it has just given away when very many
                # begin at once.
                continue
        response.raise_for_status()
        answer: str = response.json()["choices"][0]["message"]["content"]
        return answer

    async def stream(self) -> str:
        """Return a streamed answer, put together."""
        pieces: list[str] = []
        body = _body(stream=True)
        async with self._http.stream("POST", self._url, json=body) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                data = line.removeprefix("data: ")
                if data and data != "[DONE]":
                    choices = json.loads(data)["choices"]
                    pieces += [it["delta"].get("content", "") for it in choices]
        return "".join(pieces)


def _body(*, stream: bool) -> dict[str, object]:
    messages = [{"role": "user", "content": PROMPT}]
    body: dict[str, object] = {"model": "m", "messages": messages, "max_tokens": 64}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


@asynccontextmanager
async def bare(address: str, together: int) -> AsyncGenerator[Bare]:
    """Lend httpx, with as many connections as it needs."""
    limits = httpx.Limits(max_connections=together, max_keepalive_connections=together)
    headers = {"authorization": "Bearer none"}
    async with httpx.AsyncClient(limits=limits, timeout=60, headers=headers) as http:
        yield Bare(http, address + PATH)


Work = Callable[[BoundModel], Awaitable[object]]


class Ours:
    """A step's model: the logical call, the gate, the protocol, and the client."""

    def __init__(self, runtime: Runtime[object]) -> None:
        self._runtime = runtime

    async def work(self, work: Work) -> None:
        """Do *work* with the model, within one step."""
        work_of.append(work)
        result = await self._runtime.run(_works, 0)
        assert result.ok, result.failure


work_of: list[Work] = []


@step(retry=RetryConfig(timeout_seconds=600))
async def _works(context: Context[int], attempt: Attempt[object]) -> int:
    await work_of.pop()(attempt.models["m"])
    return context.input


async def ask(model: BoundModel) -> str:
    """Return an answer."""
    return (await model.complete(PROMPT, max_tokens=64)).value


async def stream(model: BoundModel) -> str:
    """Return a streamed answer, put together."""
    return (await model.complete(PROMPT, max_tokens=64, stream=True)).value


def many(ask: Work, requests: int, together: int) -> Work:
    """Return what asks so often, so many at a time."""

    async def work(model: BoundModel) -> None:
        await in_flight(partial(ask, model), requests, together)

    return work


@asynccontextmanager
async def ours(address: str, together: int) -> AsyncGenerator[Ours]:
    """Lend a runtime with the model."""
    client = Client(address, connections=together)
    account = Account(RetryBudget(), RetryBudget())
    model = HttpModel(
        "m",
        OpenAIChat(),
        WireSettings(model="m"),
        client=client,
        key=Secret("none"),
        gate=Gate(
            "m",
            Limits(max_concurrent=together),
            host=Lock(Cause.TRANSPORT),
            key=Lock(Cause.AUTH),
            account=account,
        ),
    )
    async with client, Runtime(_works, models={"m": model}) as runtime:
        yield Ours(runtime)
