"""Row: what a request takes of memory while its answer is waited for.

Each contender has a process to itself, and each way of counting too.  Run as a
program, this is such a process: it sends requests that are never answered, and
prints bytes for each, its connection included.
"""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
import tracemalloc
from functools import partial
from typing import Final

import trio

from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Figures, Sample, Sizes
from benchmarks.memory import METHODS, RSS, TRACED, begin_counting
from benchmarks.model_clients import Ask, ask, bare, in_flight, many, ours
from benchmarks.model_server import serving
from benchmarks.models import BARE, OURS

REQUESTS = 256
WARM_UP = 8
SENT_IN = 3.0
"""How long it takes at most until all are sent; seconds."""

CONTENDERS: Final = {"bare": BARE, "ours": OURS}


async def _footprint(hold: Ask, warm_up: Ask, requests: int, method: str) -> float:
    with trio.move_on_after(SENT_IN / 3):
        await warm_up()
    gc.collect()
    used = begin_counting(method)
    async with trio.open_nursery() as nursery:
        before = used()
        nursery.start_soon(hold)
        await trio.sleep(SENT_IN)
        gc.collect()
        after = used()
        tracemalloc.stop()
        nursery.cancel_scope.cancel(reason="the measurement is over")
    return (after - before) / requests


async def _main(contender: str, requests: int, method: str) -> float:
    with serving() as root:
        address = f"{root}/held/v1"
        if contender == "bare":
            async with bare(address, requests + WARM_UP) as httpx:
                hold = partial(in_flight, httpx.ask, requests, requests)
                warm_up = partial(in_flight, httpx.ask, WARM_UP, WARM_UP)
                return await _footprint(hold, warm_up, requests, method)
        async with ours(address, requests + WARM_UP) as model:
            hold = partial(model.work, many(ask, requests, requests))
            warm_up = partial(model.work, many(ask, WARM_UP, WARM_UP))
            return await _footprint(hold, warm_up, requests, method)


def _measure(sizes: Sizes) -> Figures:
    figures: Figures = {}
    requests = str(sizes.count(REQUESTS, 8))
    for (contender, label), (method, suffix) in itertools.product(
        CONTENDERS.items(), METHODS.items()
    ):
        command = [sys.executable, "-m", "benchmarks.model_footprint"]
        command += [contender, requests, method]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        figures[label + suffix] = [Sample.of(float(printed.stdout))]
    return figures


MODEL_MEMORY = Row(
    "model-memory",
    "256 requests to a model that does not answer; per request",
    Unit.KILOBYTES,
    (
        Claim("a request under way, resident set", OURS + RSS),
        Claim("a request under way beside httpx, resident set", OURS + RSS, BARE + RSS),
        Claim(
            "a request under way beside httpx, tracemalloc",
            OURS + TRACED,
            BARE + TRACED,
        ),
    ),
    _measure,
)

if __name__ == "__main__":
    of, count, how = sys.argv[1:]
    print(trio.run(_main, of, int(count), how))
