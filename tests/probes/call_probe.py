"""A call's surroundings, without a runtime: the attempt, the budget, the gate."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs
import httpcore
import trio
from tiny_codec import TinyCodec

from understudy.budgets import Hold, RunBudget
from understudy.gates.gate import Account, Gate
from understudy.gates.limits import Limits
from understudy.gates.lock import Lock
from understudy.gates.retry_budget import RetryBudget
from understudy.models.function_journal import FunctionOutcome
from understudy.models.input_limit import InputLimit
from understudy.providers.http import MAX_BODY, Client
from understudy.providers.http_model import HttpModel
from understudy.providers.secret import Secret
from understudy.providers.wire import WireSettings
from understudy_protocols.budget import Budget
from understudy_protocols.chat import ModelRequest, Price
from understudy_protocols.failures import Cause, Failure
from understudy_protocols.retry import RetryConfig
from understudy_protocols.usage import Usage

KEY = "sk-planted-4711"
ADDRESS = "http://127.0.0.1:9"
PRICE = Price(input_per_million_usd=1, output_per_million_usd=2)


class Scope:
    """An attempt, as far as a call sees it; keeps what it is told.

    Args:
      budget: what calls draw on.
      retry: the rules.
      deadline: seconds on trio's clock.

    Attributes:
      holds: what is put aside and not settled.
      spent: what was settled, one by one.
      waits: what was waited for.
      shown: what was shown.
      failures: the attempts that failed.
      last: the last words.
    """

    def __init__(
        self,
        budget: RunBudget,
        retry: RetryConfig,
        *,
        deadline: float = math.inf,
        priority: int = 0,
    ) -> None:
        self.number = 1
        self.key = "call"
        self.retry = retry
        self.input_limit: InputLimit | None = None
        self.priority = priority
        self.holds: list[Hold] = []
        self.spent: list[Usage] = []
        self.waits: list[str] = []
        self.shown: list[object] = []
        self.failures: list[Failure] = []
        self.last: list[BaseException] = []
        self.outside = 0
        self._budget = budget
        self._deadline = deadline
        self._calls = 0

    @property
    def time_left(self) -> float:
        return self._deadline - self.now()

    @property
    def money_capped(self) -> bool:
        return self._budget.money_capped

    @property
    def tokens_capped(self) -> bool:
        return self._budget.tokens_capped

    def now(self) -> float:
        return trio.current_time()

    def jitter(self) -> float:
        return 0.0

    def call_key(self) -> str:
        self._calls += 1
        return f"{self.key}/{self._calls}"

    def request_begins(self) -> None:
        self.outside += 1

    def request_ends(self) -> None:
        self.outside -= 1

    @asynccontextmanager
    async def waiting(self, why: str) -> AsyncGenerator[None]:
        self.waits.append(why)
        self.request_begins()
        try:
            yield
        finally:
            self.request_ends()

    async def wait(self, delay: float, why: str) -> None:
        async with self.waiting(f"{why}, {delay:.3g} s"):
            await trio.sleep(delay)

    async def show(self, value: object) -> None:
        self.shown.append(value)
        await trio.lowlevel.checkpoint()

    async def on_record(self, hold: Hold) -> None:
        """Nothing is written down here."""

    def reserve(self, worst: Usage) -> Hold:
        hold = self._budget.reserve(worst)
        self.holds.append(hold)
        return hold

    def conversation_key(self) -> str:
        return f"{self.key}/talk"

    def recorded(self, key: str) -> FunctionOutcome | None:
        return None

    async def record(self, outcome: FunctionOutcome) -> None:
        await trio.lowlevel.checkpoint()

    def settle(self, hold: Hold, used: Usage) -> None:
        assert any(hold is held for held in self.holds), "settled twice"
        self.holds = [held for held in self.holds if held is not hold]
        hold.settle(used)
        self.spent.append(used)

    def failed_in_place(self, failure: Failure, started: float, usage: Usage) -> None:
        self.failures.append(failure)

    def final(self, error: BaseException) -> None:
        self.last.append(error)


def gate(name: str = "m", limits: Limits | None = None) -> Gate:
    """Return a gate that shares nothing."""
    return Gate(
        name,
        limits or Limits(requests_per_minute=10_000, tokens_per_minute=1_000_000),
        host=Lock(Cause.TRANSPORT),
        key=Lock(Cause.AUTH),
        account=Account(RetryBudget(), RetryBudget(0.05, 2)),
    )


def client(
    network: httpcore.AsyncNetworkBackend | None,
    *,
    address: str = ADDRESS,
    connections: int = 8,
    max_body: int = MAX_BODY,
) -> Client:
    """Return a client of *network*."""
    return Client(address, connections=connections, network=network, max_body=max_body)


def model(
    to: Client, through: Gate | None = None, *, max_tokens: int = 50
) -> HttpModel:
    """Return a model behind *to*."""
    return HttpModel(
        "m",
        TinyCodec(),
        WireSettings(model="m", max_tokens=max_tokens),
        client=to,
        key=Secret(KEY),
        gate=through or gate(),
        price=PRICE,
    )


def request(number: int) -> ModelRequest:
    """Return the request of this number."""
    return ModelRequest(f"request {number}", key=f"call/{number}", max_tokens=50)


def budget() -> RunBudget:
    """Return a budget that is large enough."""
    return RunBudget(Budget(usd=100, tokens=10**9, calls=10**6))


@attrs.frozen
class Left:
    """What is still held when it should not be."""

    gate: int
    waiting: int
    requests: float
    tokens: float
    slots: int
    busy: int


NOTHING = Left(0, 0, 0, 0, 0, 0)


def left(through: Gate, to: Client) -> Left:
    """Return what a gate and a client still hold."""
    rates, pool = through._made, to._pool
    connections = [] if pool is None else pool.connections
    return Left(
        gate=through.under_way,
        waiting=through.waiting,
        requests=0 if rates is None else rates.requests.reserved,
        tokens=0 if rates is None else rates.tokens.reserved,
        slots=len(to._free.holders) + len(to._free.waiting),
        busy=sum(not one.is_idle() for one in connections),
    )
