"""The official client on asyncio, in a process of its own.

``python -m benchmarks.openai_client ADDRESS REQUESTS TOGETHER WAY`` prints seconds
on the wall and of the processor for each request.
"""

from __future__ import annotations

import asyncio
import sys
from importlib.util import find_spec
from typing import Any

from benchmarks.measure import Stopwatch
from benchmarks.model_clients import PROMPT

HERE = find_spec("openai") is not None
WARM_UP = 20


async def _ask(client: Any) -> str:
    answer = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": PROMPT}], max_tokens=64
    )
    text: str = answer.choices[0].message.content
    return text


async def _stream(client: Any) -> str:
    pieces: list[str] = []
    async for chunk in await client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": PROMPT}],
        max_tokens=64,
        stream=True,
        stream_options={"include_usage": True},
    ):
        pieces += [choice.delta.content or "" for choice in chunk.choices]
    return "".join(pieces)


async def main(address: str, requests: int, together: int, way: str) -> None:
    """Ask, and print what a request took."""
    import openai  # not installed everywhere

    ask = _stream if way == "stream" else _ask

    async with openai.AsyncOpenAI(base_url=address, api_key="none") as client:

        async def send(count: int) -> None:
            left = iter(range(count))

            async def worker() -> None:
                for _ in left:
                    await ask(client)

            async with asyncio.TaskGroup() as group:
                for _ in range(min(together, count)):
                    group.create_task(worker())

        await send(max(WARM_UP, together))
        with Stopwatch() as watch:
            await send(requests)
    taken = watch.taken.per(requests)
    print(taken.wall, taken.cpu)


if __name__ == "__main__":
    where, count, at_once, how = sys.argv[1:]
    asyncio.run(main(where, int(count), int(at_once), how))
