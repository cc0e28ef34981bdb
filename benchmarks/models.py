"""Rows: what a request to a model costs, beside httpx alone and the official client."""

from __future__ import annotations

import sys

import trio

from benchmarks import openai_client
from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Contender, Figures, Sample, Sizes, alternate, timed
from benchmarks.model_clients import ask, bare, in_flight, many, ours, stream
from benchmarks.model_server import PIECES, serving

REQUESTS = 1000
STREAMS = 20
TOGETHER = (1, 32, 256)

BARE = "bare: httpx"
OURS = "ours: a step's model, through its gate"
OFFICIAL = "official: the openai client, on asyncio"


async def _official(address: str, requests: int, together: int, way: str) -> Sample:
    command = [sys.executable, "-m", "benchmarks.openai_client"]
    command += [address, str(requests), str(together), way]
    done = await trio.run_process(command, capture_stdout=True)
    return Sample(*map(float, done.stdout.split()))


async def _requests(together: int, sizes: Sizes) -> Figures:
    requests = sizes.count(REQUESTS, 2)
    with serving() as root:
        address = f"{root}/v1"
        async with bare(address, together) as httpx, ours(address, together) as model:
            contenders: dict[str, Contender] = {
                BARE: lambda: timed(
                    lambda: in_flight(httpx.ask, requests, together), requests
                ),
                OURS: lambda: timed(
                    lambda: model.work(many(ask, requests, together)), requests
                ),
            }
            if openai_client.HERE:
                contenders[OFFICIAL] = lambda: _official(
                    address, requests, together, "ask"
                )
            return await alternate(contenders, sizes.count(7), sizes)


async def _streams(sizes: Sizes) -> Figures:
    streams = sizes.count(STREAMS)
    pieces = streams * PIECES
    with serving() as root:
        address = f"{root}/v1"
        async with bare(address, 1) as httpx, ours(address, 1) as model:
            contenders: dict[str, Contender] = {
                BARE: lambda: timed(
                    lambda: in_flight(httpx.stream, streams, 1), pieces
                ),
                OURS: lambda: timed(
                    lambda: model.work(many(stream, streams, 1)), pieces
                ),
            }
            if openai_client.HERE:

                async def official() -> Sample:
                    taken = await _official(address, streams, 1, "stream")
                    return taken.per(PIECES)

                contenders[OFFICIAL] = official
            return await alternate(contenders, sizes.count(7), sizes)


def _claims(what: str, limit: float | None) -> tuple[Claim, ...]:
    claims = [Claim(f"{what} beside httpx", OURS, BARE, limit)]
    if openai_client.HERE:
        text = f"{what} beside the official client"
        claims.append(Claim(text, OURS, OFFICIAL, 1.0))
    return tuple(claims)


def _row(together: int) -> Row:
    return Row(
        f"model-{together}",
        f"requests to a model on loopback, {together} at a time; per request",
        Unit.MICROSECONDS,
        _claims(f"a request, {together} at a time", 1.15),
        lambda sizes: trio.run(_requests, together, sizes),
    )


REQUEST_ROWS = tuple(map(_row, TOGETHER))

STREAM_ROW = Row(
    "model-stream",
    f"an answer in {PIECES} pieces; per piece",
    Unit.MICROSECONDS,
    _claims("a piece of an answer", None),
    lambda sizes: trio.run(_streams, sizes),
)
