"""A model that answers at once, in a process of its own, and as fast as can be.

``python -m benchmarks.model_server`` prints its address, and ends when its input
is closed.  It knows three paths: ``/v1/chat/completions``, whole or as a stream;
the same below ``/held``, where no answer ever comes.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

PIECES = 100
"""Pieces of text in a stream; a count."""

_HEAD = {"id": "chatcmpl-1", "created": 1, "model": "m"}
_USAGE = {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21}


def _whole() -> bytes:
    message = {"role": "assistant", "content": "It is good to see you here, Ada."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps(
        {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    ).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def _event(value: object) -> bytes:
    data = value if isinstance(value, str) else json.dumps(value)
    body = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(body), body)


def _stream() -> list[bytes]:
    kind = {**_HEAD, "object": "chat.completion.chunk"}

    def chunk(text: str, finish: str | None) -> object:
        delta = {"content": text} if text else {}
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**kind, "choices": [choice], "usage": None}

    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    pieces = [_event(chunk(f"word {number} ", None)) for number in range(PIECES)]
    last: list[object] = [
        chunk("", "stop"),
        {**kind, "choices": [], "usage": _USAGE},
        "[DONE]",
    ]
    return [head, *pieces, *map(_event, last), b"0\r\n\r\n"]


_WHOLE = _whole()
_STREAM = _stream()


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._come = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._come += data
        head, end, rest = self._come.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(rest) < length:
            return
        body, self._come = rest[:length], rest[length:]
        if head.startswith(b"POST /held"):
            return
        if b'"stream":true' in body.replace(b" ", b""):
            for piece in _STREAM:  # a segment for each, as from a model
                self._transport.write(piece)
        else:
            self._transport.write(_WHOLE)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=1024)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def serving() -> Generator[str]:
    """Start such a server, and lend its address."""
    command = [sys.executable, "-m", "benchmarks.model_server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


if __name__ == "__main__":
    asyncio.run(_serve())
